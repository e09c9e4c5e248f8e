//! The recurrent cells, one file each.
//!
//! A cell computes the gate pre-activations `z [B, 4H]` of a layer from its input `x [B, I]` and its recurrent input
//! `h [B, P]`. The following is the same for every cell, in the gate order i, j, f, o (`j` is the candidate):
//!
//! ```text
//! c' = sigmoid(f + forget_bias) * c + sigmoid(i) * tanh(j)      c  [B, H]
//! m  = sigmoid(o) * tanh(c')                                    m  [B, H]
//! h' = m Wp                                                     Wp [H, P], no bias; without a projection h' = m
//! ```
//!
//! The forget bias is added here and is not part of the stored bias. The cells differ in how they compute `z`: each type below
//! that implements [`CellKind`] states its formula, the number of its parameters and its source.
//!
//! A cell's file declares everything about it: its name and key in the configuration, its parameters, how its gates are built,
//! the sizes that it accepts and its ONNX nodes. To add a cell, write a file that implements [`CellKind`], and add its `mod`
//! line below and its entry in [`CELLS`]: configuration, help, costs, benchmarks, comparisons and exports find it there. If its
//! gates have none of the forms of [`Gates`](crate::graph::operations::layer::Gates), it also needs a new form: a file in
//! `src/graph/operations/layer`, its `mod` line, a variant of the enum and a match arm. The
//! [tutorial](crate::tutorial#add-a-cell) shows a cell, and names the tests that list their models by hand.

mod flstm;
mod glstm;
mod kind;
mod layout;
mod lstmp;
mod onnx;

pub use flstm::Flstm;
pub use glstm::Glstm;
pub use kind::{Cell, CellKind, Dimension, GateParameter, LayerSizes, SizeKey, Violation};
pub use layout::ColumnLayout;
pub use lstmp::Lstmp;
pub use onnx::{Attribute, OnnxLayer};

/// Every cell, in the order in which help and errors name them.
pub static CELLS: &[&dyn CellKind] = &[&Lstmp, &Flstm, &Glstm];

/// The default of `model.cell`.
pub static DEFAULT: &dyn CellKind = &Glstm;

/// The cell of this name in the configuration.
pub fn find(name: &str) -> Option<&'static dyn CellKind> {
    CELLS.iter().copied().find(|kind| kind.name() == name)
}

/// The names of all cells for a sentence: `lstmp, flstm or glstm`.
pub fn names() -> String {
    let names: Vec<&str> = CELLS.iter().map(|kind| kind.name()).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}

/// The keys that set the sizes of cells, in the order of [`CELLS`].
pub fn size_keys() -> impl Iterator<Item = &'static SizeKey> {
    CELLS.iter().filter_map(|kind| kind.size_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: LayerSizes = LayerSizes {
        input: 24,
        hidden: 48,
        output: 16,
    };

    #[test]
    fn names_and_keys_are_unique() {
        for (k, kind) in CELLS.iter().enumerate() {
            assert!(find(kind.name()).is_some_and(|found| found.name() == kind.name()));
            assert!(find(kind.proposed()).is_some_and(|other| other.name() != kind.name()));
            let others = || CELLS.iter().skip(k + 1);
            assert!(others().all(|other| other.name() != kind.name()));
            let key = kind.size_key();
            assert!(key.is_none() || others().all(|other| other.size_key() != key));
        }
    }

    #[test]
    fn names_form_a_sentence() {
        let all: Vec<&str> = CELLS.iter().map(|kind| kind.name()).collect();
        assert_eq!(names().replace(" or ", ", "), all.join(", "));
        assert_eq!(names().matches(" or ").count(), 1);
    }

    /// The letters of the documented shapes stand for the sizes of the real ones.
    #[test]
    fn documented_shapes_are_those_of_the_parameters() {
        for kind in CELLS {
            let key = kind.size_key();
            let size = key.map_or(0, |key| key.example);
            let value = |letter: &str| match letter {
                "I" => SIZES.input,
                "P" => SIZES.output,
                "H" => SIZES.hidden,
                _ if key.is_some_and(|key| key.letter == letter) => size,
                number => number.parse().unwrap_or_else(|_| panic!("`{letter}`")),
            };
            // A sum in parentheses, or factors such as `4H`, divided by the size or not.
            let extent = |text: &str| {
                let (dividend, divisor) = text.split_once('/').unwrap_or((text, "1"));
                let sum = dividend.trim_matches(['(', ')']).split('+');
                let term = |term: &str| match term.strip_prefix('4') {
                    Some(letter) => 4 * value(letter),
                    None => value(term),
                };
                sum.map(term).sum::<usize>() / value(divisor)
            };
            for parameter in kind.parameters(size, &SIZES) {
                let inner = parameter.extents.trim_matches(['[', ']']);
                let documented: Vec<usize> = inner.split(", ").map(extent).collect();
                assert_eq!(documented, parameter.shape.0, "{}", parameter.name);
            }
        }
    }

    /// The gates have `4H` columns in total, and those of the last product are interleaved.
    #[test]
    fn parameters_give_all_gates() {
        for kind in CELLS {
            let size = kind.size_key().map_or(0, |key| key.example);
            let cell = Cell::new(*kind, size);
            assert_eq!(cell.check(&SIZES), Ok(()));
            let parameters = cell.parameters(&SIZES);
            let last = parameters.last().expect("a cell has parameters");
            let ColumnLayout::Interleaved { units } = last.layout else {
                panic!("{cell:?}: the gates are not interleaved");
            };
            let extents = &last.shape.0;
            assert_eq!(extents[extents.len() - 1], 4 * units, "{cell:?}");
            let groups: usize = extents[..extents.len() - 2].iter().product();
            assert_eq!(groups * units, SIZES.hidden, "{cell:?}");
        }
    }

    #[test]
    fn groups_that_do_not_divide_are_refused() {
        let refused = |groups: usize| {
            let cell = Cell::new(&Glstm, groups);
            cell.check(&SIZES).expect_err("refused").dimension
        };
        assert_eq!(refused(5), Dimension::Input);
        assert_eq!(refused(3), Dimension::Output);
    }
}
