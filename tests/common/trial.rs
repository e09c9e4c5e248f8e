//! One test of the binary `devices`, made at run time: for each kernel, case and adapter there is one.

use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Completion, Failed};

/// Read by trials that run beside others, written by those that run alone.
static RUNNING: RwLock<()> = RwLock::new(());

/// A named test. [`Trial::named_in`] makes it one of libtest-mimic, whose trials cannot be renamed.
pub struct Trial {
    name: String,
    alone: bool,
    run: Box<dyn FnOnce() -> Result<Completion, Failed> + Send>,
}

impl Trial {
    /// A trial that succeeds or fails.
    pub fn test(
        name: impl Into<String>,
        run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        Trial::ignorable_test(name, || run().map(|()| Completion::Completed))
    }

    /// A trial that may find out that it cannot run here.
    pub fn ignorable_test(
        name: impl Into<String>,
        run: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
    ) -> Trial {
        Trial {
            name: name.into(),
            alone: false,
            run: Box::new(run),
        }
    }

    /// The same trial, which runs while no other does: it uses up something that all share.
    pub fn alone(self) -> Trial {
        Trial {
            alone: true,
            ..self
        }
    }

    /// The trial under the name `module::name`.
    pub fn named_in(self, module: &str) -> libtest_mimic::Trial {
        let name = format!("{module}::{}", self.name);
        libtest_mimic::Trial::ignorable_test(name, move || {
            if self.alone {
                let _turn = RUNNING.write().unwrap_or_else(PoisonError::into_inner);
                (self.run)()
            } else {
                let _turn = RUNNING.read().unwrap_or_else(PoisonError::into_inner);
                (self.run)()
            }
        })
    }
}
