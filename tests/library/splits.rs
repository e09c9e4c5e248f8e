//! The two parts of a split step compute what the whole step does: every kernel that can be split, every case, every slice,
//! several sizes.

use wlstm::device::single;
use wlstm::kernel::{Access, Buffer, Buffers, Case, Kernel, Oversized, PartialStep};
use wlstm::kernels::catalogue;

/// The contents of a binding.
#[derive(Clone)]
enum Contents {
    Real(Vec<f64>),
    Index(Vec<u32>),
}

impl Contents {
    fn len(&self) -> usize {
        match self {
            Contents::Real(values) => values.len(),
            Contents::Index(values) => values.len(),
        }
    }
}

/// The contents of a case.
fn fill(kernel: &Kernel, case: &Case) -> Vec<Contents> {
    let contents = single::fill(kernel, case, 1).into_iter();
    let wide = |contents| match contents {
        single::Contents::Real(values) => {
            Contents::Real(values.into_iter().map(f64::from).collect())
        }
        single::Contents::Index(values) => Contents::Index(values),
    };
    contents.map(wide).collect()
}

/// Runs the reference on these parts of the buffers.
fn run(kernel: &Kernel, part: &PartialStep, contents: &mut [Contents]) {
    let buffers = kernel.bindings.iter().zip(contents).zip(&part.ranges);
    let buffers = buffers.map(|((binding, contents), range)| match contents {
        Contents::Index(values) => Buffer::Index(&values[range.clone()]),
        Contents::Real(values) => match binding.access {
            Access::Read => Buffer::Read(&values[range.clone()]),
            Access::Write | Access::ReadWrite => Buffer::Write(&mut values[range.clone()]),
        },
    });
    let mut buffers = Buffers::new(kernel.bindings, buffers);
    (kernel.twin.double)(&part.params, &mut buffers);
}

/// The largest length of the slice of a binding.
struct Limit {
    binding: usize,
    most: usize,
}

/// Splits until the slice fits, as a plan does, and runs the parts. Returns their number.
fn run_in_parts(
    kernel: &Kernel,
    whole: &PartialStep,
    limit: Limit,
    contents: &mut [Contents],
) -> usize {
    let split = kernel.split.expect("a kernel that can be split");
    let Limit { binding, most } = limit;
    let (mut waiting, mut count) = (vec![whole.clone()], 0);
    while let Some(part) = waiting.pop() {
        let ranges = part.ranges.iter().take(kernel.bindings.len());
        let lens: Vec<usize> = ranges.map(|range| range.len()).collect();
        let oversized = Oversized {
            lens: &lens,
            binding,
            most,
        };
        let parts = (lens[binding] > most).then(|| split(&part.params, &oversized));
        let Some(parts) = parts.flatten() else {
            run(kernel, &part, contents);
            count += 1;
            continue;
        };
        assert!(
            parts
                .iter()
                .all(|part| part.ranges[binding].len() < lens[binding])
        );
        for inner in parts.into_iter().rev() {
            let ranges = std::array::from_fn(|k| {
                let (outer, inner) = (&part.ranges[k], &inner.ranges[k]);
                assert!(
                    outer.start + inner.end <= outer.end,
                    "{}: {inner:?} of binding {k}, which is {outer:?}",
                    kernel.name
                );
                outer.start + inner.start..outer.start + inner.end
            });
            waiting.push(PartialStep { ranges, ..inner });
        }
    }
    count
}

fn check(kernel: &Kernel, case: &Case) -> usize {
    let contents = fill(kernel, case);
    let whole = PartialStep {
        params: case.params.clone(),
        ranges: std::array::from_fn(|k| 0..contents.get(k).map_or(0, Contents::len)),
    };
    let mut want = contents.clone();
    run(kernel, &whole, &mut want);
    let mut splits = 0;
    for (binding, values) in contents.iter().enumerate() {
        let len = values.len();
        let sizes = [1, 7, len / 7, len / 3, len / 2, len.saturating_sub(1)];
        for most in sizes.into_iter().filter(|&most| most > 0 && most < len) {
            let mut got = contents.clone();
            let parts = run_in_parts(kernel, &whole, Limit { binding, most }, &mut got);
            splits += parts - 1;
            for ((got, want), binding_) in got.iter().zip(&want).zip(kernel.bindings) {
                let (Contents::Real(got), Contents::Real(want)) = (got, want) else {
                    continue;
                };
                for (k, (got, want)) in got.iter().zip(want).enumerate() {
                    // NaN is the poison of an output that this step does not write.
                    assert!(
                        got == want
                            || (got.is_nan() && want.is_nan())
                            || (got - want).abs() <= 1e-12 * (1.0 + want.abs()),
                        "{} ({}): {} split to {most}, {}[{k}] is {got}, not {want}",
                        kernel.name,
                        case.label,
                        kernel.bindings[binding].name,
                        binding_.name,
                    );
                }
            }
        }
    }
    splits
}

#[test]
fn parts_do_what_the_whole_does() {
    let mut unsplit = Vec::new();
    for kernel in catalogue() {
        let cases = (kernel.cases)();
        let small = cases.iter().filter(|case| !case.timed);
        match kernel.split {
            None => unsplit.push(kernel.name),
            Some(_) => {
                let splits: usize = small.map(|case| check(kernel, case)).sum();
                assert!(splits > 0, "{}: nothing was split", kernel.name);
            }
        }
    }
    // Products are computed in pieces only where the pieces can be bound, squares of several tensors summed only where all can.
    // The other kernels bind at most the rows of a batch, or the threads of a device.
    assert_eq!(
        unsplit,
        [
            "matmul/sum_pieces",
            "matmul/peak_units",
            "softmax/full_loss",
            "reduce/sum",
            "reduce/sum_squares several",
            "reduce/norm",
            "reduce/scaled_norm",
            "pointwise/multiply_add",
            "pointwise/functions",
        ]
    );
}
