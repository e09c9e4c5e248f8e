//! Sums.

use wlstm::device::Data;
use wlstm::kernels::reduce::{sum, sum_columns};

use super::tools::{assert_gradient, checks, dot, numbers, output, reals, result};

checks!(total, bias);

fn total() {
    let params = sum::Params {
        len: 9,
        divisor: 4.0,
    };
    let loss = |x: &[f64]| result(&sum::KERNEL, &params, vec![reals(x), output(1)], 1)[0];
    let dx = [0.25; 9];
    assert_gradient("dx", &dx, loss, &numbers(1, 9));
}

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
