//! The models that are predicted.

use super::spec::{Cell, Spec};

/// The models by name.
pub fn specs() -> Vec<(&'static str, Spec)> {
    let paper = Spec {
        cells: vec![Cell::Lstmp],
        embedding: 4,
        hidden: 6,
        projection: 4,
        residual: false,
        tied: false,
        forget_bias: 1.0,
        samples: None,
        cutoffs: Vec::new(),
        contiguous: false,
        devices: 1,
        batch: 3,
        unroll: 4,
        optimizer: "adagrad",
        learning_rate: 0.2,
        tables: None,
        clip: 10.0,
        ema: 0.75,
        plain: false,
        seed: 5,
        steps: 9,
    };
    let plain = Spec {
        optimizer: "sgd",
        learning_rate: 1.5,
        plain: true,
        contiguous: true,
        ema: 0.0,
        ..paper.clone()
    };
    vec![
        ("lstmp_full", paper.clone()),
        (
            "lstmp_two_layers_sampled_clipped",
            Spec {
                cells: vec![Cell::Lstmp; 2],
                samples: Some(5),
                clip: 0.2,
                embedding: 5,
                ..paper.clone()
            },
        ),
        (
            "flstm_full_clipped",
            Spec {
                cells: vec![Cell::Flstm(2), Cell::Flstm(3)],
                clip: 0.1,
                learning_rate: 1.0,
                ema: 0.99,
                ..paper.clone()
            },
        ),
        (
            "glstm_per_layer_groups_sampled",
            Spec {
                cells: vec![Cell::Glstm(2), Cell::Glstm(4)],
                hidden: 8,
                residual: true,
                samples: Some(6),
                ..paper.clone()
            },
        ),
        (
            "mixed_cells_contiguous",
            Spec {
                cells: vec![Cell::Flstm(2), Cell::Glstm(2), Cell::Lstmp],
                contiguous: true,
                learning_rate: 1.0,
                steps: 20,
                forget_bias: 0.5,
                ..paper.clone()
            },
        ),
        (
            "tied_full",
            Spec {
                tied: true,
                ..paper.clone()
            },
        ),
        (
            "tied_sampled_residual",
            Spec {
                tied: true,
                residual: true,
                samples: Some(4),
                ..paper.clone()
            },
        ),
        (
            "no_projection",
            Spec {
                projection: 0,
                cells: vec![Cell::Lstmp, Cell::Glstm(3)],
                ..paper.clone()
            },
        ),
        (
            "plain_sgd_clipped_no_projection",
            Spec {
                projection: 0,
                cells: vec![Cell::Lstmp; 2],
                clip: 0.25,
                forget_bias: 0.0,
                ..plain.clone()
            },
        ),
        ("plain_sgd", plain.clone()),
        (
            "plain_momentum_sampled",
            Spec {
                optimizer: "momentum",
                learning_rate: 0.3,
                samples: Some(3),
                contiguous: false,
                batch: 2,
                unroll: 2,
                ..plain.clone()
            },
        ),
        (
            "plain_adam",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                ema: 0.9,
                cells: vec![Cell::Glstm(2)],
                ..plain.clone()
            },
        ),
        (
            "plain_momentum_sampled_short_unroll",
            Spec {
                optimizer: "momentum",
                learning_rate: 0.3,
                samples: Some(3),
                clip: 0.3,
                unroll: 11,
                steps: 9,
                ..plain.clone()
            },
        ),
        (
            "plain_adam_full_tied_short_unroll",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                tied: true,
                unroll: 11,
                steps: 9,
                ..plain.clone()
            },
        ),
        (
            "paper_tied_sampled_short_unroll",
            Spec {
                tied: true,
                contiguous: true,
                samples: Some(4),
                unroll: 11,
                steps: 9,
                ..paper.clone()
            },
        ),
        (
            "paper_adam_tied",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                tied: true,
                clip: 0.05,
                batch: 2,
                unroll: 2,
                ..paper.clone()
            },
        ),
        (
            "plain_clipped_tied_sampled",
            Spec {
                tied: true,
                samples: Some(7),
                clip: 0.2,
                ..plain.clone()
            },
        ),
        (
            "paper_adaptive_clipped",
            Spec {
                cells: vec![Cell::Glstm(2), Cell::Lstmp],
                cutoffs: vec![3, 7],
                clip: 0.2,
                unroll: 5,
                ..paper.clone()
            },
        ),
        (
            "plain_momentum_adaptive_short_unroll",
            Spec {
                optimizer: "momentum",
                learning_rate: 0.3,
                cutoffs: vec![5, 7],
                clip: 0.3,
                unroll: 11,
                steps: 9,
                batch: 7,
                ..plain.clone()
            },
        ),
        (
            "paper_two_devices_adaptive",
            Spec {
                devices: 2,
                batch: 2,
                cutoffs: vec![4],
                ..paper.clone()
            },
        ),
        (
            "paper_two_devices_sampled_clipped",
            Spec {
                cells: vec![Cell::Glstm(2), Cell::Flstm(2)],
                devices: 2,
                batch: 2,
                samples: Some(5),
                clip: 0.2,
                ..paper.clone()
            },
        ),
        (
            "paper_three_devices_tied_contiguous",
            Spec {
                devices: 3,
                batch: 1,
                tied: true,
                samples: Some(4),
                contiguous: true,
                ..paper.clone()
            },
        ),
        (
            "paper_two_devices_full",
            Spec {
                devices: 2,
                batch: 2,
                clip: 0.3,
                ..paper.clone()
            },
        ),
        (
            "plain_two_devices_short_unroll",
            Spec {
                devices: 2,
                batch: 2,
                optimizer: "momentum",
                learning_rate: 0.3,
                samples: Some(3),
                clip: 0.3,
                plain: true,
                contiguous: true,
                ema: 0.0,
                unroll: 11,
                steps: 9,
                ..paper.clone()
            },
        ),
        (
            "paper_adam_sampled_two_devices",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                tables: Some(("adagrad", 0.2)),
                devices: 2,
                batch: 2,
                samples: Some(5),
                ..paper.clone()
            },
        ),
        (
            "plain_adam_sampled",
            Spec {
                optimizer: "adam",
                learning_rate: 0.01,
                tables: Some(("adagrad", 20.0)),
                samples: Some(4),
                clip: 0.5,
                plain: true,
                ema: 0.9,
                ..paper.clone()
            },
        ),
        ("one_stream", Spec { batch: 1, ..paper }),
    ]
}
