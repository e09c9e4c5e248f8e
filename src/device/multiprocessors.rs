//! The number of multiprocessors of an adapter, if its driver reports it. wgpu has no call for it; Vulkan has extensions.

/// The number of multiprocessors: those of NVIDIA, compute units of AMD, shader cores of Arm.
#[cfg(any(target_os = "linux", target_os = "windows", target_os = "android"))]
#[allow(unsafe_code)]
pub(super) fn multiprocessors(adapter: &wgpu::Adapter) -> Option<u32> {
    use std::ffi::{CStr, c_void};

    /// A structure that a driver fills: any of those below.
    #[repr(C)]
    struct Properties {
        kind: i32,
        next: *mut c_void,
        values: [u32; 32],
    }

    /// An extension, the type of its structure, and the fields whose product is the number.
    type Source = (&'static CStr, i32, &'static [usize]);
    const SOURCES: [Source; 3] = [
        // VkPhysicalDeviceShaderSMBuiltinsPropertiesNV: shaderSMCount.
        (c"VK_NV_shader_sm_builtins", 1_000_154_001, &[0]),
        // VkPhysicalDeviceShaderCorePropertiesAMD: shaderEngineCount, shaderArraysPerEngineCount, computeUnitsPerShaderArray.
        (c"VK_AMD_shader_core_properties", 1_000_185_000, &[0, 1, 2]),
        // VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM: shaderCoreCount, after the 64 bits of shaderCoreMask.
        (c"VK_ARM_shader_core_builtins", 1_000_497_001, &[2]),
    ];
    /// Vulkan 1.1, where the query is not an extension.
    const VERSION: u32 = (1 << 22) | (1 << 12);

    // SAFETY: the handle is only queried, and dropped before the adapter.
    let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let capabilities = vulkan.physical_device_capabilities();
    if vulkan.shared_instance().instance_api_version() < VERSION
        || capabilities.properties().api_version < VERSION
    {
        return None;
    }
    let mut sources = SOURCES.iter();
    let (_, kind, fields) = sources.find(|(name, ..)| capabilities.supports_extension(name))?;
    let mut properties = Properties {
        kind: *kind,
        next: std::ptr::null_mut(),
        values: [0; 32],
    };
    let instance = vulkan.shared_instance().raw_instance();
    let device = vulkan.raw_physical_device();
    let mut query = Default::default();
    // SAFETY: the physical device belongs to this instance, both are alive, and Vulkan 1.1 has the call. The first call gives
    // `query` its type. In the second, the chain is the structure of an extension that the device supports, with more room
    // than it needs and the alignment of its pointer, and it outlives the call.
    unsafe {
        instance.get_physical_device_properties2(device, &mut query);
        query.p_next = (&raw mut properties).cast();
        instance.get_physical_device_properties2(device, &mut query);
    }
    let count: u32 = fields
        .iter()
        .map(|&field| properties.values[field])
        .product();
    (1..=MOST).contains(&count).then_some(count)
}

/// Larger numbers are ignored: some drivers report placeholders.
#[cfg(any(target_os = "linux", target_os = "windows", target_os = "android"))]
const MOST: u32 = 4096;

/// No API reports it on this system.
#[cfg(not(any(target_os = "linux", target_os = "windows", target_os = "android")))]
pub(super) fn multiprocessors(_adapter: &wgpu::Adapter) -> Option<u32> {
    None
}
