//! What the trials share that not every machine can run.

use libtest_mimic::{Completion, Trial};

/// A trial that cannot run here: ignored with this reason, a failure with `REQUIRE_GPU=1`.
pub fn left_out(name: String, reason: &'static str) -> Trial {
    Trial::ignorable_test(name, move || {
        if std::env::var_os("REQUIRE_GPU").is_some_and(|value| value == "1") {
            return Err(format!("{reason}, and REQUIRE_GPU=1 asks for it").into());
        }
        Ok(Completion::ignored_with(reason))
    })
}
