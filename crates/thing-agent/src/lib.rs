//! One thing's behaviour; pure: no clock, no IO, no text.
//!
//! [`JobsAgent`] is a machine in the `handle_*` in, `poll_*` out manner. A session hands it what arrived, asks what to transmit,
//! forwards its events, and wakes it at [`JobsAgent::poll_timeout`]. The life of a thing, as PROTOCOL 18 describes it:
//!
//! 1. **Bootstrap.** Subscribe, wait for the SUBACK, then ask for work: a job queued before is announced to nobody.
//! 2. **Idle.** Wait to be told, or poll; react to an execution after a sampled think time by asking for work again.
//! 3. **Work.** Report `IN_PROGRESS` at sampled steps, with `expectedVersion`, then end as sampled.
//!    Where documents may name files, the file comes first: nothing is done before it is found good.
//! 4. **Distress.** An answer that does not come, or says try again, is asked for again later with a new token; a lost session
//!    keeps the work and takes it up again when it has found it again.

#![warn(missing_docs)]

mod agent;
pub mod arrivals;
pub mod backoff;
pub mod behavior;
pub mod cut;
mod event;
mod faults;
pub mod telemetry;
pub mod thing_template;
pub mod workflow;

use iot_jobs::instant::Mono;
use std::time::Duration;

pub use agent::{AgentSettings, JobsAgent};
pub use event::{AnswerOutcome, Event, ExecutionKey, Fetched, SubscribeFailure, Transmit};

/// What is planned may leave this much before its time, so that what is due at about the same moment shares a wake-up of its shard.
pub const EARLY_MAX: Duration = Duration::from_micros(200);

/// Whether what is planned for `at` leaves `now`, and from when on its response time counts: not from a moment at which it has already left.
fn intended(at: Mono, now: Mono) -> Option<Mono> {
    (at <= now + EARLY_MAX).then(|| at.min(now))
}
