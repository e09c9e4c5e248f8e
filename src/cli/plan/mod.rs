//! `wlstm plan`: the cost of a model and its training, computed from the configuration. Builds the plans of a
//! run as `train` does, for the CPU and every adapter, but runs nothing and allocates no tensor.

mod args;
mod costs;
mod on_device;
mod run;
mod softmax;
mod text;
mod vocabulary;

pub(super) use self::args::PlanArgs;
pub(super) use self::run::run;
pub(super) use self::vocabulary::vocabulary_size;
