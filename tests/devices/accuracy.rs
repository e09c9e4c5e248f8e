//! Products of "f32x3" are at least as accurate as those in `f32`: the root mean square of the error against `f64`, relative to
//! the sum of the absolute values of the terms, for numbers of order one and for gradients that are scaled as in training.

use half::f16;
use libtest_mimic::Failed;
use wlstm::device::single::{Contents, Layout, fill, reference, run_case};
use wlstm::kernel::{Case, Fill, Halves, Kernel, UnitOperands};
use wlstm::kernels::matmul::product;
use wlstm::kernels::{forms, on_units};

use crate::common::{Gpu, Trial, on_every_gpu};

const ROWS: usize = 64;
const COLUMNS: usize = 64;

/// Terms of each sum.
const DEPTHS: [usize; 2] = [1024, 4096];

/// The range of the left operand: of order one, and of gradients times the first loss scale.
const RANGES: [f32; 2] = [1.0, 1e-3];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("arithmetic", arithmetic)];
    trials.extend(on_every_gpu("f32x3", on_gpu));
    trials
}

fn case(depth: usize, range: f32) -> Case {
    let params = product::Params::dense(ROWS, COLUMNS, depth);
    let left = Fill::Uniform {
        len: ROWS * depth,
        low: -range,
        high: range,
    };
    let buffers = vec![
        left,
        Fill::signed(depth * COLUMNS),
        Fill::signed(COLUMNS),
        Fill::Output(ROWS * COLUMNS),
    ];
    Case::new("accuracy", &params, depth, buffers)
}

/// Both operands.
fn operands(contents: &[Contents]) -> [&[f32]; 2] {
    [0, 1].map(|k| match &contents[k] {
        Contents::Real(values) => values.as_slice(),
        Contents::Index(_) => panic!("operands are real"),
    })
}

/// The root mean square of the errors, relative to the sums of the absolute values of the terms.
fn error(contents: &[Contents], depth: usize, got: &[f32]) -> f64 {
    let kernel = &product::KERNEL;
    let want = &reference(kernel, &case(depth, 1.0), contents)[3];
    let [left, right] = operands(contents);
    let absolute = |at: usize| {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        let term = |k| f64::from(left[row * depth + k]) * f64::from(right[k * COLUMNS + column]);
        (0..depth).map(|k| term(k).abs()).sum::<f64>()
    };
    let squares = got.iter().zip(want).enumerate().map(|(at, (got, want))| {
        let error = (f64::from(*got) - want) / absolute(at);
        error * error
    });
    (squares.sum::<f64>() / got.len() as f64).sqrt()
}

/// The products of `f32`, in one sum for each 512 terms, with one rounding a term.
fn in_f32([left, right]: [&[f32]; 2], depth: usize) -> Vec<f32> {
    elements(|row, column| {
        let mut total = 0.0;
        for first in (0..depth).step_by(512) {
            let mut sum = 0.0f32;
            for k in first..(first + 512).min(depth) {
                sum = left[row * depth + k].mul_add(right[k * COLUMNS + column], sum);
            }
            total += sum;
        }
        total
    })
}

/// The products of "f32x3": see `wlstm::kernels::matmul::product_f32x3`.
fn split([left, right]: [&[f32]; 2], depth: usize) -> Vec<f32> {
    let halves = |x: f32| {
        let high = f16::from_f32(x).to_f32();
        (high, f16::from_f32((x - high) * 2048.0).to_f32())
    };
    elements(|row, column| {
        let (mut total, mut low) = (0.0f32, 0.0f32);
        for first in (0..depth).step_by(128) {
            let mut sum = 0.0f32;
            for k in first..(first + 128).min(depth) {
                let (lh, ll) = halves(left[row * depth + k]);
                let (rh, rl) = halves(right[k * COLUMNS + column]);
                sum += lh * rh;
                low += lh * rl;
                low += ll * rh;
            }
            total += sum;
        }
        total + low / 2048.0
    })
}

fn elements(element: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let places = (0..ROWS * COLUMNS).map(|at| (at / COLUMNS, at % COLUMNS));
    places.map(|(row, column)| element(row, column)).collect()
}

/// The arithmetic itself, on the CPU.
fn arithmetic() -> Result<(), Failed> {
    for (depth, range) in DEPTHS
        .into_iter()
        .flat_map(|d| RANGES.map(|range| (d, range)))
    {
        let contents = fill(&product::KERNEL, &case(depth, range), 1);
        let of = |got: Vec<f32>| error(&contents, depth, &got);
        let (plain, split) = (
            of(in_f32(operands(&contents), depth)),
            of(split(operands(&contents), depth)),
        );
        println!("{depth} terms, range {range}: f32 {plain:.2e}, f32x3 {split:.2e}");
        if split > plain || split == 0.0 {
            return Err(
                format!("{depth} terms, range {range}: {split:e}, and {plain:e} in f32").into(),
            );
        }
    }
    Ok(())
}

/// Every form on the matrix units of a GPU.
fn on_gpu(gpu: &Gpu) -> Result<(), Failed> {
    let kernel = on_units(&product::KERNEL, UnitOperands::Split).expect("a product of f32x3");
    for (depth, range) in DEPTHS
        .into_iter()
        .flat_map(|d| RANGES.map(|range| (d, range)))
    {
        let case = case(depth, range);
        let contents = fill(&product::KERNEL, &case, 1);
        let plain = error(&contents, depth, &in_f32(operands(&contents), depth));
        let run = |form: &'static Kernel| {
            gpu.with(|executor| {
                run_case(
                    executor,
                    form,
                    &case,
                    &contents,
                    Layout::Apart,
                    Halves::NONE,
                )
            })
        };
        for form in forms(kernel, Halves::NONE) {
            if !gpu
                .with(|executor| Ok(wlstm::device::Executor::runs(executor, form, Halves::NONE)))?
            {
                continue;
            }
            let split = error(&contents, depth, &run(form)?[3]);
            println!(
                "{} {depth} terms, range {range}: f32 {plain:.2e}, f32x3 {split:.2e}",
                form.name
            );
            if split > plain {
                let what = format!("{}, {depth} terms, range {range}", form.name);
                return Err(format!("{what}: {split:e}, and {plain:e} in f32").into());
            }
        }
    }
    Ok(())
}
