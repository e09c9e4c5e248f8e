//! The gate matrix `W [I+P, 4H]` of a layer as a product `W1 [I+P, r] W2 [r, 4H]`.
//!
//! From its singular value decomposition `W = U S V'` the `r` largest values are kept: `W1 = U_r sqrt(S_r)`,
//! `W2 = sqrt(S_r) V_r'`. No other product of these sizes is nearer to `W` (Eckart and Young 1936).

use faer::{MatRef, Par, linalg::svd};
use serde::Serialize;

use super::model::{Changed, Model};
use crate::error::{Error, Result};
use crate::tensor::names;

/// The share of a gate matrix that is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spectrum {
    /// The layer.
    pub layer: usize,
    /// The number of values that are kept, `r`.
    pub factor: usize,
    /// All singular values, the largest first.
    pub values: Vec<f32>,
    /// The share of the sum of their squares that is kept.
    pub kept: f64,
}

impl Spectrum {
    /// The share of the sum of squares that the largest `count` values have; 1 for a matrix of zeros.
    pub fn share(&self, count: usize) -> f64 {
        let squares =
            |values: &[f32]| -> f64 { values.iter().map(|v| f64::from(*v).powi(2)).sum() };
        let all = squares(&self.values);
        if all > 0.0 {
            squares(&self.values[..count.min(self.values.len())]) / all
        } else {
            1.0
        }
    }
}

/// Factorizes every layer; `factors` has `r` for each.
///
/// # Errors
///
/// [`Kind::Usage`](crate::error::Kind::Usage) if a layer is not dense,
/// [`Kind::Data`](crate::error::Kind::Data) if the file lacks a parameter.
///
/// # Panics
///
/// If there is not one `r` for each layer.
pub fn factorize(model: &Model<'_>, factors: &[usize]) -> Result<(Changed, Vec<Spectrum>)> {
    model.check_dense()?;
    let config = model.config;
    assert_eq!(factors.len(), config.model.layers(), "one for each layer");
    let columns = 4 * config.model.hidden;
    let (mut changed, mut spectra) = (Changed::new(), Vec::new());
    for (layer, &factor) in factors.iter().enumerate() {
        let rows = config.model.input_size(layer) + config.model.output_size();
        let most = rows.min(columns);
        if factor > most {
            return Err(Error::usage(format!(
                "`--factor {factor}`: layer {layer} has a gate matrix of [{rows}, {columns}], which has no more than {most} factors"
            ))
            .help(format!("give {most} or less")));
        }
        let weight = model.recurrent(&names::gate(layer, "weight"))?;
        let product = decompose(&weight, rows, columns, factor)?;
        changed.insert(names::gate(layer, "factor_in"), product.first);
        changed.insert(names::gate(layer, "factor_out"), product.second);
        let mut spectrum = Spectrum {
            layer,
            factor,
            values: product.values,
            kept: 0.0,
        };
        spectrum.kept = spectrum.share(factor);
        spectra.push(spectrum);
    }
    Ok((changed, spectra))
}

/// A matrix as a product of two, all row-major.
struct Product {
    /// `W1 [rows, r]`.
    first: Vec<f32>,
    /// `W2 [r, columns]`.
    second: Vec<f32>,
    /// All singular values of the matrix, the largest first.
    values: Vec<f32>,
}

/// Decomposes a row-major matrix.
fn decompose(weight: &[f32], rows: usize, columns: usize, factor: usize) -> Result<Product> {
    let matrix = MatRef::from_row_major_slice(weight, rows, columns);
    let size = rows.min(columns);
    let (mut left, mut right) = (
        faer::Mat::<f32>::zeros(rows, size),
        faer::Mat::<f32>::zeros(columns, size),
    );
    let mut values = faer::Col::<f32>::zeros(size);
    let vectors = svd::ComputeSvdVectors::Thin;
    // On one thread, so that the bits do not depend on the number of threads.
    let scratch = svd::svd_scratch::<f32>(
        rows,
        columns,
        vectors,
        vectors,
        Par::Seq,
        Default::default(),
    );
    let mut memory = faer::dyn_stack::MemBuffer::new(scratch);
    svd::svd(
        matrix,
        values.as_mut().as_diagonal_mut(),
        Some(left.as_mut()),
        Some(right.as_mut()),
        Par::Seq,
        faer::dyn_stack::MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|error| {
        Error::data(format!("a gate matrix has no singular values: {error:?}"))
            .help("use a checkpoint whose parameters are all finite")
    })?;
    let root = |k: usize| values[k].max(0.0).sqrt();
    let mut first = Vec::with_capacity(rows * factor);
    for row in 0..rows {
        first.extend((0..factor).map(|k| left[(row, k)] * root(k)));
    }
    let mut second = Vec::with_capacity(factor * columns);
    for k in 0..factor {
        second.extend((0..columns).map(|column| right[(column, k)] * root(k)));
    }
    Ok(Product {
        first,
        second,
        values: values.iter().copied().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[rows, inner] x [inner, columns]`.
    fn product_of(x: &[f32], y: &[f32], inner: usize, columns: usize) -> Vec<f32> {
        let row = |row: &[f32]| -> Vec<f32> {
            let sum = |c| (0..inner).map(|k| row[k] * y[k * columns + c]).sum();
            (0..columns).map(sum).collect()
        };
        x.chunks(inner).flat_map(row).collect()
    }

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len)
            .map(|k| ((k * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0)
            .collect()
    }

    #[test]
    fn a_matrix_of_low_rank_is_kept() {
        let (rows, columns, rank) = (11, 28, 3);
        let weight = product_of(
            &numbers(rows * rank, 1),
            &numbers(rank * columns, 2),
            rank,
            columns,
        );
        let Product {
            first,
            second,
            values,
        } = decompose(&weight, rows, columns, rank).unwrap();
        assert_eq!(values.len(), rows);
        assert!(values.is_sorted_by(|x, y| x >= y));
        assert!(values[rank] < 1e-5 * values[0], "{values:?}");
        for (x, y) in product_of(&first, &second, rank, columns)
            .iter()
            .zip(&weight)
        {
            assert!((x - y).abs() < 1e-5, "{x} {y}");
        }
    }

    #[test]
    fn the_error_is_the_sum_of_squares_of_the_dropped_values() {
        let (rows, columns, factor) = (9, 16, 4);
        let weight = numbers(rows * columns, 5);
        let Product {
            first,
            second,
            values,
        } = decompose(&weight, rows, columns, factor).unwrap();
        let near = product_of(&first, &second, factor, columns);
        let lost: f32 = near.iter().zip(&weight).map(|(x, y)| (x - y).powi(2)).sum();
        let left_out: f32 = values[factor..].iter().map(|v| v * v).sum();
        assert!((lost / left_out - 1.0).abs() < 1e-4, "{lost} {left_out}");
    }
}
