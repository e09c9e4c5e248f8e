// J. Elman's recurrent layer (1990): h[t] = tanh(x[t] W + h[t-1] U + b), built from two new kernels and products.
use std::sync::Arc;
use wlstm::device::{CpuExecutor, Data, Executor, GpuExecutor, adapters};
use wlstm::graph::memory::Limits;
use wlstm::graph::operations::{emit_product, full_softmax, mean};
use wlstm::graph::plan::Plan;
use wlstm::graph::{Graph, Operation, Parameter, Value};
use wlstm::kernel::{Binding, Buffers, Kernel, Params as _, grid_over};
use wlstm::kernels::matmul::product::Params as Product;
use wlstm::kernels::optimizer::control;
use wlstm::kernels::reduce::sum_columns::{self, Params as SumColumns};
use wlstm::real::Real;

wlstm::params! {
    /// The sizes of one step of both kernels.
    pub struct Params {
        /// Elements of each slice.
        pub len: u32,
    }
}

static TANH: Kernel = Kernel {
    name: "elman/tanh",
    wgsl: r#"
struct Params { len: u32 }
struct Starts { z: u32, h: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> z: array<f32>;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.len) {
        h[starts.h + id.x] = tanh(clamp(z[starts.z + id.x], -20.0, 20.0));
    }
}
"#,
    bindings: &[Binding::read("z"), Binding::write("h")],
    twin: wlstm::twin!(tanh),
    ..TEMPLATE
};

fn tanh<R: Real>(_params: &Params, buffers: &mut Buffers<'_, R>) {
    let (z, h) = (buffers.read("z"), buffers.write("h"));
    h.iter_mut().zip(z).for_each(|(h, z)| *h = z.tanh());
}

static TANH_BACKWARD: Kernel = Kernel {
    name: "elman/tanh_backward",
    wgsl: r#"
struct Params { len: u32 }
struct Starts { h: u32, dh: u32, dz: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> starts: Starts;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> dh: array<f32>;
@group(0) @binding(4) var<storage, read_write> dz: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.len) {
        let y = h[starts.h + id.x];
        dz[starts.dz + id.x] = dh[starts.dh + id.x] * (1.0 - y * y);
    }
}
"#,
    bindings: &[
        Binding::read("h"),
        Binding::read("dh"),
        Binding::write("dz"),
    ],
    twin: wlstm::twin!(tanh_backward),
    ..TEMPLATE
};

fn tanh_backward<R: Real>(_params: &Params, buffers: &mut Buffers<'_, R>) {
    let (h, dh, dz) = (buffers.read("h"), buffers.read("dh"), buffers.write("dz"));
    for ((dz, &dh), &h) in dz.iter_mut().zip(dh).zip(h) {
        *dz = dh * (R::ONE - h * h);
    }
}

// The declarations that both kernels share.
const TEMPLATE: Kernel = Kernel {
    fields: Params::FIELDS,
    grid: |raw| grid_over(Params::of(raw).len as usize, 64),
    ..Kernel::DEFAULT
};

// The operation: what its backward rule needs from the forward pass, ...
struct Elman {
    name: String,
    x: Value,
    h: Value,
    weights: [Parameter; 3],
    steps: usize,
}

/// The states `h [steps * batch, hidden]` for the inputs `x [steps * batch, width]`. The initial state is zero.
fn elman(graph: &mut Graph, name: &str, x: Value, weights: [Parameter; 3], steps: usize) -> Value {
    let [w, u, b] = weights.map(|parameter| graph.weight(parameter));
    let ((rows, width), hidden) = (graph.shape(x), b.len);
    let z = graph
        .builder
        .activation(&format!("{name}.z"), [rows, hidden]);
    let h = graph
        .builder
        .activation(&format!("{name}.h"), [rows, hidden]);
    // ... the forward steps: one product with all inputs, then each time step in order, ...
    let inputs = Product::dense(rows, hidden, width).biased();
    emit_product(graph, name, &inputs, graph.data(x), w, Some(b), z);
    let (batch, len) = (rows / steps, z.len / steps);
    let recurrent = Product::dense(batch, hidden, hidden).accumulating(true);
    for t in 0..steps {
        let now = z.part(t * len, len);
        if t > 0 {
            let before = h.part((t - 1) * len, len);
            emit_product(graph, name, &recurrent, before, u, None, now);
        }
        let slices = [now, h.part(t * len, len)];
        graph
            .builder
            .step(name, &TANH, &Params { len: len as u32 }, &slices);
    }
    let h = graph.value(h, rows, hidden);
    graph.record(Elman {
        name: name.to_owned(),
        x,
        h,
        weights,
        steps,
    });
    h
}

impl Operation for Elman {
    // ... and the backward steps: the time steps in reverse, then one product for each gradient.
    fn backward(&self, graph: &mut Graph) {
        let (name, [w, u, b]) = (self.name.as_str(), self.weights);
        let ((rows, hidden), (_, width)) = (graph.shape(self.h), graph.shape(self.x));
        let (x, h, dh) = (
            graph.data(self.x),
            graph.data(self.h),
            graph.gradient(self.h),
        );
        let dz = graph
            .builder
            .activation(&format!("{name}.dz"), [rows, hidden]);
        let (batch, len) = (rows / self.steps, dz.len / self.steps);
        let recurrent = Product::dense(batch, hidden, hidden)
            .transposed_right()
            .accumulating(true);
        for t in (0..self.steps).rev() {
            let [h, dh, now] = [h, dh, dz].map(|all| all.part(t * len, len));
            if t + 1 < self.steps {
                let after = dz.part((t + 1) * len, len);
                emit_product(graph, name, &recurrent, after, graph.weight(u), None, dh);
            }
            graph.builder.step(
                name,
                &TANH_BACKWARD,
                &Params { len: len as u32 },
                &[h, dh, now],
            );
        }
        let later = dz.len - len;
        for (weight, left, right) in [(w, x, dz), (u, h.part(0, later), dz.part(len, later))] {
            let (dweight, accumulate) = graph.dense_gradient(weight);
            let terms = right.len / hidden;
            let params = Product::dense(left.len / terms, hidden, terms).transposed_left();
            emit_product(
                graph,
                name,
                &params.accumulating(accumulate),
                left,
                right,
                None,
                dweight,
            );
        }
        let (db, accumulate) = graph.dense_gradient(b);
        let params = SumColumns {
            rows: rows as u32,
            width: hidden as u32,
            accumulate: accumulate.into(),
            scale: 1.0,
        };
        graph
            .builder
            .step(name, &sum_columns::KERNEL, &params, &[dz, db]);
        let (dx, accumulate) = graph.contribute(self.x);
        let params = Product::dense(rows, width, hidden)
            .transposed_right()
            .accumulating(accumulate);
        emit_product(graph, name, &params, dz, graph.weight(w), None, dx);
    }
}

// A model with two such layers and a softmax over seven words.
const STEPS: usize = 3;
const BATCH: usize = 2;

fn plan(limits: &Limits) -> Plan {
    let mut graph = Graph::new("elman", limits);
    graph.keep_gradients();
    let targets = graph.builder.index_input("targets", [STEPS * BATCH]);
    let x = graph.given("x", STEPS * BATCH, 4);
    let shapes = [
        ("w", 4, 5),
        ("u", 5, 5),
        ("b", 1, 5),
        ("w2", 5, 5),
        ("u2", 5, 5),
        ("b2", 1, 5),
        ("v", 7, 5),
        ("c", 7, 1),
    ];
    let [w, u, b, w2, u2, b2, v, c] =
        shapes.map(|(name, rows, width)| graph.parameter(name, rows, width));
    let h = elman(&mut graph, "first", x, [w, u, b], STEPS);
    let h = elman(&mut graph, "second", h, [w2, u2, b2], STEPS);
    let losses = full_softmax(
        &mut graph,
        h,
        v,
        c,
        targets,
        1 << 20,
        Some((STEPS * BATCH) as f32),
    );
    mean(&mut graph, losses);
    graph.backward();
    graph.finish()
}

/// Runs the plan once. Returns the loss.
fn loss(device: &mut dyn Executor, plan: wlstm::device::PlanId) -> wlstm::error::Result<f64> {
    let targets = Data::Index(vec![2, 6, 0, 3, 3, 1]);
    // The gradients are multiplied by `control[control::LOSS_SCALE]`. The other elements are for optimizers.
    let control = Data::Real(vec![1.0; control::LEN]);
    device.run(plan, &vec![("targets", targets), ("control", control)])?;
    Ok(device.fetch()?[0].1[0])
}

fn main() -> Result<(), wlstm::error::Error> {
    // In `f64`, every gradient agrees with finite differences, ...
    const NAMES: [&str; 9] = ["x", "w", "u", "b", "w2", "u2", "b2", "v", "c"];
    let numbers = |len: usize| (0..len).map(move |k| (k as f32 * 1.7 + len as f32).sin() * 0.5);
    let mut exact = CpuExecutor::<f64>::new();
    let id = exact.load(Arc::new(plan(&Limits::HOST)))?;
    for name in NAMES {
        let values: Vec<f32> = numbers(exact.len(name)).collect();
        exact.write(name, &values)?;
    }
    let expected = loss(&mut exact, id)?;
    for name in &NAMES[1..] {
        let gradient = exact.tensor(&format!("gradient.{name}")).to_vec();
        for (k, found) in gradient.into_iter().enumerate() {
            let mut moved = |by: f64| {
                exact.tensor_mut(name)[k] += by;
                loss(&mut exact, id)
            };
            let slope = (moved(1e-5)? - moved(-2e-5)?) / 2e-5;
            moved(1e-5)?;
            assert!(
                (slope - found).abs() < 1e-8,
                "{name}[{k}]: {found}, not {slope}"
            );
        }
    }

    // ... and the first GPU, if there is one, has the same loss.
    if let Some(adapter) = adapters().first() {
        let mut gpu = GpuExecutor::new(adapter)?;
        let id = gpu.load(Arc::new(plan(&gpu.limits())))?;
        for name in NAMES {
            let values: Vec<f32> = numbers(gpu.len(name)).collect();
            gpu.write(name, &values)?;
        }
        assert!((loss(&mut gpu, id)? - expected).abs() < 1e-5);
    }
    Ok(())
}
