//! The configuration: what it means, what it refuses and how, and that it survives being written.

mod refusals;
mod resume;
mod tools;
mod values;
