//! The catalogue of kernels. It mirrors `shaders/` file for file.
//!
//! A new kernel needs two files, `shaders/FOLDER/NAME.wgsl` and `src/kernels/FOLDER/NAME.rs`, and its lines in the
//! folder's `mod.rs`: the module and its entry in `KERNELS`. It also needs a check in `tests/library/gradients`, or
//! [`no_gradient`](crate::kernel::Kernel::no_gradient) with a reason. A kernel file has this order: the formula, `Params`, the
//! static `KERNEL`, the twin, the cases; the [tutorial](crate::tutorial#add-a-kernel) has an example. Forward and
//! backward kernels are next to each other.
//!
//! A kernel may have other *forms*: kernels with the same interface, the same twin and bitwise identical results, one of which
//! may be faster on a device. A form names its base ([`Kernel::form_of`](crate::kernel::Kernel::form_of)), and [`forms`]
//! collects them. A form with the shader of its base or of a product, with other constants, needs no files of its own.

mod catalogue;
pub mod embedding;
pub mod lstm;
pub mod matmul;
pub mod optimizer;
pub(crate) mod parallel;
pub mod pointwise;
pub mod reduce;
pub mod softmax;

pub use catalogue::{catalogue, forms, is_form, on_units};
