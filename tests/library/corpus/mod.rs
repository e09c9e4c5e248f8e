//! Compares the corpus with naive implementations: vocabularies, batches of both orders, positions, the sampler.

mod batches;
mod counts;
mod naive;
mod refusals;
mod spread;
mod subwords;
mod tools;
