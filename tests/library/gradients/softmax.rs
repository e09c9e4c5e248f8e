//! Both softmaxes, from logits or hidden states to the loss and back, and against the formula of the loss.

use wlstm::kernels::softmax::{
    IGNORE, full_backward, full_gradient, full_loss, log_sum_exp, sampled_backward,
    sampled_gradient, sampled_loss, target_backward, target_logits,
};

use super::tools::{
    assert_close, assert_gradient, checks, indices, numbers, output, real, reals, result, run,
    table_gradient,
};
use wlstm::device::Data;

checks!(full_softmax, sampled_softmax);

/// Columns `start .. start + width` of `x [rows, whole]`.
fn columns_of(x: &[f64], whole: usize, start: usize, width: usize) -> Vec<f64> {
    let rows = x.chunks(whole).map(|row| &row[start..start + width]);
    rows.flatten().copied().collect()
}

fn full_softmax() {
    const VOCABULARY: usize = 11;
    const SCALE: f32 = 0.5;
    let targets = [0, 10, IGNORE, 4, 4];
    let rows = targets.len();
    // First id and width of each tile.
    for tiles in [&[(0, VOCABULARY)][..], &[(0, 4), (4, 1), (5, 6)]] {
        let running = |logits: &[f64], tiles: &[(usize, usize)]| {
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
            let buffers = vec![
                reals(&running(logits, tiles)),
                indices(&targets),
                output(rows),
            ];
            result(&full_loss::KERNEL, &params, buffers, 2)
        };
        let logits: Vec<f64> = numbers(1, rows * VOCABULARY)
            .iter()
            .map(|x| 4.0 * x)
            .collect();
        let mut gradient = vec![f64::NAN; rows * VOCABULARY];
        let mut last = Vec::new();
        for &(start, width) in tiles {
            let params = full_backward::Params {
                rows: rows as u32,
                width: width as u32,
                start: start as u32,
                divisor: 4.0 / SCALE,
            };
            let tile = columns_of(&logits, VOCABULARY, start, width);
            let mut buffers = vec![
                reals(&tile),
                reals(&running(&logits, tiles)),
                indices(&targets),
            ];
            buffers.push(reals(&[4.0]));
            let tile = result(&full_backward::KERNEL, &params, buffers, 0);
            for (row, values) in tile.chunks(width).enumerate() {
                gradient[row * VOCABULARY + start..][..width].copy_from_slice(values);
            }
            last = tile;
        }
        let (before, &(start, width)) = (&tiles[..tiles.len() - 1], &tiles[tiles.len() - 1]);
        let params = full_gradient::Params {
            rows: rows as u32,
            width: width as u32,
            start: start as u32,
            first: (start == 0).into(),
            divisor: 4.0 / SCALE,
        };
        let tile = columns_of(&logits, VOCABULARY, start, width);
        let mut at_once = vec![reals(&tile), indices(&targets), reals(&[4.0])];
        at_once.extend([reals(&running(&logits, before)), output(rows)]);
        run(&full_gradient::KERNEL, &params, &mut at_once);
        let state = running(&logits, tiles);
        for (k, want) in [(0, &last), (3, &state), (4, &nll(&logits))] {
            let got = real(std::mem::replace(&mut at_once[k], output(1)));
            assert_close(&format!("in one pass {k}"), &got, want, 0.0);
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

fn sampled_softmax() {
    const VOCABULARY: usize = 9;
    const WIDTH: usize = 4;
    const SCALE: f32 = 0.5;
    // The second and the last target are among the candidates, the third and the last are the same.
    let (candidates, targets) = ([1, 7, 3, 0, 8], [5, 7, 3, IGNORE, 3]);
    let (samples, rows) = (candidates.len(), targets.len());
    let log_q: Vec<f64> = numbers(9, samples + rows).iter().map(|x| x - 2.0).collect();
    let target_params = target_logits::Params {
        base: 0,
        window: VOCABULARY as u32,
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
            first: 0,
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
        first: 0,
        rows: rows as u32,
        samples: samples as u32,
        divisor: 4.0 / SCALE,
    };
    let mut buffers = vec![reals(&logits), reals(&true_logits), reals(&log_q)];
    buffers.extend([indices(&candidates), indices(&targets), reals(&normaliser)]);
    buffers.push(reals(&[4.0]));
    run(&sampled_backward::KERNEL, &params, &mut buffers);
    let dtarget = real(buffers.swap_remove(1));
    let dlogits = real(buffers.swap_remove(0));

    let mut at_once = vec![reals(&logits), reals(&true_logits), reals(&log_q)];
    at_once.extend([indices(&candidates), indices(&targets), reals(&[4.0])]);
    at_once.extend([output(rows), output(rows)]);
    run(&sampled_gradient::KERNEL, &params, &mut at_once);
    for (k, want) in [(0, &dlogits), (1, &dtarget), (6, &nll), (7, &normaliser)] {
        let got = real(std::mem::replace(&mut at_once[k], output(1)));
        assert_close(&format!("in one pass {k}"), &got, want, 0.0);
    }

    let before = numbers(5, rows * WIDTH);
    let params = target_backward::Params {
        base: 0,
        window: VOCABULARY as u32,
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
