//! `wlstm compare` and `wlstm report`.

mod failures;
mod report;
mod resume;
mod table;
mod tools;
