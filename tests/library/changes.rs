//! Plans without a change that makes training faster.

use std::collections::BTreeMap;

use crate::plans::{VOCABULARY, bits, config};
use wlstm::graph::memory::Limits;
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
            (plan.steps.len(), found)
        };
        let (steps, want) = of(None);
        for change in [Change::Optimizer, Change::Loss] {
            let (more, found) = of(Some(change));
            assert!(more > steps, "{}: {more} steps, not {steps}", change.name());
            assert_eq!(found, want, "{}, {kind}, {precision}", change.name());
        }
    }
}
