//! Maintenance windows of continuous jobs (PROTOCOL-CORE 2.3): outside of them nothing new is queued, retries included; what is queued may be
//! started, and what runs goes on.

use super::pace::Pace;
use super::store::JobKey;
use super::{Engine, Timer};
use iot_jobs::JobStatus;
use iot_jobs::instant::Now;

impl Engine {
    /// Looks whether a window of the job is open, and when to look again.
    pub(super) fn follow_window(&mut self, key: JobKey, now: Now) {
        let minute = self.config.minute;
        let job = &mut self.store.jobs[key as usize];
        let scheduling = job.create.scheduling.as_ref().filter(|scheduling| !scheduling.windows.is_empty());
        let Some(scheduling) = scheduling.filter(|_| job.status == JobStatus::InProgress && !job.is_stopped) else { return };
        let state = scheduling.window_at(now.epoch_ms, minute);
        job.is_open = state.is_open;
        if let Some(until) = state.until_ms {
            self.timers.insert((Self::moment(until, now), Timer::Window(key)));
        }
    }

    /// A window opens or closes. The rate counts anew from the opening; the counters that it grows by do not (inferred).
    pub(super) fn turn_window(&mut self, key: JobKey, now: Now) {
        let was_open = self.store.jobs[key as usize].is_open;
        self.follow_window(key, now);
        let service_rate = self.config.rate_per_minute;
        let job = &mut self.store.jobs[key as usize];
        match (was_open, job.is_open) {
            (false, true) => {
                job.pace = Pace::new(now.mono, job.rate(service_rate));
                self.retry_what_waited(key, now);
                self.roll_out(key, now);
            }
            (true, false) => self.leave_rollout(key, now),
            _ => {}
        }
    }

    /// What failed while no window was open is retried now.
    pub(super) fn retry_what_waited(&mut self, key: JobKey, now: Now) {
        if self.store.jobs[key as usize].create.config.retry.is_empty() {
            return;
        }
        for thing in self.holders(key) {
            let holder = &self.store.things[thing as usize];
            let latest = holder.find(key, None).map(|id| (id, holder.executions[&id].status));
            if let Some((id, status)) = latest.filter(|(_, status)| status.is_terminal()) {
                self.retry(thing, id, status, now);
            }
        }
    }
}
