//! Matrix products and the cell.

use wlstm::kernels::lstm::{cell_backward, cell_forward};
use wlstm::kernels::matmul::{product, sum_pieces};

use super::tools::{
    assert_close, assert_gradient, checks, dot, numbers, output, real, reals, result, run,
};

checks!(matrix_product, sums_of_pieces, cell);

fn matrix_product() {
    // Two groups side by side, as the gates and inputs of a grouped layer are stored.
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

/// A product in pieces that are added up equals the product, whose gradients [`matrix_product`] checks.
fn sums_of_pieces() {
    let (rows, columns, depth) = (3, 4, 1100);
    let params = product::Params::dense(rows, columns, depth);
    let (left, right) = (numbers(1, rows * depth), numbers(2, depth * columns));
    let before = numbers(3, rows * columns);
    let product = |params: &product::Params, out: &[f64]| {
        let buffers = vec![reals(&left), reals(&right), reals(&left), reals(out)];
        result(&product::KERNEL, params, buffers, 3)
    };
    let parts = product(&params.in_pieces(3), &vec![0.0; 3 * before.len()]);
    for accumulate in [0, 1] {
        let want = product(&params.accumulating(accumulate != 0), &before);
        let sum = sum_pieces::Params {
            len: before.len() as u32,
            pieces: 3,
            accumulate,
        };
        let got = result(
            &sum_pieces::KERNEL,
            &sum,
            vec![reals(&parts), reals(&before)],
            1,
        );
        assert_close("sum", &got, &want, 1e-11);
    }
}

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
        let mut transposed = vec![(0, projection.clone())];
        if let Some(size) = output_size {
            let across = |i: usize| projection[i % hidden * size + i / hidden];
            transposed.push((1, (0..projection.len()).map(across).collect()));
        }
        for (transposed, projection) in transposed {
            let params = cell_backward::Params {
                batch: batch as u32,
                hidden: hidden as u32,
                depth: output_size.unwrap_or(hidden) as u32,
                projected: output_size.is_some().into(),
                transposed,
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
}
