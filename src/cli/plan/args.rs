//! The arguments of `wlstm plan`.

use std::path::PathBuf;

use clap::Args;

use super::super::args::OverrideArgs;

/// Print the parameters, memory and FLOPs of a model, without running it
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The training text is not needed if data.vocab_size is set, data.tokens is \"bpe\" or the vocabulary file \
    exists.\n\
    \n\
    The percentages of an adaptive softmax are the shares of the words of a text that are in the head and in each cluster.\n\
    \n\
    Without an adapter, the plans keep to the limits that all GPUs have.\n\
    \n\
    The exit code is 0 even if the model does not fit. With --json every device has `fits`, which is null if its memory is \
    unknown, and `changes`, settings that would make it fit. See `wlstm help memory`.\n\
    \n\
    Examples:\n  \
    wlstm plan configs/lm1b-g4-8.toml --set train.batch=128\n  \
    wlstm plan configs/lm1b-biglstm.toml --memory 24GB --devices 4"
)]
pub(in crate::cli) struct PlanArgs {
    /// Configuration file (TOML)
    pub config: PathBuf,
    /// Number of devices that train together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub devices: u64,
    /// Check whether the run fits in this much memory, for example 8GB or 8GiB, instead of the memory of each device
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
    /// Overrides.
    #[command(flatten)]
    pub overrides: OverrideArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Parses a number of bytes, with or without a unit: `8GB` is 8e9, `8GiB` and `8G` are 8 * 2^30.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "give a megabyte or more, such as 8GB, 512MiB or 8589934592 (bytes)".to_owned();
    let unit = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number * scale;
    // A smaller number most likely lacks its unit.
    if (1e6..1e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::args::tests::parse;
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("8GB", 8_000_000_000),
            ("8 GiB", 8 << 30),
            ("8g", 8 << 30),
            ("1500kb", 1_500_000),
            ("512M", 512 << 20),
            ("7700000", 7_700_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in [
            "", "GB", "-1GB", "0", "8", "8kb", "8XB", "nan", "inf", "1e30", "8GBs",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn takes_devices_and_overrides() {
        let line = [
            "a.toml",
            "--devices",
            "4",
            "--json",
            "--set",
            "train.batch=2",
        ];
        let plan: PlanArgs = parse(&line).unwrap();
        assert_eq!(plan.devices, 4);
        assert!(plan.json);
        assert_eq!(plan.overrides.set, ["train.batch=2"]);
    }
}
