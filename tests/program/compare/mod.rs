//! `wlstm compare` and `wlstm report`.

mod equal;
mod failures;
mod report;
mod resume;
mod seeds;
mod table;
mod tokens;
mod tools;
