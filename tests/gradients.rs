//! Backward kernels against finite differences of the forward ones, and optimizers against their formulas, by the `f64`
//! twins alone. [`COVERAGE`] names the check of every kernel; one that is missing there fails.

use std::collections::BTreeSet;

use wlstm::device::Data;
use wlstm::kernel::{Access, Buffer, Buffers, Kernel, Params};
use wlstm::kernels::catalogue;
use wlstm::kernels::embedding::rows::{Rows, row_index};
use wlstm::kernels::embedding::{accumulate_rows, gather, scatter_add_rows};
use wlstm::kernels::lstm::{cell_backward, cell_forward};
use wlstm::kernels::matmul::product;
use wlstm::kernels::optimizer::{adagrad, adam, momentum, moving_average, sgd};
use wlstm::kernels::pointwise::{add, copy, dropout, fill};
use wlstm::kernels::reduce::{sum, sum_columns};
use wlstm::kernels::softmax::{
    IGNORE, full_backward, full_loss, log_sum_exp, sampled_backward, sampled_loss, target_backward,
    target_logits,
};
use wlstm::random::{Purpose, Stream};

/// How a kernel is checked.
enum Check {
    /// By this test.
    By(fn()),
    /// Not here, because of this.
    Left(&'static str),
}

use Check::{By, Left};

const COVERAGE: &[(&str, Check)] = &[
    ("matmul/product", By(matrix_product)),
    ("lstm/cell_forward", By(cell)),
    ("lstm/cell_backward", By(cell)),
    (
        "embedding/scatter_add_rows",
        By(embedding_with_a_dense_gradient),
    ),
    ("embedding/gather", By(embedding)),
    ("embedding/accumulate_rows", By(embedding)),
    ("softmax/log_sum_exp", By(full_softmax)),
    ("softmax/full_loss", By(full_softmax)),
    ("softmax/full_backward", By(full_softmax)),
    ("softmax/target_logits", By(sampled_softmax)),
    ("softmax/target_backward", By(sampled_softmax)),
    ("softmax/sampled_loss", By(sampled_softmax)),
    ("softmax/sampled_backward", By(sampled_softmax)),
    ("reduce/sum_columns", By(bias)),
    ("reduce/sum", By(total)),
    (
        "reduce/sum_squares",
        Left("measures a gradient, is in no loss"),
    ),
    ("reduce/norm", Left("measures a gradient, is in no loss")),
    ("pointwise/add", By(residual)),
    ("pointwise/copy", By(residual)),
    ("pointwise/fill", By(total)),
    ("pointwise/dropout", By(inverted_dropout)),
    ("optimizer/sgd", By(sgd_formula)),
    ("optimizer/momentum", By(momentum_formula)),
    ("optimizer/adagrad", By(adagrad_formula)),
    ("optimizer/adam", By(adam_formula)),
    ("optimizer/moving_average", By(moving_average_formula)),
];

#[test]
fn every_kernel_is_covered() {
    let kernels: BTreeSet<&str> = catalogue().map(|k| k.name).collect();
    let covered: BTreeSet<&str> = COVERAGE.iter().map(|(name, _)| *name).collect();
    assert_eq!(kernels, covered);
    assert_eq!(COVERAGE.len(), covered.len(), "a kernel is listed twice");
    for (name, check) in COVERAGE {
        match check {
            By(check) => check(),
            Left(reason) => assert!(!reason.is_empty(), "{name} is left out without a reason"),
        }
    }
}

// The tools: run a twin, make numbers, differentiate, compare.

/// Runs the `f64` twin of a kernel on its buffers, in binding order.
fn run(kernel: &Kernel, params: &impl Params, buffers: &mut [Data]) {
    assert_eq!(kernel.bindings.len(), buffers.len(), "{}", kernel.name);
    let slices = kernel.bindings.iter().zip(buffers);
    let slices = slices.map(|(binding, data)| match (data, binding.access) {
        (Data::Index(values), _) => Buffer::Index(values),
        (Data::Real(values), Access::Read) => Buffer::Read(values),
        (Data::Real(values), _) => Buffer::Write(values),
    });
    (kernel.twin.double)(&params.words(), &mut Buffers::new(slices));
}

/// The same for buffers that are made for it; gives what buffer `k` holds afterwards.
fn result(kernel: &Kernel, params: &impl Params, mut buffers: Vec<Data>, k: usize) -> Vec<f64> {
    run(kernel, params, &mut buffers);
    real(buffers.swap_remove(k))
}

fn real(data: Data) -> Vec<f64> {
    match data {
        Data::Real(values) => values,
        Data::Index(_) => panic!("not a real buffer"),
    }
}

fn reals(values: &[f64]) -> Data {
    Data::Real(values.to_vec())
}

fn indices(values: &[u32]) -> Data {
    Data::Index(values.to_vec())
}

/// For outputs: NaN, so that an element left out is seen.
fn output(len: usize) -> Data {
    Data::Real(vec![f64::NAN; len])
}

/// `len` numbers in `[-1, 1)`, others for another `seed`.
fn numbers(seed: u64, len: usize) -> Vec<f64> {
    let mut stream = Stream::new(seed, Purpose::Initialise, 0);
    (0..len).map(|_| 2.0 * stream.uniform() - 1.0).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The gradient of `loss` at `x` by central differences.
fn differences(x: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let at = x[i];
            x[i] = at + STEP;
            let above = loss(&x);
            x[i] = at - STEP;
            let below = loss(&x);
            x[i] = at;
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

/// Central differences err by `STEP^2` and by the rounding of the loss over `STEP`.
#[track_caller]
fn assert_gradient(name: &str, got: &[f64], loss: impl Fn(&[f64]) -> f64, x: &[f64]) {
    assert_close(name, got, &differences(x, loss), 1e-8);
}

#[track_caller]
fn assert_close(name: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs() / (1.0 + want.abs());
        assert!(error <= tolerance, "{name}[{i}] is {got}, not {want}");
    }
}

/// The rows of a row-sparse gradient at their places in a table of `vocabulary` rows.
fn scattered(index: &[u32], sources: usize, gradient: &[f64], vocabulary: usize) -> Vec<f64> {
    let width = gradient.len() / sources;
    let mut table = vec![0.0; vocabulary * width];
    for (&id, row) in Rows::new(index, sources)
        .ids()
        .iter()
        .zip(gradient.chunks(width))
    {
        table[id as usize * width..][..width].copy_from_slice(row);
    }
    table
}

/// The gradient of a table by the gradients `source` of the rows that `ids` took from it.
fn table_gradient(ids: &[u32], source: &[f64], vocabulary: usize) -> Vec<f64> {
    let index = row_index(ids);
    let params = accumulate_rows::Params {
        capacity: ids.len() as u32,
        width: (source.len() / ids.len()) as u32,
        scale: 1.0,
    };
    let buffers = vec![reals(source), indices(&index), output(source.len())];
    let gradient = result(&accumulate_rows::KERNEL, &params, buffers, 2);
    scattered(&index, ids.len(), &gradient, vocabulary)
}

#[test]
fn embedding() {
    let (vocabulary, width, ids) = (6, 3, [5, 0, 2, 5, 5, 0, 1]);
    let dy = numbers(1, ids.len() * width);
    let params = gather::Params {
        rows: ids.len() as u32,
        width: width as u32,
    };
    let loss = |table: &[f64]| {
        let buffers = vec![reals(table), indices(&ids), output(dy.len())];
        dot(&result(&gather::KERNEL, &params, buffers, 2), &dy)
    };
    let dtable = table_gradient(&ids, &dy, vocabulary);
    assert_gradient("dtable", &dtable, loss, &numbers(2, vocabulary * width));
}

#[test]
fn inverted_dropout() {
    let params = dropout::Params {
        len: 301,
        purpose: 17,
        threshold: dropout::threshold(0.5),
        scale: 2.0,
    };
    let drop = |x: &[f64]| {
        let buffers = vec![reals(x), indices(&[3, 0, 7, 9]), output(x.len())];
        result(&dropout::KERNEL, &params, buffers, 2)
    };
    let dy = numbers(1, 301);
    let dx = drop(&dy);
    let kept = dx.iter().filter(|x| **x != 0.0).count();
    assert!((100..200).contains(&kept), "{kept} of 301 kept");
    assert_gradient("dx", &dx, |x| dot(&drop(x), &dy), &numbers(2, 301));
}

#[test]
fn residual() {
    let dy = numbers(1, 7);
    let copied = |x: &[f64]| {
        let params = copy::Params { len: 7 };
        result(&copy::KERNEL, &params, vec![reals(x), output(7)], 1)
    };
    let other = numbers(2, 7);
    let loss = |x: &[f64]| {
        let buffers = vec![reals(&copied(x)), reals(&other), output(7)];
        dot(
            &result(&add::KERNEL, &add::Params { len: 7 }, buffers, 2),
            &dy,
        )
    };
    assert_gradient("dx", &copied(&dy), loss, &numbers(3, 7));
}

#[test]
fn total() {
    let params = sum::Params {
        len: 9,
        divisor: 4.0,
    };
    let loss = |x: &[f64]| result(&sum::KERNEL, &params, vec![reals(x), output(1)], 1)[0];
    let fill_params = fill::Params {
        len: 9,
        value: 0.25,
    };
    let dx = result(&fill::KERNEL, &fill_params, vec![output(9)], 0);
    assert_gradient("dx", &dx, loss, &numbers(1, 9));
}

#[test]
fn bias() {
    let (rows, width) = (5, 3);
    let (x, dy) = (numbers(1, rows * width), numbers(2, rows * width));
    let loss = |bias: &[f64]| {
        let y: Vec<f64> = (0..rows * width).map(|i| x[i] + bias[i % width]).collect();
        2.0 * dot(&y, &dy)
    };
    let columns = |accumulate, before: Data| {
        let params = sum_columns::Params {
            rows: rows as u32,
            width: width as u32,
            accumulate,
            scale: 2.0,
        };
        result(&sum_columns::KERNEL, &params, vec![reals(&dy), before], 1)
    };
    assert_gradient(
        "dbias",
        &columns(0, output(width)),
        loss,
        &numbers(3, width),
    );
    let twice = columns(1, Data::Real(columns(0, output(width))));
    assert_gradient(
        "2 dbias",
        &twice,
        |bias| 2.0 * loss(bias),
        &numbers(3, width),
    );
}

/// Columns `start .. start + width` of `x [rows, whole]`.
fn columns_of(x: &[f64], whole: usize, start: usize, width: usize) -> Vec<f64> {
    let rows = x.chunks(whole).map(|row| &row[start..start + width]);
    rows.flatten().copied().collect()
}

#[test]
fn full_softmax() {
    const VOCABULARY: usize = 11;
    const SCALE: f32 = 0.5;
    let targets = [0, 10, IGNORE, 4, 4];
    let rows = targets.len();
    // First id and width of each tile.
    for tiles in [&[(0, VOCABULARY)][..], &[(0, 4), (4, 1), (5, 6)]] {
        let running = |logits: &[f64]| {
            let mut running = output(3 * rows);
            for &(start, width) in tiles {
                let params = log_sum_exp::Params {
                    rows: rows as u32,
                    width: width as u32,
                    start: start as u32,
                    first: (start == 0).into(),
                };
                let tile = columns_of(logits, VOCABULARY, start, width);
                let buffers = vec![reals(&tile), indices(&targets), running];
                running = Data::Real(result(&log_sum_exp::KERNEL, &params, buffers, 2));
            }
            real(running)
        };
        let nll = |logits: &[f64]| {
            let params = full_loss::Params { rows: rows as u32 };
            let buffers = vec![reals(&running(logits)), indices(&targets), output(rows)];
            result(&full_loss::KERNEL, &params, buffers, 2)
        };
        let logits: Vec<f64> = numbers(1, rows * VOCABULARY)
            .iter()
            .map(|x| 4.0 * x)
            .collect();
        let mut gradient = vec![f64::NAN; rows * VOCABULARY];
        for &(start, width) in tiles {
            let params = full_backward::Params {
                rows: rows as u32,
                width: width as u32,
                start: start as u32,
                divisor: 1.0 / SCALE,
            };
            let tile = columns_of(&logits, VOCABULARY, start, width);
            let buffers = vec![reals(&tile), reals(&running(&logits)), indices(&targets)];
            let tile = result(&full_backward::KERNEL, &params, buffers, 0);
            for (row, values) in tile.chunks(width).enumerate() {
                gradient[row * VOCABULARY + start..][..width].copy_from_slice(values);
            }
        }
        let loss = |logits: &[f64]| f64::from(SCALE) * nll(logits).iter().sum::<f64>();
        assert_gradient("dlogits", &gradient, loss, &logits);

        let direct = |row: usize| {
            let logits = &logits[row * VOCABULARY..][..VOCABULARY];
            let sum: f64 = logits.iter().map(|x| x.exp()).sum();
            logits
                .get(targets[row] as usize)
                .map_or(0.0, |x| sum.ln() - x)
        };
        let want: Vec<f64> = (0..rows).map(direct).collect();
        assert_close("nll", &nll(&logits), &want, 1e-12);
    }
}

#[test]
fn sampled_softmax() {
    const VOCABULARY: usize = 9;
    const WIDTH: usize = 4;
    const SCALE: f32 = 0.5;
    // The second and the last target are among the candidates, the third and the last are the same.
    let (candidates, targets) = ([1, 7, 3, 0, 8], [5, 7, 3, IGNORE, 3]);
    let (samples, rows) = (candidates.len(), targets.len());
    let log_q: Vec<f64> = numbers(9, samples + rows).iter().map(|x| x - 2.0).collect();
    let target_params = target_logits::Params {
        rows: rows as u32,
        width: WIDTH as u32,
    };
    let target_logits_of = |h: &[f64], weights: &[f64], bias: &[f64]| {
        let mut buffers = vec![reals(h), reals(weights), reals(bias)];
        buffers.extend([indices(&targets), output(rows)]);
        result(&target_logits::KERNEL, &target_params, buffers, 4)
    };
    let losses = |logits: &[f64], targets_logits: &[f64]| {
        let params = sampled_loss::Params {
            rows: rows as u32,
            samples: samples as u32,
        };
        let mut buffers = vec![reals(logits), reals(targets_logits), reals(&log_q)];
        buffers.extend([indices(&candidates), indices(&targets)]);
        buffers.extend([output(rows), output(rows)]);
        run(&sampled_loss::KERNEL, &params, &mut buffers);
        let normaliser = real(buffers.pop().unwrap());
        (real(buffers.pop().unwrap()), normaliser)
    };
    let loss = |logits: &[f64], h: &[f64], weights: &[f64], bias: &[f64]| {
        let (nll, _) = losses(logits, &target_logits_of(h, weights, bias));
        f64::from(SCALE) * nll.iter().sum::<f64>()
    };

    let logits = numbers(1, rows * samples);
    let (h, weights) = (numbers(2, rows * WIDTH), numbers(3, VOCABULARY * WIDTH));
    let bias = numbers(4, VOCABULARY);
    let true_logits = target_logits_of(&h, &weights, &bias);
    let (nll, normaliser) = losses(&logits, &true_logits);

    let params = sampled_backward::Params {
        rows: rows as u32,
        samples: samples as u32,
        divisor: 1.0 / SCALE,
    };
    let mut buffers = vec![reals(&logits), reals(&true_logits), reals(&log_q)];
    buffers.extend([indices(&candidates), indices(&targets), reals(&normaliser)]);
    run(&sampled_backward::KERNEL, &params, &mut buffers);
    let dtarget = real(buffers.swap_remove(1));
    let dlogits = real(buffers.swap_remove(0));

    let before = numbers(5, rows * WIDTH);
    let params = target_backward::Params {
        rows: rows as u32,
        width: WIDTH as u32,
    };
    let mut buffers = vec![
        reals(&h),
        reals(&weights),
        indices(&targets),
        reals(&dtarget),
    ];
    buffers.extend([reals(&before), output(rows * WIDTH)]);
    run(&target_backward::KERNEL, &params, &mut buffers);
    let source = real(buffers.pop().unwrap());
    let dh = real(buffers.pop().unwrap());
    let dh: Vec<f64> = dh.iter().zip(&before).map(|(x, y)| x - y).collect();

    let by_logits = |x: &[f64]| loss(x, &h, &weights, &bias);
    assert_gradient("dlogits", &dlogits, by_logits, &logits);
    assert_gradient("dh", &dh, |x| loss(&logits, x, &weights, &bias), &h);
    let dweights = table_gradient(&targets, &source, VOCABULARY);
    let by_weights = |x: &[f64]| loss(&logits, &h, x, &bias);
    assert_gradient("dweights", &dweights, by_weights, &weights);
    let dbias = table_gradient(&targets, &dtarget, VOCABULARY);
    assert_gradient("dbias", &dbias, |x| loss(&logits, &h, &weights, x), &bias);

    let direct = |row: usize| {
        if targets[row] == IGNORE {
            return 0.0;
        }
        let truth = true_logits[row] - log_q[samples + row];
        let others = (0..samples).filter(|k| candidates[*k] != targets[row]);
        let others = others.map(|k| (logits[row * samples + k] - log_q[k]).exp());
        (truth.exp() + others.sum::<f64>()).ln() - truth
    };
    let want: Vec<f64> = (0..rows).map(direct).collect();
    assert_close("nll", &nll, &want, 1e-12);
}

// Optimizers: three steps on a table, by the kernel and by a formula for one element.

const TABLE: usize = 5;
const COLUMNS: usize = 3;
const CLIP: f64 = 0.375;

/// Steps of `kernel` against `formula(step, weight and state of one element, its gradient)`: dense with clipping, then on
/// some rows without.
fn assert_updates(
    kernel: &Kernel,
    params: impl Fn(u32, u32, u32) -> Box<[u32]>,
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
        let words = params(capacity as u32, sparse.into(), (!sparse).into());
        let mut arrays = vec![numbers(1, len)];
        arrays.extend(initial_state.iter().map(|start| vec![*start; len]));
        let mut elements: Vec<Vec<f64>> = (0..len)
            .map(|i| arrays.iter().map(|array| array[i]).collect())
            .collect();
        for step in 1..=3 {
            let gradient = numbers(step as u64 + 1, capacity * COLUMNS);
            let mut buffers: Vec<Buffer<'_, f64>> =
                arrays.iter_mut().map(|x| Buffer::Write(x)).collect();
            let (control, norm) = (control(step), [7.0, CLIP]);
            buffers.extend([Buffer::Read(&gradient), Buffer::Index(&index)]);
            buffers.extend([Buffer::Read(&control), Buffer::Read(&norm)]);
            (kernel.twin.double)(&words, &mut Buffers::new(buffers));

            let touched: Vec<usize> = match &ids {
                None => (0..TABLE).collect(),
                Some(_) => vec![1, 4],
            };
            for (k, row) in touched.into_iter().enumerate() {
                for column in 0..COLUMNS {
                    let g = gradient[k * COLUMNS + column] * if sparse { 1.0 } else { CLIP };
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

#[test]
fn sgd_formula() {
    let params = |capacity, sparse, clipped| {
        let width = COLUMNS as u32;
        sgd::Params {
            capacity,
            width,
            sparse,
            clipped,
        }
        .words()
    };
    let formula = |_, x: &mut [f64], g: f64| x[0] -= 0.5 * g;
    assert_updates(&sgd::KERNEL, params, &[], |_| vec![0.5], formula);
}

#[test]
fn momentum_formula() {
    let params = |capacity, sparse, clipped| {
        let width = COLUMNS as u32;
        momentum::Params {
            capacity,
            width,
            sparse,
            clipped,
            momentum: 0.75,
        }
        .words()
    };
    let formula = |_, x: &mut [f64], g: f64| {
        x[1] = 0.75 * x[1] + g;
        x[0] -= 0.5 * x[1];
    };
    assert_updates(&momentum::KERNEL, params, &[0.0], |_| vec![0.5], formula);
}

#[test]
fn adagrad_formula() {
    let params = |capacity, sparse, clipped| {
        let width = COLUMNS as u32;
        adagrad::Params {
            capacity,
            width,
            sparse,
            clipped,
        }
        .words()
    };
    let formula = |_, x: &mut [f64], g: f64| {
        x[1] += g.powi(2);
        x[0] -= 0.2 * g / x[1].sqrt();
    };
    assert_updates(&adagrad::KERNEL, params, &[1.0], |_| vec![0.2], formula);
}

#[test]
fn adam_formula() {
    // Exact in f32, as params are.
    const BETA: (f64, f64) = (0.75, 0.9375);
    const EPSILON: f64 = 0.0625;
    let params = |capacity, sparse, clipped| {
        let width = COLUMNS as u32;
        let (beta1, beta2, epsilon) = (BETA.0 as f32, BETA.1 as f32, EPSILON as f32);
        adam::Params {
            capacity,
            width,
            sparse,
            clipped,
            beta1,
            beta2,
            epsilon,
        }
        .words()
    };
    let corrections = |t: i32| (1.0 - BETA.0.powi(t), 1.0 - BETA.1.powi(t));
    let control = |t| vec![0.01, 10.0, 0.999, corrections(t).0, corrections(t).1];
    let formula = |t, x: &mut [f64], g: f64| {
        x[1] = BETA.0 * x[1] + (1.0 - BETA.0) * g;
        x[2] = BETA.1 * x[2] + (1.0 - BETA.1) * g.powi(2);
        let (mean, square) = (x[1] / corrections(t).0, x[2] / corrections(t).1);
        x[0] -= 0.01 * mean / (square.sqrt() + EPSILON);
    };
    assert_updates(&adam::KERNEL, params, &[0.0, 0.0], control, formula);
}

#[test]
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

#[test]
fn embedding_with_a_dense_gradient() {
    let (vocabulary, width, ids) = (6, 3, [5, 0, 2, 5, 5, 0, 1]);
    let (dy, before) = (
        numbers(1, ids.len() * width),
        numbers(2, vocabulary * width),
    );
    let index = row_index(&ids);
    let (capacity, columns) = (ids.len() as u32, width as u32);
    let params = accumulate_rows::Params {
        capacity,
        width: columns,
        scale: 1.0,
    };
    let buffers = vec![reals(&dy), indices(&index), output(dy.len())];
    let rows = result(&accumulate_rows::KERNEL, &params, buffers, 2);
    let params = scatter_add_rows::Params {
        capacity,
        width: columns,
    };
    let buffers = vec![reals(&rows), indices(&index), reals(&before)];
    let after = result(&scatter_add_rows::KERNEL, &params, buffers, 2);
    let added: Vec<f64> = after.iter().zip(&before).map(|(x, y)| x - y).collect();
    assert_close(
        "dtable",
        &added,
        &table_gradient(&ids, &dy, vocabulary),
        1e-12,
    );
}

#[test]
fn matrix_product() {
    // Two groups side by side, as gates and inputs of a grouped layer stand.
    let (groups, rows, depth, columns) = (2, 3, 4, 5);
    let grouped = product::Params {
        groups: groups as u32,
        left_stride: (groups * depth) as u32,
        left_group: depth as u32,
        right_group: (depth * columns) as u32,
        product_stride: (groups * columns) as u32,
        product_group: columns as u32,
        ..product::Params::dense(rows, columns, depth)
    };
    let (left, right) = (
        numbers(1, rows * groups * depth),
        numbers(2, groups * depth * columns),
    );
    let (bias, dy) = (
        numbers(3, groups * columns),
        numbers(4, rows * groups * columns),
    );
    let of = |params: &product::Params, left: &[f64], right: &[f64], len: usize| {
        let buffers = vec![
            reals(left),
            reals(right),
            reals(&bias),
            reals(&vec![0.0; len]),
        ];
        result(&product::KERNEL, params, buffers, 3)
    };
    let loss =
        |left: &[f64], right: &[f64]| dot(&of(&grouped.biased(), left, right, dy.len()), &dy);

    // dleft = dy right'
    let params = product::Params {
        columns: depth as u32,
        depth: columns as u32,
        transpose_right: 1,
        left_stride: grouped.product_stride,
        left_group: grouped.product_group,
        product_stride: grouped.left_stride,
        product_group: grouped.left_group,
        ..grouped
    };
    assert_gradient(
        "dleft",
        &of(&params, &dy, &right, left.len()),
        |x| loss(x, &right),
        &left,
    );
    // dright = left' dy
    let params = product::Params {
        rows: depth as u32,
        depth: rows as u32,
        transpose_left: 1,
        right_stride: grouped.product_stride,
        right_group: grouped.product_group,
        product_stride: columns as u32,
        product_group: grouped.right_group,
        ..grouped
    };
    assert_gradient(
        "dright",
        &of(&params, &left, &dy, right.len()),
        |x| loss(&left, x),
        &right,
    );
}

#[test]
fn cell() {
    // With a projection [H, P], and without.
    for output_size in [Some(2), None] {
        let (batch, hidden, depth) = (3, 4, 2);
        let cells = batch * hidden;
        let weight = numbers(1, depth * 4 * hidden);
        let (left, bias) = (numbers(2, batch * depth), numbers(3, 4 * hidden));
        let projection = numbers(4, hidden * output_size.unwrap_or(0));
        let (dh, dc) = (
            numbers(5, batch * output_size.unwrap_or(hidden)),
            numbers(6, cells),
        );
        let forward = |z: &[f64], c_before: &[f64]| {
            let params = cell_forward::Params {
                batch: batch as u32,
                hidden: hidden as u32,
                groups: 1,
                depth: depth as u32,
                weight_group: 0,
                accumulate: 1,
                forget_bias: 1.0,
            };
            let mut buffers = vec![reals(&left), reals(&weight), reals(&bias), reals(z)];
            buffers.extend([reals(c_before), output(cells), output(cells)]);
            run(&cell_forward::KERNEL, &params, &mut buffers);
            let m = real(buffers.pop().unwrap());
            let c = real(buffers.pop().unwrap());
            (real(buffers.swap_remove(3)), c, m)
        };
        let loss = |z: &[f64], c_before: &[f64]| {
            let (_, c, m) = forward(z, c_before);
            let h: Vec<f64> = match output_size {
                None => m,
                Some(size) => (0..batch * size)
                    .map(|i| {
                        let (b, p) = (i / size, i % size);
                        (0..hidden)
                            .map(|u| m[b * hidden + u] * projection[u * size + p])
                            .sum()
                    })
                    .collect(),
            };
            dot(&h, &dh) + dot(&c, &dc)
        };
        let (z, c_before) = (numbers(7, 4 * cells), numbers(8, cells));
        let (gates, c, _) = forward(&z, &c_before);
        let params = cell_backward::Params {
            batch: batch as u32,
            hidden: hidden as u32,
            depth: output_size.unwrap_or(hidden) as u32,
            projected: output_size.is_some().into(),
            carry: 1,
        };
        let mut buffers = vec![reals(&dh), reals(&projection), reals(&gates)];
        buffers.extend([reals(&c_before), reals(&c), reals(&dc)]);
        run(&cell_backward::KERNEL, &params, &mut buffers);
        let dc_before = real(buffers.pop().unwrap());
        let dz = real(buffers.swap_remove(2));
        assert_gradient("dz", &dz, |x| loss(x, &c_before), &z);
        assert_gradient("dc", &dc_before, |x| loss(&z, x), &c_before);
    }
}
