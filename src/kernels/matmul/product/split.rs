//! A product as two smaller ones, for operands that a device cannot bind whole.

use super::params::Params;
use super::storage::{Axis, Stored};
use crate::kernel::{Oversized, Params as _, PartialStep};

/// The terms of a sum that devices add up in registers before it is stored. A product is split along its depth at
/// multiples of it, so that sums are added in the same order.
pub(crate) const DEPTH: u32 = 512;

/// See [`Kernel::split`](crate::kernel::Kernel::split).
pub(super) fn split(raw: &[u32], oversized: &Oversized<'_>) -> Option<[PartialStep; 2]> {
    let p: &Params = Params::of(raw);
    if p.pieces > 1 {
        return None;
    }
    // Without a bias, the left operand or a small slice is bound as `bias`.
    let bias_is_left = p.with_bias == 0 && oversized.lens[2] == oversized.lens[0];
    let (axis, most) = match oversized.binding {
        2 if p.with_bias == 0 && !bias_is_left => return None,
        // A bias of several groups is split with them.
        2 if p.with_bias != 0 && p.groups > 1 => {
            (Axis::Groups, oversized.most / p.columns as usize)
        }
        2 if p.with_bias != 0 => (Axis::Columns, oversized.most),
        binding => {
            let binding = [0, 1, 0, 2][binding];
            let (axis, stored) = (p.long_axis(binding), p.stored()[binding]);
            let most = match axis {
                Axis::Groups => {
                    let one = Stored {
                        groups: 1,
                        ..stored
                    }
                    .span();
                    // A single group that is too large is split next.
                    ((oversized.most + stored.group).saturating_sub(one) / stored.group).max(1)
                }
                _ => {
                    let one = Stored { rows: 1, ..stored }.span();
                    (oversized.most + stored.stride).checked_sub(one)? / stored.stride
                }
            };
            (axis, most)
        }
    };
    let [groups, rows, columns, depth] = p.extents();
    let (extent, multiple) = match axis {
        Axis::Groups => (groups, 1),
        Axis::Rows => (rows, 64),
        Axis::Columns => (columns, 64),
        Axis::Depth => (depth, DEPTH as usize),
    };
    let most = most.min(extent - 1);
    let at = match most / multiple {
        0 => most,
        multiples => multiples * multiple,
    };
    if at == 0 {
        return None;
    }
    let part = |start: usize, len: usize| {
        let params = p.part(axis, start, len);
        let starts = p.starts(axis, start);
        let [left, right, product] = params.stored().map(Stored::span);
        let mut ranges = oversized.whole();
        let bias = (params.groups * params.columns) as usize;
        for (k, len) in [left, right, bias, product].into_iter().enumerate() {
            if k != 2 || params.with_bias != 0 {
                ranges[k] = starts[k]..starts[k] + len;
            }
        }
        if bias_is_left {
            ranges[2] = ranges[0].clone();
        }
        PartialStep {
            params: params.to_raw(),
            ranges,
        }
    };
    Some([part(0, at), part(at, extent - at)])
}
