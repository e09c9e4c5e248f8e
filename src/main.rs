//! The command line: parse, run, print the error chain, exit code.

fn main() {}
