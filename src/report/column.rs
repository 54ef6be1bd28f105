//! A CSV file as a table of columns: header, rows and the dictionary all derive from it.

use super::ReportError;
use std::borrow::Cow;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// One column of rows `R`.
pub(super) struct Column<R> {
    name: Cow<'static, str>,
    /// What the number means, with its unit; a sentence fragment.
    meaning: Cow<'static, str>,
    cell: Box<dyn Fn(&R) -> String + Send + Sync>,
}

impl<R> Column<R> {
    pub(super) fn new(
        name: impl Into<Cow<'static, str>>,
        meaning: impl Into<Cow<'static, str>>,
        cell: impl Fn(&R) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), meaning: meaning.into(), cell: Box::new(cell) }
    }
}

/// A file as its readers know it.
pub(super) struct Described {
    pub(super) file: &'static str,
    pub(super) row: &'static str,
    /// Name and meaning of each.
    pub(super) columns: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

pub(super) fn describe<R>(file: &'static str, row: &'static str, columns: Vec<Column<R>>) -> Described {
    Described { file, row, columns: columns.into_iter().map(|column| (column.name, column.meaning)).collect() }
}

/// A file that grows by whole seconds: each is handed to the system in one piece, so that no row is left torn.
pub(super) struct Appender {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Appender {
    pub(super) fn create(path: PathBuf) -> Result<Self, ReportError> {
        match File::create_new(&path) {
            Ok(file) => Ok(Self { path, file, length: 0 }),
            Err(source) => Err(ReportError::write(&path, source)),
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), ReportError> {
        self.file.write_all(bytes).map_err(|source| {
            // A disk that took a part of it is as it was before, if it can be; the first error is the one to tell.
            let _ = self.file.set_len(self.length);
            ReportError::write(&self.path, source)
        })?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// A CSV file that grows while the run goes.
pub(super) struct GrowingFile<R> {
    out: Appender,
    columns: Vec<Column<R>>,
    /// Rows since the last flush.
    rows: csv::Writer<Vec<u8>>,
}

impl<R> GrowingFile<R> {
    pub(super) fn create(dir: &Path, name: &str, columns: Vec<Column<R>>) -> Result<Self, ReportError> {
        let mut file = Self { out: Appender::create(dir.join(name))?, columns, rows: memory() };
        write_record(&mut file.rows, file.columns.iter().map(|column| column.name.as_ref()));
        file.flush()?;
        Ok(file)
    }

    pub(super) fn write(&mut self, row: &R) {
        write_record(&mut self.rows, self.columns.iter().map(|column| (column.cell)(row)));
    }

    pub(super) fn flush(&mut self) -> Result<(), ReportError> {
        let rows = std::mem::replace(&mut self.rows, memory());
        self.out.append(&bytes(rows))
    }
}

/// A whole CSV text, for files that are rewritten.
pub(super) fn to_csv<R>(columns: &[Column<R>], rows: impl Iterator<Item = R>) -> Vec<u8> {
    let mut out = memory();
    write_record(&mut out, columns.iter().map(|column| column.name.as_ref()));
    rows.for_each(|row| write_record(&mut out, columns.iter().map(|column| (column.cell)(&row))));
    bytes(out)
}

fn memory() -> csv::Writer<Vec<u8>> {
    csv::Writer::from_writer(Vec::new())
}

fn write_record<T: AsRef<[u8]>>(out: &mut csv::Writer<Vec<u8>>, cells: impl Iterator<Item = T>) {
    out.write_record(cells).expect("rows of one table have as many cells, and memory takes them");
}

fn bytes(out: csv::Writer<Vec<u8>>) -> Vec<u8> {
    out.into_inner().expect("memory takes every row")
}

/// Replaces a file in one step: a reader, and a crash, sees the old one or the new one. What could not be written leaves nothing.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let aside = path.with_extension("part");
    std::fs::write(&aside, bytes).and_then(|()| std::fs::rename(&aside, path)).map_err(|source| {
        // It may not even be there.
        let _ = std::fs::remove_file(&aside);
        ReportError::write(path, source)
    })
}

/// Milliseconds with three decimals; empty for what there is not.
pub(super) fn ms(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.3}"))
}
