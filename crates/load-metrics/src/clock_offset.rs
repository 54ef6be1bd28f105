//! How far the service's wall clock is ahead of ours, from what its answers say, and what that makes of a notification's delay.
//!
//! Where the service shows no ledger there are only its whole seconds (PROTOCOL 2 fact 1): `timestamp` of an answer, `queuedAt` of an
//! execution. Each answer bounds the offset from both sides; the truth lies in the intersection of all.

use iot_jobs::instant::EpochSeconds;
use std::time::Duration;

/// A whole second lasts that long.
const SECOND_MS: i64 = 1_000;

/// The bounds so far, in milliseconds; empty before the first answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOffset {
    bounds: Option<(i64, i64)>,
}

impl ClockOffset {
    /// The service wrote `timestamp` between our `sent_ms` and our `received_ms`, both since the Unix epoch.
    pub fn answer(&mut self, sent_ms: i64, received_ms: i64, timestamp: EpochSeconds) {
        let told = timestamp.0 * SECOND_MS;
        let (least, most) = (told - received_ms, told + SECOND_MS - sent_ms);
        self.bounds = match self.bounds {
            Some((known_least, known_most)) if known_least.max(least) <= known_most.min(most) => {
                Some((known_least.max(least), known_most.min(most)))
            }
            // A clock was stepped: what was known before is void.
            _ => Some((least, most)),
        };
    }

    /// How long it took at least and at most from `queued_at` to our `seen_ms`.
    #[must_use]
    pub fn delay(&self, queued_at: EpochSeconds, seen_ms: i64) -> Option<(Duration, Duration)> {
        let (least, most) = self.bounds?;
        let since = seen_ms - queued_at.0 * SECOND_MS;
        let duration = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        Some((duration(since + least - SECOND_MS), duration(since + most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_truth_lies_between_the_bounds(
            offset in -5_000i64..5_000,
            answers in prop::collection::vec((0i64..60_000, 1i64..400, 0.0f64..1.0), 1..40),
            queued in 60_000i64..90_000,
            delay in 0i64..3_000,
        ) {
            let mut clock = ClockOffset::default();
            for (sent, takes, part) in answers {
                let written = sent + (takes as f64 * part) as i64;
                clock.answer(sent, sent + takes, EpochSeconds((written + offset).div_euclid(1_000)));
            }
            let queued_at = EpochSeconds((queued + offset).div_euclid(1_000));
            let (least, most) = clock.delay(queued_at, queued + delay).unwrap();
            prop_assert!(least.as_millis() as i64 <= delay && delay <= most.as_millis() as i64, "{least:?} {delay} {most:?}");
            prop_assert!(most - least <= Duration::from_millis(2_400));
        }
    }

    #[test]
    fn many_answers_narrow_the_bounds_to_a_second() {
        let mut clock = ClockOffset::default();
        assert_eq!(clock.delay(EpochSeconds(0), 0), None);
        for n in 0..1_000 {
            let sent = 7 * n;
            clock.answer(sent, sent + 2, EpochSeconds(sent / 1_000));
        }
        let (least, most) = clock.delay(EpochSeconds(10), 10_500).unwrap();
        assert!(most - least <= Duration::from_millis(1_010), "{least:?} {most:?}");
    }

    #[test]
    fn a_stepped_clock_starts_again() {
        let mut clock = ClockOffset::default();
        clock.answer(1_000, 1_001, EpochSeconds(1));
        clock.answer(2_000, 2_001, EpochSeconds(50));
        assert_eq!(clock.delay(EpochSeconds(50), 2_500), Some((Duration::ZERO, Duration::from_millis(1_500))));
    }
}
