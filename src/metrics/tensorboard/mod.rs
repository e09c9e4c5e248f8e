//! TensorBoard event files: a sequence of records, each with a protocol buffer.
//!
//! A record is the length of its data (`u64`), the masked CRC-32C of these eight bytes, the data, and the
//! masked CRC-32C of the data, all little-endian. A resumed run starts a new file. Its first event makes
//! TensorBoard drop the later steps of older files, which are repeated.

mod histogram;
mod messages;
mod writer;

pub use histogram::Histogram;
pub use writer::EventWriter;
