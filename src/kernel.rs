//! What a kernel is: a WGSL shader, its declared interface, a CPU twin and its test cases, under one name.
//!
//! A leaf beside [`crate::tensor`]: nothing here knows wgpu, graphs or models.
//!
//! # The interface of a shader
//!
//! Every shader has one entry point `main` in group 0:
//!
//! | binding | what |
//! |---|---|
//! | 0 | `var<uniform> params: Params`, the fields of the Rust `Params` |
//! | 1 | `var<uniform> starts: Starts`, one `u32` a storage binding: the element where the slice begins |
//! | 2.. | the storage bindings, in the order of [`Kernel::bindings`] |
//!
//! A plan hands each binding a *slice* of a tensor that may begin at any element, but devices bind at multiples of 256
//! bytes: the executor binds at the multiple below and says in `starts` how many elements to skip. A twin gets the
//! exact slices. So no kernel has offsets of its own among its params.
//!
//! What is constant for a plan is in `params`; what changes every step (seed, step, learning rate) is in small buffers.
//!
//! # Invariants
//!
//! - A slice that is written overlaps no other slice of the same step.
//! - Two runs of a kernel on the same input give the same bits: no float atomics, fixed orders of addition.
//! - A twin has no constants of its own: it reads the same `Params` as the shader.

mod cut;

pub use cut::{Cut, CutRows, Excess, Part};

use crate::tensor::Dtype;

/// The most storage bindings that a kernel may have: what WebGPU guarantees per shader stage.
pub const MAX_BINDINGS: usize = 8;

/// The most workgroups that a dispatch may have along one side: what WebGPU guarantees.
pub const MAX_GRID: u32 = 65_535;

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Every element of the slice is written and none is read before.
    Write,
    /// Read and written, or written in part.
    ReadWrite,
}

/// One storage binding of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The name of the variable in the shader. Never `A`, `B` or `C`: some backends take these for themselves.
    pub name: &'static str,
    /// What the elements are.
    pub dtype: Dtype,
    /// How it is used.
    pub access: Access,
    /// 1 for `array<f32>` and `array<u32>`, 4 for `array<vec4<f32>>`: slices then begin at multiples of 4 elements,
    /// and `starts` counts vectors.
    pub lanes: usize,
    /// Whether a tensor of [`Dtype::Half`] may be bound too: see [`Kernel::source`].
    pub half: bool,
}

impl Binding {
    const fn new(name: &'static str, dtype: Dtype, access: Access) -> Binding {
        Binding {
            name,
            dtype,
            access,
            lanes: 1,
            half: false,
        }
    }

    /// `var<storage, read> name: array<f32>`.
    pub const fn read(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Real, Access::Read)
    }

    /// `var<storage, read> name: array<u32>`.
    pub const fn index(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Index, Access::Read)
    }

    /// `var<storage, read_write> name: array<f32>`, every element written, none read before.
    pub const fn write(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Real, Access::Write)
    }

    /// `var<storage, read_write> name: array<f32>`.
    pub const fn read_write(name: &'static str) -> Binding {
        Binding::new(name, Dtype::Real, Access::ReadWrite)
    }

    /// The same as `array<vec4<f32>>`.
    pub const fn vec4(self) -> Binding {
        Binding { lanes: 4, ..self }
    }

    /// The same, which may be [`Dtype::Half`] too.
    pub const fn or_half(self) -> Binding {
        Binding { half: true, ..self }
    }

    /// Whether a tensor of this type may be bound.
    pub fn takes(&self, dtype: Dtype) -> bool {
        dtype == self.dtype || (self.half && dtype == Dtype::Half)
    }
}

/// WGSL text that several shaders share, put in front of them whole.
pub struct Snippet {
    /// The stem of the file in `shaders/shared`.
    pub name: &'static str,
    /// The text.
    pub wgsl: &'static str,
}

/// Philox4x32-10 (`philox4x32(counter, key)`) in WGSL.
pub static PHILOX: Snippet = Snippet {
    name: "philox",
    wgsl: include_str!("../shaders/shared/philox.wgsl"),
};

/// `exp_of`, `tanh_of`, `sigmoid` with the bits of [`crate::real`] in WGSL.
pub static ACTIVATION: Snippet = Snippet {
    name: "activation",
    wgsl: include_str!("../shaders/shared/activation.wgsl"),
};

/// `ln_of`, the natural logarithm, in WGSL.
pub static LOGARITHM: Snippet = Snippet {
    name: "logarithm",
    wgsl: include_str!("../shaders/shared/logarithm.wgsl"),
};

/// `sum_of_group` and `largest_of_group` of workgroups of 256 threads in WGSL.
pub static WORKGROUP: Snippet = Snippet {
    name: "workgroup",
    wgsl: include_str!("../shaders/shared/workgroup.wgsl"),
};

/// `fused`, a multiplication and an addition that are rounded once, in WGSL. Its constant `FUSES` is the device's:
/// see [`Kernel::device_constants`].
pub static FUSED: Snippet = Snippet {
    name: "fused",
    wgsl: include_str!("../shaders/shared/fused.wgsl"),
};

/// The fields of a params struct, checked against the shader's by the contract test.
pub trait Params: bytemuck::Pod {
    /// Name and WGSL type (`u32`, `f32`) of every field, in order.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// The params of a step.
    fn of(words: &[u32]) -> &Self {
        bytemuck::from_bytes(bytemuck::cast_slice(words))
    }

    /// The words that a step stores.
    fn words(&self) -> Box<[u32]> {
        bytemuck::cast_slice(bytemuck::bytes_of(self)).into()
    }
}

/// Declares a `#[repr(C)]` params struct of `u32` and `f32` fields together with its [`Params`] layout.
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ident),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind),* }

        impl $crate::kernel::Params for $name {
            const FIELDS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), stringify!($kind))),*];
        }
    };
}

/// The buffers of one step on the CPU, taken one by one in the order of [`Kernel::bindings`].
pub struct Buffers<'a, R> {
    slots: [Buffer<'a, R>; MAX_BINDINGS],
}

/// One exact slice on the CPU.
#[derive(Default)]
pub enum Buffer<'a, R> {
    /// For [`Access::Read`], real.
    Read(&'a [R]),
    /// For [`Access::Write`] and [`Access::ReadWrite`].
    Write(&'a mut [R]),
    /// For [`Access::Read`], index.
    Index(&'a [u32]),
    /// Not bound, or taken already.
    #[default]
    Taken,
}

impl<'a, R> Buffers<'a, R> {
    /// The buffers in binding order.
    pub fn new(buffers: impl IntoIterator<Item = Buffer<'a, R>>) -> Buffers<'a, R> {
        let mut slots: [Buffer<'a, R>; MAX_BINDINGS] = Default::default();
        for (slot, buffer) in slots.iter_mut().zip(buffers) {
            *slot = buffer;
        }
        Buffers { slots }
    }

    /// Takes the real slice of binding `k` that is only read.
    pub fn read(&mut self, k: usize) -> &'a [R] {
        match std::mem::take(&mut self.slots[k]) {
            Buffer::Read(slice) => slice,
            _ => panic!("binding {k} is not a real slice to read, or is taken already"),
        }
    }

    /// Takes the index slice of binding `k`.
    pub fn index(&mut self, k: usize) -> &'a [u32] {
        match std::mem::take(&mut self.slots[k]) {
            Buffer::Index(slice) => slice,
            _ => panic!("binding {k} is not an index slice to read, or is taken already"),
        }
    }

    /// Takes the real slice of binding `k` that is written.
    pub fn write(&mut self, k: usize) -> &'a mut [R] {
        match std::mem::take(&mut self.slots[k]) {
            Buffer::Write(slice) => slice,
            _ => panic!("binding {k} is not a real slice to write, or is taken already"),
        }
    }
}

/// Computes a step on the CPU: its params and its slices.
pub type Run<R> = fn(&[u32], &mut Buffers<'_, R>);

/// The specification of a kernel: plain loops over exact slices, for both kinds of [`Real`](crate::real::Real).
pub struct Twin {
    /// What devices compute in.
    pub single: Run<f32>,
    /// The reference.
    pub double: Run<f64>,
}

/// Makes a [`Twin`] of `fn twin<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>)`.
#[macro_export]
macro_rules! twin {
    ($twin:ident) => {
        $crate::kernel::Twin {
            single: |words, buffers| $twin($crate::kernel::Params::of(words), buffers),
            double: |words, buffers| $twin($crate::kernel::Params::of(words), buffers),
        }
    };
}

/// A kernel: see the module.
pub struct Kernel {
    /// The stem of both its files: `folder/name`.
    pub name: &'static str,
    /// The shader, without its snippets. Lines `const NAME: type = value;` are set by [`Kernel::constants`].
    pub wgsl: &'static str,
    /// Shared text that the shader calls.
    pub snippets: &'static [&'static Snippet],
    /// [`Params::FIELDS`].
    pub fields: &'static [(&'static str, &'static str)],
    /// The storage bindings in order.
    pub bindings: &'static [Binding],
    /// The shader's constants for these params: what is compiled in rather than read. See [`specialise`].
    pub constants: fn(&[u32]) -> Constants,
    /// The workgroups of a dispatch with these params.
    pub grid: fn(&[u32]) -> [u32; 3],
    /// What a step costs, where that is not each slice moved once; see [`Kernel::cost`].
    pub work: Option<fn(&[u32], Widths) -> Work>,
    /// How a step is made of smaller ones, where slices may be too large for a device.
    pub cut: Option<Cut>,
    /// The specification.
    pub twin: Twin,
    /// What the CPU device runs instead of the twin in `f32`, where a faster way is known: the same result to rounding.
    pub fast: Option<Run<f32>>,
    /// The cases for parity, contract and timing.
    pub cases: fn() -> Vec<Case>,
    /// Whether it can do a step with these params; none: any. For forms that do not take every size.
    pub suits: Option<fn(&[u32]) -> bool>,
    /// Kernels of the same interface: other forms that give the same bits, of which one may be faster on a device
    /// ([`Kernel::forms`]), and one for matrix units ([`Kernel::on_units`]).
    pub others: &'static [&'static Kernel],
}

/// What kernels must know of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Whether its `fma` rounds once.
    pub fuses: bool,
    /// Its matrix units, if they are used.
    pub unit: Option<Unit>,
    /// The threads of every subgroup, where kernels are by subgroups: on GPUs in software.
    pub subgroup: Option<u32>,
}

/// A matrix unit that multiplies `f16` and adds in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Rows, columns and terms: 8 or 16.
    pub side: u32,
    /// The threads of the largest subgroup.
    pub subgroup: u32,
    /// The memory of a workgroup.
    pub workgroup_bytes: u32,
}

/// The bytes of an element of each binding.
pub type Widths = [u64; MAX_BINDINGS];

/// The bindings of a step that are of [`Dtype::Half`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Halves(u8);

impl Halves {
    /// None.
    pub const NONE: Halves = Halves(0);

    /// Those among the types of all bindings, in order.
    pub fn of(dtypes: impl IntoIterator<Item = Dtype>) -> Halves {
        let bits = dtypes.into_iter().enumerate();
        Halves(bits.fold(0, |bits, (k, dtype)| {
            bits | u8::from(dtype == Dtype::Half) << k
        }))
    }

    /// Every one that may be.
    pub fn all(kernel: &Kernel) -> Halves {
        let types = kernel.bindings.iter().map(|binding| match binding.half {
            true => Dtype::Half,
            false => binding.dtype,
        });
        Halves::of(types)
    }

    /// The same but for binding `k`.
    pub fn without(self, k: usize) -> Halves {
        Halves(self.0 & !(1 << k))
    }

    /// Whether binding `k` is.
    pub fn has(self, k: usize) -> bool {
        self.0 >> k & 1 != 0
    }

    /// Whether no binding is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bytes of an element of each binding on a device.
    pub fn widths(self) -> Widths {
        std::array::from_fn(|k| if self.has(k) { 2 } else { 4 })
    }
}

/// What a step costs at the least, whoever runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications and additions of its matrix products; what is beside them is not counted.
    pub flops: u64,
    /// Bytes between memory and registers, each element once.
    pub bytes: u64,
}

impl Work {
    /// A step that has no product and moves so many rows of so many elements, a row of so many bytes each.
    pub fn rows(rows: u32, width: u32, bytes: u64) -> Work {
        Work {
            flops: 0,
            bytes: u64::from(rows) * u64::from(width) * bytes,
        }
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Kernel) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kernel {
    /// What a step with these params costs; `lens` are the elements of its slices. Unless the kernel knows better, every
    /// element that is read or written is moved once, and what is both, twice.
    pub fn cost(
        &self,
        params: &[u32],
        lens: impl IntoIterator<Item = usize>,
        halves: Halves,
    ) -> Work {
        let widths = halves.widths();
        let moved = |((binding, len), width): ((&Binding, usize), u64)| match binding.access {
            Access::Read | Access::Write => width * len as u64,
            Access::ReadWrite => 2 * width * len as u64,
        };
        match self.work {
            Some(work) => work(params, widths),
            None => Work {
                flops: 0,
                bytes: self.bindings.iter().zip(lens).zip(widths).map(moved).sum(),
            },
        }
    }

    /// What is compiled in for a device besides [`Kernel::constants`], for kernels that ask.
    pub fn device_constants(&self, traits: Traits) -> Constants {
        let mut constants = Constants::new();
        let mut snippets = self.snippets.iter();
        if snippets.any(|snippet| snippet.name == FUSED.name) {
            constants.push(("FUSES", traits.fuses.into()));
        }
        if let (true, Some(unit)) = (self.needs_units(), traits.unit) {
            constants.extend([("UNIT", unit.side), ("SUBGROUP", unit.subgroup)]);
        }
        constants
    }

    /// Whether the shader multiplies on matrix units: then it runs only where there are any, and its operands are halves.
    pub fn needs_units(&self) -> bool {
        self.wgsl.contains("enable wgpu_cooperative_matrix;")
    }

    /// The kernel itself, then its other forms that give the same bits and take these halves.
    pub fn forms(&'static self, halves: Halves) -> impl Iterator<Item = &'static Kernel> {
        let units = self.needs_units();
        let others = self.others.iter().copied();
        let alike = others.filter(move |other| other.needs_units() == units && other.takes(halves));
        std::iter::once(self).chain(alike)
    }

    /// The threads that a subgroup must have, for a shader that is by subgroups: it has a line
    /// `const SUBGROUP_LANES: u32 = 8u;`.
    pub fn lanes(&self) -> Option<u32> {
        let mut lines = self.wgsl.lines();
        let value = lines.find_map(|line| line.strip_prefix("const SUBGROUP_LANES: u32 = "))?;
        value.strip_suffix("u;")?.parse().ok()
    }

    /// Whether it can do a step with these params.
    pub fn suits(&self, params: &[u32]) -> bool {
        self.suits.is_none_or(|suits| suits(params))
    }

    /// Whether the bindings of `halves` may be such.
    pub fn takes(&self, halves: Halves) -> bool {
        let mut bindings = self.bindings.iter().enumerate();
        bindings.all(|(k, binding)| binding.half || !halves.has(k))
    }

    /// The kernel that does the same on matrix units, if there is one.
    pub fn on_units(&self) -> Option<&'static Kernel> {
        let mut others = self.others.iter().copied();
        others.find(|other| other.needs_units() && !self.needs_units())
    }

    /// The whole text of the shader: its directives, which WGSL wants first, snippets, then the shader with its constants set.
    ///
    /// With `aliased`, read-only bindings are declared `read_write`: devices refuse one buffer as both in a dispatch,
    /// and two slices of one arena may be bound so.
    ///
    /// A binding `name` of `halves` becomes an array of `f16`. Shaders read it with `f32(name[i])`, and write
    /// `name[i] = Name(value)` with their line `alias Name = f32;`; a line `const HALF_NAME: bool = false;` says `true` then.
    pub fn source(
        &self,
        constants: &[(&'static str, u32)],
        aliased: bool,
        halves: Halves,
    ) -> String {
        let is_directive = |line: &&str| line.starts_with("enable ");
        let mut text = String::new();
        if !halves.is_empty() {
            text.push_str("enable f16;\n");
        }
        for line in self.wgsl.lines().filter(is_directive) {
            text += &format!("{line}\n");
        }
        for snippet in self.snippets {
            text.push_str(snippet.wgsl);
            text.push('\n');
        }
        for line in self.wgsl.lines().filter(|line| !is_directive(line)) {
            text += &format!("{line}\n");
        }
        let mut text = specialise(&text, constants);
        if constants.contains(&("UNIT", 8)) {
            text = text.replace("coop_mat16x16", "coop_mat8x8");
        }
        for (k, binding) in self.bindings.iter().enumerate() {
            if halves.has(k) {
                text = halved(&text, binding);
            }
        }
        if aliased {
            text.replace("var<storage, read>", "var<storage, read_write>")
        } else {
            text
        }
    }
}

/// The text with one binding in `f16`: its declaration, its alias, its constant.
fn halved(wgsl: &str, binding: &Binding) -> String {
    let name = binding.name;
    let declaration = format!("> {name}: array<");
    let mut letters = name.chars();
    let capital: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    let alias = format!("alias {capital}{} = ", letters.as_str());
    let constant = format!("const HALF_{}: bool = ", name.to_uppercase());
    let line = |line: &str| {
        if line.starts_with(&alias) || line.contains(&declaration) {
            line.replace("f32", "f16")
        } else if line.starts_with(&constant) {
            format!("{constant}true;")
        } else {
            line.to_owned()
        }
    };
    let lines: Vec<String> = wgsl.lines().map(line).collect();
    lines.join("\n") + "\n"
}

/// Named values that replace `const` lines of a shader.
pub type Constants = Vec<(&'static str, u32)>;

/// For kernels that compile nothing in.
pub fn no_constants(_words: &[u32]) -> Constants {
    Vec::new()
}

/// Replaces the value in the line `const NAME: u32 = ...;` or `const NAME: bool = ...;` of each constant.
///
/// # Panics
///
/// If the shader has no such line: a kernel that names a constant wrong is a bug.
pub fn specialise(wgsl: &str, constants: &[(&'static str, u32)]) -> String {
    let mut lines: Vec<String> = wgsl.lines().map(str::to_owned).collect();
    for (name, value) in constants {
        let (as_number, as_bool) = (
            format!("const {name}: u32 ="),
            format!("const {name}: bool ="),
        );
        let line = lines
            .iter_mut()
            .find(|line| line.starts_with(&as_number) || line.starts_with(&as_bool))
            .unwrap_or_else(|| panic!("the shader has no line `{as_number} ...;`"));
        *line = if line.starts_with(&as_bool) {
            format!("{as_bool} {};", *value != 0)
        } else {
            format!("{as_number} {value}u;")
        };
    }
    lines.join("\n") + "\n"
}

/// The grid of `workgroup`-sized groups that covers `threads`, folded into two dimensions past [`MAX_GRID`].
///
/// Shaders of such kernels compute `index = (group.y * groups.x + group.x) * WORKGROUP + local` and return past the end.
pub fn grid_over(threads: usize, workgroup: usize) -> [u32; 3] {
    let groups = threads.div_ceil(workgroup).max(1);
    let rows = groups.div_ceil(MAX_GRID as usize);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

/// Runs `work` compiled for the best vector instructions of this CPU.
#[inline(always)]
pub fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    struct Work<F>(F);
    impl<T, F: FnOnce() -> T> pulp::NullaryFnOnce for Work<F> {
        type Output = T;
        #[inline(always)]
        fn call(self) -> T {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Work(work))
}

/// What a binding holds before a case runs.
#[derive(Clone, Debug)]
pub enum Fill {
    /// This many reals, uniform in `[low, high)`.
    Uniform {
        /// Elements.
        len: usize,
        /// Lower bound.
        low: f32,
        /// Upper bound.
        high: f32,
    },
    /// These reals.
    Values(Vec<f32>),
    /// These indices.
    Indices(Vec<u32>),
    /// An output of this many reals: holds NaN before, so that an element left out is seen.
    Output(usize),
}

impl Fill {
    /// `len` reals in `[-1, 1)`.
    pub fn signed(len: usize) -> Fill {
        Fill::Uniform {
            len,
            low: -1.0,
            high: 1.0,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Fill::Uniform { len, .. } | Fill::Output(len) => *len,
            Fill::Values(values) => values.len(),
            Fill::Indices(indices) => indices.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One case of a kernel: serves parity, contract (its constants are compiled) and timing.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it, in a few words.
    pub label: &'static str,
    /// The params.
    pub params: Box<[u32]>,
    /// One for each binding, in order.
    pub buffers: Vec<Fill>,
    /// The longest sum behind one output element: decides the tolerance.
    pub reduction: usize,
    /// Whether it is large enough to be timed.
    pub timed: bool,
    /// The roundings that each result may be off, relative to itself: for what is computed to the last digits, however small it
    /// is. None: see [`Case::tolerance`].
    pub roundings: Option<f64>,
}

impl Case {
    /// A case whose outputs are at most sums of `reduction` products.
    pub fn new(
        label: &'static str,
        params: &impl Params,
        reduction: usize,
        buffers: Vec<Fill>,
    ) -> Case {
        Case {
            label,
            params: params.words(),
            buffers,
            reduction,
            timed: false,
            roundings: None,
        }
    }

    /// The same, with results that are off by so many roundings at most, relative to themselves.
    pub fn relative(self, roundings: f64) -> Case {
        Case {
            roundings: Some(roundings),
            ..self
        }
    }

    /// How far a number is from the reference, in the measure of [`Case::tolerance`].
    pub fn error(&self, got: f64, want: f64) -> f64 {
        let scale = match self.roundings {
            Some(_) => want.abs().max(f64::from(f32::MIN_POSITIVE)),
            None => 1.0 + want.abs(),
        };
        (got - want).abs() / scale
    }

    /// The same, large enough to be timed.
    pub fn timed(self) -> Case {
        Case {
            timed: true,
            ..self
        }
    }

    /// The largest `|device - reference| / (1 + |reference|)` allowed: sixteen roundings of `f32`, and as many as a sum
    /// of this length makes at worst when its terms are of order one and their signs vary. A running sum of `n` such terms is
    /// itself of order `sqrt(n)`, so its `n` roundings together are of order `n`, with a small factor. With [`Case::roundings`] it is
    /// these, relative to the reference.
    pub fn tolerance(&self) -> f64 {
        let epsilon = f64::from(f32::EPSILON);
        if let Some(roundings) = self.roundings {
            return epsilon * roundings;
        }
        let terms = self.reduction as f64;
        epsilon * (16.0 + 4.0 * terms.sqrt() + terms / 8.0)
    }

    /// The same for results that are rounded to `f16`, once.
    pub fn tolerance_of_half(&self) -> f64 {
        self.tolerance() + f64::from(f32::EPSILON) * f64::from(1 << 12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_replace_their_lines() {
        let text = "const TILE: u32 = 4u; // rows\nconst TRANSPOSED: bool = false;\n";
        assert_eq!(
            specialise(text, &[("TRANSPOSED", 1), ("TILE", 8)]),
            "const TILE: u32 = 8u;\nconst TRANSPOSED: bool = true;\n"
        );
    }

    #[test]
    fn grids_cover_and_stay_in_bounds() {
        assert_eq!(grid_over(1, 64), [1, 1, 1]);
        assert_eq!(grid_over(65, 64), [2, 1, 1]);
        for threads in [65_535 * 64, 65_535 * 64 + 1, 793_470 * 1024] {
            let [x, y, z] = grid_over(threads, 64);
            assert!(x <= MAX_GRID && y <= MAX_GRID && z == 1);
            assert!(x as usize * y as usize * 64 >= threads);
        }
    }
}
