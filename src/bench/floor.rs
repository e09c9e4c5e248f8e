//! The shortest time that a device could need for the steps of a plan: the *floor*. It follows from the work of the steps and the
//! measured peaks of the device.
//!
//! The floor of a group of steps is the longer of two times: their FLOPs at the arithmetic peak (that of matrix units, if the
//! operands are `f16` and the device has units), and their bytes at the memory peak. Each step counts every element that it reads
//! or writes once, as if no data stayed in a cache between steps. The partial sums of products in pieces are not counted, because
//! a product in one piece has none. A fused kernel moves fewer bytes than the kernels that it replaces, so its floor is lower.

use super::peaks::Peaks;
use crate::graph::plan::{Plan, Step};
use crate::kernel::{Kernel, Params as _, UnitOperands, Work};
use crate::kernels;
use crate::kernels::matmul::{product, sum_pieces};

/// The two times of some steps, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Floor {
    /// Of the FLOPs at the arithmetic peak.
    arithmetic: f64,
    /// Of the bytes at the memory peak.
    memory: f64,
}

impl Floor {
    /// The floor of a step of `plan` that `kernel` computes.
    pub fn of(plan: &Plan, step: &Step, kernel: &Kernel, peaks: &Peaks) -> Floor {
        let work = least_work(plan, step);
        let flops_per_second = match peaks.unit_flops_per_second {
            Some(best) if !kernel.needs_units() && could_use_units(plan, step) => best,
            _ => peaks.of(kernel),
        };
        Floor {
            arithmetic: work.flops as f64 / flops_per_second,
            memory: work.bytes as f64 / peaks.bytes_per_second,
        }
    }

    /// Adds the work of other steps.
    pub fn add(&mut self, other: Floor) {
        self.arithmetic += other.arithmetic;
        self.memory += other.memory;
    }

    /// The floor in seconds.
    pub fn seconds(self) -> f64 {
        self.arithmetic.max(self.memory)
    }
}

/// Whether matrix units can compute the product of a step: both operands are halves.
fn could_use_units(plan: &Plan, step: &Step) -> bool {
    let halves = plan.halves(step);
    kernels::on_units(step.kernel, UnitOperands::Halves).is_some() && halves.has(0) && halves.has(1)
}

/// The work of a step without the pieces of products: a product in pieces counts its operands, and the sum of the pieces counts
/// the product.
pub(super) fn least_work(plan: &Plan, step: &Step) -> Work {
    let halves = plan.halves(step);
    let cost = |params: &[u32]| {
        let lens = step.slices.iter().map(|slice| slice.len);
        step.kernel.cost(params, lens, halves)
    };
    let sizes = halves.element_sizes();
    if *step.kernel == product::KERNEL {
        let params: &product::Params = product::Params::of(&step.params);
        if params.pieces > 1 {
            let whole = product::Params {
                pieces: 1,
                accumulate: 0,
                ..*params
            };
            let work = cost(&whole.to_raw());
            let elements = [params.groups, params.rows, params.columns].map(u64::from);
            return Work {
                bytes: work.bytes - sizes[3] * elements.iter().product::<u64>(),
                ..work
            };
        }
    }
    if *step.kernel == sum_pieces::KERNEL {
        let params: &sum_pieces::Params = sum_pieces::Params::of(&step.params);
        return Work::without_product(params.len, 1 + u32::from(params.accumulate != 0), sizes[1]);
    }
    cost(&step.params)
}

/// Parts of a training step and the labels of their steps, without layer and time step. Steps with other labels belong to
/// [`OTHER`].
const GROUPS: [(&str, &[&str]); 11] = [
    (
        "recurrent product, cell",
        &["recurrent product", "cell", "factor"],
    ),
    ("input product", &["input product"]),
    ("projection", &["projection"]),
    ("projection gradient", &["projection gradient"]),
    ("cell gradient", &["cell gradient"]),
    ("recurrent gradient", &["recurrent gradient", "transpose"]),
    ("input gradient", &["input gradient"]),
    (
        "weight gradients",
        &["weight gradient", "bias gradient", "join"],
    ),
    (
        "softmax",
        &[
            "softmax forward",
            "softmax loss",
            "softmax backward",
            "loss",
        ],
    ),
    (
        "embedding, dropout, states",
        &[
            "embedding forward",
            "embedding backward",
            "dropout forward",
            "dropout backward",
            "state",
        ],
    ),
    (
        "norm, update",
        &["norm", "update", "moving average", "round"],
    ),
];

/// The group of all other steps.
pub(super) const OTHER: &str = "other";

/// The group of a step with this label, without layer and time step.
pub(super) fn group(purpose: &str) -> &'static str {
    // The label of an update may name its parameter.
    let purpose = if purpose.starts_with("update ") {
        "update"
    } else {
        purpose
    };
    let found = GROUPS.iter().find(|(_, labels)| labels.contains(&purpose));
    found.map_or(OTHER, |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::builder::Builder;
    use crate::graph::memory::Limits;
    use crate::kernels::pointwise::copy;

    const PEAKS: Peaks = Peaks {
        flops_per_second: 1000.0,
        bytes_per_second: 100.0,
        unit_flops_per_second: Some(8000.0),
    };

    /// A product of 4 x 8 with 16 terms whose operands are halves or not, and a copy of 10 elements.
    fn plan(halves: bool) -> Plan {
        let mut builder = Builder::new("two steps", &Limits::COMMON);
        if halves {
            builder.mix_precision();
        }
        let (x, w) = (builder.stored("x", [64]), builder.stored("w", [128]));
        let y = builder.output("y", [32]);
        let params = product::Params::dense(4, 8, 16);
        builder.step("product", &product::KERNEL, &params, &[x, w, x, y]);
        let z = builder.output("z", [10]);
        let from = y.part(0, 10);
        builder.step("copy", &copy::KERNEL, &copy::Params { len: 10 }, &[from, z]);
        builder.finish()
    }

    fn floors(plan: &Plan) -> Vec<Floor> {
        let steps = plan.steps.iter();
        steps
            .map(|step| Floor::of(plan, step, step.kernel, &PEAKS))
            .collect()
    }

    #[test]
    fn the_floor_is_that_of_arithmetic_or_memory() {
        // 2 * 4 * 8 * 16 FLOPs, and 64 + 128 + 32 elements.
        let [product, copy] = floors(&plan(false))[..] else {
            panic!("two steps");
        };
        assert_eq!(product.arithmetic, 1.024);
        assert_eq!(product.memory, 8.96);
        assert_eq!(product.seconds(), 8.96);
        assert_eq!(
            copy,
            Floor {
                arithmetic: 0.0,
                memory: 0.8
            }
        );
        // Together, whichever time of both steps is larger.
        let mut both = Floor {
            arithmetic: 9.0,
            memory: 0.0,
        };
        both.add(product);
        assert!((both.seconds() - 10.024).abs() < 1e-9);
        // With operands of two bytes, at the peak of the units.
        let product = floors(&plan(true))[0];
        assert_eq!(product.arithmetic, 0.128);
        assert_eq!(product.memory, 5.12);
    }

    #[test]
    fn pieces_are_not_counted() {
        let mut builder = Builder::new("pieces", &Limits::COMMON);
        let (x, w) = (
            builder.activation("x", [2048]),
            builder.activation("w", [4096]),
        );
        let parts = builder.activation("parts", [64]);
        let y = builder.output("y", [32]);
        let params = product::Params::dense(4, 8, 512).in_pieces(2);
        builder.step("product", &product::KERNEL, &params, &[x, w, x, parts]);
        let sum = sum_pieces::Params {
            len: 32,
            pieces: 2,
            accumulate: 1,
        };
        builder.step("product", &sum_pieces::KERNEL, &sum, &[parts, y]);
        let plan = builder.finish();
        let work = [0, 1].map(|step| least_work(&plan, &plan.steps[step]));
        assert_eq!(
            work[0],
            Work {
                flops: 2 * 32 * 512,
                bytes: 4 * 6144
            }
        );
        // Reads and writes the product.
        assert_eq!(
            work[1],
            Work {
                flops: 0,
                bytes: 4 * 64
            }
        );
    }
}
