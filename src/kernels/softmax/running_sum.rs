//! A logarithm of a sum of exponentials, block by block.

use crate::kernels::parallel;
use crate::real::Real;

/// The logarithm of a sum of exponentials, `maximum + ln(sum)`, over the logits so far.
pub(super) struct LogSumExp<R> {
    /// The largest logit so far.
    pub(super) maximum: R,
    /// The sum of `exp(logit - maximum)`.
    pub(super) sum: R,
}

impl<R: Real> LogSumExp<R> {
    /// Adds logits. Some logit of the first call must be above minus infinity.
    ///
    /// It works in blocks that stay in the cache, so that memory is read once.
    #[inline(always)]
    pub(super) fn add(&mut self, logits: &[R]) {
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
