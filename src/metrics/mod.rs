//! What was seen: samples, recorders, intervals, snapshots.

mod sample;

pub use sample::{Operation, Outcome, Sample, Scope};
