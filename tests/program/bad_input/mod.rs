//! Unusable input ends in one error chain with the right exit code, and changes no file.

mod case;
mod everywhere;
mod folders;
mod inputs;
mod runs;
mod table;
