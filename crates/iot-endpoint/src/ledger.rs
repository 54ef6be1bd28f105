//! The service's ledger as a file that is appended to.

use host::stdio;
use iot_jobs::ledger::{HEADER, LedgerRow};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Appends rows. What is written reaches the file with [`Self::flush`], in whole rows and in their order.
pub struct LedgerWriter {
    path: PathBuf,
    /// Rows for the file. They are added while others are being written.
    waiting: Mutex<Vec<u8>>,
    /// Who has it takes what waits, and writes it.
    output: Mutex<Output>,
    /// Rows so far, and those of them that are in the file.
    added: AtomicU64,
    flushed: AtomicU64,
}

struct Output {
    /// None when it has not taken a row: what follows must not stand in its place.
    file: Option<File>,
    /// What was written last, for its room.
    spare: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let writer = Self::new(path, file);
        if whole == 0 {
            writer.add(&HEADER);
            writer.flush()?;
        }
        Ok(writer)
    }

    fn new(path: &Path, file: File) -> Self {
        let output = Output { file: Some(file), spare: Vec::new() };
        Self {
            path: path.into(),
            waiting: Mutex::default(),
            output: Mutex::new(output),
            added: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
        }
    }

    /// # Errors
    /// When the disk does not take what waits already.
    pub fn write(&self, row: &LedgerRow) -> Result<(), LedgerError> {
        if self.add(row) > WAITING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Says how many bytes wait.
    fn add(&self, row: &dyn Display) -> usize {
        let mut waiting = lock(&self.waiting);
        // A vector takes whatever it is given.
        let _ = writeln!(waiting, "{row}");
        self.added.fetch_add(1, Ordering::Release);
        waiting.len()
    }

    /// Makes sure that all rows so far are in the file: then a `kill -9` does not take them. Costs nothing when others have seen to it.
    ///
    /// # Errors
    /// When the disk does not take them, or has not taken one before.
    pub fn flush(&self) -> Result<(), LedgerError> {
        let wanted = self.added.load(Ordering::Acquire);
        if self.flushed.load(Ordering::Acquire) >= wanted {
            return Ok(());
        }
        let mut output = lock(&self.output);
        // Whoever had it just now may have written them, too.
        if self.flushed.load(Ordering::Acquire) >= wanted {
            return Ok(());
        }
        let failed = |source| LedgerError { doing: "write", path: self.path.clone(), source };
        let Output { file: Some(file), spare } = &mut *output else {
            return Err(failed(io::Error::other("a row is missing that could not be written")));
        };
        let mut waiting = lock(&self.waiting);
        let mut rows = std::mem::replace(&mut *waiting, std::mem::take(spare));
        let added = self.added.load(Ordering::Acquire);
        drop(waiting);
        if let Err(source) = file.write_all(&rows) {
            output.file = None;
            return Err(failed(source));
        }
        rows.clear();
        *spare = rows;
        self.flushed.store(added, Ordering::Release);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What was not written must not be passed over: somebody else would be told of it.
    #[test]
    fn after_a_row_that_could_not_be_written_nothing_is_in_the_file_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.csv");
        LedgerWriter::open(&path).unwrap();
        let writer = LedgerWriter::new(&path, File::open(&path).unwrap());
        writer.flush().expect("nothing waits");
        writer.add(&"a row");
        for _ in 0..2 {
            let why = writer.flush().unwrap_err().to_string();
            assert!(why.starts_with("write the ledger") && why.contains("ledger.csv"), "{why}");
        }
        writer.add(&"another");
        assert!(writer.flush().is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{HEADER}\n"));
    }

    /// Rows that are added while others are written come behind them, and whoever flushes finds its own in the file.
    #[test]
    fn whoever_flushes_finds_its_rows_in_the_file_and_all_are_there_once() {
        const THREADS: usize = 4;
        const ROWS: usize = 500;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.csv");
        let writer = LedgerWriter::open(&path).unwrap();
        let read = || std::fs::read_to_string(&path).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (writer, read) = (&writer, &read);
                scope.spawn(move || {
                    for n in 0..ROWS {
                        let row = format!("{thread},{n}");
                        writer.add(&row);
                        writer.flush().unwrap();
                        assert!(n % 50 > 0 || read().lines().any(|line| line == row), "{row} is missing");
                    }
                });
            }
        });
        let text = read();
        for thread in 0..THREADS {
            let prefix = format!("{thread},");
            let told: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
            assert_eq!(told, (0..ROWS).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
}
