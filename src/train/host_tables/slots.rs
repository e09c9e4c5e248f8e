//! Assigns rows of a table on the host to slots on the device. This is decided when batches are prepared, ahead of their steps,
//! from ids alone.
//!
//! A row that a step needs and that has no slot takes the slot of a row that was not used recently, which
//! moves back to the host (the clock algorithm; F. Corbató, 1968). Slots depend only on the ids of all steps
//! before. They say where a row is, so no result depends on them.

use crate::kernels::softmax::IGNORE;

/// No row, or no slot.
const NONE: u32 = u32::MAX;

/// The rows that move before a step, as pairs of slot and id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Rows that move to the host, before others take their slots.
    pub evict: Vec<(u32, u32)>,
    /// Rows that move to the device.
    pub load: Vec<(u32, u32)>,
}

/// The slots of one cache.
#[derive(Clone, Debug)]
pub struct Slots {
    /// The slot of each row.
    slot_of: Vec<u32>,
    /// The row in each slot.
    id_of: Vec<u32>,
    /// Whether a slot was used since the hand of the clock last passed it.
    used: Vec<bool>,
    /// The last step that used a slot.
    step_of: Vec<u64>,
    step: u64,
    hand: usize,
}

impl Slots {
    /// Empty slots for the rows of a table.
    pub fn new(vocabulary: usize, slots: usize) -> Slots {
        Slots {
            slot_of: vec![NONE; vocabulary],
            id_of: vec![NONE; slots],
            used: vec![false; slots],
            step_of: vec![0; slots],
            step: 0,
            hand: 0,
        }
    }

    /// Gives each of `ids` a slot for the next step. Returns the rows that have to move. Ids may repeat; [`IGNORE`] is skipped.
    ///
    /// # Panics
    ///
    /// If there are more distinct ids than slots.
    pub fn place(&mut self, ids: impl Iterator<Item = u32> + Clone) -> Moves {
        self.step += 1;
        let ids = ids.filter(|&id| id != IGNORE);
        // Rows that have a slot come first, so that no new row takes it.
        for id in ids.clone() {
            let slot = self.slot_of[id as usize];
            if slot != NONE {
                self.touch(slot as usize);
            }
        }
        let mut moves = Moves::default();
        for id in ids {
            if self.slot_of[id as usize] != NONE {
                continue;
            }
            let slot = self.free();
            let before = self.id_of[slot];
            if before != NONE {
                self.slot_of[before as usize] = NONE;
                moves.evict.push((slot as u32, before));
            }
            (self.slot_of[id as usize], self.id_of[slot]) = (slot as u32, id);
            self.touch(slot);
            moves.load.push((slot as u32, id));
        }
        moves
    }

    fn touch(&mut self, slot: usize) {
        self.used[slot] = true;
        self.step_of[slot] = self.step;
    }

    /// A free slot: one that this step does not use.
    fn free(&mut self) -> usize {
        // The first round clears the marks of all slots that this step does not use; the second finds one.
        for _ in 0..=2 * self.id_of.len() {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.id_of.len();
            if self.step_of[slot] == self.step {
                continue;
            }
            if !std::mem::take(&mut self.used[slot]) {
                return slot;
            }
        }
        panic!(
            "a step needs more rows than there are slots: {}",
            self.id_of.len()
        );
    }

    /// The slot of a row that was placed for this step; [`IGNORE`] for [`IGNORE`].
    pub fn slot(&self, id: u32) -> u32 {
        match id {
            IGNORE => IGNORE,
            id => self.slot_of[id as usize],
        }
    }

    /// Replaces the ids of a [row index](crate::kernels::embedding::rows) by slots. The order stays that of the ids.
    pub fn place_in_row_index(&self, index: &mut [u32]) {
        let count = index[0] as usize;
        for id in &mut index[1..=count] {
            *id = self.slot(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every row is always either on the host or on the device, and the rows of a step are on the device.
        #[test]
        fn each_row_is_in_one_place(
            steps in prop::collection::vec(prop::collection::vec(0..40_u32, 1..12), 1..40),
            room in 12..20_usize,
        ) {
            let mut slots = Slots::new(40, room);
            let mut home: Vec<Option<u32>> = (0..40).map(Some).collect();
            let mut device: HashMap<u32, u32> = HashMap::new();
            for ids in steps {
                let moves = slots.place(ids.iter().copied().chain([IGNORE]));
                for (slot, id) in moves.evict {
                    prop_assert_eq!(device.remove(&slot), Some(id));
                    home[id as usize] = Some(id);
                }
                for (slot, id) in moves.load {
                    prop_assert_eq!(home[id as usize].take(), Some(id));
                    prop_assert_eq!(device.insert(slot, id), None);
                }
                prop_assert!(device.len() <= room);
                for id in ids {
                    prop_assert_eq!(device.get(&slots.slot(id)), Some(&id));
                }
            }
        }
    }

    #[test]
    fn frequent_rows_stay() {
        let mut slots = Slots::new(100, 4);
        for rare in 10..90 {
            let moves = slots.place([1, 2, rare].into_iter());
            let often = |&(_, id): &(u32, u32)| id < 10;
            assert!(rare == 10 || !moves.load.iter().any(often), "{moves:?}");
        }
    }
}
