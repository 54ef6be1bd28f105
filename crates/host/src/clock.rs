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

/// How long the calling thread was ready to run and no core was free for it; zero where the kernel does not count that.
#[must_use]
pub fn thread_waited() -> Duration {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(counts.split_ascii_whitespace().nth(1).and_then(|waited| waited.parse().ok()).unwrap_or_default())
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn epoch_ms() -> i64 {
    (nanos(ClockId::Realtime) / 1_000_000) as i64
}

/// Nanoseconds since the Unix epoch.
#[must_use]
pub fn epoch_ns() -> i64 {
    nanos(ClockId::Realtime) as i64
}

/// Both clocks, read one after the other.
#[must_use]
pub fn now() -> Now {
    Now { mono: mono(), epoch_ms: epoch_ms() }
}
