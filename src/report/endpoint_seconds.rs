//! `endpoint.jsonl`: what a leader saw of the endpoint that it had started for its workers, a line a second, for whoever joins it with their
//! seconds.

use super::ReportError;
use super::column::Appender;
use crate::tail::LineTail;
use iot_jobs::instant::Mono;
use load_metrics::ProcessUsage;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Its name in a results folder.
pub(crate) const ENDPOINT_SECONDS: &str = "endpoint.jsonl";

/// A second of the endpoint.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct EndpointSecond {
    /// Where second 0 begins, by the clock of the endpoint's host: nanoseconds, as in its ledger.
    pub origin: Mono,
    /// Whole seconds from the origin to its beginning.
    pub second: u64,
    /// CPU and memory of the process; absent while there is none.
    pub usage: Option<ProcessUsage>,
    /// Events of the scenario, by their place, that were over in it, and when.
    pub events_over: Vec<(usize, Mono)>,
}

/// Writes them, each in one piece.
pub(crate) struct EndpointSecondsWriter(Appender);

impl EndpointSecondsWriter {
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn create(dir: &Path) -> Result<Self, ReportError> {
        Appender::create(dir.join(ENDPOINT_SECONDS)).map(Self)
    }

    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn second(&mut self, second: &EndpointSecond) -> Result<(), ReportError> {
        let mut line = serde_json::to_vec(second).expect("it has string keys and finite numbers");
        line.push(b'\n');
        self.0.append(&line)
    }
}

/// Reads them back, also while they are written.
pub(crate) struct EndpointSecondsTail(LineTail);

impl EndpointSecondsTail {
    /// The file may come into being later.
    #[must_use]
    pub(crate) fn new(dir: &Path) -> Self {
        Self(LineTail::new(&dir.join(ENDPOINT_SECONDS)))
    }

    /// Those that were completed since the last call.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is none.
    pub(crate) fn read_new(&mut self) -> Result<Vec<EndpointSecond>, ReportError> {
        let mut seconds = Vec::new();
        let read = self.0.read_new(|line| {
            seconds.push(serde_json::from_slice(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?);
            Ok::<_, io::Error>(())
        });
        read.map_err(|source| ReportError::Read { path: self.0.path().into(), source })?;
        Ok(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_come_back_as_they_were_written_and_a_damaged_line_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = EndpointSecondsTail::new(dir.path());
        assert_eq!(tail.read_new().unwrap(), [], "there is no file yet");
        let mut writer = EndpointSecondsWriter::create(dir.path()).unwrap();
        let second = |second| EndpointSecond {
            origin: Mono(u64::MAX),
            second,
            usage: (second != 1).then(|| ProcessUsage { cpu_share: 0.5, ..ProcessUsage::default() }),
            events_over: (0..second as usize).map(|event| (event, Mono(7))).collect(),
        };
        (0..2).for_each(|n| writer.second(&second(n)).unwrap());
        assert_eq!(tail.read_new().unwrap(), [second(0), second(1)]);
        writer.second(&second(2)).unwrap();
        assert_eq!(tail.read_new().unwrap(), [second(2)]);
        std::fs::write(dir.path().join(ENDPOINT_SECONDS), "{\"second\":1}\n").unwrap();
        let told = EndpointSecondsTail::new(dir.path()).read_new().unwrap_err().to_string();
        assert!(told.contains("endpoint.jsonl") && told.contains("origin"), "{told}");
    }
}
