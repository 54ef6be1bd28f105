//! The service's ledger as a file that is appended to.

use host::stdio;
use iot_jobs::ledger::{HEADER, LedgerRow};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Why a ledger cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} the ledger {path}: {source}")]
pub struct LedgerError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Appends rows. What is written reaches the file with [`Self::flush`].
pub struct LedgerWriter {
    path: PathBuf,
    out: BufWriter<File>,
}

impl LedgerWriter {
    /// Opens the file (`-`: standard output) for appending; a new one gets its header.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError { doing: "open", path: path.into(), source };
        let file = stdio::append(path).map_err(failed)?;
        let is_new = file.metadata().map_err(failed)?.len() == 0;
        let mut writer = Self { path: path.into(), out: BufWriter::new(file) };
        if is_new {
            writeln!(writer.out, "{HEADER}").map_err(|source| writer.failed(source))?;
            writer.flush()?;
        }
        Ok(writer)
    }

    /// # Errors
    /// When the disk does not take it.
    pub fn write(&mut self, row: &LedgerRow) -> Result<(), LedgerError> {
        writeln!(self.out, "{row}").map_err(|source| self.failed(source))
    }

    /// # Errors
    /// When the disk does not take it.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        self.out.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError { doing: "write", path: self.path.clone(), source }
    }
}
