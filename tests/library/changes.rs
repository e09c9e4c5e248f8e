//! Plans without a change that makes training faster.

use std::collections::BTreeMap;

use crate::plans::{VOCABULARY, bits, config};
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::Step;
use wlstm::kernel::{Change, Changes};
use wlstm::train::update::training_plan;

/// Fused kernels compute the bits of the kernels that they replace.
#[test]
fn without_a_change_the_cpu_computes_the_same_bits() {
    for (kind, precision, projection) in [
        ("full", "f32", 8),
        ("full", "mixed", 0),
        ("sampled", "mixed", 8),
    ] {
        let config = config(
            &format!(
                "cell = [\"lstmp\", \"glstm\"]\nlayers = 2\nembedding = 8\nhidden = 12\nprojection = {projection}\n\
                 groups = 2\ndropout = 0.2"
            ),
            &format!(
                "[softmax]\nkind = {kind:?}\nsamples = 5\n[train]\nbatch = 5\nunroll = 3\nclip_norm = 0.1\n\
                 precision = {precision:?}"
            ),
        );
        let of = |without: Option<Change>| {
            let limits = Limits {
                without: Changes::from_iter(without),
                ..Limits::HOST
            };
            let plan = training_plan(&config, VOCABULARY, &limits, false);
            let found: BTreeMap<_, _> = bits(&config, &plan).into_iter().collect();
            (plan, found)
        };
        let (plan, want) = of(None);
        for change in Change::ALL {
            let (other, found) = of(Some(change));
            let (steps, more) = (plan.steps.len(), other.steps.len());
            let name = change.name();
            if change.is_for_gpus() {
                assert_eq!(other.to_string(), plan.to_string(), "{name}");
            } else {
                assert!(more > steps, "{name}: {more} steps, not {steps}");
            }
            assert_eq!(found, want, "{name}, {kind}, {precision}");
        }
    }
}

/// Cells compute their products themselves on GPUs, too, unless the products run in pieces.
#[test]
fn without_cells_their_products_are_steps() {
    let config = |precision: &str, hidden: usize| {
        config(
            &format!(
                "cell = \"lstmp\"\nlayers = 1\nembedding = 8\nhidden = {hidden}\nprojection = 512\ndropout = 0.0"
            ),
            &format!(
                "[softmax]\nkind = \"full\"\n[train]\nbatch = 128\nunroll = 2\nprecision = {precision:?}"
            ),
        )
    };
    let products = ["recurrent product", "projection gradient"];
    let steps_of = |precision: &str, hidden, change| {
        let limits = Limits {
            units: precision == "mixed",
            without: Changes::from_iter(change),
            ..Limits::COMMON
        };
        let plan = training_plan(&config(precision, hidden), VOCABULARY, &limits, false);
        products.map(|product| {
            let is_product = |step: &&Step| step.label.contains(product);
            plan.steps.iter().filter(is_product).count()
        })
    };
    for precision in ["f32", "mixed"] {
        assert_eq!(steps_of(precision, 8192, None)[0], 0, "{precision}");
        let [recurrent, gradient] = steps_of(precision, 8192, Some(Change::Cells));
        assert!(recurrent >= 2 && gradient >= 2, "{precision}");
    }
    // 64 blocks of 128 x 128 are few for 128 multiprocessors. Partial sums cost more on matrix units.
    assert!(steps_of("f32", 8192, None)[1] > 0);
    assert_eq!(steps_of("mixed", 8192, None)[1], 0);
}
