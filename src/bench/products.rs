//! The matrix products of the paper's models, and the cells that compute them themselves, in every form that a device runs.

use serde::Serialize;

use super::peaks::Peaks;
use super::shapes::{Cell, Shape, shapes};
use super::timed::{fill, forms_of, repeated, shortest};
use crate::device::Executor;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::builder::Builder;
use crate::graph::memory::Limits;
use crate::graph::operations::emit_product;
use crate::graph::plan::{Plan, Slice};
use crate::kernel::{Halves, Params as _, UnitOperands};
use crate::kernels;
use crate::kernels::matmul::product::{self, Params};
use crate::kernels::matmul::{product_f32x3, product_units};

/// Runs of each form; the first does not count.
const ROUNDS: usize = 6;

/// The largest number of multiply-adds of a product on the CPU and on software adapters. Larger ones are reduced.
const MAX_ON_SOFTWARE: u64 = 1 << 24;

/// The longest time of a product on GPUs, in seconds at their peak in `f32`. Larger ones are reduced: a slow form takes many times
/// as long, and systems reset a GPU whose dispatch takes seconds.
const LONGEST: f64 = 0.01;

/// The label of a product and of the sum of its pieces.
const PRODUCT: &str = "product";

/// A product in all forms.
#[derive(Clone, Debug, Serialize)]
pub struct ProductTime {
    /// The name of the shape.
    pub shape: &'static str,
    /// `f32`; `f32x3` with split operands on matrix units; `mixed` if the operands are `f16`.
    pub precision: &'static str,
    /// Groups.
    pub groups: u32,
    /// Rows of the product of a group.
    pub rows: u32,
    /// Columns of the product of a group.
    pub columns: u32,
    /// Terms of each sum.
    pub depth: u32,
    /// The operand that is stored transposed: `left`, `right` or `none`.
    pub transposed: &'static str,
    /// Pieces of each sum, as plans for this device have.
    pub pieces: u32,
    /// Whether the sizes are smaller than those of the model, because this device is slow or has small bindings.
    pub reduced: bool,
    /// The time in which the pieces are added up, in seconds. `None` for one piece.
    pub sum_seconds: Option<f64>,
    /// The forms, in the order of the catalogue.
    pub forms: Vec<FormTime>,
}

/// A product in one form.
#[derive(Clone, Debug, Serialize)]
pub struct FormTime {
    /// The name of the form.
    pub kernel: &'static str,
    /// The time in seconds, without that of adding up pieces.
    pub seconds: f64,
    /// FLOPs per second.
    pub flops_per_second: f64,
    /// The share of the arithmetic peak of the units that the form uses.
    pub share_of_peak: f64,
    /// Whether it is the fastest form of this product.
    pub is_fastest: bool,
}

/// Times the forms whose name contains `filter`, in every precision that the device runs.
pub(super) fn products(
    executor: &mut dyn Executor,
    peaks: &Peaks,
    filter: &str,
) -> Result<Vec<ProductTime>> {
    let most = if executor.memory_info().is_host {
        MAX_ON_SOFTWARE
    } else {
        (LONGEST * peaks.flops_per_second / 2.0) as u64
    };
    let limits = executor.limits();
    let mut found = Vec::new();
    for precision in ["f32", "f32x3", "mixed"] {
        let (kernel, operands) = match precision {
            "f32" => (&product::KERNEL, Halves::NONE),
            "f32x3" => (&product_f32x3::KERNEL, Halves::NONE),
            _ => (&product::KERNEL, product::KERNEL.all_halves()),
        };
        if !executor.runs(kernel, operands) {
            continue;
        }
        for shape in shapes() {
            let params = fitted(shape.params, most, limits.slice.min(limits.arena));
            let time = measure(executor, peaks, &shape, params, precision, filter)?;
            found.extend(time);
        }
    }
    Ok(found)
}

/// A product of similar proportions with at most `most` multiply-adds, each of whose slices has at most `slice` elements.
fn fitted(params: Params, mut most: u64, slice: usize) -> Params {
    let reduce = product::KERNEL.reduced.expect("products can be reduced");
    loop {
        let raw = reduce(&params.to_raw(), most);
        let reduced: &Params = Params::of(&raw);
        if lens(reduced).iter().all(|len| *len <= slice) || most == 1 {
            return *reduced;
        }
        most = most.min(params.multiply_adds()).div_ceil(2);
    }
}

/// The elements of `left`, `right`, `bias` and the product.
fn lens(p: &Params) -> [usize; 4] {
    let len = |transposed: u32, rows, width, stride: u32, group: u32| {
        let (rows, width) = match transposed {
            0 => (rows, width),
            _ => (width, rows),
        };
        // Whole rows, as forms that read vectors need.
        let last: u32 = (rows - 1) * stride + width;
        ((p.groups - 1) as usize * group as usize + last as usize).next_multiple_of(4)
    };
    [
        len(
            p.transpose_left,
            p.rows,
            p.depth,
            p.left_stride,
            p.left_group,
        ),
        len(
            p.transpose_right,
            p.depth,
            p.columns,
            p.right_stride,
            p.right_group,
        ),
        (p.groups * p.columns) as usize,
        len(0, p.rows, p.columns, p.product_stride, p.product_group),
    ]
}

/// The plan of a product for a device with these limits: steps that fill the operands, the product, and the sum of its pieces.
/// Also returns the number of steps to time: 1, or 2 with a sum of pieces.
fn plan_of(shape: &Shape, params: &Params, mixed: bool, limits: &Limits) -> (Plan, usize) {
    let mut graph = Graph::new(shape.name, limits);
    if mixed {
        graph.builder.mix_precision();
    }
    let [left, right, bias, product] = lens(params);
    let builder = &mut graph.builder;
    let (left, right) = (
        builder.stored("left", [left]),
        builder.stored("right", [right]),
    );
    if let Some(cell) = shape.cell {
        emit_cell(builder, shape, params, cell, [left, right]);
        return (graph.builder.finish(), 1);
    }
    let bias = (params.with_bias != 0).then(|| builder.activation("bias", [bias]));
    let product = if shape.is_half() {
        builder.stored("product", [product])
    } else {
        builder.activation("product", [product])
    };
    let operands: Vec<Slice> = [left, right, product].into_iter().chain(bias).collect();
    for slice in operands {
        fill(builder, slice);
    }
    emit_product(&mut graph, PRODUCT, params, left, right, bias, product);
    let plan = graph.builder.finish();
    let steps = plan.steps.iter().filter(|step| step.label == PRODUCT);
    let count = steps.count();
    (plan, count)
}

/// Emits a cell that computes a product of these operands itself, and steps that fill what it reads.
fn emit_cell(
    builder: &mut Builder,
    shape: &Shape,
    params: &Params,
    cell: Cell,
    [left, right]: [Slice; 2],
) {
    let units = match cell {
        Cell::Forward => params.groups * params.columns / 4,
        Cell::Backward => params.columns,
    };
    let (batch, hidden) = (params.rows as usize, units as usize);
    let z = builder.stored("z", [batch, 4 * hidden]);
    let c_before = builder.activation("c_before", [batch, hidden]);
    let c = builder.activation("c", [batch, hidden]);
    let (slices, filled) = match cell {
        Cell::Forward => {
            let bias = builder.activation("bias", [4 * hidden]);
            let m = builder.stored("m", [batch, hidden]);
            let slices = vec![left, right, bias, z, c_before, c, m];
            (slices, vec![left, right, bias, z, c_before])
        }
        Cell::Backward => {
            let dc = builder.activation("dc", [batch, hidden]);
            let slices = vec![left, right, z, c_before, c, dc];
            (slices.clone(), slices)
        }
    };
    for slice in filled {
        fill(builder, slice);
    }
    let params = shape.kernel_params(params);
    builder.raw_step(PRODUCT, shape.kernel(), params, &slices);
}

/// Times one product. `None` if no form remains.
fn measure(
    executor: &mut dyn Executor,
    peaks: &Peaks,
    shape: &Shape,
    params: Params,
    precision: &'static str,
    filter: &str,
) -> Result<Option<ProductTime>> {
    let is_mixed = precision == "mixed";
    let units = product_units::KERNEL.all_halves();
    let limits = Limits {
        units: precision == "f32x3" || (is_mixed && executor.runs(&product_units::KERNEL, units)),
        ..executor.limits()
    };
    let (mut plan, steps) = plan_of(shape, &params, is_mixed, &limits);
    let timed = plan.steps.split_off(plan.steps.len() - steps);
    let (step, sum) = (&timed[0], timed.get(1));
    let halves = plan.halves(step);
    let on_units = |operands| kernels::on_units(step.kernel, operands);
    let bases = match precision {
        "f32" => [Some(step.kernel), None],
        "f32x3" => [on_units(UnitOperands::Split), None],
        _ => [Some(step.kernel), on_units(UnitOperands::Halves)],
    };
    let bases = bases.into_iter().flatten();
    let all = bases.flat_map(|base| plan.forms(&step.by(base)).collect::<Vec<_>>());
    let forms = all.filter(|form| form.name.contains(filter) && executor.runs(form, halves));
    let forms = forms_of(executor, forms);
    if forms.is_empty() {
        return Ok(None);
    }
    plan.steps.extend(forms.iter().map(|form| step.by(form)));
    plan.steps.extend(sum.cloned());
    let count = forms.len() + steps - 1;
    let plan = repeated(plan, count, ROUNDS);
    let seconds = shortest(executor, plan, count, ROUNDS)?;
    let pieces = match shape.cell {
        None => Params::of(&step.params).pieces,
        Some(_) => 1,
    };
    let (seconds, of_sum) = seconds.split_at(forms.len());
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let flops = 2.0 * params.multiply_adds() as f64;
    let form = |(form, &seconds): (&&'static crate::kernel::Kernel, &f64)| {
        let flops_per_second = flops / seconds;
        tracing::debug!(
            shape = shape.name,
            precision,
            form = form.name,
            seconds,
            flops_per_second
        );
        FormTime {
            kernel: form.name,
            seconds,
            flops_per_second,
            share_of_peak: peaks.share(form, flops_per_second, 0.0),
            is_fastest: seconds == best,
        }
    };
    Ok(Some(ProductTime {
        shape: shape.name,
        precision,
        groups: params.groups,
        rows: params.rows,
        columns: params.columns,
        depth: params.depth,
        transposed: match (params.transpose_left, params.transpose_right) {
            (0, 0) => "none",
            (0, _) => "right",
            _ => "left",
        },
        pieces,
        reduced: params != shape.params,
        sum_seconds: of_sum.first().copied(),
        forms: forms.iter().zip(seconds).map(form).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_reduced_until_they_fit() {
        for shape in shapes() {
            let whole = fitted(shape.params, u64::MAX, usize::MAX);
            assert_eq!(whole, shape.params);
            let small = fitted(shape.params, 1 << 20, usize::MAX);
            assert!(small.multiply_adds() <= 1 << 20);
            let narrow = fitted(shape.params, u64::MAX, 16 << 20);
            assert!(
                lens(&narrow).iter().all(|len| *len <= 16 << 20),
                "{narrow:?}"
            );
        }
    }
}
