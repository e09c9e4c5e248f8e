//! The adapters of this machine, as wgpu reports them.

use serde::Serialize;

use super::host::available_memory;
use super::memory_model::{MemoryInfo, MemoryModel, U32_BYTES};
use super::multiprocessors::multiprocessors;
use crate::graph::memory as placement;
use crate::kernel::{Changes, MatrixUnits};

/// An adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its description.
    pub summary: AdapterSummary,
    pub(super) inner: wgpu::Adapter,
}

/// The kind of hardware of an adapter, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hardware {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the memory of the CPU.
    Integrated,
    /// A GPU that is passed through to a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// A driver that emulates a GPU on the CPU: llvmpipe, WARP, SwiftShader.
    Software,
}

impl Adapter {
    /// The limits of plans for this adapter, in a precision whose products run on matrix units or in `f32`; those that
    /// [`GpuExecutor`](super::GpuExecutor) would report.
    pub fn limits(&self, on_units: bool) -> placement::Limits {
        let summary = &self.summary;
        let u32s = |bytes: u64| usize::try_from(bytes / U32_BYTES).unwrap_or(usize::MAX);
        placement::Limits {
            arena: u32s(summary.max_buffer_bytes),
            slice: u32s(summary.max_binding_bytes),
            packed: true,
            // Assumes that they pass their trial.
            units: on_units && summary.trained_on().is_some(),
            multiprocessors: summary.multiprocessors_for_plans(),
            without: Changes::NONE,
        }
    }

    /// The memory of the adapter.
    pub fn memory_info(&self) -> MemoryInfo {
        let is_host = !self.summary.is_hardware();
        MemoryInfo {
            model: MemoryModel::Device,
            is_host,
            bytes: match self.summary.hardware {
                Hardware::Software => available_memory(),
                // GPUs without their own memory use host memory, and drivers report little about how much.
                Hardware::Discrete | Hardware::Virtual => memory(&self.inner),
                Hardware::Integrated | Hardware::Other => None,
            },
            host: available_memory(),
            adapter: Some(self.summary.index),
        }
    }
}

impl Hardware {
    /// The kind as one word.
    pub fn word(self) -> &'static str {
        match self {
            Hardware::Discrete => "discrete",
            Hardware::Integrated => "integrated",
            Hardware::Virtual => "virtual",
            Hardware::Other => "unknown",
            Hardware::Software => "software",
        }
    }

    /// The number of multiprocessors that is assumed where the driver does not report it.
    fn multiprocessors(self) -> u32 {
        match self {
            Hardware::Discrete | Hardware::Virtual => 64,
            Hardware::Integrated | Hardware::Other => 16,
            Hardware::Software => 0,
        }
    }
}

/// The shape of a matrix product that an adapter computes in hardware: `[m, k] x [k, n]`.
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

/// The description of an adapter, as `wlstm devices --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdapterSummary {
    /// The index in `gpu:N`.
    pub index: usize,
    /// The name from the driver, for example `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// The PCI id of the vendor (or an id from Khronos).
    pub vendor_id: u32,
    /// The name of the vendor, or its id in hexadecimal.
    pub vendor: String,
    /// The kind of hardware.
    pub hardware: Hardware,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: String,
    /// The name of the driver.
    pub driver: String,
    /// Further information from the driver, usually its version.
    pub driver_info: String,
    /// The largest binding in bytes.
    pub max_binding_bytes: u64,
    /// The largest buffer in bytes.
    pub max_buffer_bytes: u64,
    /// The largest workgroup memory in bytes.
    pub max_workgroup_bytes: u32,
    /// Whether shaders support `f16`.
    pub f16: bool,
    /// Whether shaders support subgroup operations.
    pub subgroups: bool,
    /// The smallest subgroup size.
    pub subgroup_min: u32,
    /// The largest subgroup size.
    pub subgroup_max: u32,
    /// The number of multiprocessors (NVIDIA), compute units (AMD) or shader cores (Arm), if the driver reports it.
    pub multiprocessors: Option<u32>,
    /// The matrix products in hardware; empty if there are none.
    pub matrix_units: Vec<MatrixUnit>,
    /// Whether the device supports timestamps.
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
            multiprocessors: multiprocessors(adapter),
            matrix_units,
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        }
    }

    /// The matrix unit for products of `f16` operands with `f32` sums: the largest square one of side 8 or 16.
    pub fn unit(&self) -> Option<MatrixUnits> {
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
        (self.f16 && self.subgroups).then_some(MatrixUnits {
            side,
            subgroup: self.subgroup_max,
            workgroup_bytes: self.max_workgroup_bytes,
            // naga translates vectors for Vulkan only. llvmpipe (Mesa 26) reads wrong tiles from `vec4<u32>`.
            vector_bytes: match (self.backend.as_str(), self.is_hardware()) {
                ("vulkan", true) => 16,
                ("vulkan", false) => 8,
                _ => 2,
            },
        })
    }

    /// The matrix unit that training uses. Software adapters only emulate units, more slowly than plain products.
    pub fn trained_on(&self) -> Option<MatrixUnits> {
        self.unit().filter(|_| self.is_hardware())
    }

    /// The subgroup size of a software adapter, if it is fixed: kernels that broadcast within subgroups are used there. Hardware
    /// uses workgroup memory instead, which works for any subgroup size.
    pub fn subgroup(&self) -> Option<u32> {
        let same = self.subgroup_min == self.subgroup_max;
        (self.subgroups && same && !self.is_hardware()).then_some(self.subgroup_max)
    }

    /// The number of multiprocessors that plans assume; 0 for a software device. See
    /// [`Limits::multiprocessors`](crate::graph::memory::Limits::multiprocessors).
    pub fn multiprocessors_for_plans(&self) -> usize {
        match self.hardware {
            Hardware::Software => 0,
            hardware => self.multiprocessors.unwrap_or(hardware.multiprocessors()) as usize,
        }
    }

    /// Whether the adapter is hardware, not a software emulation.
    pub fn is_hardware(&self) -> bool {
        self.hardware != Hardware::Software
    }
}

/// The adapters that can run kernels, in order of preference; empty if no driver is installed.
///
/// Uses Vulkan, Metal and DirectX 12, or the backend in `WGPU_BACKEND`. OpenGL is used only if named there: it lists the same
/// devices again, with fewer features.
pub fn adapters() -> Vec<Adapter> {
    sorted(enumerate(wgpu::Backends::PRIMARY.with_env()))
}

/// The adapters of every backend, including OpenGL, or of the backend in `WGPU_BACKEND`. A device can appear several times.
pub fn every_adapter() -> Vec<Adapter> {
    sorted(enumerate(wgpu::Backends::all().with_env()))
}

fn sorted(mut found: Vec<wgpu::Adapter>) -> Vec<Adapter> {
    // The sort is stable: adapters of one kind keep the order of the driver.
    found.sort_by_key(|adapter| hardware(&adapter.get_info()));
    let adapters = found.into_iter().enumerate();
    adapters
        .map(|(index, inner)| Adapter {
            summary: AdapterSummary::new(index, &inner),
            inner,
        })
        .collect()
}

/// The total bytes of an adapter's own memory, if the driver reports it. wgpu has no call for it; Vulkan has.
#[cfg(any(target_os = "linux", target_os = "windows", target_os = "android"))]
#[allow(unsafe_code)]
fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
    /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
    const OF_THE_DEVICE: u32 = 1;
    // SAFETY: the handle is only queried, and dropped before the adapter.
    let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = vulkan.shared_instance().raw_instance();
    // SAFETY: the physical device belongs to this instance, and both are alive.
    let properties =
        unsafe { instance.get_physical_device_memory_properties(vulkan.raw_physical_device()) };
    let heaps = properties.memory_heaps.iter();
    let heaps = heaps.take(properties.memory_heap_count as usize);
    let own = heaps.filter(|heap| heap.flags.as_raw() & OF_THE_DEVICE != 0);
    own.map(|heap| heap.size).max()
}

/// No API reports it on this system.
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
    // Debug builds would load validation layers, which print and may be missing. WGPU_VALIDATION=1 and WGPU_DEBUG=1 still
    // enable them.
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    // If the driver reports a memory budget, a plan that exceeds it is refused when it is loaded, instead of being paged to
    // host memory or killed while it runs.
    descriptor
        .memory_budget_thresholds
        .for_resource_creation
        .get_or_insert(95);
    let instance = wgpu::Instance::new(descriptor);
    let mut found = pollster::block_on(instance.enumerate_adapters(backends));
    found.retain(runs_kernels);
    found
}

/// Whether an adapter has the limits that WebGPU guarantees, which every kernel relies on.
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
