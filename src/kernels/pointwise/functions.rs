//! `y = f(x)`, with `f` one of `exp`, `sigmoid`, `tanh` and `ln`. No model has it; it shows whether a device computes the
//! functions of cells and softmaxes to the last digits, which the kernels that call them do not show.

use crate::kernel::{
    ACTIVATION, Binding, Buffers, Case, Fill, Kernel, LOGARITHM, Params as _, grid_over,
    no_constants,
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
    constants: no_constants,
    grid: |words| grid_over(Params::of(words).len as usize, 256),
    work: None,
    cut: None,
    twin: twin!(twin),
    fast: None,
    cases,
    suits: None,
    others: &[],
};

fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read(0), buffers.write(1));
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

/// Roundings of `f32` that a result may be off: of those of the functions themselves and of a division that is exact to 2.5 units
/// in the last place, as WGSL has it.
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
