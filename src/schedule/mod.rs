//! When things should happen: intended starts, phases of a run, and the one wake-up that keeps them.

mod arrivals;
mod pacer;
mod phases;

pub use arrivals::{ArrivalKind, arrivals};
pub use pacer::{Pacer, shard_runtime};
pub use phases::{Phase, PhaseSet};
