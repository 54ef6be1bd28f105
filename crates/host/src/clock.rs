//! The only reader of clocks.

use iot_jobs::instant::{Mono, Now};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

fn nanos(clock: ClockId) -> i128 {
    let t = clock_gettime(clock);
    i128::from(t.tv_sec) * 1_000_000_000 + i128::from(t.tv_nsec)
}

/// `CLOCK_MONOTONIC`, the same for all processes of this host.
#[must_use]
pub fn mono() -> Mono {
    Mono(nanos(ClockId::Monotonic) as u64)
}

/// CPU time of the calling thread.
#[must_use]
pub fn thread_cpu() -> Duration {
    Duration::from_nanos(nanos(ClockId::ThreadCPUTime) as u64)
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn epoch_ms() -> i64 {
    (nanos(ClockId::Realtime) / 1_000_000) as i64
}

/// Both clocks, read one after the other.
#[must_use]
pub fn now() -> Now {
    Now { mono: mono(), epoch_ms: epoch_ms() }
}
