//! The service's ledger, tailed while the endpoint appends to it.

use iot_jobs::ledger::{HEADER, LedgerRow};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most of a file that is read in one go.
const READ_BYTES: usize = 1 << 20;

/// Why a ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{doing} the ledger {path}: {source}")]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("read the ledger {path}: line {line} is damaged: {text:?}")]
    Damaged { path: PathBuf, line: u64, text: String },
}

/// Follows a ledger that another process is writing.
pub struct LedgerTail {
    path: PathBuf,
    file: Option<File>,
    /// A line whose end has not been written yet.
    partial: Vec<u8>,
    line: u64,
}

impl LedgerTail {
    /// The file may come into being later.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), file: None, partial: Vec::new(), line: 0 }
    }

    /// Every row that was completed since the last call.
    ///
    /// # Errors
    /// When the file cannot be read, or a complete line is no row.
    pub fn read_new(&mut self) -> Result<Vec<LedgerRow>, LedgerError> {
        let failed = |path: &Path, source| LedgerError::File { doing: "read", path: path.into(), source };
        let mut file = match self.file.take() {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(failed(&self.path, error)),
            },
        };
        let mut rows = Vec::new();
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let count = file.read(&mut chunk).map_err(|error| failed(&self.path, error))?;
            if count == 0 {
                break;
            }
            self.partial.extend_from_slice(&chunk[..count]);
            self.take_lines(&mut rows)?;
        }
        self.file = Some(file);
        Ok(rows)
    }

    fn take_lines(&mut self, rows: &mut Vec<LedgerRow>) -> Result<(), LedgerError> {
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let rest = self.partial.split_off(end + 1);
        let complete = std::mem::replace(&mut self.partial, rest);
        for line in complete[..end].split(|byte| *byte == b'\n') {
            self.line += 1;
            let text = String::from_utf8_lossy(line);
            if self.line == 1 && text == HEADER {
                continue;
            }
            let damaged = || LedgerError::Damaged { path: self.path.clone(), line: self.line, text: text.clone().into_owned() };
            rows.push(LedgerRow::parse(&text).ok_or_else(damaged)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_endpoint::LedgerWriter;
    use iot_jobs::instant::Mono;
    use iot_jobs::ledger::LedgerEvent;
    use iot_jobs::{ExecutionStatus, JobId, ThingName};
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
