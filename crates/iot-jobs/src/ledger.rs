//! The service's ledger as values and text: one row per committed change.
//!
//! CSV, `mono_ns,thing,job,execution_number,version,status,event,subscribed`; `mono_ns` is `CLOCK_MONOTONIC`, so rows compare with the
//! clock of any process of the host. Names hold no character that CSV would quote.

use super::{ExecutionStatus, JobId, ThingName};
use crate::instant::Mono;
use std::fmt;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// The first line of a ledger.
pub const HEADER: &str = "mono_ns,thing,job,execution_number,version,status,event,subscribed";

/// What was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum LedgerEvent {
    /// An execution was queued (rollout, retry).
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

impl LedgerEvent {
    /// The word in the column `event`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// When it was committed; column `mono_ns`.
    pub at: Mono,
    /// Whose execution it is.
    pub thing: ThingName,
    /// Of which job.
    pub job: JobId,
    /// Which run of the job on the thing, from 1.
    pub execution_number: i64,
    /// `versionNumber` after the change.
    pub version: i64,
    /// Status after the change.
    pub status: ExecutionStatus,
    /// What was committed.
    pub event: LedgerEvent,
    /// Whether the thing was subscribed to `notify-next` at that moment.
    pub subscribed: bool,
}

impl fmt::Display for LedgerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, thing, job, execution_number, version, status, event, subscribed } = self;
        write!(f, "{},{thing},{job},{execution_number},{version},{status},{},{subscribed}", at.0, event.as_str())
    }
}

impl LedgerRow {
    /// A line without its end; `None` when it is no row.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let mut next = || fields.next();
        let row = Self {
            at: Mono(next()?.parse().ok()?),
            thing: ThingName::new(next()?).ok()?,
            job: JobId::new(next()?).ok()?,
            execution_number: next()?.parse().ok()?,
            version: next()?.parse().ok()?,
            status: ExecutionStatus::parse(next()?)?,
            event: next()?.parse().ok()?,
            subscribed: next()?.parse().ok()?,
        };
        next().is_none().then_some(row)
    }
}
