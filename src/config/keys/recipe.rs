//! The recipes: values of `train.recipe`.

use crate::config::named::named;

named! {
    /// How gradients are scaled, clipped and combined across devices.
    Recipe {
        /// Gradients are scaled as in the paper's code.
        Paper = "paper",
        /// The loss is the mean over all tokens, and gradients are clipped by one norm over all parameters.
        Plain = "plain",
    }
}
