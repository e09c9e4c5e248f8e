//! The executor of every adapter: arenas, inputs, outputs, persistent tensors, several runs in flight, and errors.

use std::sync::Arc;

use crate::common::{Trial, on_every_gpu};
use libtest_mimic::Failed;
use wlstm::device::{Data, Executor, GpuExecutor, Inputs, Outputs};
use wlstm::error::{Kind, Result};
use wlstm::graph::plan::{Plan, Role, Slice, Step, Storage, TensorId, TensorInfo};
use wlstm::kernel::{Binding, Buffers, Case, Kernel, Params as _, grid_over};
use wlstm::kernels::pointwise::add;
use wlstm::real::Real;
use wlstm::tensor::{Dtype, Shape};
use wlstm::{params, twin};

pub fn trials() -> Vec<Trial> {
    quiet_about_expected_panics();
    let exhausting = on_every_gpu("out_of_memory", |gpu| {
        gpu.with(|executor| {
            let buffer_bytes = executor.byte_limits().buffer_bytes;
            out_of_memory(executor, buffer_bytes)
        })
    });
    let trials = [
        on_every_gpu("several_steps_and_runs", |gpu| {
            let (train, evaluate) = (training("several"), evaluation("several"));
            let outputs = gpu.with(|executor| several(executor, train, evaluate))?;
            check_several(&outputs)
        }),
        on_every_gpu("persistent_tensors", |gpu| gpu.with(persistent)),
        on_every_gpu("too_large", |gpu| {
            gpu.with(|executor| {
                let limits = executor.byte_limits();
                too_large(executor, limits.buffer_bytes, limits.binding_bytes);
                Ok(())
            })
        }),
        // Allocates all memory of the GPU, so no other trial may run at the same time.
        exhausting.into_iter().map(Trial::alone).collect(),
        on_every_gpu("refused_kernels", |gpu| {
            gpu.with(|executor| {
                refused_kernels(executor);
                Ok(())
            })
        }),
        on_every_gpu("many_steps", |gpu| gpu.with(many_steps)),
        on_every_gpu("wrong_kernels_keep_their_checks", |gpu| {
            // A separate executor, because it trusts kernels.
            let executor = GpuExecutor::new(&gpu.adapter);
            executor
                .and_then(wrong_kernels_keep_their_checks)
                .map_err(|error| error.chain().to_string().into())
        }),
        on_every_gpu("lost_device", |gpu| {
            // A separate executor, because it is lost.
            let executor = GpuExecutor::new(&gpu.adapter);
            executor
                .and_then(lost_device)
                .map_err(|error| error.chain().to_string().into())
        }),
    ];
    trials.into_iter().flatten().collect()
}

params! {
    /// Sizes of one step.
    pub struct Params {
        /// Elements.
        pub len: u32,
    }
}

/// `total[i] += scale[0] * x[i]`, with vectors, so that starts count vectors.
static ACCUMULATE: Kernel = Kernel {
    name: "test/accumulate",
    wgsl: "
        struct Params { len: u32 }
        struct Starts { x: u32, scale: u32, total: u32 }
        @group(0) @binding(0) var<uniform> params: Params;
        @group(0) @binding(1) var<uniform> starts: Starts;
        @group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
        @group(0) @binding(3) var<storage, read> scale: array<f32>;
        @group(0) @binding(4) var<storage, read_write> total: array<vec4<f32>>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            if (id.x * 4u < params.len) {
                total[starts.total + id.x] += scale[starts.scale] * x[starts.x + id.x];
            }
        }",
    fields: Params::FIELDS,
    bindings: &[
        Binding::read("x").vec4(),
        Binding::read("scale"),
        Binding::read_write("total").vec4(),
    ],
    grid: |raw| grid_over(Params::of(raw).len as usize / 4, 64),
    twin: twin!(accumulate),
    cases: Vec::<Case>::new,
    ..Kernel::DEFAULT
};

fn accumulate<R: Real>(params: &Params, buffers: &mut Buffers<'_, R>) {
    let (x, scale, total) = (
        buffers.read("x"),
        buffers.read("scale"),
        buffers.write("total"),
    );
    for i in 0..params.len as usize {
        total[i] += scale[0] * x[i];
    }
}

const LEN: usize = 1000;

fn tensor(plan: &mut Plan, name: &str, len: usize, storage: Storage) -> Slice {
    plan.tensors.push(TensorInfo {
        name: name.to_owned(),
        shape: Shape::from([len]),
        dtype: Dtype::Real,
        storage,
        piece: len,
    });
    Slice {
        tensor: TensorId(plan.tensors.len() as u32 - 1),
        offset: 0,
        len,
    }
}

fn step(plan: &mut Plan, kernel: &'static Kernel, slices: [Slice; 3]) {
    let params = Params {
        len: slices[2].len as u32,
    }
    .to_raw();
    plan.steps.push(Step {
        label: format!("step {}", plan.steps.len()),
        kernel,
        grid: (kernel.grid)(&params),
        params,
        slices: slices.to_vec(),
        condition: None,
    });
}

/// `twice = x + x` and `thrice = twice + x` in one arena, `weight += scale * thrice` and `loss = thrice + weight` of the last
/// four elements. Both arena steps bind the arena twice.
fn training(prefix: &str) -> Plan {
    let mut plan = Plan {
        name: format!("{prefix} train"),
        arenas: vec![4096],
        ..Plan::default()
    };
    let arena = |offset| Storage::Arena { arena: 0, offset };
    let x = tensor(&mut plan, "x", LEN, Storage::Input);
    let scale = tensor(&mut plan, "scale", 1, Storage::Input);
    let twice = tensor(&mut plan, "twice", LEN, arena(0));
    let thrice = tensor(&mut plan, "thrice", LEN, arena(2048));
    let weight = tensor(
        &mut plan,
        &format!("{prefix}.weight"),
        LEN,
        Storage::Persistent(Role::Parameter),
    );
    let loss = tensor(&mut plan, "loss", 4, Storage::Output);
    let norm = tensor(&mut plan, "norm", 1, Storage::Output);
    step(&mut plan, &add::KERNEL, [x, x, twice]);
    step(&mut plan, &add::KERNEL, [twice, x, thrice]);
    step(&mut plan, &ACCUMULATE, [thrice, scale, weight]);
    step(
        &mut plan,
        &add::KERNEL,
        [thrice.part(LEN - 4, 4), weight.part(LEN - 4, 4), loss],
    );
    step(&mut plan, &add::KERNEL, [weight.part(7, 1), scale, norm]);
    plan
}

/// The weight of the training plan plus an input, in a smaller arena and then an output.
fn evaluation(prefix: &str) -> Plan {
    let mut plan = Plan {
        name: format!("{prefix} evaluate"),
        arenas: vec![1024],
        ..Plan::default()
    };
    let y = tensor(&mut plan, "y", 3, Storage::Input);
    let weight = tensor(
        &mut plan,
        &format!("{prefix}.weight"),
        LEN,
        Storage::Persistent(Role::Parameter),
    );
    let sum = tensor(
        &mut plan,
        "sum",
        3,
        Storage::Arena {
            arena: 0,
            offset: 64,
        },
    );
    let out = tensor(&mut plan, "out", 3, Storage::Output);
    step(&mut plan, &add::KERNEL, [weight.part(5, 3), y, sum]);
    step(&mut plan, &add::KERNEL, [sum, y, out]);
    plan
}

fn x_of(run: usize) -> Vec<f64> {
    (0..LEN).map(|i| (i + run) as f64 / 8.0).collect()
}

const RUNS: usize = 7;

/// Seven runs before the first fetch, with an evaluation after every second.
fn several(executor: &mut impl Executor, train: Plan, evaluate: Plan) -> Result<Vec<Outputs>> {
    let (train, evaluate) = (
        executor.load(Arc::new(train))?,
        executor.load(Arc::new(evaluate))?,
    );
    let mut count = 0;
    for run in 0..RUNS {
        let scale = Data::Real(vec![run as f64 - 2.0]);
        executor.run(train, &vec![("scale", scale), ("x", Data::Real(x_of(run)))])?;
        count += 1;
        if run % 2 == 1 {
            executor.run(
                evaluate,
                &vec![("y", Data::Real(vec![1.0, 2.0, run as f64]))],
            )?;
            count += 1;
        }
    }
    (0..count).map(|_| executor.fetch()).collect()
}

fn check_several(outputs: &[Outputs]) -> std::result::Result<(), Failed> {
    let (mut weight, mut want) = (vec![0.0; LEN], Vec::new());
    for run in 0..RUNS {
        let (x, scale) = (x_of(run), run as f64 - 2.0);
        for i in 0..LEN {
            weight[i] += scale * 3.0 * x[i];
        }
        let loss = (LEN - 4..LEN).map(|i| 3.0 * x[i] + weight[i]).collect();
        let norm = vec![weight[7] + scale];
        want.push(vec![("loss".to_owned(), loss), ("norm".to_owned(), norm)]);
        if run % 2 == 1 {
            let y = [1.0, 2.0, run as f64];
            let out = (0..3).map(|i| weight[5 + i] + 2.0 * y[i]).collect();
            want.push(vec![("out".to_owned(), out)]);
        }
    }
    // All numbers here are small multiples of 1/8: f32 is exact.
    if outputs != want {
        return Err(format!("got {outputs:?}\nnot {want:?}").into());
    }
    Ok(())
}

/// One trial makes the executor panic on purpose; the message would look like a failure.
fn quiet_about_expected_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if !text.is_some_and(|text| text.contains("`kept.weight` is [1001]")) {
            report(panic);
        }
    }));
}

/// Persistent tensors start as zeros, keep what is written, and are shared by all plans. A name has one shape.
fn persistent(executor: &mut impl Executor) -> Result<()> {
    executor.load(Arc::new(evaluation("kept")))?;
    assert_eq!(executor.read("kept.weight")?, vec![0.0; LEN]);
    let values: Vec<f32> = (0..LEN).map(|i| i as f32 / 3.0).collect();
    executor.write("kept.weight", &values)?;
    executor.load(Arc::new(training("kept")))?;
    assert_eq!(executor.read("kept.weight")?, values);
    let mut other = evaluation("kept");
    other.tensors[1].shape = Shape::from([LEN + 1]);
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        executor.load(Arc::new(other)).map(drop)
    }));
    let message = refused.expect_err("a second shape for a name must be refused");
    let message = message.downcast_ref::<String>().expect("a text");
    assert!(
        message.contains("[1000]") && message.contains("[1001]"),
        "{message}"
    );
    // The refused plan changed nothing.
    assert_eq!(executor.read("kept.weight")?, values);
    Ok(())
}

/// A kernel that disagrees with its twin keeps the run-time checks of wgpu; one that agrees runs without them.
fn wrong_kernels_keep_their_checks(mut executor: GpuExecutor) -> Result<()> {
    let right = &add::KERNEL;
    let wgsl = right
        .wgsl
        .replace("i >= params.len", "i + 1u >= params.len");
    assert_ne!(wgsl, right.wgsl, "the shader was not changed");
    let wrong: &'static Kernel = Box::leak(Box::new(Kernel {
        name: "test/skips_its_last_element",
        wgsl: wgsl.leak(),
        snippets: right.snippets,
        fields: right.fields,
        bindings: right.bindings,
        constants: right.constants,
        grid: right.grid,
        twin: wlstm::kernel::Twin {
            single: right.twin.single,
            double: right.twin.double,
        },
        cpu: right.cpu,
        cases: right.cases,
        ..Kernel::DEFAULT
    }));
    executor.trust();
    let sums = |kernel: &'static Kernel| {
        let mut plan = Plan::default();
        let x = tensor(&mut plan, "x", 4, Storage::Input);
        let out = tensor(&mut plan, "out", 4, Storage::Output);
        step(&mut plan, kernel, [x, x, out]);
        Arc::new(plan)
    };
    executor.load(sums(right))?;
    assert_eq!(executor.trusted(), (1, 1));
    executor.load(sums(wrong))?;
    assert_eq!(executor.trusted(), (1, 2));
    // The executor remains usable.
    let id = executor.load(sums(right))?;
    executor.run(id, &vec![("x", Data::Real(vec![1.0, 2.0, 3.0, 4.0]))])?;
    let outputs = executor.fetch()?;
    assert_eq!(outputs[0].1, [2.0, 4.0, 6.0, 8.0]);
    Ok(())
}

/// A tensor that does not fit is an error that names the tensor, its size and the limit, before anything is allocated.
fn too_large(executor: &mut impl Executor, buffer_bytes: u64, binding_bytes: u64) {
    let elements = (binding_bytes / 4 + 1) as usize;
    let mut plan = Plan::default();
    let huge = tensor(
        &mut plan,
        "huge.weight",
        elements,
        Storage::Persistent(Role::Parameter),
    );
    let out = tensor(
        &mut plan,
        "huge.out",
        elements,
        Storage::Persistent(Role::Parameter),
    );
    step(&mut plan, &add::KERNEL, [huge, huge, out]);
    let too_large = executor.load(Arc::new(plan));
    let error = too_large.expect_err("too large to bind");
    assert_eq!(error.kind(), Kind::Device);
    let text = error.chain().to_string();
    assert!(
        text.contains("huge.weight") && text.contains("help:"),
        "{text}"
    );

    let mut plan = Plan::default();
    let elements = (buffer_bytes / 4 + 64) as usize;
    let big = tensor(
        &mut plan,
        "big.weight",
        elements,
        Storage::Persistent(Role::Parameter),
    )
    .part(0, 4);
    let out = tensor(&mut plan, "big.out", 4, Storage::Output);
    step(&mut plan, &add::KERNEL, [big, big, out]);
    let error = executor
        .load(Arc::new(plan))
        .expect_err("larger than a buffer");
    assert_eq!(error.kind(), Kind::Device);
    let text = error.chain().to_string();
    assert!(
        text.contains("big.weight") && text.contains("at most"),
        "{text}"
    );
}

/// Eight tebibytes in tensors that fit one by one: an error, after which the executor remains usable.
fn out_of_memory(executor: &mut impl Executor, buffer_bytes: u64) -> Result<()> {
    let elements = (buffer_bytes.min(2 << 30) / 4) as usize;
    let mut plan = Plan::default();
    let out = tensor(&mut plan, "out", 4, Storage::Output);
    for k in 0..4096 {
        let piece = tensor(
            &mut plan,
            &format!("piece.{k}"),
            elements,
            Storage::Persistent(Role::Parameter),
        );
        let part = piece.part(0, 4);
        step(&mut plan, &add::KERNEL, [part, part, out]);
    }
    let error = executor
        .load(Arc::new(plan))
        .expect_err("more than there is");
    assert_eq!(error.kind(), Kind::Device);
    let text = error.chain().to_string();
    assert!(
        text.contains("out of memory") && text.contains("piece."),
        "{text}"
    );
    executor
        .load(Arc::new(training("after out of memory")))
        .map(drop)
}

/// A shader that is not valid is an error with the kernel's name, not an abort.
fn refused_kernels(executor: &mut impl Executor) {
    for (name, wgsl) in [
        ("test/not_wgsl", "fn main( {"),
        ("test/no_entry_point", "fn other() {}"),
    ] {
        let kernel: &'static Kernel = Box::leak(Box::new(Kernel {
            name,
            wgsl,
            twin: twin!(accumulate),
            ..ACCUMULATE
        }));
        let mut plan = Plan::default();
        let x = tensor(&mut plan, "x", 4, Storage::Input);
        let out = tensor(&mut plan, "out", 4, Storage::Output);
        step(&mut plan, kernel, [x, x, out]);
        let error = executor.load(Arc::new(plan)).expect_err("not a kernel");
        assert!(error.to_string().contains(name), "{error}");
        // The shader is wrong, not the device or its driver.
        let chain = error.chain().to_string();
        assert_eq!(error.kind(), Kind::Other, "{chain}");
        assert!(
            chain.contains(&format!("correct `shaders/{name}.wgsl`")),
            "{chain}"
        );
        assert!(!chain.contains("driver"), "{chain}");
    }
}

/// A thousand small steps, each on the result of the previous one.
fn many_steps(executor: &mut impl Executor) -> Result<()> {
    const STEPS: usize = 1000;
    let mut plan = Plan {
        name: "many".to_owned(),
        arenas: vec![128],
        ..Plan::default()
    };
    let one = tensor(&mut plan, "one", 4, Storage::Input);
    let out = tensor(&mut plan, "out", 4, Storage::Output);
    let pair = [0, 64].map(|offset| {
        let name = format!("at {offset}");
        tensor(&mut plan, &name, 4, Storage::Arena { arena: 0, offset })
    });
    step(&mut plan, &add::KERNEL, [one, one, pair[0]]);
    for k in 1..STEPS - 1 {
        step(
            &mut plan,
            &add::KERNEL,
            [pair[(k + 1) % 2], one, pair[k % 2]],
        );
    }
    step(&mut plan, &add::KERNEL, [pair[(STEPS - 2) % 2], one, out]);
    let id = executor.load(Arc::new(plan))?;
    executor.run(id, &vec![("one", Data::Real(vec![1.0, 2.0, 3.0, 4.0]))])?;
    let outputs = executor.fetch()?;
    let want = [1.0, 2.0, 3.0, 4.0]
        .map(|x| x * (STEPS + 1) as f64)
        .to_vec();
    assert_eq!(outputs, vec![("out".to_owned(), want)]);
    Ok(())
}

/// Every call to a lost device is an error of kind `Device`.
fn lost_device(mut executor: GpuExecutor) -> Result<()> {
    let mut plan = Plan::default();
    tensor(&mut plan, "weight", 8, Storage::Persistent(Role::Parameter));
    let plan = Arc::new(plan);
    let id = executor.load(Arc::clone(&plan))?;
    executor.run(id, &Inputs::new())?;
    executor.destroy();
    // This run was submitted before the loss and may have finished.
    let _ = executor.fetch();
    let failures = [
        executor.run(id, &Inputs::new()),
        executor.write("weight", &[1.0; 8]),
        executor.read("weight").map(drop),
        executor.load(plan).map(drop),
    ];
    for (k, failure) in failures.into_iter().enumerate() {
        let kind = failure.map_err(|error| error.kind());
        assert_eq!(kind, Err(Kind::Device), "call {k}");
    }
    Ok(())
}
