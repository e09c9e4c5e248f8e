//! Models with `model.tables = "host"`: the embedding and the softmax, with their optimizer state, are in host memory.
//!
//! In training a device has slots for some rows of a table. Before each step missing rows are moved into
//! slots, and the rows that they replace are moved back. Evaluation streams whole tables through the device.
//!
//! | module | contents |
//! |---|---|
//! | `tables` | the tables, and moving rows: [`HostTables`] |
//! | `exchange` | the plan that moves rows on the device: [`exchange_plan`] |
//! | `slots` | the assignment of rows to slots: [`Slots`], [`Moves`] |
//! | `streamed` | evaluation and generation |

mod exchange;
mod slots;
mod streamed;
mod tables;

pub use exchange::exchange_plan;
pub use slots::{Moves, Slots};
pub(super) use streamed::{StreamedEvaluation, StreamedSoftmax, streamed_logits};
pub use tables::HostTables;
