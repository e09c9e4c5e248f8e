//! Lifetimes to places: activations that are never alive at the same time share memory. Aliasing is decided here and
//! nowhere else.
//!
//! Greedy by size: the largest tensor first, each at the lowest offset of the first arena that is free for its whole
//! life. Within a few per cent of the lower bound (the most memory alive at once) on the plans of this crate.

use super::plan::{Plan, Storage, TensorId};

/// Elements between possible places: 256 bytes of `f32`, what every device binds at.
pub(super) const ALIGNMENT: usize = 64;

/// How many workgroups of a product keep a GPU busy: some four for each of the 132 multiprocessors of the largest there are today;
/// more than smaller ones need, which does not slow them down.
pub const WORKGROUPS: usize = 512;

/// What a device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most elements of an arena: the largest buffer.
    pub arena: usize,
    /// The most elements of a slice: the largest binding.
    pub slice: usize,
    /// Whether two elements of [`Dtype::Half`](crate::tensor::Dtype::Half) take one word: on devices, not on the CPU.
    pub packed: bool,
    /// Whether products of halves run on matrix units: then those of the recurrence are steps of their own.
    pub units: bool,
    /// How many workgroups of a product keep the device busy; products that are fewer go in pieces, and those of cells are steps
    /// of their own in training, where a batch is large. 0: software, for which all that matters is how much there is to do.
    pub workgroups: usize,
}

impl Limits {
    /// What every GPU of today allows, and more than a browser gives: 128 MiB to bind, 256 MiB in a buffer.
    pub const COMMON: Limits = Limits {
        arena: 64 << 20,
        slice: 32 << 20,
        packed: true,
        units: false,
        workgroups: WORKGROUPS,
    };

    /// The same with bindings of at most so many bytes; 0: as they are.
    pub fn binding_at_most(self, bytes: u64) -> Limits {
        let most = match bytes {
            0 => usize::MAX,
            _ => usize::try_from(bytes / 4).unwrap_or(usize::MAX),
        };
        Limits {
            slice: self.slice.min(most),
            ..self
        }
    }

    /// No limit: memory of the host.
    pub const HOST: Limits = Limits {
        arena: usize::MAX,
        slice: usize::MAX,
        packed: false,
        units: false,
        workgroups: 0,
    };
}

/// First and last step that use a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    first: usize,
    last: usize,
}

impl Life {
    fn meets(self, other: Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

struct Placed {
    life: Life,
    offset: usize,
    len: usize,
}

struct Arena {
    placed: Vec<Placed>,
    /// Words of a piece and of a whole tensor, where these lie in pieces.
    pieces: Option<(usize, usize)>,
}

/// Gives every activation its place.
///
/// # Panics
///
/// If an activation is used by no step: a builder makes none in vain.
pub fn place(plan: &mut Plan, limits: &Limits) {
    let mut lives: Vec<Option<Life>> = vec![None; plan.tensors.len()];
    for (number, step) in plan.steps.iter().enumerate() {
        for slice in &step.slices {
            let life = lives[slice.tensor.0 as usize].get_or_insert(Life {
                first: number,
                last: number,
            });
            life.last = number;
        }
    }
    let mut order: Vec<(TensorId, Life, usize)> = plan
        .tensors()
        .filter(|(_, info)| matches!(info.storage, Storage::Arena { .. }))
        .map(|(id, info)| {
            let life =
                lives[id.0 as usize].unwrap_or_else(|| panic!("no step uses `{}`", info.name));
            (id, life, plan.words(info).next_multiple_of(ALIGNMENT))
        })
        .collect();
    order.sort_by_key(|(id, life, len)| (std::cmp::Reverse(*len), life.first, *id));
    let mut arenas: Vec<Arena> = Vec::new();
    for (id, life, len) in order {
        let info = plan.tensor(id);
        // A tensor larger than the limit lies in pieces, in an arena that only its like may share.
        let pieces = info
            .is_in_pieces()
            .then(|| (plan.words_of(info.dtype, info.piece), len));
        let fits = arenas.iter().enumerate().find_map(|(k, arena)| {
            let offset = lowest_offset(&arena.placed, life, len);
            let room = match pieces {
                Some(_) => 0,
                None => limits.arena.checked_sub(len)?,
            };
            (arena.pieces == pieces && offset <= room).then_some((k, offset))
        });
        let (arena, offset) = fits.unwrap_or_else(|| {
            let placed = Vec::new();
            arenas.push(Arena { placed, pieces });
            (arenas.len() - 1, 0)
        });
        arenas[arena].placed.push(Placed { life, offset, len });
        plan.tensors[id.0 as usize].storage = Storage::Arena { arena, offset };
    }
    plan.arenas = arenas
        .iter()
        .map(|arena| {
            arena
                .placed
                .iter()
                .map(|placed| placed.offset + placed.len)
                .max()
                .unwrap_or(0)
        })
        .collect();
}

/// The lowest offset where `len` elements are free during `life`.
fn lowest_offset(arena: &[Placed], life: Life, len: usize) -> usize {
    let mut taken: Vec<(usize, usize)> = arena
        .iter()
        .filter(|placed| placed.life.meets(life))
        .map(|placed| (placed.offset, placed.offset + placed.len))
        .collect();
    taken.sort_unstable();
    let mut offset = 0;
    for (start, end) in taken {
        if start >= offset && start - offset >= len {
            break;
        }
        offset = offset.max(end);
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::builder::Builder;
    use crate::kernels::pointwise::add;

    #[test]
    fn tensors_share_memory_when_their_lives_allow() {
        let mut builder = Builder::new("chain", &Limits::HOST);
        let x = builder.real_input("x", [100]);
        let y = builder.output("y", [100]);
        let parts: Vec<_> = (0..4)
            .map(|k| builder.activation(&format!("part.{k}"), [100]))
            .collect();
        let params = add::Params { len: 100 };
        builder.step("first", &add::KERNEL, &params, &[x, x, parts[0]]);
        for k in 1..4 {
            builder.step("next", &add::KERNEL, &params, &[parts[k - 1], x, parts[k]]);
        }
        builder.step("last", &add::KERNEL, &params, &[parts[3], x, y]);
        let plan = builder.finish();
        // Two are alive at a time, each padded to 128 elements.
        assert_eq!(plan.arenas, [256]);
    }

    #[test]
    fn arenas_stay_within_the_limit() {
        let limits = Limits {
            arena: 128,
            slice: 128,
            packed: false,
            units: false,
            workgroups: 0,
        };
        let mut builder = Builder::new("wide", &limits);
        let x = builder.real_input("x", [64]);
        let y = builder.output("y", [64]);
        let parts: Vec<_> = (0..5)
            .map(|k| builder.activation(&format!("part.{k}"), [64]))
            .collect();
        for part in &parts {
            builder.step(
                "write",
                &add::KERNEL,
                &add::Params { len: 64 },
                &[x, x, *part],
            );
        }
        for part in &parts {
            builder.step(
                "read",
                &add::KERNEL,
                &add::Params { len: 64 },
                &[*part, x, y],
            );
        }
        let plan = builder.finish();
        assert_eq!(plan.arenas, [128, 128, 64]);
    }
}
