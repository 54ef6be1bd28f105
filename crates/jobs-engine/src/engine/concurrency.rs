//! How many jobs are rolled out at once (PROTOCOL-CORE 2.4): others are `IN_PROGRESS` and wait for their turn, the oldest first.

use super::store::JobKey;
use super::{Engine, Timer};
use iot_jobs::CancelJob;
use iot_jobs::instant::Now;

/// What a scheduled job says of its cancellation that came due when no other could be rolled out; AWS's text was not found.
const LIMIT_REASON: &str = "CONCURRENT_JOBS_LIMIT";

impl Engine {
    /// Whether the job may be rolled out now; if not, it is told when.
    pub(super) fn enter_rollout(&mut self, key: JobKey) -> bool {
        if self.store.rolling.contains(&key) {
            return true;
        }
        if self.is_full() {
            self.store.waiting.insert(key);
            return false;
        }
        self.store.waiting.remove(&key);
        self.store.rolling.insert(key);
        true
    }

    /// The job is not rolled out any more, for now or for good: another one's turn comes.
    pub(super) fn leave_rollout(&mut self, key: JobKey, now: Now) {
        self.store.waiting.remove(&key);
        if self.store.rolling.remove(&key)
            && let Some(next) = self.store.waiting.pop_first()
        {
            self.store.rolling.insert(next);
            self.store.jobs[next as usize].pace.minute_start = now.mono;
            self.timers.insert((now.mono, Timer::RollOut(next)));
        }
    }

    /// A scheduled job that is due while no other can be rolled out is cancelled.
    pub(super) fn is_turned_away(&mut self, key: JobKey, now: Now) -> bool {
        let is_full = self.is_full();
        if is_full {
            let comment = Some("too many jobs were being rolled out when it was due".into());
            self.cancel(key, CancelJob { reason_code: Some(LIMIT_REASON.into()), comment, force: false }, now);
        }
        is_full
    }

    /// Jobs that are being rolled out (`isConcurrent`).
    #[must_use]
    pub fn concurrent_jobs(&self) -> usize {
        self.store.rolling.len()
    }

    fn is_full(&self) -> bool {
        self.config.concurrent_jobs_max.is_some_and(|max| self.store.rolling.len() >= max as usize)
    }
}
