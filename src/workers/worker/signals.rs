//! When and how often somebody has wanted this process to end, from its beginning on: the run that it drives hears of it by itself.

use crate::stop::StopRequests;
use host::clock;
use iot_jobs::instant::Mono;
use std::io;
use tokio::sync::watch;
use tokio::task::AbortHandle;

#[derive(Clone, Copy, Debug, Default)]
struct Signals {
    times: u32,
    first: Option<Mono>,
}

/// Listens until it is dropped.
pub(super) struct StopSignals {
    signals: watch::Receiver<Signals>,
    task: AbortHandle,
}

impl StopSignals {
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// When the host gives no signals.
    pub(super) fn listen() -> io::Result<Self> {
        let mut stop = StopRequests::listen(None)?;
        let (sender, signals) = watch::channel(Signals::default());
        let counting = async move {
            loop {
                stop.next().await;
                let now = clock::mono();
                sender.send_modify(|signals| {
                    signals.times += 1;
                    signals.first.get_or_insert(now);
                });
            }
        };
        Ok(Self { signals, task: tokio::spawn(counting).abort_handle() })
    }

    pub(super) fn times(&self) -> u32 {
        self.signals.borrow().times
    }

    pub(super) fn first(&self) -> Option<Mono> {
        self.signals.borrow().first
    }

    /// Completes once somebody has asked more often than that.
    pub(super) async fn after(&self, times: u32) {
        // Who counts lives as long as this.
        let _ = self.signals.clone().wait_for(|signals| signals.times > times).await;
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        self.task.abort();
    }
}
