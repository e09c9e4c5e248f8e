//! Benchmarks: how fast a device trains a model, and how close each kernel comes to the peak of the device.
//!
//! | module | contents |
//! |---|---|
//! | [`step`] | training steps of a model on generated text: words per second, the share of the host |
//! | [`profile`] | the time of each kernel in a step |
//! | [`kernels`] | each kernel alone |
//! | [`products`] | each form of a matrix product, at the sizes of the paper's models |
//! | [`shapes`] | these sizes |
//! | [`micro`] | copies of memory, and the shortest time of a dispatch |
//! | [`peaks`] | the best arithmetic and memory rates of a device |
//! | [`baseline`] | ratios to earlier measurements |
//! | `floor` | the shortest time that a device could need |
//! | `timed` | plans with steps to time |
//! | `synthetic` | the generated text |
//!
//! This module neither reads files nor prints. It is called by `cli` and the programs in `benches`.

pub mod baseline;
mod floor;
pub mod kernels;
pub mod micro;
pub mod peaks;
pub mod products;
pub mod profile;
pub mod shapes;
pub mod step;
mod synthetic;
mod timed;

/// The median of some times in seconds. Sorts them.
///
/// # Panics
///
/// If there are none.
pub(crate) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0]), 4.0);
    }
}
