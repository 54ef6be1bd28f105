//! What the service writes, apart from the ledger: the state and the logs of requests and decisions; and why it cannot go on.

use super::Service;
use crate::authority::{DecisionLog, DecisionLogError};
use crate::ledger::{LedgerError, LedgerWriter};
use crate::request_log::{Answered, RequestLog, RequestLogError};
use crate::state::{Change, Changes, Opened, State, StateError, Table};
use crate::supervision::Failures;
use host::clock;
use iot_jobs::instant::Now;
use jobs_engine::engine::Engine;
use jobs_engine::registry::{self, Registry};
use std::io;
use std::time::Duration;

/// Rows reach their files at least this often.
const FLUSH: Duration = Duration::from_millis(100);
/// How long a change may take to reach the disk.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The files that the service is to write.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) ledger: Option<LedgerWriter>,
    pub(crate) requests: Option<RequestLog>,
    pub(crate) decisions: Option<DecisionLog>,
    pub(crate) state: Option<Opened>,
}

/// Why the service cannot begin, or its files cannot be written any more.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Requests(#[from] RequestLogError),
    #[error("{0}")]
    Decisions(#[from] DecisionLogError),
    #[error("{0}")]
    State(#[from] StateError),
    #[error("start the thread for what happens later: {0}")]
    Thread(#[source] io::Error),
}

pub(super) struct OpenFiles {
    requests: Option<RequestLog>,
    decisions: Option<DecisionLog>,
    state: Option<State>,
    failures: Failures,
}

/// Reads back what stands in the state.
pub(super) fn restore(opened: &Opened, engine: &mut Engine, registry: &mut Registry) -> Result<(), StateError> {
    engine.restore(opened.read(Table::Engine)?, clock::now());
    let records = opened.read::<registry::Key, registry::Record>(Table::Registry)?;
    let is_whole = records.into_iter().all(|(key, record)| registry.restore(key, record));
    if is_whole { Ok(()) } else { Err(opened.unusable("a record stands in the place of another kind")) }
}

impl OpenFiles {
    pub(super) fn new(
        requests: Option<RequestLog>,
        decisions: Option<DecisionLog>,
        state: Option<Opened>,
        failures: Failures,
    ) -> Result<Self, StateError> {
        let state = state.map(|opened| opened.start(&failures)).transpose()?;
        Ok(Self { requests, decisions, state, failures })
    }

    /// Hands what a call has changed to the state.
    pub(super) fn write_records(&self, engine: &mut Engine, registry: &mut Registry, now: Now) {
        let Some(state) = &self.state else {
            registry.forget_dirty();
            return;
        };
        let mut changes = Changes::new();
        changes.extend(std::iter::from_fn(|| engine.poll_record(now)).map(|(key, record)| Change::Engine(key, record)));
        changes.extend(std::iter::from_fn(|| registry.poll_dirty()).map(|(key, record)| Change::Registry(key, record)));
        if !changes.is_empty() {
            state.write(changes);
        }
    }

    pub(super) fn fail(&self, why: &dyn std::fmt::Display) {
        self.failures.fail(why);
    }
}

impl Service {
    /// Whether requests are to be remembered until their answers have left.
    pub(crate) fn logs_requests(&self) -> bool {
        self.files.requests.is_some()
    }

    /// The answers of these requests have left.
    pub(crate) fn log_requests(&self, answered: &[Answered]) {
        if let Some(log) = &self.files.requests
            && let Err(error) = log.write(answered, clock::mono())
        {
            self.files.fail(&error);
        }
    }

    /// Keeps the files close behind; never ends.
    pub(crate) async fn run_files(&self) {
        loop {
            tokio::time::sleep(FLUSH).await;
            if let Err(error) = self.flush() {
                self.files.fail(&error);
            }
        }
    }

    pub(crate) fn flush(&self) -> Result<(), FileError> {
        self.effect_receiver.flush()?;
        if let Some(requests) = &self.files.requests {
            requests.flush()?;
        }
        if let Some(decisions) = &self.files.decisions {
            decisions.flush()?;
        }
        Ok(())
    }

    /// Whoever tells of a change waits for this first: that all changes so far are in the ledger's file, and on disk where a state is
    /// kept. Says whether they are.
    pub(crate) async fn durable(&self) -> bool {
        if let Err(error) = self.effect_receiver.flush() {
            self.files.fail(&error);
            return false;
        }
        match &self.files.state {
            // In a box: connections that never wait are not to carry the room for it.
            Some(state) if !state.is_committed() => {
                Box::pin(tokio::time::timeout(COMMIT_TIMEOUT, state.committed())).await.unwrap_or(false)
            }
            _ => true,
        }
    }

    /// Where denials are told, if anywhere.
    pub(crate) fn decisions(&self) -> Option<&DecisionLog> {
        self.files.decisions.as_ref()
    }

    /// The last change was made.
    pub(crate) fn close(&self) {
        if let Some(Err(error)) = self.files.decisions.as_ref().map(DecisionLog::finish) {
            self.files.fail(&error);
        }
        if let Some(state) = &self.files.state {
            state.close();
        }
    }

    /// Where it is told that the service cannot go on.
    pub(crate) fn failures(&self) -> &Failures {
        &self.files.failures
    }

    /// Completes when the service cannot go on, with the reason.
    pub(crate) async fn failed(&self) -> String {
        self.files.failures.failed().await
    }
}
