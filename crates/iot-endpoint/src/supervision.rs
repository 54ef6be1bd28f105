//! What must not happen unnoticed: a thread, or a task that goes on for as long as the endpoint does, ends by a panic, or cannot go on.
//! The endpoint ends then, and says why.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;

/// Where failures are told. The first reason counts.
#[derive(Clone)]
pub(super) struct Failures(Arc<watch::Sender<Option<String>>>);

impl Default for Failures {
    fn default() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }
}

impl Failures {
    /// The endpoint cannot go on.
    pub(super) fn fail(&self, why: &dyn std::fmt::Display) {
        self.0.send_if_modified(|reason| {
            let is_first = reason.is_none();
            reason.get_or_insert_with(|| why.to_string());
            is_first
        });
    }

    /// Completes when the endpoint cannot go on, with the reason.
    pub(super) async fn failed(&self) -> String {
        let mut reasons = self.0.subscribe();
        // The sender lives as long as this does.
        let reason = reasons.wait_for(Option::is_some).await.map(|reason| reason.clone());
        reason.ok().flatten().unwrap_or_default()
    }

    /// Runs `work` in a thread of its own.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub(super) fn spawn(&self, name: &'static str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        let watched = Watched { name, failures: self.clone() };
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let _watched = watched;
            work();
        })
    }

    /// The same work in a task, if it should panic.
    pub(super) async fn watch<T>(self, name: &'static str, work: impl Future<Output = T>) -> T {
        let _watched = Watched { name, failures: self };
        work.await
    }
}

/// Dropped when its thread or task ends, in whatever way.
struct Watched {
    name: &'static str,
    failures: Failures,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failures.fail(&format_args!("the part \"{}\" has panicked, which is a bug in fleetsim", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_dies_is_named_and_who_ends_is_not() {
        let failures = Failures::default();
        failures.spawn("good", || {}).unwrap().join().unwrap();
        assert!(failures.spawn("bad", || panic!("on purpose")).unwrap().join().is_err());
        failures.fail(&"later");
        assert!(failures.failed().await.contains("\"bad\" has panicked"));
        let failures = Failures::default();
        assert!(tokio::spawn(failures.clone().watch("task", async { panic!("on purpose") })).await.is_err());
        assert!(failures.failed().await.contains("\"task\" has panicked"));
    }
}
