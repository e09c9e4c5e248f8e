//! A run that stops and is resumed equals, bit for bit, the run that was never stopped: after a limit, a signal or a kill.

mod folder;
mod kills;
mod steps;
mod tools;

use libtest_mimic::Completion;

use crate::common::program::ignores_hang_up;
use crate::common::{Trial, on_every_gpu};

use self::folder::{
    a_finished_run_is_not_changed, another_configuration_is_refused, partial_files_are_removed,
    the_best_checkpoint_has_one_criterion, the_configuration_of_a_run_is_enough,
};
use self::kills::{
    a_kill_loses_at_most_one_interval, kill_before_the_first_checkpoint, signal_saves,
};
use self::steps::{one_seed_gives_the_same_bits, stop_at_any_step, the_loss_scale_is_restored};
use self::tools::{FULL, SAMPLED, Text, in_precision, same, two_optimizers};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("one_seed_gives_the_same_bits", one_seed_gives_the_same_bits),
        Trial::test("stop_at_any_step::sampled", || stop_at_any_step(SAMPLED)),
        Trial::test("stop_at_any_step::full", || stop_at_any_step(FULL)),
        Trial::test("stop_at_any_step::adaptive", || {
            let adaptive = "kind = \"adaptive\"\ndropout = 0.4";
            stop_at_any_step(&FULL.replace("kind = \"full\"", adaptive))
        }),
        Trial::test("stop_at_any_step::two_optimizers", || {
            stop_at_any_step(&two_optimizers())
        }),
        Trial::test("stop_at_any_step::mixed", || {
            stop_at_any_step(&in_precision("mixed"))
        }),
        Trial::test("stop_at_any_step::adaptive_mixed", || {
            let sampled = "kind = \"sampled\"\nsamples = 6\n";
            let config =
                in_precision("mixed").replace(sampled, "kind = \"adaptive\"\ndropout = 0.4\n");
            stop_at_any_step(&config)
        }),
        Trial::test("stop_at_any_step::f32x3", || {
            stop_at_any_step(&in_precision("f32x3"))
        }),
        Trial::test("the_loss_scale_is_restored", the_loss_scale_is_restored),
        Trial::test("signals::interrupt", || signal_saves("INT", 130)),
        Trial::test("signals::terminate", || signal_saves("TERM", 143)),
        Trial::ignorable_test("signals::hang_up", || {
            if ignores_hang_up() {
                return Ok(Completion::ignored_with("SIGHUP is ignored, as by nohup"));
            }
            signal_saves("HUP", 143).map(|()| Completion::Completed)
        }),
        Trial::test(
            "a_kill_loses_at_most_one_interval",
            a_kill_loses_at_most_one_interval,
        ),
        Trial::test(
            "kill_before_the_first_checkpoint",
            kill_before_the_first_checkpoint,
        ),
        Trial::test("partial_files_are_removed", partial_files_are_removed),
        Trial::test(
            "a_finished_run_is_not_changed",
            a_finished_run_is_not_changed,
        ),
        Trial::test(
            "the_best_checkpoint_has_one_criterion",
            the_best_checkpoint_has_one_criterion,
        ),
        Trial::test(
            "the_configuration_of_a_run_is_enough",
            the_configuration_of_a_run_is_enough,
        ),
        Trial::test(
            "another_configuration_is_refused",
            another_configuration_is_refused,
        ),
    ];
    trials.extend(on_every_gpu("stop_and_resume", |gpu| {
        let device = format!("gpu:{}", gpu.adapter.summary.index);
        let mut precisions = vec!["f32", "f32x3"];
        precisions.extend(gpu.adapter.summary.f16.then_some("mixed"));
        for precision in precisions {
            let text = Text::new(&in_precision(precision));
            let whole = text.run("whole", &device, &["--steps", "9"]);
            let halves = text.run("halves", &device, &["--steps", "4"]);
            text.run("halves", &device, &["--steps", "9", "--resume"]);
            same(&whole, &halves, 9)?;
        }
        Ok(())
    }));
    trials
}
