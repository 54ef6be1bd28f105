//! One row for each data-plane request: when it came, when its answer left. Both are `CLOCK_MONOTONIC`, one clock for all processes of a
//! host, so that what others measured can be checked against it.

use host::stdio;
use iot_jobs::instant::Mono;
use iot_jobs::{Reply, RequestKind, ThingName};
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A request that was answered, before its answer has left.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) thing: ThingName,
    pub(super) received: Mono,
    /// Absent: no operation has its topic.
    pub(super) kind: Option<RequestKind>,
    pub(super) outcome: &'static str,
    pub(super) client_token: Option<String>,
}

impl Answered {
    pub(super) fn new(thing: &ThingName, received: Mono, kind: Option<RequestKind>, reply: &Reply) -> Self {
        let outcome = reply.result.as_ref().map_or_else(|rejection| rejection.code.as_str(), |_| "accepted");
        Self {
            thing: thing.clone(),
            received,
            kind,
            outcome,
            client_token: reply.client_token.as_ref().map(|token| token.0.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    received_ns: u64,
    sent_ns: u64,
    thing: &'a str,
    operation: Option<String>,
    outcome: &'a str,
    client_token: Option<&'a str>,
}

/// Why the log cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("write the log of requests {path}: {source}")]
pub struct RequestLogError {
    path: PathBuf,
    source: csv::Error,
}

/// The file.
pub(super) struct RequestLog {
    path: PathBuf,
    out: Mutex<csv::Writer<File>>,
}

impl RequestLog {
    pub(super) fn create(path: &Path) -> Result<Self, RequestLogError> {
        let file = stdio::create(path).map_err(|error| RequestLogError { path: path.into(), source: error.into() })?;
        Ok(Self { path: path.into(), out: Mutex::new(csv::Writer::from_writer(file)) })
    }

    fn lock(&self) -> MutexGuard<'_, csv::Writer<File>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: impl Into<csv::Error>) -> RequestLogError {
        RequestLogError { path: self.path.clone(), source: source.into() }
    }

    /// The answers have left at `sent`.
    pub(super) fn write(&self, answered: &[Answered], sent: Mono) -> Result<(), RequestLogError> {
        let mut out = self.lock();
        for request in answered {
            let row = Row {
                received_ns: request.received.0,
                sent_ns: sent.0,
                thing: request.thing.as_str(),
                operation: request.kind.map(|kind| kind.to_string()),
                outcome: request.outcome,
                client_token: request.client_token.as_deref(),
            };
            out.serialize(row).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    pub(super) fn flush(&self) -> Result<(), RequestLogError> {
        self.lock().flush().map_err(|source| self.failed(source))
    }
}
