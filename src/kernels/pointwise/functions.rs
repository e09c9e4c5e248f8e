//! `y = f(x)`, with `f` one of `exp`, `sigmoid`, `tanh` and `ln`. No model uses it: it checks
//! whether a device computes the functions of cells and softmaxes to the last digits, which the kernels that call them cannot
//! show.

use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, Fill, Kernel, LOGARITHM, Params as _, grid_over,
};
use crate::real::Real;
use crate::{params, twin};

params! {
    /// The sizes of one step.
    pub struct Params {
        /// Elements of each.
        pub len: u32,
        /// 0: `exp`; 1: `sigmoid`; 2: `tanh`; 3: `ln`.
        pub function: u32,
    }
}

/// See the module.
pub static KERNEL: Kernel = Kernel {
    name: "pointwise/functions",
    wgsl: include_str!("../../../shaders/pointwise/functions.wgsl"),
    snippets: &[&ACTIVATION, &LOGARITHM],
    fields: Params::FIELDS,
    bindings: &[Binding::read("x"), Binding::write("y")],
    grid: |raw| grid_over(Params::of(raw).len as usize, 256),
    twin: twin!(twin),
    cases,
    no_gradient: Some("checks the functions of a device, is in no model"),
    ..Kernel::DEFAULT
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    let function: fn(R) -> R = match params.function {
        0 => |x| x.exp(),
        1 => |x| x.sigmoid(),
        2 => |x| x.tanh(),
        _ => |x| x.ln(),
    };
    for (y, &x) in y.iter_mut().zip(x) {
        *y = function(x);
    }
}

/// The error that a result may have, in roundings of `f32`: those of the functions and of a division, which WGSL allows to be off
/// by 2.5 units in the last place.
const ROUNDINGS: f64 = 4.0;

fn cases() -> Vec<Case> {
    let case = |label, function, low: f32, high: f32| {
        let len = 20_011;
        let params = Params {
            len: len as u32,
            function,
        };
        let buffers = vec![Fill::Uniform { len, low, high }, Fill::Output(len)];
        Case::new(label, &params, 1, buffers).relative(ROUNDINGS)
    };
    vec![
        case("exp of all that is a normal number", 0, -87.0, 88.5),
        case("exp near 0", 0, -1.0, 1.0),
        case("sigmoid", 1, -20.0, 20.0),
        case("sigmoid far out", 1, -86.0, 86.0),
        case("tanh near 0", 2, -0.7, 0.7),
        case("tanh", 2, -12.0, 12.0),
        case("ln near 1", 3, 0.6, 1.6),
        case("ln of small numbers", 3, 1e-30, 1e-28),
        case("ln of large numbers", 3, 1.0, 1e30),
    ]
}
