//! Being asked to stop: Ctrl-C, SIGTERM, a key of the dashboard, or its terminal closing.

use super::ui::Stops;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From its making on, the process ends by its own decision.
pub(super) struct StopRequests {
    interrupt: Signal,
    terminate: Signal,
    /// Of the dashboard; without one, a closing terminal ends the process as it always does.
    dashboard: Option<(Stops, Signal)>,
    was_asked: bool,
}

impl StopRequests {
    /// Must be called within a runtime.
    pub(super) fn listen(dashboard: Option<Stops>) -> io::Result<Self> {
        let dashboard = dashboard.map(|stops| Ok::<_, io::Error>((stops, signal(SignalKind::hangup())?))).transpose()?;
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, dashboard, was_asked: false })
    }

    /// Completes with the next request.
    pub(super) async fn next(&mut self) {
        let dashboard = async {
            let Some((stops, hangup)) = &mut self.dashboard else { return std::future::pending().await };
            tokio::select! {
                Some(()) = stops.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = dashboard => {}
        }
        self.was_asked = true;
    }

    /// Whether there was a request.
    pub(super) fn was_asked(&self) -> bool {
        self.was_asked
    }
}
