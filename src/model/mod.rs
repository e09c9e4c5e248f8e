//! From a configuration to graphs: the language models of the paper. Nothing here knows a device, a corpus or a file.
//!
//! | module | what |
//! |---|---|
//! | [`parameters`] | the one table of parameters: name, shape, initialiser, group, layout |
//! | [`language_model`] | the graphs: training, evaluation, the logits of one step |
//! | [`division`] | how the batch of a step is divided |
//! | [`tables`] | tables on the host: what travels, and how much of it the device keeps |
//! | [`cost`] | parameters, FLOPs and bytes, without building anything |

pub mod cost;
pub mod division;
pub mod language_model;
pub mod limits;
pub mod parameters;
pub mod tables;
