//! The plan that writes the `f16` copies of parameters before the first step.

use super::plan::{Plan, Role, Slice, Step, Storage, TensorId, TensorInfo};
use crate::kernel::Params as _;
use crate::kernels::pointwise::copy;
use crate::tensor::names;

/// The plan that writes the `f16` copies of parameters that a training plan keeps; `None` if it keeps none. The update keeps the
/// copies up to date. After the host writes parameters, this plan must run before the next training step.
pub fn rounding_plan(training: &Plan) -> Option<Plan> {
    let mut plan = Plan {
        name: "round".to_owned(),
        packed: training.packed,
        ..Plan::default()
    };
    let kept = |info: &&TensorInfo| info.storage == Storage::Persistent(Role::Rounded);
    for rounded in training.tensors.iter().filter(kept) {
        let name = names::rounded_parameter(&rounded.name).expect("a name of a copy");
        let weight = training.find(name).expect("a copy of a parameter");
        append_copy(&mut plan, training.tensor(weight), rounded);
    }
    plan.check();
    (!plan.steps.is_empty()).then_some(plan)
}

/// Appends the steps that copy a parameter, each between two buffers.
fn append_copy(plan: &mut Plan, weight: &TensorInfo, rounded: &TensorInfo) {
    let first = plan.tensors.len() as u32;
    plan.tensors.extend([weight.clone(), rounded.clone()]);
    let mut start = 0;
    while start < weight.shape.len() {
        let rest = |info: &TensorInfo| info.piece - start % info.piece;
        let len = rest(weight)
            .min(rest(rounded))
            .min(weight.shape.len() - start);
        let params = copy::Params { len: len as u32 }.to_raw();
        let slice = |tensor| Slice {
            tensor: TensorId(tensor),
            offset: start,
            len,
        };
        plan.steps.push(Step {
            label: format!("round {}", weight.name),
            kernel: &copy::KERNEL,
            grid: (copy::KERNEL.grid)(&params),
            params,
            slices: vec![slice(first), slice(first + 1)],
            condition: None,
        });
        start += len;
    }
}
