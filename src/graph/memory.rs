//! Assigns memory to activations by their lifetimes: activations that are never live at the same time may share memory.
//! Only this module decides what shares memory.
//!
//! Greedy by size: the largest tensor first, each at the lowest offset that is free during its whole lifetime, in the first
//! arena with such an offset. On the plans of this crate the result is within a few percent of the lower bound (the maximum
//! memory that is live at once).

use super::plan::{Plan, Storage, TensorId};
use crate::kernel::{Change, Changes};

/// The alignment of tensors in an arena, in elements: 256 bytes of `f32`, at which every device can bind.
pub(super) const ALIGNMENT: usize = 64;

/// The limits of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of elements of an arena: the largest buffer.
    pub arena: usize,
    /// The maximum number of elements of a slice: the largest binding.
    pub slice: usize,
    /// Whether two elements of [`Dtype::Half`](crate::tensor::Dtype::Half) share a `u32`: on devices, not on the CPU.
    pub packed: bool,
    /// Whether products of halves run on matrix units.
    pub units: bool,
    /// The number of multiprocessors, each of which runs workgroups of its own. Where the workgroups of a product would leave
    /// part of them idle, the product runs in pieces, and is not part of a cell.
    /// 0: a software device, where only the amount of work matters.
    pub multiprocessors: usize,
    /// The changes that plans are built without, to measure what they gain. Training has all of them.
    pub without: Changes,
}

impl Limits {
    /// The limits that every current GPU supports: bindings of 128 MiB, buffers of 256 MiB. Browsers may support
    /// less. With about as many multiprocessors as the largest GPUs have.
    pub const COMMON: Limits = Limits {
        arena: 64 << 20,
        slice: 32 << 20,
        packed: true,
        units: false,
        multiprocessors: 128,
        without: Changes::NONE,
    };

    /// Whether the update of a parameter, its moving average and its `f16` copy run in one kernel.
    pub fn updates_in_one_pass(&self) -> bool {
        !self.without.has(Change::Optimizer)
    }

    /// The same with bindings of at most this many bytes; 0: unchanged.
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

    /// No limits: host memory.
    pub const HOST: Limits = Limits {
        arena: usize::MAX,
        slice: usize::MAX,
        packed: false,
        units: false,
        multiprocessors: 0,
        without: Changes::NONE,
    };
}

/// First and last step that use a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    first: usize,
    last: usize,
}

impl Life {
    fn overlaps(self, other: Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

struct Assigned {
    life: Life,
    offset: usize,
    len: usize,
}

struct Arena {
    assigned: Vec<Assigned>,
    /// The `u32`s of a piece and of a whole tensor, for tensors in pieces.
    pieces: Option<(usize, usize)>,
}

/// Assigns memory to every activation.
///
/// # Panics
///
/// If no step uses an activation: every operation uses what it declares.
pub fn assign(plan: &mut Plan, limits: &Limits) {
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
            (id, life, plan.u32s(info).next_multiple_of(ALIGNMENT))
        })
        .collect();
    order.sort_by_key(|(id, life, len)| (std::cmp::Reverse(*len), life.first, *id));
    let mut arenas: Vec<Arena> = Vec::new();
    for (id, life, len) in order {
        let info = plan.tensor(id);
        // A tensor larger than the limit is stored in pieces, in an arena that is only for tensors with the same
        // pieces.
        let pieces = info
            .is_in_pieces()
            .then(|| (plan.u32s_of(info.dtype, info.piece), len));
        let fits = arenas.iter().enumerate().find_map(|(k, arena)| {
            let offset = lowest_offset(&arena.assigned, life, len);
            let most = match pieces {
                Some(_) => 0,
                None => limits.arena.checked_sub(len)?,
            };
            (arena.pieces == pieces && offset <= most).then_some((k, offset))
        });
        let (arena, offset) = fits.unwrap_or_else(|| {
            arenas.push(Arena {
                assigned: Vec::new(),
                pieces,
            });
            (arenas.len() - 1, 0)
        });
        arenas[arena].assigned.push(Assigned { life, offset, len });
        plan.tensors[id.0 as usize].storage = Storage::Arena { arena, offset };
    }
    plan.arenas = arenas
        .iter()
        .map(|arena| {
            arena
                .assigned
                .iter()
                .map(|tensor| tensor.offset + tensor.len)
                .max()
                .unwrap_or(0)
        })
        .collect();
}

/// The lowest offset where `len` elements are free during `life`.
fn lowest_offset(arena: &[Assigned], life: Life, len: usize) -> usize {
    let mut taken: Vec<(usize, usize)> = arena
        .iter()
        .filter(|tensor| tensor.life.overlaps(life))
        .map(|tensor| (tensor.offset, tensor.offset + tensor.len))
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
            ..Limits::HOST
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
