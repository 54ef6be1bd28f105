//! What happens because time has passed.

use super::Service;
use host::clock;
use jobs_engine::engine::Engine;
use std::time::Duration;

/// A timer never sleeps longer than this, whatever it is told.
const TIMER_SLEEP_MAX: Duration = Duration::from_secs(60);

impl Service {
    /// Runs the engine's timers; never ends.
    pub(crate) async fn run_timers(&self) {
        loop {
            let deadline = self.lock().engine.poll_timeout();
            let wait = deadline.map_or(TIMER_SLEEP_MAX, |(at, _)| at.since(clock::mono()).min(TIMER_SLEEP_MAX));
            tokio::select! {
                () = tokio::time::sleep(wait) => self.call(Engine::handle_timeout),
                () = self.timer.notified() => {}
            }
        }
    }

    /// Ends the sessions whose clients stay away, and publishes wills that have waited long enough; never ends.
    pub(crate) async fn run_sessions(&self) {
        loop {
            let wait = self.sessions.poll_timeout().map_or(TIMER_SLEEP_MAX, |at| at.since(clock::mono()).min(TIMER_SLEEP_MAX));
            tokio::select! {
                () = tokio::time::sleep(wait) => self.expire_sessions(),
                () = self.sessions.deadline_changed() => {}
            }
        }
    }
}
