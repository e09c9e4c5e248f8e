//! What the fuzzers call, which the tests of the library share.

#[path = "../common/dice.rs"]
pub mod dice;
#[path = "../common/hostile/mod.rs"]
pub mod hostile;
