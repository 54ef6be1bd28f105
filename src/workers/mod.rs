//! A run on many machines: a leader (`run --slices N`), and a worker for each slice of the fleet (`worker`), started and numbered by whatever
//! scheduler there is. NATS with JetStream carries all that is between them; what a worker does is a run of a slice, and what the leader
//! makes of all of them is what `fleetsim merge` makes.
//!
//! Deciding is apart from doing: [`address`], [`message`], [`names`], [`place`], `leader/table.rs`, `leader/seconds.rs`,
//! `leader/records.rs`, `worker/follower.rs` and `worker/delivery_deadline.rs` know no clock and no socket.

pub mod address;
mod clock;
mod connection;
pub mod leader;
pub mod message;
pub mod names;
pub mod place;
pub mod worker;

pub use leader::{LeadOptions, OnLost, check as check_lead, lead};
pub use worker::{WorkerOptions, work};

use std::time::Duration;

/// What one request of JetStream may take, and one message its acknowledgement.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// What no other process, and no other moment of this one, has.
fn unique() -> String {
    format!("{}-{}-{}", crate::preflight::facts().hostname, std::process::id(), host::clock::epoch_ns())
}

/// How often states are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often a leader tells how the run stands.
const BEAT: Duration = Duration::from_secs(1);
/// Of a message that is a part of something.
const PART_BYTES: usize = 512 << 10;
/// What is around a part.
const ENVELOPE_BYTES: usize = 4 << 10;
