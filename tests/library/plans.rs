//! Plans as text, compared with `snapshots`, and rules for every plan: tensors that are live at the same time
//! do not share memory, steps read only what earlier steps wrote, and sharing memory changes no bit.
//!
//! When a plan changes on purpose, `INSTA_UPDATE=always cargo test --release --test library plans` writes the new texts. Review
//! the difference before you commit it.

use std::sync::Arc;

use crate::common::batch;
use proptest::prelude::*;
use wlstm::cell::{CELLS, SizeKey, size_keys};
use wlstm::config::Config;
use wlstm::device::{CpuExecutor, Data, Executor};
use wlstm::graph::Graph;
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::{Plan, Role, Storage};
use wlstm::kernels::matmul::sum_pieces;
use wlstm::kernels::optimizer::OPTIMIZERS;
use wlstm::model::language_model::Division;
use wlstm::model::language_model::{self, Extent};
use wlstm::model::parameter_set::ParameterSet;
use wlstm::model::parameters::{initial_values, parameters};
use wlstm::random::{Purpose, Stream};
use wlstm::train::prepare::Preparer;
use wlstm::train::update::{Control, round_parameters, training_plan, training_plan_in};

pub fn config(model: &str, rest: &str) -> Config {
    let text =
        format!("[model]\n{model}\n{rest}\n[data]\norder = \"contiguous\"\ntrain = [\"text\"]\n");
    let folder = std::env::temp_dir();
    Config::parse(&text, "test", &folder, &[]).unwrap_or_else(|e| panic!("{text}\n{}", e.chain()))
}

pub const VOCABULARY: usize = 10;

fn text_of_training(config: &Config) -> String {
    training_plan(config, VOCABULARY, &Limits::COMMON, false).to_string()
}

#[test]
fn lstmp_of_one_layer_with_full_softmax() {
    let config = config(
        "cell = \"lstmp\"\nlayers = 1\nembedding = 4\nhidden = 6\nprojection = 4\ndropout = 0.0",
        "[softmax]\nkind = \"full\"\n[train]\nbatch = 3\nunroll = 2",
    );
    insta::assert_snapshot!(text_of_training(&config));
    let extent = Extent {
        batch: 2,
        unroll: 2,
    };
    let plan = language_model::evaluation(
        &config,
        VOCABULARY,
        ParameterSet::Average,
        extent,
        &Limits::COMMON,
    );
    insta::assert_snapshot!("evaluation", plan.to_string());
}

#[test]
fn glstm_of_two_layers_with_sampled_softmax() {
    let config = config(
        "cell = \"glstm\"\nlayers = 2\nembedding = 8\nhidden = 16\nprojection = 8\ngroups = [2, 4]\ndropout = 0.1",
        "[softmax]\nkind = \"sampled\"\nsamples = 5\n[train]\nbatch = 3\nunroll = 2",
    );
    insta::assert_snapshot!(text_of_training(&config));
}

#[test]
fn mixed_precision() {
    let config = config(
        "cell = \"flstm\"\nlayers = 1\nembedding = 6\nhidden = 6\nprojection = 4\nfactor = 3\ndropout = 0.1",
        "[softmax]\nkind = \"full\"\n[train]\nbatch = 3\nunroll = 2\nema = 0.0\nprecision = \"mixed\"",
    );
    insta::assert_snapshot!(text_of_training(&config));
}

#[test]
fn flstm_tied_without_projection() {
    let config = config(
        "cell = \"flstm\"\nlayers = 1\nembedding = 6\nhidden = 6\nprojection = 0\nfactor = 3\ntied = true\ndropout = 0.0",
        "[softmax]\nkind = \"full\"\n[train]\nbatch = 3\nunroll = 2\noptimizer = \"sgd\"\nrecipe = \"plain\"\nema = 0.0",
    );
    insta::assert_snapshot!(text_of_training(&config));
}

#[test]
fn gates_recomputed() {
    let config = config(
        "cell = [\"glstm\", \"flstm\"]\nlayers = 2\nembedding = 8\nhidden = 16\nprojection = 8\ngroups = 2\nfactor = 4\n\
         dropout = 0.0",
        "[softmax]\nkind = \"full\"\n[train]\nbatch = 200\nunroll = 3\nrecompute = true",
    );
    let software = Limits {
        multiprocessors: 0,
        ..Limits::COMMON
    };
    insta::assert_snapshot!(training_plan(&config, VOCABULARY, &software, false).to_string());
}

/// Cells compute their products. Products with few blocks and many terms are computed in pieces.
#[test]
fn a_large_batch_on_a_card() {
    let config = config(
        "cell = \"lstmp\"\nlayers = 1\nembedding = 4\nhidden = 512\nprojection = 4\ndropout = 0.0",
        "[softmax]\nkind = \"full\"\n[train]\nbatch = 16\nunroll = 2",
    );
    insta::assert_snapshot!(text_of_training(&config));
}

/// The training plan with gates that are recomputed, this many rows at a time, or kept (0).
fn plan_of(config: &Config, limits: &Limits, steps: usize) -> Plan {
    let mut graph = Graph::new("train", limits);
    if steps > 0 {
        graph.builder.recompute_gates(steps * config.train.batch);
    }
    training_plan_in(graph, config, VOCABULARY)
}

/// Recomputed gates are bitwise identical to those of the forward pass. With all gates in memory at once, so is
/// everything else.
#[test]
fn gates_recomputed_have_the_same_bits() {
    for (cell, projection) in [("lstmp", 24), ("flstm", 24), ("glstm", 24), ("glstm", 0)] {
        for precision in ["f32", "mixed"] {
            let made = |recompute| {
                config(
                    &format!(
                        "cell = {cell:?}\nlayers = 2\nembedding = 24\nhidden = 72\nprojection = {projection}\ngroups = 3\n\
                         factor = 10\ndropout = 0.2"
                    ),
                    &format!(
                        "[softmax]\nkind = \"sampled\"\nsamples = 5\n[train]\nbatch = 16\nunroll = 6\nclip_norm = 0.1\n\
                         precision = {precision:?}\nrecompute = {recompute}"
                    ),
                )
            };
            let kept = training_plan(&made(false), VOCABULARY, &Limits::HOST, false);
            let recomputed = training_plan(&made(true), VOCABULARY, &Limits::HOST, false);
            assert!(recomputed.arenas[0] < kept.arenas[0], "{cell} {precision}");
            let want = bits(&made(false), &kept);
            let found = bits(&made(true), &recomputed);
            // Without matrix units, mixed precision rounds a sum in a cell once, but a separate product twice.
            let same = found == want;
            assert!(same || precision == "mixed", "{cell} {precision}");
            close(&found, &want, precision);

            // With several spans, only the order of the sums for gradients of weights differs.
            let parts = bits(&made(false), &plan_of(&made(false), &Limits::HOST, 2));
            assert!(parts != want, "{cell} {precision}");
            close(&parts, &want, precision);
        }
    }
}

/// Whether numbers are equal up to rounding, relative to the largest of their tensor.
fn close(found: &[(String, Vec<u32>)], want: &[(String, Vec<u32>)], precision: &str) {
    let tolerance = if precision == "f32" { 1e-4 } else { 2e-2 };
    for ((name, found), (_, want)) in found.iter().zip(want) {
        let number = |bits: &u32| f32::from_bits(*bits);
        let largest = want
            .iter()
            .map(number)
            .fold(0.0, |x: f32, y| x.max(y.abs()));
        for (found, want) in found.iter().map(number).zip(want.iter().map(number)) {
            let close = (found - want).abs() <= tolerance * largest;
            assert!(close, "{precision} {name}: {found} instead of {want}");
        }
    }
}

/// Validation uses spans too, and its bits do not depend on their number.
#[test]
fn evaluation_by_spans_has_the_same_bits() {
    let extent = Extent {
        batch: 64,
        unroll: 20,
    };
    for cell in ["lstmp", "flstm", "glstm"] {
        let losses = |recompute: bool| {
            let config = config(
                &format!(
                    "cell = {cell:?}\nlayers = 2\nembedding = 8\nhidden = 12\nprojection = 8\ngroups = 2\nfactor = 5"
                ),
                &format!("[softmax]\nkind = \"full\"\n[train]\nrecompute = {recompute}"),
            );
            let plan = language_model::evaluation(
                &config,
                VOCABULARY,
                ParameterSet::Average,
                extent,
                &Limits::HOST,
            );
            let mut executor = CpuExecutor::<f32>::new();
            let id = executor
                .load(Arc::new(plan.clone()))
                .expect("there is memory");
            for (k, parameter) in parameters(&config, VOCABULARY).iter().enumerate() {
                let values = initial_values(parameter, k, 1);
                let name = ParameterSet::Average.tensor(&config, parameter.group, &parameter.name);
                executor.write(&name, &values).expect("a tensor");
            }
            let mut random = Stream::new(7, Purpose::Shuffle, 0);
            let mut ids = || {
                let id = |_| random.below(VOCABULARY as u64) as u32;
                Data::Index((0..extent.batch * extent.unroll).map(id).collect())
            };
            let inputs = vec![("inputs", ids()), ("targets", ids())];
            let mut found = Vec::new();
            for _ in 0..2 {
                executor.run(id, &inputs).expect("the CPU computes");
                let (_, nll) = executor.fetch().expect("the CPU computes").swap_remove(0);
                found.extend(nll.into_iter().map(f64::to_bits));
            }
            (found, plan.arenas[0])
        };
        let ((kept, whole), (recomputed, spans)) = (losses(false), losses(true));
        assert!(kept == recomputed, "{cell}");
        assert!(spans < whole, "{cell}: {spans} and {whole}");
    }
}

/// What is kept of a layer does not grow with the number of steps, except its outputs and a few cells.
#[test]
fn gates_recomputed_take_little() {
    let words = |unroll: usize, recompute: bool| {
        let config = config(
            "cell = \"glstm\"\nlayers = 3\nembedding = 32\nhidden = 1024\nprojection = 32\ngroups = 4\ndropout = 0.0",
            &format!(
                "[softmax]\nkind = \"full\"\n[train]\nbatch = 128\nunroll = {unroll}\nrecompute = {recompute}"
            ),
        );
        let plan = training_plan(&config, VOCABULARY, &Limits::HOST, false);
        plan.arenas.iter().sum::<usize>()
    };
    // The gates of 512 rows have 2 Mi elements, those of 40 steps in three layers 60 Mi.
    assert!(words(40, false) > 60 << 20);
    assert!(words(40, true) < 9 << 20, "{}", words(40, true));
    assert!(words(40, true) - words(20, true) < 5 << 20);
}

/// First and last step that use each tensor.
fn lives(plan: &Plan) -> Vec<Option<(usize, usize)>> {
    let mut lives = vec![None; plan.tensors.len()];
    for (number, step) in plan.steps.iter().enumerate() {
        for slice in &step.slices {
            let life = &mut lives[slice.tensor.0 as usize];
            *life = Some((life.map_or(number, |(first, _)| first), number));
        }
    }
    lives
}

/// Two tensors that share memory while both are live, if any.
fn conflict(plan: &Plan) -> Option<String> {
    let lives = lives(plan);
    let placed: Vec<_> = plan
        .tensors()
        .filter_map(|(id, info)| {
            let Storage::Arena { arena, offset } = info.storage else {
                return None;
            };
            let life = lives[id.0 as usize]?;
            Some((info, arena, offset, offset + info.shape.len(), life))
        })
        .collect();
    for (k, (x, arena, start, end, life)) in placed.iter().enumerate() {
        if *end > plan.arenas[*arena] {
            return Some(format!("`{}` leaves its arena", x.name));
        }
        for (y, other_arena, other_start, other_end, other_life) in &placed[k + 1..] {
            let same = arena == other_arena && start < other_end && other_start < end;
            if same && life.0 <= other_life.1 && other_life.0 <= life.1 {
                return Some(format!("`{}` and `{}` share memory", x.name, y.name));
            }
        }
    }
    None
}

/// The plan without shared memory.
fn apart(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let mut end = 0;
    for info in &mut plan.tensors {
        if let Storage::Arena { .. } = info.storage {
            info.storage = Storage::Arena {
                arena: 0,
                offset: end,
            };
            end += info.shape.len().next_multiple_of(64);
        }
    }
    plan.arenas = vec![end];
    plan
}

/// The bits of all outputs and persistent tensors, except copies in `f16`, after two steps. Arenas are filled with NaN before.
pub fn bits(config: &Config, plan: &Plan) -> Vec<(String, Vec<u32>)> {
    let mut executor = CpuExecutor::<f32>::new();
    let id = executor
        .load(Arc::new(plan.clone()))
        .expect("there is memory");
    let table = parameters(config, VOCABULARY);
    for (k, parameter) in table.iter().enumerate() {
        let values = initial_values(parameter, k, 1);
        executor.write(&parameter.name, &values).expect("a tensor");
    }
    round_parameters(&mut executor, plan).expect("there is memory");
    let mut persistent = Vec::new();
    for (_, info) in plan.tensors() {
        let Storage::Persistent(role) = info.storage else {
            continue;
        };
        if role == Role::Rounded {
            continue;
        }
        if role == Role::OptimizerState {
            let values = vec![1.0; info.shape.len()];
            executor.write(&info.name, &values).expect("a tensor");
        }
        persistent.push(info.name.clone());
    }
    let mut preparer = Preparer::new(config, VOCABULARY, 0, Division::WHOLE).expect("a sampler");
    let mut random = Stream::new(9, Purpose::Shuffle, 0);
    let mut found = Vec::new();
    let tokens = config.train.batch * config.train.unroll;
    for step in 0..2 {
        let mut ids = || -> Vec<u32> {
            let id = |_| random.below(VOCABULARY as u64) as u32;
            (0..tokens).map(id).collect()
        };
        let batch = batch(step, config.train.batch, ids(), ids());
        let mut inputs = preparer.prepare(batch).inputs;
        let values = vec![0.2, 1.0, 0.9, 0.1, 0.001, 1.0, 1.0];
        let has_own = config.train.has_own_table_update();
        inputs.set_control(Control {
            of_tables: has_own.then(|| values.clone()),
            values,
        });
        executor
            .run(id, &inputs.parts[0])
            .expect("the CPU computes");
        for (name, values) in executor.fetch().expect("the CPU computes") {
            let bits = values.iter().map(|value| (*value as f32).to_bits());
            found.push((format!("{name} {step}"), bits.collect()));
        }
    }
    for name in persistent {
        let values = executor.read(&name).expect("a tensor");
        let bits = values.iter().map(|value| value.to_bits());
        found.push((name, bits.collect()));
    }
    found
}

/// One or more layers of any cells, with sizes that every number of groups divides; and how many multiprocessors
/// the device has. Some models are so large that products run in pieces and those of cells in separate steps.
fn configurations() -> impl Strategy<Value = (Config, usize)> {
    let names: Vec<&str> = CELLS.iter().map(|kind| kind.name()).collect();
    let cells = prop::collection::vec(prop::sample::select(names), 1..4);
    let layer_sizes = (1usize..4, 1usize..4, 1usize..4, 1usize..5);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let optimizer = prop::sample::select(OPTIMIZERS);
    let extents = (1usize..5, 1usize..5, 0usize..9);
    let wide = prop::bool::weighted(0.2);
    (cells, layer_sizes, switches, optimizer, extents, wide).prop_map(
        |(cells, (e, p, h, groups), (residual, tied, plain, dropout), optimizer, extents, wide)| {
            let (mut batch, unroll, samples) = extents;
            let (layers, groups) = (cells.len(), [1, 2, 3, 6][groups - 1]);
            // Residual and tied models need embeddings of the size of the output.
            let (embedding, mut hidden) = (6 * if residual || tied { p } else { e }, 6 * h);
            if wide {
                (batch, hidden) = (batch + 15, 96 * hidden);
            }
            let projection = 6 * p;
            let size = |key: &SizeKey| format!("{} = {groups}\n", key.name());
            let cell_sizes: String = size_keys().map(size).collect();
            let (cells, dropout) = (format!("{cells:?}"), if dropout { 0.4 } else { 0.0 });
            let model = format!(
                "cell = {cells}\nlayers = {layers}\nembedding = {embedding}\nhidden = {hidden}\nprojection = {projection}\n\
                 {cell_sizes}residual = {residual}\ntied = {tied}\ndropout = {dropout:?}"
            );
            let (kind, ema) = match samples {
                0 if tied => ("full", 0.0),
                0 => ("adaptive", 0.0),
                1 => ("full", 0.5),
                _ => ("sampled", 0.9),
            };
            let (samples, recipe) = (samples.max(1), if plain { "plain" } else { "paper" });
            let rest = format!(
                "[softmax]\nkind = \"{kind}\"\nsamples = {samples}\ndropout = {dropout:?}\n[train]\nbatch = {batch}\nunroll = {unroll}\n\
                 optimizer = \"{optimizer}\"\nrecipe = \"{recipe}\"\nema = {ema:?}"
            );
            (config(&model, &rest), if wide { 32 } else { 0 })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_holds((config, multiprocessors) in configurations(), arena in 64usize..20_000, steps in 0usize..4) {
        let host = Limits { multiprocessors, ..Limits::HOST };
        let limits = [host, Limits { arena, ..host }];
        let mut first: Option<Vec<(String, Vec<u32>)>> = None;
        for limits in limits {
            let plan = plan_of(&config, &limits, steps);
            plan.check();
            let in_pieces = plan.steps.iter().any(|step| step.kernel == &sum_pieces::KERNEL);
            prop_assert!(!in_pieces || multiprocessors > 0);
            prop_assert!(in_pieces || multiprocessors == 0 || limits.arena < usize::MAX);
            prop_assert_eq!(conflict(&plan), None);
            let alone = apart(&plan);
            alone.check();
            let want = bits(&config, &alone);
            for (name, bits) in &want {
                let finite = bits.iter().all(|bits| f32::from_bits(*bits).is_finite());
                prop_assert!(finite, "`{}` has a number that no step wrote", name);
            }
            prop_assert_eq!(&bits(&config, &plan), &want);
            // Pieces must have room, and without them sums are in another order.
            if multiprocessors == 0 {
                let first = first.get_or_insert_with(|| want.clone());
                prop_assert_eq!(&*first, &want);
            }

            let extent = Extent { batch: config.train.batch, unroll: config.train.unroll };
            let plan = language_model::evaluation(&config, VOCABULARY, ParameterSet::Average, extent, &limits);
            plan.check();
            prop_assert_eq!(conflict(&plan), None);
        }
    }
}

/// The check above detects tensors that overlap.
#[test]
fn shared_memory_is_seen() {
    let config = config(
        "cell = \"lstmp\"\nlayers = 1\nembedding = 4\nhidden = 6\nprojection = 4\ndropout = 0.0",
        "[softmax]\nkind = \"full\"\n[train]\nbatch = 3\nunroll = 2",
    );
    let mut plan = training_plan(&config, VOCABULARY, &Limits::HOST, false);
    let saved: usize = plan
        .tensors()
        .filter(|(_, info)| matches!(info.storage, Storage::Arena { .. }))
        .map(|(_, info)| info.shape.len().next_multiple_of(64))
        .sum();
    assert!(
        plan.arenas.iter().sum::<usize>() < saved,
        "no memory is shared"
    );
    assert_eq!(conflict(&plan), None);
    for info in &mut plan.tensors {
        if let Storage::Arena { offset, .. } = &mut info.storage {
            *offset = 0;
        }
    }
    assert!(conflict(&plan).is_some());
}

/// Executors rely on this without a check of their own.
#[test]
#[should_panic(expected = "of arena 0 of")]
fn a_tensor_that_leaves_its_arena_is_refused() {
    let config = config(
        "cell = \"lstmp\"\nlayers = 1\nembedding = 4\nhidden = 6\nprojection = 4\ndropout = 0.0",
        "[softmax]\nkind = \"full\"\n[train]\nbatch = 3\nunroll = 2",
    );
    let mut plan = training_plan(&config, VOCABULARY, &Limits::HOST, false);
    plan.arenas[0] -= 64;
    plan.check();
}
