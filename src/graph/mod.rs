//! From typed operations to a plan: builder, backward rules, memory, checks. Nothing here knows a device.

pub mod plan;
