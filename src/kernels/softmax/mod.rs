//! Softmax with cross-entropy over a vocabulary: full, walked in tiles, and sampled.

use crate::kernel::Kernel;
use crate::kernels::parallel;
use crate::real::Real;

pub mod full_backward;
pub mod full_loss;
pub mod log_sum_exp;
pub mod sampled_backward;
pub mod sampled_loss;
pub mod target_backward;
pub mod target_logits;

/// The target of a row that is padding: its loss and its gradients are 0.
pub const IGNORE: u32 = u32::MAX;

/// The kernels of this folder.
pub static KERNELS: &[&Kernel] = &[
    &log_sum_exp::KERNEL,
    &full_loss::KERNEL,
    &full_backward::KERNEL,
    &target_logits::KERNEL,
    &target_backward::KERNEL,
    &sampled_loss::KERNEL,
    &sampled_backward::KERNEL,
];

/// The logarithm of a sum of exponentials, as `maximum + ln(sum)`, while it grows.
struct LogSumExp<R> {
    /// The largest logit so far.
    maximum: R,
    /// The sum of `exp(logit - maximum)`.
    sum: R,
}

impl<R: Real> LogSumExp<R> {
    /// Adds logits, at least one of them above minus infinity if none was before.
    ///
    /// In blocks that stay in the cache, so that memory is read once.
    #[inline(always)]
    fn absorb(&mut self, logits: &[R]) {
        for block in logits.chunks(2048) {
            let maximum = self.maximum.larger(parallel::largest(block));
            let sum = parallel::sum(
                block,
                #[inline(always)]
                |logit| (logit - maximum).exp(),
            );
            self.sum = self.sum * (self.maximum - maximum).exp() + sum;
            self.maximum = maximum;
        }
    }
}
