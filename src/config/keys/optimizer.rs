//! The optimizers as values of `train.optimizer`.

use crate::config::named::{Named, NamedValue};
use crate::kernels::optimizer::{OPTIMIZERS, Optimizer};

impl Named for &'static Optimizer {
    fn all() -> Vec<NamedValue<&'static Optimizer>> {
        let named = |value: &'static Optimizer| NamedValue {
            name: value.name,
            value,
            doc: value.about,
        };
        OPTIMIZERS.iter().copied().map(named).collect()
    }

    fn name(self) -> &'static str {
        self.name
    }
}
