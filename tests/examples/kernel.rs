// A kernel: a shader, its twin on the CPU and its cases. Every device runs all cases against the twin.
use wlstm::device::{CpuExecutor, Executor, GpuExecutor, adapters};
use wlstm::kernel::{Binding, Buffers, Case, Fill, Kernel, Params as _, grid_over};
use wlstm::real::Real;
use wlstm::validate::kernels::{Coverage, kernel};

// The first file, the shader. Binding 0 has the params, binding 1 the start of each slice. The slices follow.
const SHADER: &str = r#"
struct Params { len: u32 }
struct Starts { x: u32, y: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= params.len) {
        return;
    }
    let positive = max(x[starts.x + i], 0.0);
    y[starts.y + i] = positive * positive;
}
"#;

// The second file. It declares the params of a call, ...
wlstm::params! {
    /// The sizes of one step.
    pub struct Params {
        /// The number of elements of each slice.
        pub len: u32,
    }
}

// ... the kernel, ...
static KERNEL: Kernel = Kernel {
    name: "pointwise/squared_relu",
    wgsl: SHADER,
    fields: Params::FIELDS,
    bindings: &[Binding::read("x"), Binding::write("y")],
    grid: |raw| grid_over(Params::of(raw).len as usize, 256),
    twin: wlstm::twin!(twin),
    cases,
    ..Kernel::DEFAULT
};

// ... the twin, which specifies the kernel in plain loops over `f32` or `f64`, ...
fn twin<R: Real>(_params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, y) = (buffers.read("x"), buffers.write("y"));
    for (y, &x) in y.iter_mut().zip(x) {
        let positive = if x > R::ZERO { x } else { R::ZERO };
        *y = positive * positive;
    }
}

// ... and the test cases, which include odd sizes.
fn cases() -> Vec<Case> {
    let case = |label, len: usize| {
        let buffers = vec![Fill::signed(len), Fill::Output(len)];
        Case::new(label, &Params { len: len as u32 }, 1, buffers)
    };
    vec![case("one element", 1), case("odd length", 1037)]
}

fn main() -> wlstm::error::Result<()> {
    // Compares every case with the twin in `f64`: on the CPU, and on the first GPU if there is one.
    let mut devices: Vec<Box<dyn Executor>> = vec![Box::new(CpuExecutor::<f32>::new())];
    if let Some(adapter) = adapters().first() {
        devices.push(Box::new(GpuExecutor::new(adapter)?));
    }
    for device in &mut devices {
        let found = kernel(&mut **device, &KERNEL, Coverage::Full)?;
        assert_eq!(found.failure, None);
        assert!(found.cases == 2 && found.of_tolerance <= 1.0);
    }
    Ok(())
}
