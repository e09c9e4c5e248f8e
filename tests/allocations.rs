//! A step on the CPU allocates no memory. Tests the executor and every kernel without a matrix product (the library of products
//! allocates memory).
//!
//! This is a separate test binary, because its allocator counts the allocations of all threads.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wlstm::device::{CpuExecutor, Data, Executor, Inputs};
use wlstm::graph::builder::Builder;
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::Role;
use wlstm::kernel::{Access, Buffer, Buffers};
use wlstm::kernels::{catalogue, embedding::gather, pointwise::add, reduce::sum};
use wlstm::team::Team;
use wlstm::tensor::Dtype;

/// The system's allocator, with a count of its allocations.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls are forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.load(Ordering::SeqCst);
    work();
    COUNT.load(Ordering::SeqCst) - before
}

/// A single test, so that no other thread allocates at the same time.
#[test]
fn a_step_allocates_nothing() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    Team::new(2).install(|| {
        kernels();
        executor();
    });
}

fn kernels() {
    let products = ["matmul/product", "lstm/cell_forward", "lstm/cell_backward"];
    let mut seen = 0;
    for kernel in catalogue() {
        let run = kernel.cpu_function();
        for case in (kernel.cases)() {
            let contents = wlstm::device::single::fill(kernel, &case, 1);
            let mut reals: Vec<Vec<f32>> = Vec::new();
            let mut indices: Vec<Vec<u32>> = Vec::new();
            for (binding, contents) in kernel.bindings.iter().zip(contents) {
                use wlstm::device::single::Contents;
                let (real, index) = match contents {
                    Contents::Real(values) => (values, Vec::new()),
                    Contents::Index(values) => (Vec::new(), values),
                };
                assert_eq!(binding.dtype != Dtype::Index, index.is_empty());
                reals.push(real);
                indices.push(index);
            }
            let mut once = || {
                let slots = kernel.bindings.iter().zip(reals.iter_mut().zip(&indices));
                let mut buffers = Buffers::new(
                    kernel.bindings,
                    slots.map(
                        |(binding, (real, index))| match (binding.dtype, binding.access) {
                            (Dtype::Index, _) => Buffer::Index(index),
                            (Dtype::Real | Dtype::Half, Access::Read) => Buffer::Read(real),
                            (Dtype::Real | Dtype::Half, _) => Buffer::Write(real),
                        },
                    ),
                );
                run(&case.params, &mut buffers);
            };
            once();
            let base = kernel.form_of.or(kernel.on_units_for).unwrap_or(kernel);
            let base = base.on_units_for.unwrap_or(base);
            if products.contains(&base.name) {
                continue;
            }
            assert_eq!(allocations(once), 0, "{}, {}", kernel.name, case.label);
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} cases");
}

fn executor() {
    let mut builder = Builder::new("no products", &Limits::HOST);
    let table = builder.persistent(Role::Parameter, "table", [1000, 64]);
    let ids = builder.index_input("ids", [2000]);
    let rows = builder.activation("rows", [2000, 64]);
    let more = builder.activation("more", [2000, 64]);
    let total = builder.output("total", [1]);
    let params = gather::Params {
        base: 0,
        window: 1000,
        rows: 2000,
        width: 64,
    };
    builder.step("look up", &gather::KERNEL, &params, &[table, ids, rows]);
    let params = add::Params { len: 128_000 };
    builder.step("add", &add::KERNEL, &params, &[rows, rows, more]);
    let params = sum::Params {
        len: 128_000,
        divisor: 1.0,
    };
    builder.step("sum", &sum::KERNEL, &params, &[more, total]);
    let plan = Arc::new(builder.finish());
    let mut executor = CpuExecutor::<f32>::new();
    let id = executor.load(plan).expect("there is room");
    let inputs: Inputs = vec![("ids", Data::Index((0..2000).map(|k| k % 1000).collect()))];
    executor.run(id, &inputs).expect("it runs");
    executor.fetch().expect("it has run");
    let count = allocations(|| executor.run(id, &inputs).expect("it runs"));
    assert_eq!(count, 0, "a run allocates");
    executor.fetch().expect("it has run");
}
