//! The recurrent cells, one file each.
//!
//! A cell computes the gate pre-activations `z [B, 4H]` of a layer from its input `x [B, I]` and its recurrent input
//! `h [B, P]`. What follows is the same for every cell, in the gate order i, j, f, o (`j` is the candidate):
//!
//! ```text
//! c' = sigmoid(f + forget_bias) * c + sigmoid(i) * tanh(j)      c  [B, H]
//! m  = sigmoid(o) * tanh(c')                                    m  [B, H]
//! h' = m Wp                                                     Wp [H, P], no bias; without a projection h' = m
//! ```
//!
//! | cell | gate pre-activations | parameters of a layer |
//! |---|---|---|
//! | [`lstmp`](Lstmp) | `[x; h] W + b` | `(I+P)*4H + 4H + H*P` |
//! | [`flstm`](Flstm) | `([x; h] W1) W2 + b` | `(I+P)*r + r*4H + 4H + H*P` |
//! | [`glstm`](Glstm) | `[x_g; h_g] T_g` for every group `g`, side by side, `+ b` | `(I+P)*4H/G + 4H + H*P` |
//!
//! A cell's file declares everything about it: its name and key in the configuration, its parameters, how its gates are
//! built, the sizes that it accepts and its ONNX nodes. A new cell is a file that implements [`CellKind`], its `mod`
//! line below and its entry in [`CELLS`]; configuration, costs, benchmarks, comparisons and exports find it there.

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
