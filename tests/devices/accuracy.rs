//! Products of "f32x3" are at least as accurate as those in `f32` on the same device: the root mean square of the error against
//! `f64`, relative to the sum of the absolute values of the terms, for numbers of order one and for gradients that are scaled as
//! in training. On software adapters with emulated units, which round sums towards zero.

use libtest_mimic::Failed;
use wlstm::device::GpuExecutor;
use wlstm::device::single::{Contents, Layout, fill, reference, run_case};
use wlstm::kernel::{Case, Fill, Halves, Kernel};
use wlstm::kernels::forms;
use wlstm::kernels::matmul::{product, product_f32x3};

use crate::common::{Gpu, Trial, on_gpus_that, without_units};
use crate::parity::{lacks_units, runs};
use crate::units;

const ROWS: usize = 64;
const COLUMNS: usize = 64;

/// Terms of each sum.
const DEPTHS: [usize; 2] = [1024, 4096];

/// The range of the left operand: of order one, and of gradients times the first loss scale.
const RANGES: [f32; 2] = [1.0, 1e-3];

pub fn trials() -> Vec<Trial> {
    let kernel = &product_f32x3::KERNEL;
    // The other emulated forms give the same bits: see `units`.
    let mut trials = units::on_software("emulated", move |gpu| {
        check(gpu, units::emulated(kernel)[..1].to_vec())
    });
    if lacks_units(kernel) {
        trials.push(without_units("f32x3::gpu".to_owned()));
        return trials;
    }
    let takes = |gpu: &Gpu| runs(kernel, Halves::NONE, gpu);
    trials.extend(on_gpus_that(takes, "f32x3", move |gpu| {
        let runs = |form: &&'static Kernel| runs(form, Halves::NONE, gpu);
        check(gpu, forms(kernel, Halves::NONE).filter(runs).collect())
    }));
    trials
}

/// Compares these forms with the product in `f32`.
fn check(gpu: &Gpu, forms: Vec<&'static Kernel>) -> Result<(), Failed> {
    assert!(!forms.is_empty(), "no form of f32x3 runs here");
    for (depth, range) in DEPTHS
        .into_iter()
        .flat_map(|depth| RANGES.map(|range| (depth, range)))
    {
        let measured = Measured::new(depth, range);
        let plain = measured.error(gpu, &product::KERNEL)?;
        for form in &forms {
            let split = measured.error(gpu, form)?;
            let what = format!(
                "{} terms, range {range}: {split:.2e} in {}, and {plain:.2e} in f32",
                depth, form.name
            );
            println!("{what}");
            // Sums of this many terms have rounding errors. An error of exactly 0 means that nothing was compared.
            if !(split > 0.0 && split <= plain) {
                return Err(what.into());
            }
        }
    }
    Ok(())
}

/// A product whose errors are measured.
struct Measured {
    case: Case,
    contents: Vec<Contents>,
    /// The product in `f64`, and the sums of the absolute values of the terms.
    want: Vec<(f64, f64)>,
}

impl Measured {
    fn new(depth: usize, range: f32) -> Measured {
        let params = product::Params::dense(ROWS, COLUMNS, depth);
        let buffers = vec![
            Fill::Uniform {
                len: ROWS * depth,
                low: -range,
                high: range,
            },
            Fill::signed(depth * COLUMNS),
            Fill::signed(COLUMNS),
            Fill::Output(ROWS * COLUMNS),
        ];
        let case = Case::new("accuracy", &params, depth, buffers);
        let contents = fill(&product::KERNEL, &case, 1);
        let of =
            |contents: &[Contents]| reference(&product::KERNEL, &case, contents).swap_remove(3);
        let absolute: Vec<_> = contents.iter().map(absolute).collect();
        let want = of(&contents).into_iter().zip(of(&absolute)).collect();
        Measured {
            case,
            contents,
            want,
        }
    }

    /// The root mean square of the errors of a kernel, relative to the sums of the absolute values of the terms.
    fn error(&self, gpu: &Gpu, kernel: &'static Kernel) -> Result<f64, Failed> {
        let run = |executor: &mut GpuExecutor| {
            let (case, contents) = (&self.case, &self.contents);
            run_case(
                executor,
                kernel,
                case,
                contents,
                Layout::Apart,
                Halves::NONE,
            )
        };
        let got = gpu.with(run)?.swap_remove(3);
        let squares = got.iter().zip(&self.want).map(|(got, (want, absolute))| {
            let error = (f64::from(*got) - want) / absolute;
            error * error
        });
        Ok((squares.sum::<f64>() / got.len() as f64).sqrt())
    }
}

fn absolute(contents: &Contents) -> Contents {
    match contents {
        Contents::Real(values) => Contents::Real(values.iter().map(|x| x.abs()).collect()),
        Contents::Index(values) => Contents::Index(values.clone()),
    }
}
