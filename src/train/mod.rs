//! Training: the loop, the update rules, the schedule, evaluation.

pub mod update;
