//! Histograms of values.

use super::messages::HistogramProto;

/// A histogram of values. Bucket limits grow by 10 %, as in TensorBoard's own histograms.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Upper limits of the buckets, ascending: of negative values, of values near zero, of positive values.
    limits: Vec<f64>,
    counts: Vec<f64>,
    min: f64,
    max: f64,
    num: f64,
    sum: f64,
    sum_squares: f64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        const SMALLEST: f64 = 1e-12;
        const LARGEST: f64 = 1e20;
        let mut positive = vec![SMALLEST];
        while positive[positive.len() - 1] < LARGEST {
            positive.push(positive[positive.len() - 1] * 1.1);
        }
        let negative = positive.iter().rev().map(|limit| -limit);
        let mut limits: Vec<f64> = negative.chain(positive.iter().copied()).collect();
        limits.push(f64::MAX);
        Histogram {
            counts: vec![0.0; limits.len()],
            limits,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            num: 0.0,
            sum: 0.0,
            sum_squares: 0.0,
        }
    }
}

impl Histogram {
    /// Adds values. NaN is ignored.
    pub fn add(&mut self, values: &[f32]) {
        for value in values.iter().map(|value| f64::from(*value)) {
            if value.is_nan() {
                continue;
            }
            let bucket = self.limits.partition_point(|limit| *limit <= value);
            self.counts[bucket.min(self.limits.len() - 1)] += 1.0;
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            self.num += 1.0;
            self.sum += value;
            self.sum_squares += value * value;
        }
    }

    /// The message. Empty buckets are left out, except one before each bucket with values.
    pub(super) fn proto(&self) -> HistogramProto {
        let (mut bucket_limit, mut bucket) = (Vec::new(), Vec::new());
        for (k, (limit, count)) in self.limits.iter().zip(&self.counts).enumerate() {
            let next = self.counts.get(k + 1).copied().unwrap_or(0.0);
            if *count > 0.0 || next > 0.0 {
                bucket_limit.push(*limit);
                bucket.push(*count);
            }
        }
        let known = |value: f64| if value.is_finite() { value } else { 0.0 };
        HistogramProto {
            min: known(self.min),
            max: known(self.max),
            num: self.num,
            sum: self.sum,
            sum_squares: self.sum_squares,
            bucket_limit,
            bucket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_bucket_whose_upper_limit_is_above_it() {
        let mut histogram = Histogram::default();
        let values = [-3.0, -1e-30, 0.0, 0.5, 0.5, 1e30, f32::NAN];
        histogram.add(&values);
        let proto = histogram.proto();
        assert_eq!(proto.num, 6.0);
        assert_eq!(proto.bucket.iter().sum::<f64>(), 6.0);
        assert_eq!((proto.min, proto.max), (-3.0, f64::from(1e30f32)));
        assert!(proto.bucket_limit.is_sorted());
        for value in [-3.0, 0.5] {
            let bucket = proto.bucket_limit.iter().position(|limit| *limit > value);
            let bucket = bucket.expect("a bucket");
            let count = values.iter().filter(|v| f64::from(**v) == value).count();
            assert_eq!(proto.bucket[bucket], count as f64, "{value}");
            assert!((proto.bucket_limit[bucket] / value).abs() < 1.11);
        }
    }
}
