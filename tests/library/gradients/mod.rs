//! Backward kernels against finite differences of the forward ones, and optimizers against their formulas, by the `f64`
//! twins alone. Fails for a kernel that no check runs, unless it declares why it needs none.

mod optimizers;
mod products;
mod softmax;
mod tools;

use self::optimizers::{
    adagrad_formula, adam_formula, every_optimizer_descends, momentum_formula,
    moving_average_formula, sgd_formula,
};
use self::products::{cell, matrix_product, sums_of_pieces};
use self::softmax::{full_softmax, sampled_softmax};
use self::tools::{
    assert_close, assert_gradient, dot, indices, kernels_of, numbers, output, reals, result,
    table_gradient,
};
use wlstm::device::Data;
use wlstm::kernels::catalogue;
use wlstm::kernels::embedding::rows::row_index;
use wlstm::kernels::embedding::{accumulate_rows, gather, scatter_add_rows};
use wlstm::kernels::pointwise::{add, copy, dropout, join, transpose};
use wlstm::kernels::reduce::{sum, sum_columns};

/// Every check of this module. [`every_kernel_is_covered`] runs them all.
const CHECKS: &[fn()] = &[
    matrix_product,
    sums_of_pieces,
    cell,
    full_softmax,
    sampled_softmax,
    embedding,
    embedding_with_a_dense_gradient,
    inverted_dropout,
    transposed,
    joined,
    residual,
    total,
    bias,
    adagrad_formula,
    adam_formula,
    momentum_formula,
    sgd_formula,
    moving_average_formula,
    every_optimizer_descends,
];

/// Every twin runs in some check, unless its kernel declares why it needs none.
#[test]
fn every_kernel_is_covered() {
    let checked = kernels_of(|| CHECKS.iter().for_each(|check| check()));
    for kernel in catalogue() {
        if kernel.form_of.is_some() || kernel.on_units_for.is_some() {
            // It has the twin of another kernel.
            continue;
        }
        match kernel.no_gradient {
            None => assert!(
                checked.contains(kernel.name),
                "{} has no gradient check: write one, or declare `no_gradient`",
                kernel.name
            ),
            Some(reason) => assert!(
                !reason.is_empty() && !checked.contains(kernel.name),
                "{} has a gradient check, or no reason to have none",
                kernel.name
            ),
        }
    }
}

#[test]
fn embedding() {
    let (vocabulary, width, ids) = (6, 3, [5, 0, 2, 5, 5, 0, 1]);
    let dy = numbers(1, ids.len() * width);
    let params = gather::Params {
        base: 0,
        window: vocabulary as u32,
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
fn embedding_with_a_dense_gradient() {
    let (vocabulary, width, ids) = (6, 3, [5, 0, 2, 5, 5, 0, 1]);
    let (dy, before) = (
        numbers(1, ids.len() * width),
        numbers(2, vocabulary * width),
    );
    let index = row_index(&ids);
    let (capacity, columns) = (ids.len() as u32, width as u32);
    let params = accumulate_rows::Params::whole(ids.len(), width, 1.0);
    let buffers = vec![reals(&dy), indices(&index), output(dy.len())];
    let rows = result(&accumulate_rows::KERNEL, &params, buffers, 2);
    let params = scatter_add_rows::Params {
        first: 0,
        base: 0,
        window: vocabulary as u32,
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
fn inverted_dropout() {
    let params = dropout::Params {
        first: 0,
        row: 1,
        stride: 1,
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
fn transposed() {
    let transpose = |x: &[f64], rows: u32, columns: u32| {
        let params = transpose::Params {
            groups: 2,
            rows,
            columns,
            x_group: rows * columns,
        };
        let buffers = vec![reals(x), output(x.len())];
        result(&transpose::KERNEL, &params, buffers, 1)
    };
    let dy = numbers(1, 2 * 3 * 5);
    // The gradient is transposed back.
    let dx = transpose(&dy, 5, 3);
    assert_gradient(
        "dx",
        &dx,
        |x| dot(&transpose(x, 3, 5), &dy),
        &numbers(2, dy.len()),
    );
}

#[test]
fn joined() {
    let (rows, groups, a_columns, b_columns) = (3, 2, 4, 3);
    let join = |a: &[f64], b: &[f64]| {
        let params = join::Params {
            rows,
            groups,
            a_columns,
            b_columns,
        };
        let buffers = vec![reals(a), reals(b), output(a.len() + b.len())];
        result(&join::KERNEL, &params, buffers, 2)
    };
    let parts = (rows * groups) as usize;
    let (a_columns, b_columns) = (a_columns as usize, b_columns as usize);
    let (a, b) = (numbers(2, parts * a_columns), numbers(3, parts * b_columns));
    let dy = numbers(1, a.len() + b.len());
    // The gradient is split where the columns were joined.
    let (mut da, mut db) = (Vec::new(), Vec::new());
    for dy in dy.chunks(a_columns + b_columns) {
        da.extend(&dy[..a_columns]);
        db.extend(&dy[a_columns..]);
    }
    assert_gradient("da", &da, |a| dot(&join(a, &b), &dy), &a);
    assert_gradient("db", &db, |b| dot(&join(&a, b), &dy), &b);
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
    let dx = [0.25; 9];
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
