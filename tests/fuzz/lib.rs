//! The functions that the fuzzers call. The tests of the library share them.

#[path = "../common/dice.rs"]
pub mod dice;
#[path = "../common/hostile/mod.rs"]
pub mod hostile;
