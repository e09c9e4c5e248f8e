//! Measuring: how fast a device trains a model, and what each kernel does of what the device could.
//!
//! | module | what |
//! |---|---|
//! | [`step`] | training steps of a model on made-up text: words a second, the host's share, a profile by kernel |
//! | [`kernels`] | each kernel alone, and what the device reaches at best |
//! | `synthetic` | the made-up text |
//!
//! Nothing is read and nothing printed: the numbers go to `cli`, and to the program in `benches`.

pub mod kernels;
pub mod step;
mod synthetic;
