//! What a fleet asks of an account: counted second by second as quotas count it, and in units of the bill.

use jobs_engine::quotas::QuotaName;
use std::time::Duration;
use strum::EnumCount as _;

/// All that a fleet asked of its account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    quotas: [QuotaDemand; QuotaName::COUNT],
    /// For the bill.
    pub billed: Billed,
    /// From the first connect arrival to the end.
    pub lasted: Duration,
}

/// What was asked of one quota. A rate is counted in whole windows of its unit (a second, or a minute) from the first connect arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaDemand {
    /// In the busiest window; of a quota of one connection, client id or job: of the busiest of them; of what is held at once, the most.
    pub peak: u64,
    /// When the busiest window began, or most was held, from the first connect arrival.
    pub peak_at: Duration,
    /// Over the whole run; of what is held at once, how often it was taken.
    pub total: u64,
    /// Of [`Self::total`], what a quota of the given size would refuse, discard or delay, by the same buckets as the endpoint's.
    pub refused: u64,
    /// When that would happen first.
    pub first_refused: Option<Duration>,
}

/// What the bill counts (PROTOCOL 16), metered in units of 5 KB a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    /// CONNECT packets.
    pub connects: u64,
    /// SUBSCRIBE packets.
    pub subscribes: u64,
    /// Messages from things, telemetry included.
    pub publishes_in: u64,
    /// Messages to things.
    pub publishes_out: u64,
    /// PUBACK packets of things.
    pub pubacks: u64,
    /// Bodies of HTTP requests and answers.
    pub http: u64,
    /// Minutes that things were connected, begun ones as whole ones.
    pub connection_minutes: u64,
    /// Executions that were queued, retries included.
    pub executions: u64,
    /// Calls of the registry: things, groups, certificates.
    pub registry: u64,
}

impl Demand {
    /// What was asked of this quota.
    #[must_use]
    pub fn of(&self, name: QuotaName) -> &QuotaDemand {
        &self.quotas[name as usize]
    }

    /// The same, to be counted on.
    pub fn of_mut(&mut self, name: QuotaName) -> &mut QuotaDemand {
        &mut self.quotas[name as usize]
    }
}

impl Billed {
    /// Messages of all kinds.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let Self { connects, subscribes, publishes_in, publishes_out, pubacks, http, .. } = *self;
        connects + subscribes + publishes_in + publishes_out + pubacks + http
    }
}
