//! The numbers that twins compute with: `f32` as on devices, `f64` for the reference.
//!
//! `f32` has its own `exp`, `ln`, `tanh` and `sigmoid`: polynomials (Cephes, Moshier 1989; errors below 2 ulp) that compilers can
//! vectorize. `shaders/shared/activation.wgsl` and `logarithm.wgsl` repeat them term for term, because WGSL leaves the precision
//! of its built-in functions to the driver.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// A real number that a twin can compute with.
pub trait Real:
    bytemuck::Pod
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Minus infinity: the logit of a word with probability 0.
    const NEG_INFINITY: Self;

    /// Rounds a value to this type.
    fn from_f64(value: f64) -> Self;
    /// Converts a value exactly.
    fn from_f32(value: f32) -> Self;
    /// Converts to `f64` exactly.
    fn to_f64(self) -> f64;
    /// `e^x`.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + e^-x)`.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp())
    }
    /// The larger of two numbers that are not NaN.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const NEG_INFINITY: f64 = f64::NEG_INFINITY;

    fn from_f64(value: f64) -> f64 {
        value
    }
    fn from_f32(value: f32) -> f64 {
        value.into()
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn exp(self) -> f64 {
        f64::exp(self)
    }
    fn ln(self) -> f64 {
        f64::ln(self)
    }
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    fn tanh(self) -> f64 {
        f64::tanh(self)
    }
}

/// Adding and then subtracting 1.5 * 2^23 rounds to the nearest integer without a function call.
const ROUND: f32 = 12_582_912.0;

/// For `x = n ln 2 + r`: `e^r`, and `n` plus [`ROUND`].
#[inline(always)]
fn exp_parts(x: f32) -> (f32, f32) {
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * 0.693_359_375 - n * -2.121_944_40e-4;
    let p = 1.987_569_150_0e-4;
    let p = p * r + 1.398_199_950_7e-3;
    let p = p * r + 8.333_451_907_3e-3;
    let p = p * r + 4.166_579_589_4e-2;
    let p = p * r + 1.666_666_545_9e-1;
    let p = p * r + 5.000_000_120_1e-1;
    let p = p * r + 1.0;
    (p * r + 1.0, rounded)
}

/// `e^x` with `x` clamped to where both `e^x` and its inverse are normal numbers. Within that range it is bitwise identical to
/// `exp` and takes less work.
#[inline(always)]
fn exp_normal(x: f32) -> f32 {
    let (e, rounded) = exp_parts(x.clamp(-87.0, 87.0));
    // The low bits of the rounded number are the integer, which is shifted to the exponent.
    e * f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const NEG_INFINITY: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn from_f32(value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }

    /// `2^n * e^r` with `n` the nearest integer to `x / ln 2` and `|r| <= ln 2 / 2`.
    #[inline(always)]
    fn exp(self) -> f32 {
        let (e, rounded) = exp_parts(self.clamp(-104.0, 89.0));
        // The low bits of the rounded number are the integer. This is twice as fast as a conversion, which saturates. It wraps
        // because these bits are arbitrary for NaN; the result is NaN through `e`.
        let n = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        // In two factors, because neither 2^128 nor 2^-150 is a normal number.
        let half = n >> 1;
        let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
        e * power(half) * power(n.wrapping_sub(half))
    }
    #[inline(always)]
    fn sigmoid(self) -> f32 {
        1.0 / (1.0 + exp_normal(-self))
    }

    /// `n ln 2 + ln m` with `m` in `[sqrt(1/2), sqrt(2))`.
    #[inline(always)]
    fn ln(self) -> f32 {
        if !(f32::MIN_POSITIVE..f32::INFINITY).contains(&self) {
            return f32::ln(self);
        }
        let bits = self.to_bits();
        let mut n = ((bits >> 23) as i32 - 126) as f32;
        let mut m = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
        if m < std::f32::consts::FRAC_1_SQRT_2 {
            m += m;
            n -= 1.0;
        }
        let r = m - 1.0;
        let s = r * r;
        let p = 7.037_683_629_2e-2;
        let p = p * r - 1.151_461_031_0e-1;
        let p = p * r + 1.167_699_874_0e-1;
        let p = p * r - 1.242_014_084_6e-1;
        let p = p * r + 1.424_932_278_7e-1;
        let p = p * r - 1.666_805_766_5e-1;
        let p = p * r + 2.000_071_476_5e-1;
        let p = p * r - 2.499_999_399_3e-1;
        let p = p * r + 3.333_333_117_4e-1;
        r + (p * r * s - 2.121_944_40e-4 * n - 0.5 * s) + 0.693_359_375 * n
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    /// An odd polynomial below 0.625, `1 - 2 / (e^2x + 1)` above.
    #[inline(always)]
    fn tanh(self) -> f32 {
        let a = self.abs();
        let s = self * self;
        let p = -5.704_988_727_45e-3;
        let p = p * s + 2.063_908_879_54e-2;
        let p = p * s - 5.373_971_555_31e-2;
        let p = p * s + 1.333_144_220_36e-1;
        let p = p * s - 3.333_328_194_22e-1;
        let small = self + self * s * p;
        let large = (1.0 - 2.0 / (exp_normal(a + a) + 1.0)).copysign(self);
        if a < 0.625 { small } else { large }
    }
}

#[cfg(test)]
mod tests {
    use super::{Real, exp_normal};

    fn worst_ulp(
        low: f32,
        high: f32,
        ours: impl Fn(f32) -> f32,
        exact: impl Fn(f64) -> f64,
    ) -> f64 {
        let count = 400_000;
        (0..=count)
            .map(|k| {
                let x = low + (high - low) * k as f32 / count as f32;
                let want = exact(x.into());
                let ulp = f64::from((want as f32).abs().next_up() - (want as f32).abs());
                (f64::from(ours(x)) - want).abs() / ulp
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_within_two_ulp() {
        assert!(worst_ulp(-87.0, 88.0, Real::exp, f64::exp) < 2.0);
        assert!(worst_ulp(-10.0, 10.0, Real::tanh, f64::tanh) < 2.0);
        assert!(worst_ulp(1e-30, 10.0, Real::ln, f64::ln) < 2.0);
        assert!(worst_ulp(-20.0, 20.0, Real::sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 4.0);
    }

    #[test]
    fn the_exponential_of_normal_numbers_has_the_same_bits() {
        for k in -87_000..=87_000_i32 {
            let x = k as f32 / 1000.0;
            assert_eq!(exp_normal(x).to_bits(), Real::exp(x).to_bits(), "e^{x}");
        }
        assert!(exp_normal(f32::NAN).is_nan());
    }

    #[test]
    fn infinities_and_nan_are_handled() {
        assert_eq!(Real::exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(Real::exp(f32::INFINITY), f32::INFINITY);
        assert!(Real::exp(f32::NAN).is_nan());
        assert_eq!(Real::ln(0.0_f32), f32::NEG_INFINITY);
        assert_eq!(Real::ln(f32::INFINITY), f32::INFINITY);
        assert!(Real::ln(f32::NAN).is_nan() && Real::ln(-1.0_f32).is_nan());
        assert_eq!(Real::tanh(100.0_f32), 1.0);
        assert_eq!(Real::tanh(-100.0_f32), -1.0);
        assert!(Real::tanh(f32::NAN).is_nan());
        // The exponent is clamped at 87, where `1 + e^-x` is 1 and `1 + e^x` is nearly `e^x`.
        assert!((0.0..2e-38).contains(&Real::sigmoid(-200.0_f32)));
        assert!((0.0..2e-38).contains(&Real::sigmoid(f32::NEG_INFINITY)));
        assert_eq!(Real::sigmoid(f32::INFINITY), 1.0);
        assert!(Real::sigmoid(f32::NAN).is_nan());
    }
}
