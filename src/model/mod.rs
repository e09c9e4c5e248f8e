//! From a configuration to graphs: the language models of the paper. Nothing here knows a device, a corpus or a file.
//!
//! | module | what |
//! |---|---|
//! | [`parameters`] | the one table of parameters: name, shape, initialiser, group, layout |
//! | [`language_model`] | the graphs: training, evaluation, the logits of one step |
//! | [`cost`] | parameters, FLOPs and bytes, without building anything |

pub mod cost;
pub mod language_model;
pub mod parameters;
