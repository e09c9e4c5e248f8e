//! Which row of a table on the host is in which slot of the device: decided where batches are prepared, ahead of the steps, from
//! ids alone.
//!
//! A row that a step needs and no slot has takes the slot of one that was not needed lately (the clock of F. Corbató, 1968), and
//! that one goes home. So which slots rows are in depends on the ids of all steps before, and on nothing else; and since slots
//! only say where a row is, nothing that is computed depends on them.

use crate::kernels::softmax::IGNORE;

/// No row, or no slot.
const NONE: u32 = u32::MAX;

/// The rows that travel before a step, as slots and ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Rows that go home, before others come into their slots.
    pub evict: Vec<(u32, u32)>,
    /// Rows that come.
    pub load: Vec<(u32, u32)>,
}

/// The slots of one cache.
#[derive(Clone, Debug)]
pub struct Slots {
    slot_of: Vec<u32>,
    id_of: Vec<u32>,
    /// Whether a slot was used since the hand last passed.
    used: Vec<bool>,
    /// The step that used a slot last.
    step_of: Vec<u64>,
    step: u64,
    hand: usize,
}

impl Slots {
    /// Empty slots for rows of a table.
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

    /// Gives every one of `ids` a slot, for one step, and says what has to travel. Ids may repeat; [`IGNORE`] is none.
    ///
    /// # Panics
    ///
    /// If there are more distinct ids than slots.
    pub fn place(&mut self, ids: impl Iterator<Item = u32> + Clone) -> Moves {
        self.step += 1;
        let ids = ids.filter(|&id| id != IGNORE);
        // First those that are there, so that none of them is taken for a row that comes.
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

    /// A slot that this step does not use.
    fn free(&mut self) -> usize {
        // Once around, every slot that this step does not use was passed.
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

    /// The slot of a row that was placed for this step; [`IGNORE`] stays.
    pub fn slot(&self, id: u32) -> u32 {
        match id {
            IGNORE => IGNORE,
            id => self.slot_of[id as usize],
        }
    }

    /// Puts slots in the place of the ids of a [row index](crate::kernels::embedding::rows), whose order stays that of the ids.
    pub fn place_in_row_index(&self, words: &mut [u32]) {
        let count = words[0] as usize;
        for id in &mut words[1..=count] {
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
        /// A host and a device that do as they are told always have every row once, and those of a step on the device.
        #[test]
        fn rows_are_where_they_should_be(
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
    fn what_is_used_often_stays() {
        let mut slots = Slots::new(100, 4);
        for rare in 10..90 {
            let moves = slots.place([1, 2, rare].into_iter());
            let often = |&(_, id): &(u32, u32)| id < 10;
            assert!(rare == 10 || !moves.load.iter().any(often), "{moves:?}");
        }
    }
}
