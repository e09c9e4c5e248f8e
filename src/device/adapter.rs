//! The adapters of this machine: what wgpu finds, described for people and for choosing.

use serde::Serialize;

use super::footprint::{Room, Taking};
use super::host::available_memory;
use super::memory_model::WORD;
use crate::graph::memory as placement;
use crate::kernel::Unit;

/// An adapter: its description and the means to open it.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What it is and what it can do.
    pub summary: AdapterSummary,
    pub(super) inner: wgpu::Adapter,
}

/// What kind of hardware an adapter is; the order is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hardware {
    /// A card with memory of its own.
    Discrete,
    /// A GPU that shares the memory of the CPU.
    Integrated,
    /// A GPU handed through to a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// Software that plays a GPU on the CPU: llvmpipe, WARP, SwiftShader.
    Software,
}

impl Adapter {
    /// What plans for it must keep to, in mixed precision or not; see [`GpuExecutor`](super::GpuExecutor).
    pub fn limits(&self, mixed: bool) -> placement::Limits {
        let summary = &self.summary;
        let words = |bytes: u64| usize::try_from(bytes / WORD).unwrap_or(usize::MAX);
        placement::Limits {
            arena: words(summary.max_buffer_bytes),
            slice: words(summary.max_binding_bytes),
            packed: true,
            // Unless they are found to compute wrong.
            units: mixed && summary.is_real() && summary.unit().is_some(),
            workgroups: summary.workgroups(),
        }
    }

    /// How it takes memory, and how much there is.
    pub fn room(&self) -> Room {
        let is_host = !self.summary.is_real();
        Room {
            taking: Taking::Device,
            is_host,
            bytes: match self.summary.hardware {
                Hardware::Software => available_memory(),
                // Those without memory of their own take that of the host, in parts of which drivers say little.
                Hardware::Discrete | Hardware::Virtual => memory(&self.inner),
                Hardware::Integrated | Hardware::Other => None,
            },
            host: available_memory(),
            adapter: Some(self.summary.index),
        }
    }
}

impl Hardware {
    /// One word for people.
    pub fn word(self) -> &'static str {
        match self {
            Hardware::Discrete => "discrete",
            Hardware::Integrated => "integrated",
            Hardware::Virtual => "virtual",
            Hardware::Other => "unknown",
            Hardware::Software => "software",
        }
    }
}

/// One shape of matrix product that an adapter has in hardware: `[m, k] x [k, n]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatrixUnit {
    /// Rows of the left operand and of the result.
    pub m: u32,
    /// Columns of the right operand and of the result.
    pub n: u32,
    /// Columns of the left operand, rows of the right one.
    pub k: u32,
    /// The type of both operands.
    pub operands: String,
    /// The type of the result.
    pub result: String,
}

/// An adapter for people and for `wlstm devices --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdapterSummary {
    /// The number in `gpu:N`.
    pub index: usize,
    /// The name that the driver gives, as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// The PCI number of the vendor (or a number of Khronos).
    pub vendor_id: u32,
    /// The vendor, or the number in hexadecimal when it is not a known one.
    pub vendor: String,
    /// The kind of hardware.
    pub hardware: Hardware,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: String,
    /// The driver.
    pub driver: String,
    /// What else the driver says of itself, mostly its version.
    pub driver_info: String,
    /// The most bytes of one buffer that a kernel can see.
    pub max_binding_bytes: u64,
    /// The most bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// The most bytes that the invocations of a workgroup share.
    pub max_workgroup_bytes: u32,
    /// Whether kernels can compute in f16.
    pub f16: bool,
    /// Whether kernels can use subgroup operations.
    pub subgroups: bool,
    /// The fewest invocations of a subgroup.
    pub subgroup_min: u32,
    /// The most invocations of a subgroup.
    pub subgroup_max: u32,
    /// Matrix products in hardware; empty when there are none.
    pub matrix_units: Vec<MatrixUnit>,
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
}

impl AdapterSummary {
    fn new(index: usize, adapter: &wgpu::Adapter) -> AdapterSummary {
        let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
        let scalar = |kind| format!("{kind:?}").to_lowercase();
        let matrix_units = if features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
            adapter
                .cooperative_matrix_properties()
                .into_iter()
                .map(|unit| MatrixUnit {
                    m: unit.m_size,
                    n: unit.n_size,
                    k: unit.k_size,
                    operands: scalar(unit.ab_type),
                    result: scalar(unit.cr_type),
                })
                .collect()
        } else {
            Vec::new()
        };
        AdapterSummary {
            index,
            hardware: hardware(&info),
            vendor: vendor(info.vendor),
            vendor_id: info.vendor,
            name: info.name,
            backend: info.backend.to_str().to_owned(),
            driver: info.driver,
            driver_info: info.driver_info,
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_buffer_bytes: limits.max_buffer_size,
            max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            subgroup_min: info.subgroup_min_size,
            subgroup_max: info.subgroup_max_size,
            matrix_units,
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        }
    }

    /// The matrix unit that products of halves can use: `f16` operands, sums in `f32`, as many rows as columns and terms.
    pub fn unit(&self) -> Option<Unit> {
        let fits = |unit: &&MatrixUnit| {
            let square = unit.m == unit.n && unit.n == unit.k;
            square && matches!(unit.m, 8 | 16) && unit.operands == "f16" && unit.result == "f32"
        };
        let side = self
            .matrix_units
            .iter()
            .filter(fits)
            .map(|unit| unit.m)
            .max()?;
        (self.f16 && self.subgroups).then_some(Unit {
            side,
            subgroup: self.subgroup_max,
            workgroup_bytes: self.max_workgroup_bytes,
        })
    }

    /// The threads of every subgroup of a GPU in software, where that is known: its kernels may be by subgroups. Those of
    /// hardware are not: memory of workgroups does there what registers of others do here, for subgroups of any size.
    pub fn subgroup(&self) -> Option<u32> {
        let same = self.subgroup_min == self.subgroup_max;
        (self.subgroups && same && !self.is_real()).then_some(self.subgroup_max)
    }

    /// See [`placement::Limits::workgroups`].
    pub fn workgroups(&self) -> usize {
        match self.is_real() {
            true => placement::WORKGROUPS,
            false => 0,
        }
    }

    /// Whether it is hardware rather than software that plays a GPU.
    pub fn is_real(&self) -> bool {
        self.hardware != Hardware::Software
    }
}

/// Every adapter that can run kernels, hardware before software and the better before the worse.
///
/// Vulkan, Metal and DirectX 12 are asked, or what `WGPU_BACKEND` names: OpenGL only so, because it shows the same
/// devices again with less. Where there is no driver at all the list is empty.
pub fn adapters() -> Vec<Adapter> {
    sorted(enumerate(wgpu::Backends::PRIMARY.with_env()))
}

/// Every adapter through every backend, OpenGL too, or through what `WGPU_BACKEND` names: a device may be there several times.
pub fn every_adapter() -> Vec<Adapter> {
    sorted(enumerate(wgpu::Backends::all().with_env()))
}

fn sorted(mut found: Vec<wgpu::Adapter>) -> Vec<Adapter> {
    // The sort is stable: adapters of one kind stay in the driver's order.
    found.sort_by_key(|adapter| hardware(&adapter.get_info()));
    let adapters = found.into_iter().enumerate();
    adapters
        .map(|(index, inner)| Adapter {
            summary: AdapterSummary::new(index, &inner),
            inner,
        })
        .collect()
}

/// The bytes of an adapter's own memory, free or not, where its driver tells: wgpu does not ask, but Vulkan says it.
#[cfg(any(target_os = "linux", target_os = "windows", target_os = "android"))]
#[allow(unsafe_code)]
fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
    /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
    const OF_THE_DEVICE: u32 = 1;
    // SAFETY: what is given is only asked, and dropped before the adapter.
    let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = vulkan.shared_instance().raw_instance();
    // SAFETY: the adapter is of this instance, and both are alive.
    let properties =
        unsafe { instance.get_physical_device_memory_properties(vulkan.raw_physical_device()) };
    let heaps = properties.memory_heaps.iter();
    let heaps = heaps.take(properties.memory_heap_count as usize);
    let own = heaps.filter(|heap| heap.flags.as_raw() & OF_THE_DEVICE != 0);
    own.map(|heap| heap.size).max()
}

/// Nothing tells.
#[cfg(not(any(target_os = "linux", target_os = "windows", target_os = "android")))]
fn memory(_adapter: &wgpu::Adapter) -> Option<u64> {
    None
}

fn enumerate(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    if backends.is_empty() {
        return Vec::new();
    }
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = backends;
    // Debug builds would load validation layers, which not every machine has and which print; WGPU_VALIDATION=1 and
    // WGPU_DEBUG=1 still ask for them.
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    // Where drivers tell their budget, a plan that exceeds it is refused when it is loaded, rather than paged out to the
    // host's memory or killed while it runs.
    descriptor
        .memory_budget_thresholds
        .for_resource_creation
        .get_or_insert(95);
    let instance = wgpu::Instance::new(descriptor);
    let mut found = pollster::block_on(instance.enumerate_adapters(backends));
    found.retain(runs_kernels);
    found
}

/// Whether an adapter has what every kernel may rely on: the guarantees of WebGPU.
fn runs_kernels(adapter: &wgpu::Adapter) -> bool {
    let (limits, needs) = (adapter.limits(), wgpu::Limits::default());
    let capable = limits.max_storage_buffers_per_shader_stage
        >= needs.max_storage_buffers_per_shader_stage
        && limits.max_compute_invocations_per_workgroup
            >= needs.max_compute_invocations_per_workgroup
        && limits.max_compute_workgroup_storage_size >= needs.max_compute_workgroup_storage_size
        && limits.max_compute_workgroups_per_dimension
            >= needs.max_compute_workgroups_per_dimension;
    if !capable {
        tracing::debug!(name = adapter.get_info().name, "adapter cannot run kernels");
    }
    capable
}

fn hardware(info: &wgpu::AdapterInfo) -> Hardware {
    let name = info.name.to_lowercase();
    let software = ["llvmpipe", "swiftshader", "softpipe", "basic render driver"];
    if software.iter().any(|part| name.contains(part)) {
        return Hardware::Software;
    }
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => Hardware::Discrete,
        wgpu::DeviceType::IntegratedGpu => Hardware::Integrated,
        wgpu::DeviceType::VirtualGpu => Hardware::Virtual,
        wgpu::DeviceType::Other => Hardware::Other,
        wgpu::DeviceType::Cpu => Hardware::Software,
    }
}

fn vendor(id: u32) -> String {
    match id {
        0x1002 => "AMD".to_owned(),
        0x1010 => "Imagination".to_owned(),
        0x106b => "Apple".to_owned(),
        0x10de => "NVIDIA".to_owned(),
        0x13b5 => "Arm".to_owned(),
        0x1414 => "Microsoft".to_owned(),
        0x14e4 => "Broadcom".to_owned(),
        0x1ae0 => "Google".to_owned(),
        0x5143 => "Qualcomm".to_owned(),
        0x8086 => "Intel".to_owned(),
        0x10005 => "Mesa".to_owned(),
        _ => format!("{id:#06x}"),
    }
}
