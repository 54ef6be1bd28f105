//! How fast an operation is called: at a rate that its quota allows, slower when the service throttles all the same, and faster again
//! while it does not. Time is handed in.

use iot_jobs::instant::Mono;
use std::time::Duration;

/// Slower is nobody asked.
const RATE_MIN: f64 = 0.5;
/// What is left of a rate after a refusal.
const CUT: f64 = 0.7;
/// Refusals within this time of a cut are of the calls that were under way at it.
const CUT_PAUSE: Duration = Duration::from_secs(1);
/// How steeply a rate that was cut grows: calls a second per cubed second (that of CUBIC, and of adaptive retries in AWS's SDKs).
const STEEPNESS: f64 = 0.4;
/// What was accepted is counted over so long.
const WINDOW: Duration = Duration::from_secs(1);
const BACKOFF_BASE: Duration = Duration::from_millis(100);
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// Of one operation.
#[derive(Debug)]
pub(super) struct Pace {
    /// Calls a second that its quota allows; `None`: nobody knows of one.
    ceiling: Option<f64>,
    /// Calls a second from now on; `None`: as they come.
    rate: Option<f64>,
    /// When the next call may leave.
    next: Mono,
    cut: Option<Cut>,
    measured: Measured,
}

/// The last time that a rate was cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: Mono,
    /// The rate before.
    from: f64,
}

impl Cut {
    /// The rate that it has grown back to: quickly at first, slowly about where it was refused, and quickly again where it was not.
    fn grown(self, now: Mono) -> f64 {
        let plateau_s = (self.from * (1.0 - CUT) / STEEPNESS).cbrt();
        let since_s = now.since(self.at).as_secs_f64();
        STEEPNESS * (since_s - plateau_s).powi(3) + self.from
    }
}

/// Calls that were accepted in this window and in the one before.
#[derive(Debug)]
struct Measured {
    window: Mono,
    accepted: u32,
    before: u32,
}

impl Measured {
    fn count(&mut self, now: Mono) {
        let since = now.since(self.window);
        if since >= WINDOW {
            self.before = if since < 2 * WINDOW { self.accepted } else { 0 };
            (self.window, self.accepted) = (now, 0);
        }
        self.accepted += 1;
    }

    fn rate(&self, now: Mono) -> f64 {
        let current = f64::from(self.accepted) / now.since(self.window).max(WINDOW).as_secs_f64();
        current.max(f64::from(self.before) / WINDOW.as_secs_f64())
    }
}

impl Pace {
    #[must_use]
    pub(super) fn new(ceiling: Option<u32>, now: Mono) -> Self {
        let ceiling = ceiling.map(f64::from);
        let measured = Measured { window: now, accepted: 0, before: 0 };
        Self { ceiling, rate: ceiling, next: now, cut: None, measured }
    }

    /// Takes the next turn; how long to wait for it.
    pub(super) fn turn(&mut self, now: Mono) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let at = self.next.max(now);
        self.next = at + Duration::from_secs_f64(1.0 / rate);
        at.since(now)
    }

    /// A call was carried out.
    pub(super) fn accepted(&mut self, now: Mono) {
        self.measured.count(now);
        if let Some(cut) = self.cut {
            let grown = cut.grown(now).max(RATE_MIN);
            self.rate = Some(self.ceiling.map_or(grown, |ceiling| grown.min(ceiling)));
        }
    }

    /// A call was throttled.
    pub(super) fn throttled(&mut self, now: Mono) {
        if self.cut.is_some_and(|cut| now.since(cut.at) < CUT_PAUSE) {
            return;
        }
        let measured = self.measured.rate(now);
        let from = self.rate.map_or(measured, |rate| rate.min(measured)).max(RATE_MIN / CUT);
        self.cut = Some(Cut { at: now, from });
        self.rate = Some(from * CUT);
    }
}

/// Before try number `tries` (from 1 on), by a draw of 0 to 1: full jitter, so that those who failed together do not come back together.
#[must_use]
pub(super) fn backoff(tries: u32, draw: f64) -> Duration {
    BACKOFF_CAP.min(BACKOFF_BASE * 2u32.pow(tries.min(16))).mul_f64(draw)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(1_000_000_000);

    /// A service that takes `quota` calls in each second of the clock; what it took in each, and what it refused in all.
    fn drive(mut pace: Pace, quota: u32, seconds: usize) -> (Vec<u32>, u32) {
        let (mut now, end) = (START, START + Duration::from_secs(seconds as u64));
        let (mut taken, mut refused) = (vec![0; seconds], 0);
        loop {
            // A call without a rate takes its time, too.
            now = now + pace.turn(now).max(Duration::from_millis(1));
            if now >= end {
                return (taken, refused);
            }
            let second = &mut taken[now.since(START).as_secs() as usize];
            if *second < quota {
                *second += 1;
                pace.accepted(now);
            } else {
                refused += 1;
                pace.throttled(now);
            }
        }
    }

    #[test]
    fn a_quota_that_is_known_is_kept_from_the_start() {
        let (taken, refused) = drive(Pace::new(Some(10), START), 11, 20);
        assert!(refused == 0 && taken.iter().all(|taken| (9..=11).contains(taken)), "{taken:?}");
        assert_eq!(Pace::new(None, START).turn(START), Duration::ZERO);
    }

    #[test]
    fn a_service_that_throttles_is_asked_more_slowly_and_its_rate_is_found() {
        for ceiling in [None, Some(100)] {
            let (taken, refused) = drive(Pace::new(ceiling, START), 10, 60);
            let late: u32 = taken[20..].iter().sum();
            assert!(late >= 8 * 40, "{taken:?}");
            assert!(refused < 600, "{refused} refusals for {}", taken.iter().sum::<u32>());
            let (_, in_vain) = drive(Pace::new(ceiling, START), 0, 60);
            assert!(in_vain < 600, "who is given nothing asks less and less: {in_vain}");
        }
    }

    #[test]
    fn what_was_cut_comes_back_and_goes_no_higher_than_the_quota() {
        let mut pace = Pace::new(Some(10), START);
        (0..10).for_each(|_| pace.accepted(START));
        pace.throttled(START);
        let slow = pace.rate.unwrap();
        assert!((6.0..8.0).contains(&slow), "{slow}");
        pace.throttled(START + Duration::from_millis(10));
        assert_eq!(pace.rate, Some(slow), "of the same moment");
        let mut rate_after = |s| {
            pace.accepted(START + Duration::from_secs(s));
            pace.rate.unwrap()
        };
        assert!((9.9..=10.0).contains(&rate_after(2)), "about where it was, soon");
        assert_eq!([10, 60].map(rate_after), [10.0, 10.0]);
    }

    #[test]
    fn backoffs_grow_to_their_cap_and_are_drawn() {
        assert_eq!([backoff(1, 1.0), backoff(2, 0.5), backoff(1, 0.0)].map(|wait| wait.as_millis()), [200, 200, 0]);
        assert_eq!(backoff(60, 1.0), BACKOFF_CAP);
    }
}
