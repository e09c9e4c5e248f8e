//! The update of a parameter, by the rule of an optimizer for one element: the loop that all optimizers share.
//!
//! `weight` and the states have one shape. `g` is the gradient times `norm[1]` if the gradient is `clipped`, else times
//! `norm[2]`. If that factor is 0, some gradient is not finite and nothing is updated. `control` is the
//! [input of a step](crate::kernels::optimizer), and `norm [3]` the output of [`crate::kernels::reduce::norm`].
//!
//! - Dense: weights, states and gradient are `[capacity, width]`. `rows` is not read: any indices may be bound.
//! - Sparse: row `k` of the gradient updates row `rows[1 + first + k] - base` of weights and states, if they have it. `rows` is
//!   a [row index](crate::kernels::embedding::rows); each of its rows is updated once.
//!
//! The kernels `dense` of an optimizer update a dense parameter, and then in the same pass its `average`, as
//! [`super::moving_average`] does, its copy `rounded`, which may be in `f16`, or both. They read no `rows`.

mod cases;
mod kernel;
mod params;
mod rows;

pub(super) use cases::{cases, dense_cases};
pub(super) use kernel::{bindings, dense, dense_kernels, fields, kernel};
pub use params::Params;
pub(super) use rows::Rule;
