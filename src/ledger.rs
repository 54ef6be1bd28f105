//! The service's ledger, tailed while the endpoint appends to it.

use crate::tail::LineTail;
use iot_jobs::ledger::{HEADER, LedgerRow};
use std::io;
use std::path::{Path, PathBuf};

/// Why a ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{doing} the ledger {path}: {source}")]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("read the ledger {path}: line {line} is damaged: {text:?}")]
    Damaged { path: PathBuf, line: u64, text: String },
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why no more can be read, before the ledger is named.
enum Failed {
    Io(io::Error),
    Damaged(String),
}

/// Follows a ledger that another process is writing.
pub struct LedgerTail {
    lines: LineTail,
    line: u64,
}

impl LedgerTail {
    /// The file may come into being later.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { lines: LineTail::new(path), line: 0 }
    }

    /// Every row that was completed since the last call.
    ///
    /// # Errors
    /// When the file cannot be read, or a complete line is no row.
    pub fn read_new(&mut self) -> Result<Vec<LedgerRow>, LedgerError> {
        let (mut rows, number) = (Vec::new(), &mut self.line);
        let read = self.lines.read_new(|line| {
            *number += 1;
            let text = String::from_utf8_lossy(line);
            if *number > 1 || text != HEADER {
                rows.push(LedgerRow::parse(&text).ok_or_else(|| Failed::Damaged(text.into_owned()))?);
            }
            Ok(())
        });
        let path = || self.lines.path().to_owned();
        match read {
            Ok(()) => Ok(rows),
            Err(Failed::Io(source)) => Err(LedgerError::File { doing: "read", path: path(), source }),
            Err(Failed::Damaged(text)) => Err(LedgerError::Damaged { path: path(), line: self.line, text }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_endpoint::LedgerWriter;
    use iot_jobs::instant::Mono;
    use iot_jobs::ledger::LedgerEvent;
    use iot_jobs::{ExecutionStatus, JobId, ThingName};
    use std::fs::File;
    use std::io::Write as _;
    use strum::VariantArray;

    fn row(n: u64) -> LedgerRow {
        LedgerRow {
            at: Mono(n),
            thing: ThingName::new(&format!("t:{n}")).unwrap(),
            job: JobId::new("fw-1").unwrap(),
            execution_number: 1,
            version: n as i64,
            status: ExecutionStatus::InProgress,
            event: LedgerEvent::VARIANTS[n as usize % 5],
            subscribed: n.is_multiple_of(2),
        }
    }

    #[test]
    fn rows_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.csv");
        let mut tail = LedgerTail::new(&path);
        assert_eq!(tail.read_new().unwrap(), [], "there is no file yet");
        let writer = LedgerWriter::open(&path).unwrap();
        for n in 0..10 {
            writer.write(&row(n)).unwrap();
        }
        writer.flush().unwrap();
        assert_eq!(tail.read_new().unwrap(), (0..10).map(row).collect::<Vec<_>>());
        assert_eq!(tail.read_new().unwrap(), []);
        drop(writer);
        let again = LedgerWriter::open(&path).unwrap();
        again.write(&row(10)).unwrap();
        again.flush().unwrap();
        assert_eq!(tail.read_new().unwrap(), [row(10)], "appended, with one header");
    }

    #[test]
    fn a_line_written_in_pieces_is_read_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.csv");
        let mut tail = LedgerTail::new(&path);
        let mut file = File::create(&path).unwrap();
        let mut seen = Vec::new();
        for byte in format!("{HEADER}\n{}\n{}\n", row(1), row(2)).bytes() {
            file.write_all(&[byte]).unwrap();
            seen.extend(tail.read_new().unwrap());
        }
        assert_eq!(seen, [row(1), row(2)]);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.csv");
        let good = row(1).to_string();
        for bad in [&good[3..], "1,t,j,1,1,QUEUED,queued", "1,t,j,1,1,QUEUED,queued,true,more", "\u{1}"] {
            std::fs::write(&path, format!("{HEADER}\n{good}\n{bad}\n")).unwrap();
            let error = LedgerTail::new(&path).read_new().unwrap_err().to_string();
            assert!(error.contains("line 3"), "{error}");
        }
    }
}
