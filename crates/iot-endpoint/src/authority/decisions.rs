//! The log of decisions: one line of JSON for what a client was denied, with the explanation (`serve --decisions FILE`).

use super::permissions::Denial;
use host::stdio;
use iot_jobs::instant::Now;
use iot_policy::{Attachment, Client};
use serde::Serialize;
use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lines of one log; what comes then is counted, and the count is its last line.
const LINES_MAX: usize = 100_000;

/// Why the log cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("write the log of decisions {path}: {source}")]
pub struct DecisionLogError {
    path: PathBuf,
    source: io::Error,
}

/// The file.
pub(crate) struct DecisionLog {
    path: PathBuf,
    inner: Mutex<Inner>,
    hasher: RandomState,
}

struct Inner {
    out: BufWriter<File>,
    /// Of each line, so that a client that tries again and again is told of once.
    told: HashSet<u64>,
    dropped: u64,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    /// Milliseconds since the epoch.
    at_ms: i64,
    /// The same instant by `CLOCK_MONOTONIC`, one clock for all processes of a host.
    mono_ns: u64,
    /// Absent on HTTPS.
    client_id: Option<&'a str>,
    /// The thing that the client is, where it is one.
    thing: Option<&'a str>,
    certificate_id: Option<String>,
    source_ip: Option<String>,
    action: &'static str,
    /// A client id, topic, filter or thing with its kind, such as `topic/a`.
    resource: String,
    explanation: &'a str,
}

impl DecisionLog {
    /// What an earlier endpoint wrote stays.
    pub(crate) fn open(path: &Path) -> Result<Self, DecisionLogError> {
        let file = stdio::append(path).map_err(|source| DecisionLogError { path: path.into(), source })?;
        Ok(Self {
            path: path.into(),
            inner: Mutex::new(Inner { out: BufWriter::new(file), told: HashSet::new(), dropped: 0 }),
            hasher: RandomState::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> DecisionLogError {
        DecisionLogError { path: self.path.clone(), source }
    }

    pub(super) fn write(&self, client: &Client, denial: &Denial, why: &str, now: Now) -> Result<(), DecisionLogError> {
        let hash = self.hasher.hash_one((
            client.id.as_deref(),
            client.certificate.as_deref().map(|found| found.id),
            denial.action,
            &denial.name,
            why,
        ));
        let mut inner = self.lock();
        if inner.told.contains(&hash) {
            return Ok(());
        }
        if inner.told.len() == LINES_MAX {
            inner.dropped += 1;
            return Ok(());
        }
        inner.told.insert(hash);
        let thing = match &client.attachment {
            Attachment::Is(thing) => Some(&*thing.name),
            _ => None,
        };
        let line = Line {
            event: "denied",
            at_ms: now.epoch_ms,
            mono_ns: now.mono.0,
            client_id: client.id.as_deref(),
            thing,
            certificate_id: client.certificate.as_deref().map(|certificate| hex::encode(certificate.id)),
            source_ip: client.source_ip.map(|ip| ip.to_string()),
            action: denial.action.as_str(),
            resource: [denial.action.kind(), &denial.name].concat(),
            explanation: why,
        };
        let written =
            serde_json::to_writer(&mut inner.out, &line).map_err(io::Error::from).and_then(|()| inner.out.write_all(b"\n"));
        written.map_err(|source| self.failed(source))
    }

    pub(crate) fn flush(&self) -> Result<(), DecisionLogError> {
        self.lock().out.flush().map_err(|source| self.failed(source))
    }

    /// The last line says what was left out, if anything was.
    pub(crate) fn finish(&self) -> Result<(), DecisionLogError> {
        let mut inner = self.lock();
        let dropped = std::mem::take(&mut inner.dropped);
        if dropped > 0 {
            writeln!(inner.out, "{}", serde_json::json!({ "event": "dropped", "denials": dropped }))
                .map_err(|source| self.failed(source))?;
        }
        inner.out.flush().map_err(|source| self.failed(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::instant::Mono;
    use iot_policy::Action;

    #[test]
    fn each_denial_is_told_once_and_the_log_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("decisions.jsonl");
        let log = DecisionLog::open(&path).unwrap();
        let denial = Denial { action: Action::Subscribe, name: "a/\"b\"".into() };
        let client = Client { id: Some("c".into()), ..Client::default() };
        let at = |epoch_ms| Now { mono: Mono(1), epoch_ms };
        log.write(&client, &denial, "because", at(7)).unwrap();
        log.write(&client, &denial, "because", at(8)).unwrap();
        log.lock().told.extend(0..LINES_MAX as u64 - 1);
        log.write(&client, &denial, "for another reason", at(9)).unwrap();
        log.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["resource"], &lines[0]["at_ms"]), (&"topicfilter/a/\"b\"".into(), &7.into()));
        assert_eq!(lines[1], serde_json::json!({ "event": "dropped", "denials": 1 }));
    }
}
