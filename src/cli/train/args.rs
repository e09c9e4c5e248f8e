//! The arguments of `wlstm train`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{OverrideArgs, count, positive};

/// Train a model, or continue training one
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    wlstm train configs/shakespeare.toml\n  \
    wlstm train configs/wikitext2-glstm.toml --out runs/g8 --set model.groups=8 --set train.epochs=1\n  \
    wlstm train runs/g8/config.toml --resume --set train.epochs=2")]
pub(in crate::cli) struct TrainArgs {
    /// Configuration file (TOML)
    pub config: PathBuf,
    /// Run folder [default: runs/NAME, named after the configuration; runs/NAME-2 and so on if it exists]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue the run in --out from its newest checkpoint. Without --out: the run that the configuration belongs to, else the
    /// newest run of this configuration
    #[arg(long)]
    pub resume: bool,
    /// Start from the parameters in a safetensors file or in a run
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub init: Option<PathBuf>,
    /// Where to train: auto, cpu, gpu, gpu:N (number N of `wlstm devices`) or gpu:TEXT (the adapter whose name contains TEXT),
    /// for example gpu:nvidia. To train on several devices, repeat the option or give gpu:all
    #[arg(long = "device", value_name = "SEL")]
    pub devices: Vec<String>,
    /// Stop after this many optimizer steps
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub steps: Option<u64>,
    /// Stop after this many seconds of training
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub seconds: Option<f64>,
    /// Stop after this many passes over the text
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// Stop after this many words, rounded up to whole steps
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true, conflicts_with = "steps")]
    pub words: Option<u64>,
    /// Seed of all random numbers
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Show a dashboard with loss, speed, memory and log; q saves and stops
    #[arg(long, conflicts_with = "quiet")]
    pub tui: bool,
    /// Overrides of the configuration.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}

impl TrainArgs {
    /// All overrides of the configuration: those of `--set`, then those of dedicated options.
    pub fn all_overrides(&self) -> Vec<String> {
        let mut all = self.overrides.set.clone();
        all.extend(self.steps.map(|steps| format!("train.steps={steps}")));
        // `Job::words` sets the number of steps once the number of words in a step is known.
        all.extend(self.words.map(|words| format!("train.steps={words}")));
        all.extend(self.epochs.map(|epochs| format!("train.epochs={epochs}")));
        all.extend(
            self.seconds
                .map(|seconds| format!("train.seconds={seconds:?}")),
        );
        all.extend(self.seed.map(|seed| format!("train.seed={seed}")));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::tests::parse;

    #[test]
    fn options_of_their_own_override_after_set() {
        let line = [
            "a.toml",
            "--set",
            "train.steps=1",
            "--steps",
            "5",
            "--seconds",
            "2.5",
            "--seed",
            "7",
            "--device",
            "cpu",
            "--device",
            "gpu:1",
        ];
        let train: TrainArgs = parse(&line).unwrap();
        assert_eq!(
            train.all_overrides(),
            [
                "train.steps=1",
                "train.steps=5",
                "train.seconds=2.5",
                "train.seed=7"
            ]
        );
        assert_eq!(train.devices, ["cpu", "gpu:1"]);
        for wrong in [
            &["a.toml", "--steps", "0"][..],
            &["a.toml", "--seconds", "0"],
            &["a.toml", "--seconds", "nan"],
            &["a.toml", "--seconds", "-1"],
            &["a.toml", "--epochs", "0"],
            &["a.toml", "--words", "-5"],
            &["a.toml", "--words", "5", "--steps", "5"],
            &["a.toml", "--resume", "--init", "x"],
            &[],
        ] {
            let error = parse::<TrainArgs>(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
            if wrong.len() == 3 {
                assert!(error.to_string().contains(": give a "), "{error}");
            }
        }
    }
}
