//! Steps with a condition run exactly where an index of an input says so.

use std::sync::Arc;

use crate::common::{Trial, on_every_gpu};
use wlstm::device::{CpuExecutor, Data, Executor};
use wlstm::error::Result;
use wlstm::graph::builder::Builder;
use wlstm::graph::memory::Limits;
use wlstm::graph::plan::Role;
use wlstm::kernels::pointwise::add;
use wlstm::kernels::softmax::IGNORE;

const STEPS: usize = 4;
const LEN: usize = 8;

pub fn trials() -> Vec<Trial> {
    let mut trials = on_every_gpu("of_steps", |gpu| {
        gpu.with(|executor| {
            let limits = executor.limits();
            check(executor, &limits)
        })
    });
    trials.push(Trial::test("of_steps::cpu", || {
        let checked = check(&mut CpuExecutor::<f32>::new(), &Limits::HOST);
        checked.map_err(|error| error.chain().to_string().into())
    }));
    trials
}

fn check(executor: &mut impl Executor, limits: &Limits) -> Result<()> {
    let mut builder = Builder::new("conditions", limits);
    let x = builder.real_input("x", [LEN]);
    let wanted = builder.index_input("wanted", [STEPS]);
    let sums = "conditions.sums";
    let all = builder.persistent(Role::Transfer, sums, [STEPS, LEN]);
    for k in 0..STEPS {
        builder.set_condition(Some(wanted.part(k, 1)));
        let slices = [x, x, all.chunk(k, STEPS)];
        let params = add::Params { len: LEN as u32 };
        builder.step("sum", &add::KERNEL, &params, &slices);
    }
    let plan = executor.load(Arc::new(builder.finish()))?;
    // The first step, the last one, those in the middle, every other one, all, none.
    for runs in [
        [true, false, false, false],
        [false, false, false, true],
        [false, true, true, false],
        [true, false, true, false],
        [true; STEPS],
        [false; STEPS],
    ] {
        let indices = runs.map(|runs| if runs { 0 } else { IGNORE });
        let inputs = vec![
            ("x", Data::Real(vec![1.5; LEN])),
            ("wanted", Data::Index(indices.to_vec())),
        ];
        let want: Vec<f32> = runs
            .iter()
            .flat_map(|runs| [if *runs { 3.0 } else { -1.0 }; LEN])
            .collect();
        executor.write(sums, &[-1.0; STEPS * LEN])?;
        executor.run(plan, &inputs)?;
        executor.fetch()?;
        assert_eq!(executor.read(sums)?, want, "{runs:?}");
        executor.write(sums, &[-1.0; STEPS * LEN])?;
        let profile = executor.profile(plan, &inputs)?;
        assert_eq!(profile.seconds.len(), STEPS);
        assert_eq!(profile.skipped, runs.map(|runs| !runs));
        assert_eq!(executor.read(sums)?, want, "profile of {runs:?}");
    }
    Ok(())
}
