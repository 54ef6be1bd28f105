//! How fast the executions of a job are queued: so many in each minute of the job (PROTOCOL 11.2).

use super::record::RecordKey;
use super::store::{Job, JobKey};
use super::{Engine, Timer};
use iot_jobs::instant::{Mono, Now};
use iot_jobs::{ExecutionStatus, RateIncrease, Spread};
use std::time::Duration;

/// The running minute of a rollout. Dues are computed from the start of the minute, never from the execution before; the rate of a
/// minute is set at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub minute_start: Mono,
    /// Executions queued in this minute.
    pub released: u32,
    /// Executions this minute has; `None`: no limit.
    pub quota: Option<u32>,
}

impl Pace {
    pub(super) fn new(start: Mono, quota: Option<u32>) -> Self {
        Self { minute_start: start, released: 0, quota }
    }

    /// When the next execution of this minute is due; `None` when the minute has had all of its own.
    fn due(&self, minute: Duration, spread: Spread) -> Option<Mono> {
        let Some(quota) = self.quota else { return Some(self.minute_start) };
        if self.released >= quota {
            return None;
        }
        let nanos = match spread {
            Spread::Smooth => minute.as_nanos() * u128::from(self.released) / u128::from(quota),
            Spread::Burst => 0,
        };
        Some(self.minute_start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl Job {
    /// Executions a minute as things stand. An exponential rate is multiplied each time its counter passes another multiple of the
    /// criterion.
    pub(super) fn rate(&self, service_rate: Option<u32>) -> Option<u32> {
        let rollout = &self.create.config.rollout;
        let Some(exponential) = rollout.exponential else { return rollout.maximum_per_minute.or(service_rate) };
        let passed = match exponential.criterion {
            RateIncrease::NotifiedThings(things) => self.rolled_out as u64 / things,
            RateIncrease::SucceededThings(things) => self.counts.of(ExecutionStatus::Succeeded) / things,
        };
        let factor = f64::from(exponential.increment_tenths) / 10.0;
        let rate = f64::from(exponential.base_per_minute) * factor.powf(passed as f64);
        let cap = rollout.maximum_per_minute.or(service_rate).unwrap_or(u32::MAX);
        Some(cap.min(rate as u32))
    }
}

impl Engine {
    /// Queues what is due of a job's executions, and sets the timer for the rest.
    pub(super) fn roll_out(&mut self, key: JobKey, now: Now) {
        loop {
            let job = &self.store.jobs[key as usize];
            let Some(&thing) = job.targets.get(job.rolled_out).filter(|_| job.is_rolling_out()) else {
                self.leave_rollout(key, now);
                break;
            };
            if !self.enter_rollout(key) {
                break;
            }
            let due = self.next_due(key, now.mono);
            if due > now.mono {
                self.timers.insert((due, Timer::RollOut(key)));
                break;
            }
            let job = &mut self.store.jobs[key as usize];
            job.rolled_out += 1;
            job.pace.released = job.pace.released.saturating_add(1);
            self.mark(RecordKey::JobState(key));
            self.queue(thing, key, now);
        }
    }

    /// When the next execution of a job is due; minutes that are over are left behind.
    fn next_due(&mut self, key: JobKey, now: Mono) -> Mono {
        let (minute, spread) = (self.config.minute, self.config.spread);
        loop {
            let job = &mut self.store.jobs[key as usize];
            if let Some(due) = job.pace.due(minute, spread) {
                return due;
            }
            let next = job.pace.minute_start + minute;
            if next > now {
                return next;
            }
            job.pace = Pace::new(next, job.rate(self.config.rate_per_minute));
        }
    }
}
