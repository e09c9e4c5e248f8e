//! Three steps of every optimizer on a small table, by the kernel and by a formula for one element.

use wlstm::kernel::{Buffer, Kernel};
use wlstm::kernels::embedding::rows::row_index;
use wlstm::kernels::optimizer::{
    OPTIMIZERS, State, adagrad, adam, momentum, moving_average, row_update, sgd,
};
use wlstm::kernels::softmax::IGNORE;

use super::tools::{assert_close, checks, numbers, reals, result, run_twin};

checks!(
    sgd_formula,
    momentum_formula,
    adagrad_formula,
    adam_formula,
    every_optimizer_descends,
    dense_parameters_are_updated_in_one_pass,
    moving_average_formula
);

const TABLE: usize = 5;
const COLUMNS: usize = 3;
const CLIP: f64 = 0.375;
/// The factor of the other gradients.
const PLAIN: f64 = 0.75;

/// Steps of `kernel` against `formula(step, weight and state of one element, its gradient)`: dense with clipping, then on
/// some rows without.
fn assert_updates(
    kernel: &Kernel,
    constants: &[f32],
    initial_state: &[f64],
    control: impl Fn(i32) -> Vec<f64>,
    formula: impl Fn(i32, &mut [f64], f64),
) {
    for ids in [None, Some([4, 1, IGNORE, 4])] {
        let len = TABLE * COLUMNS;
        let (capacity, index) = match &ids {
            None => (TABLE, vec![0]),
            Some(ids) => (ids.len(), row_index(ids)),
        };
        let sparse = ids.is_some();
        let params = row_update::Params {
            capacity: capacity as u32,
            width: COLUMNS as u32,
            sparse: sparse.into(),
            first: 0,
            base: 0,
            window: TABLE as u32,
            clipped: (!sparse).into(),
        };
        let raw = params.with_constants(constants);
        let mut arrays = vec![numbers(1, len)];
        arrays.extend(initial_state.iter().map(|start| vec![*start; len]));
        let mut elements: Vec<Vec<f64>> = (0..len)
            .map(|i| arrays.iter().map(|array| array[i]).collect())
            .collect();
        for step in 1..=3 {
            let gradient = numbers(step as u64 + 1, capacity * COLUMNS);
            let mut buffers: Vec<Buffer<'_, f64>> =
                arrays.iter_mut().map(|x| Buffer::Write(x)).collect();
            let (control, norm) = (control(step), [7.0, CLIP, PLAIN]);
            buffers.extend([Buffer::Read(&gradient), Buffer::Index(&index)]);
            buffers.extend([Buffer::Read(&control), Buffer::Read(&norm)]);
            run_twin(kernel, &raw, buffers);

            let touched: Vec<usize> = match &ids {
                None => (0..TABLE).collect(),
                Some(_) => vec![1, 4],
            };
            for (k, row) in touched.into_iter().enumerate() {
                for column in 0..COLUMNS {
                    let g = gradient[k * COLUMNS + column] * if sparse { PLAIN } else { CLIP };
                    formula(step, &mut elements[row * COLUMNS + column], g);
                }
            }
            for (n, array) in arrays.iter().enumerate() {
                let want: Vec<f64> = elements.iter().map(|element| element[n]).collect();
                let name = format!("{} step {step} array {n}", kernel.name);
                assert_close(&name, array, &want, 1e-12);
            }
        }
    }
}

fn sgd_formula() {
    let formula = |_, x: &mut [f64], g: f64| x[0] -= 0.5 * g;
    assert_updates(&sgd::KERNEL, &[], &[], |_| vec![0.5], formula);
}

fn momentum_formula() {
    let formula = |_, x: &mut [f64], g: f64| {
        x[1] = 0.75 * x[1] + g;
        x[0] -= 0.5 * x[1];
    };
    assert_updates(&momentum::KERNEL, &[0.75], &[0.0], |_| vec![0.5], formula);
}

fn adagrad_formula() {
    let formula = |_, x: &mut [f64], g: f64| {
        x[1] += g.powi(2);
        x[0] -= 0.2 * g / x[1].sqrt();
    };
    assert_updates(&adagrad::KERNEL, &[], &[1.0], |_| vec![0.2], formula);
}

fn adam_formula() {
    // Exact in f32, as params are.
    const BETA: (f64, f64) = (0.75, 0.9375);
    const EPSILON: f64 = 0.0625;
    let corrections = |t: i32| (1.0 - BETA.0.powi(t), 1.0 - BETA.1.powi(t));
    let control = |t| vec![0.01, 10.0, 0.999, corrections(t).0, corrections(t).1];
    let formula = |t, x: &mut [f64], g: f64| {
        x[1] = BETA.0 * x[1] + (1.0 - BETA.0) * g;
        x[2] = BETA.1 * x[2] + (1.0 - BETA.1) * g.powi(2);
        let (mean, square) = (x[1] / corrections(t).0, x[2] / corrections(t).1);
        x[0] -= 0.01 * mean / (square.sqrt() + EPSILON);
    };
    let constants = [BETA.0 as f32, BETA.1 as f32, EPSILON as f32];
    assert_updates(&adam::KERNEL, &constants, &[0.0, 0.0], control, formula);
}

/// Every optimizer reduces the mean squared distance from a target.
fn every_optimizer_descends() {
    let target = numbers(1, 12);
    let distance = |weight: &[f64]| {
        let squares = weight.iter().zip(&target).map(|(w, t)| (w - t).powi(2));
        squares.sum::<f64>() / target.len() as f64
    };
    for optimizer in OPTIMIZERS {
        let raw = optimizer.params(row_update::Params {
            capacity: 3,
            width: 4,
            sparse: 0,
            first: 0,
            base: 0,
            window: 3,
            clipped: 0,
        });
        let mut weight = numbers(2, target.len());
        let start = |state: &State| vec![f64::from(state.start); target.len()];
        let mut states: Vec<Vec<f64>> = optimizer.states.iter().map(start).collect();
        let before = distance(&weight);
        for step in 0..200 {
            let gradient: Vec<f64> = weight.iter().zip(&target).map(|(w, t)| w - t).collect();
            let [first, second] = (optimizer.corrections)(step);
            let (control, norm) = ([0.05, 0.0, 0.0, first, second, 1.0, 1.0], [1.0; 3]);
            let mut buffers = vec![Buffer::Write(&mut weight)];
            buffers.extend(states.iter_mut().map(|state| Buffer::Write(state)));
            buffers.extend([Buffer::Read(&gradient), Buffer::Index(&[0])]);
            buffers.extend([Buffer::Read(&control), Buffer::Read(&norm)]);
            run_twin(optimizer.kernel, &raw, buffers);
        }
        let after = distance(&weight);
        assert!(after < 0.1 * before, "{optimizer}: {before} to {after}");
    }
}

/// The kernels `dense` compute what the kernel, the moving average and a copy compute, also where neither weights nor states are
/// updated.
fn dense_parameters_are_updated_in_one_pass() {
    let len = TABLE * COLUMNS;
    for optimizer in OPTIMIZERS {
        for (clip, averages, rounds) in [
            (CLIP, true, false),
            (CLIP, false, true),
            (CLIP, true, true),
            (0.0, true, true),
        ] {
            let raw = optimizer.params(row_update::Params {
                capacity: TABLE as u32,
                width: COLUMNS as u32,
                sparse: 0,
                first: 0,
                base: 0,
                window: TABLE as u32,
                clipped: 1,
            });
            let [first, second] = (optimizer.corrections)(3);
            let (control, norm) = ([0.05, 0.0, 0.75, first, second], [7.0, clip, PLAIN]);
            let gradient = numbers(1, len);
            let arrays: Vec<Vec<f64>> = (0..optimizer.states.len() as u64 + 1)
                .map(|k| numbers(k + 2, len).iter().map(|x| x.abs()).collect())
                .collect();
            let (mut apart, mut average) = (arrays.clone(), numbers(9, len));
            let mut buffers: Vec<Buffer<'_, f64>> =
                apart.iter_mut().map(|x| Buffer::Write(x)).collect();
            buffers.extend([Buffer::Read(&gradient), Buffer::Index(&[0])]);
            buffers.extend([Buffer::Read(&control), Buffer::Read(&norm)]);
            run_twin(optimizer.kernel, &raw, buffers);
            let copied = apart[0].clone();
            if averages {
                let params = moving_average::Params { len: len as u32 };
                let buffers = vec![reals(&apart[0]), reals(&control), reals(&average)];
                apart.push(result(&moving_average::KERNEL, &params, buffers, 2));
            }
            if rounds {
                apart.push(copied);
            }

            let (mut at_once, mut rounded) = (arrays.clone(), vec![0.0; len]);
            let mut buffers: Vec<Buffer<'_, f64>> =
                at_once.iter_mut().map(|x| Buffer::Write(x)).collect();
            buffers.extend([Buffer::Read(&gradient), Buffer::Read(&control)]);
            buffers.push(Buffer::Read(&norm));
            if averages {
                buffers.push(Buffer::Write(&mut average));
            }
            if rounds {
                buffers.push(Buffer::Write(&mut rounded));
            }
            let kernel = optimizer.dense_kernel(averages, rounds);
            run_twin(kernel.expect("it has more to write"), &raw, buffers);
            at_once.extend(averages.then_some(average));
            at_once.extend(rounds.then_some(rounded));
            assert_eq!(at_once.len(), apart.len());
            for (got, want) in at_once.iter().zip(&apart) {
                assert_close(&format!("{optimizer}, factor {clip}"), got, want, 0.0);
            }
            assert_eq!(at_once[0] != arrays[0], clip != 0.0, "{optimizer}");
        }
    }
}

fn moving_average_formula() {
    let params = moving_average::Params { len: 4 };
    let control = [0.2, 10.0, 0.75];
    let mut average = numbers(1, 4);
    let mut want = average.clone();
    for step in 0..3 {
        let weight = numbers(2 + step, 4);
        let buffers = vec![reals(&weight), reals(&control), reals(&average)];
        average = result(&moving_average::KERNEL, &params, buffers, 2);
        for (want, weight) in want.iter_mut().zip(&weight) {
            *want += 0.25 * (weight - *want);
        }
        assert_close("average", &average, &want, 1e-12);
    }
}
