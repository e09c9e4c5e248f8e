//! Kernels that copy, move, add or drop elements.

use wlstm::kernels::pointwise::{add, copy, dropout, dropout_rows, join, transpose};

use super::tools::{assert_gradient, checks, dot, indices, numbers, output, reals, result};

checks!(
    inverted_dropout,
    inverted_dropout_of_rows,
    transposed,
    joined,
    residual
);

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

fn inverted_dropout_of_rows() {
    let (width, all) = (7, 5);
    let mut ids: Vec<u32> = (0..30).collect();
    let params = dropout_rows::Params {
        rows: ids.len() as u32,
        width,
        first: 2,
        count: 3,
        all,
        purpose: 17,
        threshold: dropout::threshold(0.5),
        scale: 2.0,
    };
    let random = [3, 0, 7, 9];
    let drop = |x: &[f64], ids: &[u32]| {
        let buffers = vec![reals(x), indices(ids), indices(&random), output(x.len())];
        result(&dropout_rows::KERNEL, &params, buffers, 3)
    };
    let dy = numbers(1, 30 * 7);
    let dx = drop(&dy, &ids);
    let kept = dx.iter().filter(|x| **x != 0.0).count();
    assert!((60..150).contains(&kept), "{kept} of 210 kept");
    assert_gradient("dx", &dx, |x| dot(&drop(x, &ids), &dy), &numbers(2, 30 * 7));

    // The mask of a row is that of the whole batch, and does not depend on the order of the rows.
    let whole = dropout::Params {
        len: 50 * width,
        first: 0,
        row: 50 * width,
        stride: 50 * width,
        purpose: 17,
        threshold: dropout::threshold(0.5),
        scale: 2.0,
    };
    let ones = vec![1.0; 50 * 7];
    let buffers = vec![reals(&ones), indices(&random), output(ones.len())];
    let whole = result(&dropout::KERNEL, &whole, buffers, 2);
    ids.reverse();
    let some = drop(&ones[..30 * 7], &ids);
    for (row, id) in some.chunks(7).zip(&ids) {
        let of_all = (id / 3 * all + 2 + id % 3) as usize;
        assert_eq!(row, &whole[of_all * 7..][..7]);
    }
}

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
