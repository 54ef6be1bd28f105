//! Instants as plain numbers, so that pure modules can compute with time without ever reading a clock.
//!
//! Whoever reads a real clock makes them; tests make them up.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`: one clock for all processes of a host, never stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mono(pub u64);

impl Mono {
    /// Further away than any deadline that will ever be met.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds from `origin` to `self`, negative when `self` is earlier.
    #[must_use]
    pub fn ms_since(self, origin: Self) -> f64 {
        (i128::from(self.0) - i128::from(origin.0)) as f64 / 1e6
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Mono {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Whole seconds since the Unix epoch: the unit of every AWS IoT Jobs timestamp on the data plane (PROTOCOL 2 fact 1).
///
/// Deliberately without arithmetic against [`Mono`]: a wall-clock second is no measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochSeconds(pub i64);

impl EpochSeconds {
    /// What stands where a message does not tell a time.
    pub const UNKNOWN: Self = Self(i64::MIN);
}

impl fmt::Display for EpochSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One reading of both clocks, for machines that need the wall clock on the wire and the monotonic one for deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and durations.
    pub mono: Mono,
    /// Milliseconds since the Unix epoch.
    pub epoch_ms: i64,
}

impl Now {
    /// The wall clock in the unit of the wire, cut, not rounded.
    #[must_use]
    pub fn epoch_seconds(self) -> EpochSeconds {
        EpochSeconds(self.epoch_ms.div_euclid(1000))
    }
}
