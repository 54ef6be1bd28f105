//! Being asked to stop: Ctrl-C, SIGTERM, a key of the dashboard, or its terminal closing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Whether whoever started this process wants it to outlive its terminal, as `nohup` does.
pub(crate) fn ignores_hangup() -> bool {
    let hangup = 1 << (SignalKind::hangup().as_raw_value() - 1);
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & hangup != 0)
}

/// Wishes of somebody at the dashboard to stop the run.
pub(crate) type Stops = mpsc::UnboundedReceiver<()>;

/// From its making on, the process ends by its own decision.
pub(crate) struct StopRequests {
    interrupt: Signal,
    terminate: Signal,
    dashboard: Option<Stops>,
    /// With a dashboard; without one, a closing terminal ends the process as it always does.
    hangup: Option<Signal>,
    was_asked: bool,
}

impl StopRequests {
    /// Must be called within a runtime.
    pub(crate) fn listen(dashboard: Option<Stops>) -> io::Result<Self> {
        let wants_hangup = dashboard.is_some() && !ignores_hangup();
        let hangup = wants_hangup.then(|| signal(SignalKind::hangup())).transpose()?;
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, dashboard, hangup, was_asked: false })
    }

    /// Completes with the next request.
    pub(crate) async fn next(&mut self) {
        let dashboard = async {
            if let Some(stops) = &mut self.dashboard
                && stops.recv().await.is_some()
            {
                return;
            }
            std::future::pending::<()>().await;
        };
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = dashboard => {}
            () = hangup => {}
        }
        self.was_asked = true;
    }

    /// Whether there has been a request by now.
    pub(crate) async fn is_asked(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.next() => {}
            () = std::future::ready(()) => {}
        }
        self.was_asked
    }

    /// Whether there was a request.
    pub(crate) fn was_asked(&self) -> bool {
        self.was_asked
    }
}

/// The same for work that looks now and then whether it is to stop.
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// The first request sets it; the second ends the process, as if nobody had listened.
    ///
    /// # Errors
    /// When the host gives no thread, or no signals.
    pub(crate) fn listen() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&flag);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut stops = runtime.block_on(async { StopRequests::listen(None) })?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(stops.next());
            shared.store(true, Ordering::Relaxed);
            runtime.block_on(stops.next());
            std::process::exit(crate::exit::INTERRUPTED.into());
        })?;
        Ok(Self(flag))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
