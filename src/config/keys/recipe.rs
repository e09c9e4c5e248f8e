//! The recipes: values of `train.recipe`.

use crate::config::named::named;

named! {
    /// How gradients are scaled, clipped and combined across devices.
    Recipe {
        /// As in the paper's code: the loss is the mean over the streams and the sum over the time steps. Each device clips
        /// its recurrent gradients by their joint norm, and the mean over devices is applied. Gradients of tables are not
        /// clipped and are summed over devices; those of a separate embedding are also multiplied by `B`.
        Paper = "paper",
        /// The loss is the mean over all tokens of all devices, and gradients are clipped by one norm over all parameters.
        Plain = "plain",
    }
}
