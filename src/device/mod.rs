//! Devices: how they are found and chosen, and the two executors that run plans on them. Only this module uses wgpu. It
//! does not depend on models or texts.
//!
//! Both executors run the same [`Plan`](crate::graph::plan::Plan); [`Executor`] is their interface.

mod adapter;
mod cpu;
mod executor;
mod footprint;
mod gpu;
mod gpu_open;
mod handle;
mod host;
mod loaded;
mod memory;
mod memory_model;
mod multiprocessors;
mod open;
mod pages;
mod pipelines;
mod profile;
mod readback;
mod report;
mod selector;
pub mod single;
mod trial;
mod tuning;

pub use adapter::{Adapter, AdapterSummary, Hardware, MatrixUnit, adapters, every_adapter};
pub use cpu::{CpuExecutor, CpuReal};
pub use executor::{
    Data, Executor, Inputs, LossTest, Outputs, PlanId, Profile, ProfileClock, ReadAfter,
};
pub use footprint::{Footprint, PersistentTensor};
pub use gpu::GpuExecutor;
pub use host::{available_memory, describe_system};
pub use memory_model::{BufferLimits, MemoryInfo, MemoryModel};
pub use open::{ExecutorOptions, TuningObserver, Workload};
pub use pages::Pages;
pub use report::{adapter_text, devices_json, devices_text, driver_help};
pub use selector::{Choice, Device, Selector, choose, choose_all};
