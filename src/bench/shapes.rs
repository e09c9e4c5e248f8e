//! The matrix products of a training step of the paper's models: `configs/lm1b-biglstm.toml`, `-f512`, `-g4` and `-g8` with a batch
//! of 128, so 128 rows in the products of a time step and 2,560 in those of all 20. A test derives the list from their plans.

use crate::kernel::{Kernel, Params as _};
use crate::kernels::lstm::{cell_backward, cell_forward};
use crate::kernels::matmul::product::{self, Params};

/// One product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The model, unless all have the product, and the purpose.
    pub name: &'static str,
    /// Sizes and strides, in one piece.
    pub params: Params,
    /// What follows the product in the same kernel.
    pub cell: Option<Cell>,
}

/// A kernel that begins with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// [`cell_forward`].
    Forward,
    /// [`cell_backward`].
    Backward,
}

impl Shape {
    /// Whether the product is stored as `f16` in mixed precision: all but gradients of weights.
    pub fn is_half(&self) -> bool {
        self.params.transpose_left == 0
    }

    /// The kernel.
    pub fn kernel(&self) -> &'static Kernel {
        match self.cell {
            None => &product::KERNEL,
            Some(Cell::Forward) => &cell_forward::KERNEL,
            Some(Cell::Backward) => &cell_backward::KERNEL,
        }
    }

    /// The params of the kernel, with a product of these params instead of its own.
    pub fn kernel_params(&self, params: &Params) -> Box<[u32]> {
        match self.cell {
            None => params.to_raw(),
            Some(Cell::Forward) => cell_forward::Params {
                batch: params.rows,
                hidden: params.groups * params.columns / 4,
                groups: params.groups,
                depth: params.depth,
                weight_group: params.right_group,
                accumulate: params.accumulate,
                forget_bias: 1.0,
            }
            .to_raw(),
            Some(Cell::Backward) => cell_backward::Params {
                batch: params.rows,
                hidden: params.columns,
                depth: params.depth,
                projected: 1,
                transposed: u32::from(params.transpose_right == 0),
                carry: 1,
            }
            .to_raw(),
        }
    }
}

/// `out_g = left_g weight_g`: the groups of `left` and `out` are columns. Between the weights of two groups are those of the
/// other input of the layer.
fn forward(groups: usize, rows: usize, columns: usize, depth: usize) -> Params {
    grouped(
        groups,
        2 * depth * columns,
        Params::dense(rows, columns, depth),
    )
}

/// The same with the transposed weights.
fn backward(groups: usize, rows: usize, columns: usize, depth: usize) -> Params {
    let params = Params::dense(rows, columns, depth).transposed_right();
    grouped(groups, 2 * depth * columns, params)
}

/// A product whose weights of two groups are `right_group` elements apart.
fn grouped(groups: usize, right_group: usize, params: Params) -> Params {
    if groups == 1 {
        return params;
    }
    Params {
        groups: groups as u32,
        left_stride: groups as u32 * params.depth,
        left_group: params.depth,
        right_group: right_group as u32,
        product_stride: groups as u32 * params.columns,
        product_group: params.columns,
        ..params
    }
}

/// `dweight_g = left_g' right_g`: the groups of `left` and `right` are columns.
fn weight_gradient(groups: usize, rows: usize, columns: usize, depth: usize) -> Params {
    let params = Params::dense(rows, columns, depth).transposed_left();
    if groups == 1 {
        return params;
    }
    Params {
        groups: groups as u32,
        left_stride: groups as u32 * params.rows,
        left_group: params.rows,
        right_stride: groups as u32 * params.columns,
        right_group: params.columns,
        product_group: params.rows * params.columns,
        ..params
    }
}

/// All products, those of all models first, then those of cells that compute them themselves.
pub fn shapes() -> Vec<Shape> {
    let shape = |name, params| Shape {
        name,
        params,
        cell: None,
    };
    let with_cell = |name, params, cell| Shape {
        name,
        params,
        cell: Some(cell),
    };
    vec![
        shape("projection", forward(1, 128, 1024, 8192)),
        shape("projection gradient", backward(1, 128, 8192, 1024)),
        // Also the gradient of the softmax weights.
        shape(
            "projection weight gradient",
            weight_gradient(1, 8192, 1024, 2560),
        ),
        shape("softmax logits", backward(1, 2560, 8192, 1024).biased()),
        shape("softmax input gradient", forward(1, 2560, 1024, 8192)),
        shape("biglstm input product", forward(1, 2560, 32768, 1024)),
        shape(
            "biglstm recurrent product",
            forward(1, 128, 32768, 1024).accumulating(true),
        ),
        shape(
            "biglstm recurrent gradient",
            backward(1, 128, 1024, 32768).accumulating(true),
        ),
        shape("biglstm input gradient", backward(1, 2560, 1024, 32768)),
        shape(
            "biglstm weight gradient",
            weight_gradient(1, 1024, 32768, 2560),
        ),
        shape("f512 input product", forward(1, 2560, 512, 1024)),
        shape("f512 factor", forward(1, 128, 512, 1024).accumulating(true)),
        shape("f512 recurrent product", forward(1, 128, 32768, 512)),
        shape("f512 factor gradient", backward(1, 128, 512, 32768)),
        shape(
            "f512 recurrent gradient",
            backward(1, 128, 1024, 512).accumulating(true),
        ),
        shape("f512 input gradient", backward(1, 2560, 1024, 512)),
        shape(
            "f512 first factor's gradient",
            weight_gradient(1, 1024, 512, 2560),
        ),
        shape(
            "f512 second factor's gradient",
            weight_gradient(1, 512, 32768, 2560),
        ),
        shape("g4 input product", forward(4, 2560, 8192, 256)),
        shape(
            "g4 recurrent product",
            forward(4, 128, 8192, 256).accumulating(true),
        ),
        shape(
            "g4 recurrent gradient",
            backward(4, 128, 256, 8192).accumulating(true),
        ),
        shape("g4 input gradient", backward(4, 2560, 256, 8192)),
        shape("g4 weight gradient", weight_gradient(4, 512, 8192, 2560)),
        shape("g8 input product", forward(8, 2560, 4096, 128)),
        shape(
            "g8 recurrent product",
            forward(8, 128, 4096, 128).accumulating(true),
        ),
        // By a transposed copy of the recurrent weights.
        shape(
            "g8 recurrent gradient",
            grouped(8, 4096 * 128, Params::dense(128, 128, 4096)).accumulating(true),
        ),
        shape("g8 input gradient", backward(8, 2560, 128, 4096)),
        shape("g8 weight gradient", weight_gradient(8, 256, 4096, 2560)),
        with_cell(
            "cell gradient",
            backward(1, 128, 8192, 1024),
            Cell::Backward,
        ),
        with_cell(
            "biglstm cell",
            forward(1, 128, 32768, 1024).accumulating(true),
            Cell::Forward,
        ),
        with_cell("f512 cell", forward(1, 128, 32768, 512), Cell::Forward),
        with_cell(
            "g4 cell",
            forward(4, 128, 8192, 256).accumulating(true),
            Cell::Forward,
        ),
        with_cell(
            "g8 cell",
            forward(8, 128, 4096, 128).accumulating(true),
            Cell::Forward,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::floor::{OTHER, group};
    use super::super::profile::purpose;
    use super::*;
    use crate::config::Config;
    use crate::graph::memory::Limits;
    use crate::graph::plan::Plan;
    use crate::kernel::{Change, Changes};
    use crate::kernels::matmul::sum_pieces;
    use crate::train::update::training_plan;

    const MODELS: [&str; 4] = [
        include_str!("../../configs/lm1b-biglstm.toml"),
        include_str!("../../configs/lm1b-f512.toml"),
        include_str!("../../configs/lm1b-g4.toml"),
        include_str!("../../configs/lm1b-g8.toml"),
    ];

    /// The training plans of the models on a GPU with large bindings. The size of the vocabulary changes no product.
    fn plans(precision: &str, without: Changes) -> Vec<Plan> {
        let limits = Limits {
            slice: 1 << 29,
            arena: 1 << 30,
            units: precision == "mixed",
            without,
            ..Limits::COMMON
        };
        let plan = |text: &&str| {
            let changes = ["train.batch=128", "data.vocab_size=20000"].map(str::to_owned);
            let precision = format!("train.precision={precision}");
            let changes = [&changes[..], &[precision]].concat();
            let config = Config::parse(text, "a model", Path::new("."), &changes).unwrap();
            training_plan(&config, config.data.vocab_size, &limits, false)
        };
        MODELS.iter().map(plan).collect()
    }

    /// The same product in one piece, without strides that have no meaning.
    fn plain(params: &Params) -> Params {
        let groups = |stride| if params.groups == 1 { 0 } else { stride };
        Params {
            pieces: 1,
            left_group: groups(params.left_group),
            right_group: groups(params.right_group),
            product_group: groups(params.product_group),
            ..*params
        }
    }

    #[test]
    fn the_products_are_those_of_the_plans() {
        let mut listed = shapes();
        listed.retain(|shape| shape.cell.is_none());
        let without = Changes::from_iter([Change::Cells]);
        for precision in ["f32", "mixed"] {
            let mut found: Vec<(Params, bool)> = Vec::new();
            for plan in plans(precision, without) {
                for (k, step) in plan.steps.iter().enumerate() {
                    if *step.kernel != product::KERNEL {
                        continue;
                    }
                    let halves = plan.halves(step);
                    let is_mixed = precision == "mixed";
                    assert_eq!((halves.has(0), halves.has(1)), (is_mixed, is_mixed));
                    let mut product = (plain(Params::of(&step.params)), halves.has(3));
                    // After a product in pieces, their sum writes the product.
                    let sum = &plan.steps[(k + 1).min(plan.steps.len() - 1)];
                    if Params::of(&step.params).pieces > 1 {
                        assert_eq!(*sum.kernel, sum_pieces::KERNEL);
                        product.0.accumulate = sum_pieces::Params::of(&sum.params).accumulate;
                        product.1 = plan.halves(sum).has(1);
                    }
                    if !found.contains(&product) {
                        found.push(product);
                    }
                }
            }
            let is_listed = |(params, half): &(Params, bool)| {
                listed.iter().any(|shape| {
                    shape.params == *params && (shape.is_half() == *half || precision == "f32")
                })
            };
            let missing: Vec<_> = found.iter().filter(|product| !is_listed(product)).collect();
            assert!(missing.is_empty(), "not listed, {precision}: {missing:#?}");
            assert_eq!(found.len(), listed.len());
        }
    }

    #[test]
    fn the_cells_are_those_of_the_plans() {
        let listed: Vec<Shape> = shapes().into_iter().filter(|s| s.cell.is_some()).collect();
        let mut found: Vec<(Params, &str)> = Vec::new();
        for plan in ["f32", "mixed"]
            .map(|precision| plans(precision, Changes::NONE))
            .concat()
        {
            for step in &plan.steps {
                let product = if *step.kernel == cell_forward::KERNEL {
                    cell_forward::Params::of(&step.params).product()
                } else if *step.kernel == cell_backward::KERNEL {
                    cell_backward::Params::of(&step.params).product()
                } else {
                    None
                };
                found.extend(product.map(|product| (plain(&product), step.kernel.name)));
            }
        }
        let of = |shape: &Shape| (shape.params, shape.kernel().name);
        let is_listed = |cell: &&(Params, &str)| listed.iter().any(|shape| of(shape) == **cell);
        let missing: Vec<_> = found.iter().filter(|cell| !is_listed(cell)).collect();
        assert!(missing.is_empty(), "not listed: {missing:#?}");
        for shape in &listed {
            assert!(found.contains(&of(shape)), "no plan has `{}`", shape.name);
            let raw = shape.kernel_params(&shape.params);
            let again = match shape.cell {
                Some(Cell::Forward) => cell_forward::Params::of(&raw).product(),
                _ => cell_backward::Params::of(&raw).product(),
            };
            assert_eq!(again.map(|product| plain(&product)), Some(shape.params));
        }
    }

    #[test]
    fn every_step_of_the_models_has_a_group() {
        let off = Changes::from_iter([Change::Cells]);
        let all = [
            ("f32", Changes::NONE),
            ("f32x3", Changes::NONE),
            ("mixed", Changes::NONE),
            ("mixed", off),
        ];
        for plan in all
            .map(|(precision, without)| plans(precision, without))
            .concat()
        {
            for step in &plan.steps {
                let purpose = purpose(&step.label);
                let group = group(&purpose);
                assert_ne!(group, OTHER, "list `{purpose}` in floor.rs");
            }
        }
    }
}
