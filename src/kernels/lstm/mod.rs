//! One time step of an LSTM layer, forward and backward, each fused with the matrix product before it.
//!
//! Gates are interleaved per unit: element `4*u + q` of a row of `z [B, 4H]` is gate `q` of unit `u`, in the order
//! i, j, f, o (`j` is the candidate). Whatever the cell, `z` has this layout: groups are contiguous ranges of units.

use crate::kernel::Kernel;
use crate::kernels::matmul::form::{self, Epilogue};

use forms::{Backward, Forward};

pub mod cell_backward;
pub mod cell_backward_f32x3;
pub mod cell_backward_units;
pub mod cell_forward;
pub mod cell_forward_f32x3;
pub mod cell_forward_units;
mod forms;
mod interface;
mod layout;
mod streams;

/// The kernels of this folder, without [`FORMS`].
pub static KERNELS: &[&Kernel] = &[
    &cell_forward::KERNEL,
    &cell_forward_units::KERNEL,
    &cell_forward_f32x3::KERNEL,
    &cell_backward::KERNEL,
    &cell_backward_units::KERNEL,
    &cell_backward_f32x3::KERNEL,
];

/// The other forms of these kernels, in the order of their tables, those of the forward pass first.
pub static FORMS: &[&Kernel] = &{
    let mut all = [&FORWARD[0]; 2 * OTHERS];
    let mut n = 0;
    while n < OTHERS {
        all[n] = &FORWARD[n];
        all[OTHERS + n] = &BACKWARD[n];
        n += 1;
    }
    all
};

/// The rows of each table that have no file.
const OTHERS: usize = forms::ROWS - 2;

/// Row `N` as a form of `base`.
const fn form_of<E: Epilogue, const N: usize>(base: &'static Kernel) -> Kernel {
    Kernel {
        form_of: Some(base),
        ..form::kernel::<E, N>()
    }
}

macro_rules! others {
    ($epilogue:ty, $base:expr, $units:expr, $split:expr) => {
        [
            form_of::<$epilogue, 0>($base),
            form_of::<$epilogue, 1>($base),
            form_of::<$epilogue, 2>($base),
            form_of::<$epilogue, 3>($base),
            form_of::<$epilogue, 4>($base),
            form_of::<$epilogue, 5>($base),
            form_of::<$epilogue, 7>($units),
            form_of::<$epilogue, 8>($units),
            form_of::<$epilogue, 9>($units),
            form_of::<$epilogue, 10>($units),
            form_of::<$epilogue, 12>($split),
        ]
    };
}

static FORWARD: [Kernel; OTHERS] = others!(
    Forward,
    &cell_forward::KERNEL,
    &cell_forward_units::KERNEL,
    &cell_forward_f32x3::KERNEL
);

static BACKWARD: [Kernel; OTHERS] = others!(
    Backward,
    &cell_backward::KERNEL,
    &cell_backward_units::KERNEL,
    &cell_backward_f32x3::KERNEL
);
