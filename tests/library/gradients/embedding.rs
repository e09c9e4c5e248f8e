//! The embedding, whose gradient is one row for each word of the batch, or a table.

use wlstm::kernels::embedding::rows::row_index;
use wlstm::kernels::embedding::{accumulate_rows, add_rows, gather, scatter_add_rows};
use wlstm::kernels::softmax::IGNORE;

use super::tools::{
    assert_close, assert_gradient, checks, dot, indices, numbers, output, reals, result,
    table_gradient,
};

checks!(embedding, embedding_with_a_dense_gradient, rows_added);

/// The gradient of `add_rows` with respect to its rows, which `gather` computes.
fn rows_added() {
    let (window, width, ids) = (6, 3, [4, IGNORE, 0, 2]);
    let (before, dtable) = (numbers(1, window * width), numbers(2, window * width));
    let params = add_rows::Params {
        rows: ids.len() as u32,
        width: width as u32,
        base: 0,
        window: window as u32,
        scale: -0.5,
    };
    let loss = |x: &[f64]| {
        let buffers = vec![reals(x), indices(&ids), reals(&before)];
        dot(&result(&add_rows::KERNEL, &params, buffers, 2), &dtable)
    };
    let of_rows = gather::Params {
        base: 0,
        window: window as u32,
        rows: ids.len() as u32,
        width: width as u32,
    };
    let zeros = vec![0.0; ids.len() * width];
    let buffers = vec![reals(&dtable), indices(&ids), reals(&zeros)];
    let dx = result(&gather::KERNEL, &of_rows, buffers, 2);
    let dx: Vec<f64> = dx.iter().map(|dx| -0.5 * dx).collect();
    assert_gradient("dx", &dx, loss, &numbers(3, ids.len() * width));
}

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
