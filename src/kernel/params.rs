//! The params of a step: a struct in Rust and in WGSL, `u32`s in a plan.

/// A params struct, whose fields the contract test compares with the shader's.
pub trait Params: bytemuck::Pod {
    /// Name and WGSL type (`u32`, `f32`) of every field, in order.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// Reads the params of a step.
    fn of(raw: &[u32]) -> &Self {
        bytemuck::from_bytes(bytemuck::cast_slice(raw))
    }

    /// The params as a step stores them.
    fn to_raw(&self) -> Box<[u32]> {
        bytemuck::cast_slice(bytemuck::bytes_of(self)).into()
    }
}

/// Declares a `#[repr(C)]` params struct of `u32` and `f32` fields together with its [`Params`] layout.
///
/// The expansion names the crate `bytemuck`. A crate that uses the macro needs this dependency:
///
/// ```toml
/// bytemuck = { version = "1", features = ["derive"] }
/// ```
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ident),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind),* }

        impl $crate::kernel::Params for $name {
            const FIELDS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), stringify!($kind))),*];
        }
    };
}
