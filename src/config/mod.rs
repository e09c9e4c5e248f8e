//! The configuration of a model and its training: reads TOML text and `--set` overrides into one checked
//! [`Config`].
//!
//! A document contains the raw values with their locations and refuses unknown keys. The sections read their keys
//! from it, each with its type and rule, and check what depends on several keys. All errors in a configuration are
//! found here, before any work, except those that only concern training: a missing limit
//! ([`Config::check_limits`]), or a limit that does not fit the schedule (`train::schedule`).
//!
//! # Keys
//!
//! A key is declared once, in the file of its section (`keys/train.rs` has `[train]`): documentation, name, type,
//! default, allowed values, and whether it may change when a run is resumed.
//!
//! ```text
//! /// Batch size per device: the number of streams, `B`.
//! batch: usize = Setting { default: 128, rule: 1..=INDEX, resume: MustStay };
//! ```
//!
//! This entry generates the field [`TrainConfig::batch`], parsing and refusal, the [`reference`](reference()) that
//! `wlstm help configuration` prints, the written configuration ([`Config::to_toml`]) and the check of a resumed run
//! ([`Config::resume_conflicts`]).
//!
//! To add a key, add its entry, read the field where it has its effect (`config.train.batch`), and write the generated help
//! with `INSTA_UPDATE=always cargo test --test library help`. The type of the key decides what `rule` is:
//!
//! | type | rule |
//! |---|---|
//! | `usize`, `u64` | a range, `1..=INDEX` |
//! | [`Automatic`], a number or "auto" | a range |
//! | `f64` | `Numbers { allowed, contains }`: the allowed numbers in words, and a function that tests one |
//! | `bool`, an enumeration that implements [`Named`], paths | `()` |

mod absent;
mod automatic;
mod document;
mod entry;
mod field;
mod key;
mod keys;
mod meaning;
mod named;
mod nearest;
mod paths;
mod reference;
mod resolved;
mod resume;
mod section;
mod setting;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use automatic::Automatic;
pub use document::WRITTEN;
pub use key::{Content, Key, Measured, Resume};
pub use keys::{
    Adaptive, DataConfig, DeviceConfig, ModelConfig, Normalization, Order, Precision, Recipe,
    Schedule, Softmax, TablePlacement, TableUpdate, Tokens, TrainConfig, ValidChoice,
};
pub use meaning::{Meaning, meaning};
pub use named::{Named, NamedValue};
pub use nearest::near;
pub use paths::is_pattern;
pub use reference::reference;
pub use resolved::{Config, keys};
