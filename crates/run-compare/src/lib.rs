//! Whether one set of runs is worse than another. Pure: files are read by the caller, and chance follows from a seed.
//!
//! ```text
//! seconds of a run --Resampling (circular block bootstrap)--> Estimate: ln of a figure, its variance within the run
//! Estimates of both sides --judge (pooled Student's t, Holm over all figures)--> Judgement: ratio, interval, verdict
//! ```
//!
//! A figure varies more from run to run than any run can tell of itself, so what decides is the variance between runs. That within a run
//! is its lower bound, where a few runs agree by chance.

#![warn(missing_docs)]

mod estimate;
mod holm;
mod judgement;
mod resampling;

pub use estimate::{Estimate, Values, ratio};
pub use holm::holm;
pub use judgement::{Better, Judgement, Missing, Sample, Settings, Verdict, judge};
pub use resampling::{RESAMPLES, Resampling};
