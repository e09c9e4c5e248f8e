//! Shared by the checks: running twins, generating numbers, differentiating, comparing.

use std::cell::RefCell;
use std::collections::BTreeSet;

use wlstm::device::Data;
use wlstm::kernel::{Access, Buffer, Buffers, Kernel, Params};
use wlstm::kernels::embedding::accumulate_rows;
use wlstm::kernels::embedding::rows::{Rows, row_index};
use wlstm::random::{Purpose, Stream};

thread_local! {
    /// The kernels that ran on this thread and whose results were not compared yet.
    static RAN: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
    /// The kernels that [`assert_close`] has checked on this thread.
    static CHECKED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// The names of the kernels that `check` compares with a formula or with differences.
pub fn kernels_of(check: impl FnOnce()) -> BTreeSet<&'static str> {
    RAN.take();
    CHECKED.take();
    check();
    CHECKED.take()
}

/// A check: runs the first time, and returns the names of the kernels that it checked.
pub type Check = fn() -> &'static BTreeSet<&'static str>;

/// Defines a test for each of these functions, and the list `CHECKS` of all. The compiler warns of a function that is not
/// named here, and of a `CHECKS` that is not used.
macro_rules! checks {
    ($($name:ident),*) => {
        /// The checks of this file.
        pub const CHECKS: &[$crate::gradients::tools::Check] = &[$(checks::$name::kernels),*];

        mod checks {
            $(pub mod $name {
                use std::collections::BTreeSet;
                use std::sync::OnceLock;

                use $crate::gradients::tools::kernels_of;

                static KERNELS: OnceLock<BTreeSet<&str>> = OnceLock::new();

                pub fn kernels() -> &'static BTreeSet<&'static str> {
                    KERNELS.get_or_init(|| kernels_of(super::super::$name))
                }

                #[test]
                fn passes() {
                    kernels();
                }
            })*
        }
    };
}

pub(super) use checks;

/// Runs the `f64` twin of a kernel on its slices, in binding order.
pub fn run_twin<'a>(
    kernel: &Kernel,
    raw: &[u32],
    slices: impl IntoIterator<Item = Buffer<'a, f64>>,
) {
    RAN.with_borrow_mut(|ran| ran.insert(kernel.name));
    (kernel.twin.double)(raw, &mut Buffers::new(kernel.bindings, slices));
}

/// Runs the `f64` twin of a kernel on its buffers, in binding order.
pub fn run(kernel: &Kernel, params: &impl Params, buffers: &mut [Data]) {
    assert_eq!(kernel.bindings.len(), buffers.len(), "{}", kernel.name);
    let slices = kernel.bindings.iter().zip(buffers);
    let slices = slices.map(|(binding, data)| match (data, binding.access) {
        (Data::Index(values), _) => Buffer::Index(values),
        (Data::Real(values), Access::Read) => Buffer::Read(values),
        (Data::Real(values), _) => Buffer::Write(values),
    });
    run_twin(kernel, &params.to_raw(), slices);
}

/// Same as [`run`], with buffers created for the run. Returns the contents of buffer `k` afterwards.
pub fn result(kernel: &Kernel, params: &impl Params, mut buffers: Vec<Data>, k: usize) -> Vec<f64> {
    run(kernel, params, &mut buffers);
    real(buffers.swap_remove(k))
}

pub fn real(data: Data) -> Vec<f64> {
    match data {
        Data::Real(values) => values,
        Data::Index(_) => panic!("not a real buffer"),
    }
}

pub fn reals(values: &[f64]) -> Data {
    Data::Real(values.to_vec())
}

pub fn indices(values: &[u32]) -> Data {
    Data::Index(values.to_vec())
}

/// Outputs of NaN, so that elements that are not written are found.
pub fn output(len: usize) -> Data {
    Data::Real(vec![f64::NAN; len])
}

/// `len` numbers in `[-1, 1)`, different for each `seed`.
pub fn numbers(seed: u64, len: usize) -> Vec<f64> {
    let mut stream = Stream::new(seed, Purpose::Initialise, 0);
    (0..len).map(|_| 2.0 * stream.uniform() - 1.0).collect()
}

pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The gradient of `loss` at `x` by central differences.
pub fn differences(x: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let at = x[i];
            x[i] = at + STEP;
            let above = loss(&x);
            x[i] = at - STEP;
            let below = loss(&x);
            x[i] = at;
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

/// The error of central differences is of order `STEP^2`, plus the rounding of the loss over `STEP`.
#[track_caller]
pub fn assert_gradient(name: &str, got: &[f64], loss: impl Fn(&[f64]) -> f64, x: &[f64]) {
    assert_close(name, got, &differences(x, loss), 1e-8);
}

#[track_caller]
pub fn assert_close(name: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs() / (1.0 + want.abs());
        assert!(error <= tolerance, "{name}[{i}] is {got}, not {want}");
    }
    CHECKED.with_borrow_mut(|checked| checked.append(&mut RAN.take()));
}

/// A row-sparse gradient as a table of `vocabulary` rows.
pub fn scattered(index: &[u32], sources: usize, gradient: &[f64], vocabulary: usize) -> Vec<f64> {
    let width = gradient.len() / sources;
    let mut table = vec![0.0; vocabulary * width];
    for (&id, row) in Rows::new(index, sources)
        .ids()
        .iter()
        .zip(gradient.chunks(width))
    {
        table[id as usize * width..][..width].copy_from_slice(row);
    }
    table
}

/// The gradient of a table from the gradients `source` of the rows that `ids` read.
pub fn table_gradient(ids: &[u32], source: &[f64], vocabulary: usize) -> Vec<f64> {
    let index = row_index(ids);
    let params = accumulate_rows::Params::whole(ids.len(), source.len() / ids.len(), 1.0);
    let buffers = vec![reals(source), indices(&index), output(source.len())];
    let gradient = result(&accumulate_rows::KERNEL, &params, buffers, 2);
    scattered(&index, ids.len(), &gradient, vocabulary)
}
