//! Ratios to earlier measurements, from the JSON that `wlstm bench` printed or from a file that contains several such documents.
//!
//! A ratio is the current speed divided by the earlier speed: above 1, the current measurement is faster.

mod document;
mod file;
mod ratios;

pub use file::Baseline;
pub use ratios::{CaseRatio, GroupRatio, KernelRatios, ProductRatio, PurposeRatio, StepRatios};

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::bench::kernels::KernelTimes;
    use crate::bench::peaks::Peaks;
    use crate::bench::products::{FormTime, ProductTime};
    use crate::bench::step::StepTimes;
    use crate::error::{Kind, Result};

    /// A step of 20 ms, or of `seconds`.
    fn step(seconds: f64, groups: &str) -> StepTimes {
        let settings = [("model.groups", groups), ("vocabulary", "50")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        StepTimes {
            device: "a device".into(),
            precision: "f32",
            settings: settings.into(),
            without: Vec::new(),
            words: 100,
            steps: 3,
            seconds_per_step: seconds,
            seconds_shortest: seconds,
            words_per_second: 100.0 / seconds,
            flops_per_second: 1.0,
            host_share: 0.0,
            dispatches: 1,
            loss: 1.0,
            floor_seconds: None,
            times_floor: None,
            profile: None,
        }
    }

    fn product(seconds: [f64; 2], rows: u32) -> ProductTime {
        let form = |kernel, seconds| FormTime {
            kernel,
            seconds,
            flops_per_second: 1.0,
            share_of_peak: 1.0,
            is_fastest: false,
        };
        ProductTime {
            shape: "projection",
            precision: "f32",
            groups: 1,
            rows,
            columns: 8,
            depth: 8,
            transposed: "none",
            pieces: 1,
            reduced: false,
            sum_seconds: None,
            forms: vec![form("one", seconds[0]), form("another", seconds[1])],
        }
    }

    fn kernels(products: Vec<ProductTime>) -> KernelTimes {
        KernelTimes {
            device: "a device".into(),
            peaks: Peaks {
                flops_per_second: 1.0,
                bytes_per_second: 1.0,
                unit_flops_per_second: None,
            },
            kernels: Vec::new(),
            products,
            micro: None,
        }
    }

    fn parse(document: &impl Serialize) -> Baseline {
        Baseline::parse(&serde_json::to_string(document).unwrap(), "old.json").unwrap()
    }

    fn message(result: Result<impl Sized>) -> String {
        let error = result.err().expect("an error");
        assert_eq!(error.kind(), Kind::Data);
        error.chain().to_string()
    }

    #[test]
    fn the_measurement_with_the_same_settings_is_found() {
        let file = serde_json::json!({
            "note": "two models", "steps": {"g4": step(0.2, "4"), "g8": step(0.3, "8")}
        });
        let baseline = parse(&file);
        let speed = |step: StepTimes| baseline.of_step(&step).map(|ratios| ratios.speed);
        assert!((speed(step(0.1, "4")).unwrap() - 2.0).abs() < 1e-12);
        assert!((speed(step(0.1, "8")).unwrap() - 3.0).abs() < 1e-12);
        let text = message(speed(step(0.1, "2")));
        assert!(text.contains("model.groups was 4 and is 2"), "{text}");
        let mut other = step(0.1, "4");
        other.settings.remove("vocabulary");
        let text = message(speed(other));
        assert!(text.contains("vocabulary was 50 and is not set"), "{text}");
    }

    #[test]
    fn other_files_are_refused() {
        let read = |text: &str| message(Baseline::parse(text, "old.json"));
        assert!(read("words per second").contains("`old.json` is not JSON"));
        for text in ["{}", "[1, 2]", "{\"seconds_per_step\": 1}"] {
            assert!(read(text).contains("contains no measurement"), "{text}");
        }
        let steps = parse(&step(0.1, "4"));
        let text = message(steps.of_kernels(&kernels(Vec::new())));
        assert!(
            text.contains("measures training steps, not kernels"),
            "{text}"
        );
        let file = parse(&kernels(vec![product([1.0, 2.0], 8)]));
        let text = message(file.of_step(&step(0.1, "4")));
        assert!(
            text.contains("measures kernels, not training steps"),
            "{text}"
        );
        // The same product at another size is no match.
        let text = message(file.of_kernels(&kernels(vec![product([1.0, 2.0], 16)])));
        assert!(
            text.contains("has no kernel, case or product in common"),
            "{text}"
        );
    }

    #[test]
    fn the_fastest_forms_of_products_are_compared() {
        // As `benches/device.sh` writes it: the micro-benchmarks, then the products.
        let file = parse(&serde_json::json!({
            "micro": kernels(Vec::new()), "products": kernels(vec![product([3.0, 2.0], 8)])
        }));
        let now = kernels(vec![product([0.5, 4.0], 8)]);
        let ratios = file.of_kernels(&now).unwrap();
        let [ratio] = &ratios.products[..] else {
            panic!("one product");
        };
        assert_eq!((ratio.form, &*ratio.form_before), ("one", "another"));
        assert_eq!(ratio.speed, 4.0);
    }
}
