//! A CSV file as a table of columns: header, rows and the dictionary all derive from it.

use super::ReportError;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// One column of rows `R`.
pub(super) struct Column<R> {
    pub(super) name: &'static str,
    /// What the number means, with its unit; a sentence fragment.
    pub(super) meaning: &'static str,
    pub(super) cell: fn(&R) -> String,
}

/// A file as its readers know it.
pub(super) struct Described {
    pub(super) file: &'static str,
    pub(super) row: &'static str,
    pub(super) columns: Vec<(&'static str, &'static str)>,
}

pub(super) fn describe<R>(file: &'static str, row: &'static str, columns: &[Column<R>]) -> Described {
    Described { file, row, columns: columns.iter().map(|column| (column.name, column.meaning)).collect() }
}

/// A CSV file that grows while the run goes; every flush leaves whole rows on disk.
pub(super) struct GrowingFile<R: 'static> {
    path: PathBuf,
    columns: &'static [Column<R>],
    out: csv::Writer<BufWriter<File>>,
}

impl<R> GrowingFile<R> {
    pub(super) fn create(dir: &Path, name: &str, columns: &'static [Column<R>]) -> Result<Self, ReportError> {
        let path = dir.join(name);
        let file = File::create_new(&path).map_err(|source| ReportError::write(&path, source))?;
        let mut file = Self { path, columns, out: csv::Writer::from_writer(BufWriter::new(file)) };
        file.write_record(columns.iter().map(|column| column.name.to_owned()))?;
        file.flush()?;
        Ok(file)
    }

    pub(super) fn write(&mut self, row: &R) -> Result<(), ReportError> {
        let columns = self.columns;
        self.write_record(columns.iter().map(|column| (column.cell)(row)))
    }

    pub(super) fn flush(&mut self) -> Result<(), ReportError> {
        self.out.flush().map_err(|source| ReportError::write(&self.path, source))
    }

    fn write_record(&mut self, cells: impl Iterator<Item = String>) -> Result<(), ReportError> {
        self.out.write_record(cells).map_err(|error| ReportError::write(&self.path, error.into()))
    }
}

/// A whole CSV text, for files that are rewritten.
pub(super) fn to_csv<R>(columns: &[Column<R>], rows: impl Iterator<Item = R>) -> Vec<u8> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let written = out
        .write_record(columns.iter().map(|column| column.name))
        .and_then(|()| rows.into_iter().try_for_each(|row| out.write_record(columns.iter().map(|column| (column.cell)(&row)))));
    written.ok().and_then(|()| out.into_inner().ok()).expect("writing CSV to memory does not fail")
}

/// Replaces a file in one step: a reader, and a crash, sees the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let aside = path.with_extension("part");
    std::fs::write(&aside, bytes).and_then(|()| std::fs::rename(&aside, path)).map_err(|source| ReportError::write(path, source))
}

/// Milliseconds with three decimals; empty for what there is not.
pub(super) fn ms(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.3}"))
}
