//! Optimizations that can be switched off one by one, to measure the gain of each.

/// An optimization. Training always has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The number of pieces of a product follows the waves of its workgroups.
    Pieces,
    /// One kernel updates a parameter, its moving average and its `f16` copy, and one dispatch sums the squares of several
    /// gradients.
    Optimizer,
    /// The loss reads the logits once, and the last time step writes the cell state.
    Loss,
    /// Cells run in the epilogue of recurrent products.
    Cells,
    /// Products on matrix units, also those of cells, have wide loads and large tiles.
    Units,
    /// Products in `f32`, also those of cells, load the next terms while they multiply.
    DoubleBuffer,
}

impl Change {
    /// All changes.
    pub const ALL: [Change; 6] = [
        Change::Pieces,
        Change::Optimizer,
        Change::Loss,
        Change::Cells,
        Change::Units,
        Change::DoubleBuffer,
    ];

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Change::Pieces => "pieces",
            Change::Optimizer => "optimizer",
            Change::Loss => "loss",
            Change::Cells => "cells",
            Change::Units => "units",
            Change::DoubleBuffer => "double-buffer",
        }
    }

    /// Whether it changes nothing on the CPU.
    pub fn is_for_gpus(self) -> bool {
        !matches!(self, Change::Optimizer | Change::Loss)
    }

    /// What it changes, for help.
    pub fn describe(self) -> &'static str {
        match self {
            Change::Pieces => "the number of pieces of a product follows waves of workgroups",
            Change::Optimizer => {
                "update, average and f16 copy in one kernel; several norms in one dispatch"
            }
            Change::Loss => {
                "the loss reads the logits once; the last time step writes the cell state"
            }
            Change::Cells => "cells in the epilogue of recurrent products",
            Change::Units => "wide loads and large tiles in products on matrix units",
            Change::DoubleBuffer => "products in f32 load the next terms while they multiply",
        }
    }
}

/// A set of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes(u8);

impl Changes {
    /// No change.
    pub const NONE: Changes = Changes(0);

    /// Whether a change is in the set.
    pub fn has(self, change: Change) -> bool {
        self.0 & Changes::bit(change) != 0
    }

    /// The changes of the set.
    pub fn iter(self) -> impl Iterator<Item = Change> {
        Change::ALL
            .into_iter()
            .filter(move |&change| self.has(change))
    }

    fn bit(change: Change) -> u8 {
        1 << change as u8
    }
}

impl FromIterator<Change> for Changes {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Changes {
        let bits = changes.into_iter().map(Changes::bit);
        Changes(bits.fold(0, |set, bit| set | bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let set = Changes::from_iter([Change::Units, Change::Pieces, Change::Units]);
        assert!(set.has(Change::Units) && set.has(Change::Pieces) && !set.has(Change::Loss));
        assert_eq!(Vec::from_iter(set.iter()), [Change::Pieces, Change::Units]);
        assert_eq!(Changes::from_iter(Change::ALL).iter().count(), 6);
        assert_eq!(Changes::NONE.iter().count(), 0);
    }
}
