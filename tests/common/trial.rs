//! A test of the binary `devices`, created at run time, for example one for each kernel, case and adapter.

use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Completion, Failed};

/// Locked for reading by trials that run in parallel, for writing by trials that run alone.
static RUNNING: RwLock<()> = RwLock::new(());

/// A named test. [`Trial::named_in`] converts it to a trial of libtest-mimic, which cannot be renamed.
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

    /// A trial that can report at run time that it cannot run on this machine.
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

    /// The same trial, run while no other runs, because it exhausts a shared resource.
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
