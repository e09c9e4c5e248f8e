//! The keys of a configuration, a file for each section.

mod cells;
mod data;
mod device;
mod limits;
mod model;
mod optimizer;
mod recipe;
mod schedule;
mod softmax;
mod tables;
mod train;

pub use data::{DataConfig, Normalization, Order, Tokens, ValidChoice};
pub use device::DeviceConfig;
pub use model::{ModelConfig, TablePlacement};
pub use recipe::Recipe;
pub use schedule::Schedule;
pub use softmax::{Adaptive, Softmax};
pub use tables::TableUpdate;
pub use train::{Precision, TrainConfig};
