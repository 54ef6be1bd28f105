//! The service's ledger: one row per committed change, written by the emulator, tailed by a run.
//!
//! Append-only CSV, `mono_ns,thing,job,execution_number,version,status,event,subscribed`; `mono_ns` is `CLOCK_MONOTONIC`.

use crate::instant::Mono;
use crate::jobs::{ExecutionStatus, JobId, ThingName};

/// What was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerEvent {
    /// An execution was queued (roll-out, retry).
    Queued,
    /// The execution became the head of its thing's pending list.
    Head,
    /// A `notify-next` for the execution was handed to the thing's session.
    Published,
    /// A request that started or updated the execution was accepted.
    Answered,
    /// The execution reached a terminal status, whoever set it.
    Terminal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    pub at: Mono,
    pub thing: ThingName,
    pub job: JobId,
    pub execution_number: i64,
    pub version: i64,
    pub status: ExecutionStatus,
    pub event: LedgerEvent,
    /// Whether the thing was subscribed to `notify-next` at that moment.
    pub subscribed: bool,
}
