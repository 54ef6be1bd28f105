//! The service's ledger as a file that is appended to.

use host::stdio;
use iot_jobs::ledger::{HEADER, LedgerRow};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Rows that may wait for a flush, in bytes.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// More than any row is long.
const ROW_BYTES_MAX: u64 = 4 * 1024;

/// Why a ledger cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} the ledger {path}: {source}")]
pub struct LedgerError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Appends rows. What is written reaches the file with [`Self::flush`], in whole rows.
pub struct LedgerWriter {
    path: PathBuf,
    file: File,
    waiting: Vec<u8>,
}

impl LedgerWriter {
    /// Opens the file (`-`: standard output) for appending; a new one gets its header. A last row that was cut short, by a full disk or the
    /// end of its writer, is taken back: nobody was told of it.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError { doing: "open", path: path.into(), source };
        let file = stdio::append(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let whole = if stdio::is_standard(path) { length } else { end_of_rows(&file, length).map_err(failed)? };
        if whole < length {
            tracing::warn!(path = %path.display(), bytes = length - whole, "the last row of the ledger was cut short: it is removed");
            file.set_len(whole).map_err(failed)?;
        }
        let mut writer = Self { path: path.into(), file, waiting: Vec::new() };
        if whole == 0 {
            writer.waiting.extend(format!("{HEADER}\n").into_bytes());
            writer.flush()?;
        }
        Ok(writer)
    }

    /// # Errors
    /// When the disk does not take what waits already.
    pub fn write(&mut self, row: &LedgerRow) -> Result<(), LedgerError> {
        // A vector takes whatever it is given.
        let _ = writeln!(self.waiting, "{row}");
        if self.waiting.len() > WAITING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// # Errors
    /// When the disk does not take it.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        let rows = std::mem::take(&mut self.waiting);
        self.file.write_all(&rows).map_err(|source| LedgerError { doing: "write", path: self.path.clone(), source })?;
        self.waiting = rows;
        self.waiting.clear();
        Ok(())
    }
}

/// Where the last row ends that is whole.
fn end_of_rows(file: &File, length: u64) -> io::Result<u64> {
    let start = length.saturating_sub(ROW_BYTES_MAX);
    let mut tail = vec![0; (length - start) as usize];
    file.read_exact_at(&mut tail, start)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => Ok(start + last as u64 + 1),
        None if start == 0 => Ok(0),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no ledger: its last line has no end")),
    }
}
