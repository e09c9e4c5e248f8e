//! What a training run requires: memory on its devices and on the host, dispatches, communication. All of it is computed from the
//! plans that the run loads, before anything is allocated.
//!
//! A run loads the plans of training, of validation if there is a text for it, and of the sample at its end.
//! The memory of a device is that of its [`Footprint`](crate::device::Footprint), by the rules that executors
//! follow. Not counted are the program itself, what drivers and shader compilers allocate, and the text,
//! which is memory-mapped: the system reclaims its pages when it needs them.
//!
//! | module | contents |
//! |---|---|
//! | `spec` | the run to estimate (configuration, vocabulary, processes, devices): [`RunSpec`] |
//! | `device` | memory of a device: [`DeviceBytes`] |
//! | `host` | host memory: [`HostBytes`] |
//! | `requirements` | all requirements of a run, and whether they are met: [`Estimate`] |
//! | `changes` | changes of the configuration that make a run fit: [`changes()`] |
//! | `check` | refuses a run that does not fit: [`check()`] |
//! | `communication` | bytes that devices exchange: [`CommunicationCost`] |

mod changes;
mod check;
mod communication;
mod device;
mod host;
mod requirements;
mod spec;

pub use changes::{Change, changes};
pub use check::check;
pub use communication::CommunicationCost;
pub use device::DeviceBytes;
pub use host::HostBytes;
pub use requirements::Estimate;
pub use spec::{RunSpec, Topology};
