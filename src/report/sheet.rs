//! A CSV file of a results folder as far as it can be read: what is damaged is told, and what stands before it is used.

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Greater ones are no figures of a run: a cell that has one is damaged.
const FIGURE_MAX: f64 = 1e15;

/// What could not be read, in words.
pub(super) type Notes = Vec<String>;

/// A row of a file: the seconds it ends at and covers, and a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) end: u64,
    pub(super) seconds: u64,
    pub(super) value: f64,
}

#[derive(Default)]
pub(super) struct Sheet {
    columns: StringRecord,
    rows: Vec<StringRecord>,
}

impl Sheet {
    /// The rows of `file` that have one of the `wanted` texts in that column, in its order. A file that is missing is empty: who reads the folder says so.
    pub(super) fn read(dir: &Path, file: &str, wanted: Option<(&str, &[&str])>, notes: &mut Notes) -> Self {
        match Self::parse(&dir.join(file), wanted) {
            Ok((sheet, None)) => sheet,
            Ok((sheet, Some(error))) => {
                let kept = sheet.rows.len();
                notes.push(format!("{file} is damaged, and its first {kept} rows are shown: {error}"));
                sheet
            }
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound) {
                    notes.push(format!("{file} cannot be read: {error}"));
                }
                Self::default()
            }
        }
    }

    fn parse(path: &Path, wanted: Option<(&str, &[&str])>) -> csv::Result<(Self, Option<csv::Error>)> {
        let mut reader = ReaderBuilder::new().from_path(path)?;
        let mut sheet = Self { columns: reader.headers()?.clone(), rows: Vec::new() };
        let wanted = wanted.map(|(column, texts)| (sheet.place(column), texts));
        let mut row = StringRecord::new();
        loop {
            match reader.read_record(&mut row) {
                Ok(true) => {
                    let has = |(place, texts): (Option<usize>, &[&str])| {
                        place.and_then(|n| row.get(n)).is_some_and(|cell| texts.contains(&cell))
                    };
                    if wanted.is_none_or(has) {
                        sheet.rows.push(row.clone());
                    }
                }
                Ok(false) => return Ok((sheet, None)),
                Err(error) => return Ok((sheet, Some(error))),
            }
        }
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }

    /// Cells of these columns, row by row; empty where there is no such column.
    pub(super) fn texts<const N: usize>(&self, columns: [&str; N]) -> impl Iterator<Item = [&str; N]> {
        let places = columns.map(|column| self.place(column));
        self.rows.iter().map(move |row| places.map(|place| place.and_then(|place| row.get(place)).unwrap_or_default()))
    }

    /// Rows of the same text in `column`, in the order of their first ones.
    pub(super) fn grouped(&self, column: &str) -> Vec<(String, Self)> {
        let mut groups: Vec<(String, Self)> = Vec::new();
        for (row, [key]) in self.rows.iter().zip(self.texts([column])) {
            let place = groups.iter().position(|group| group.0 == key).unwrap_or_else(|| {
                groups.push((key.to_owned(), Self { columns: self.columns.clone(), rows: Vec::new() }));
                groups.len() - 1
            });
            groups[place].1.rows.push(row.clone());
        }
        groups
    }

    /// Seconds at which its rows end.
    pub(super) fn ends(&self) -> BTreeSet<u64> {
        self.texts(["t_s"]).filter_map(|[end]| end.parse().ok()).collect()
    }

    /// A figure over time; rows without it are left out.
    pub(super) fn figures(&self, column: &str, notes: &mut Notes) -> Vec<Row> {
        let mut figures = Vec::new();
        let mut before = 0;
        for [end, cell] in self.texts(["t_s", column]) {
            let Ok(end) = end.parse::<u64>() else { continue };
            let seconds = end.saturating_sub(before);
            before = end;
            match cell.parse::<f64>() {
                _ if cell.is_empty() => {}
                Ok(value) if value.abs() <= FIGURE_MAX => figures.push(Row { end, seconds, value }),
                _ => notes.push(format!("{column} of second {end} is left out: {cell:?} is no figure")),
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sheet(text: &str) -> (Sheet, Notes) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.csv"), text).unwrap();
        let mut notes = Notes::new();
        (Sheet::read(dir.path(), "x.csv", None, &mut notes), notes)
    }

    #[test]
    fn a_row_that_was_cut_short_is_told_and_those_before_it_count() {
        let (sheet, notes) = sheet("t_s,job,n\n1,a,5\n2,a,6\n3,\"a");
        assert_eq!(sheet.rows.len(), 2);
        assert!(notes[0].contains("x.csv is damaged") && notes[0].contains("first 2 rows"), "{notes:?}");
    }

    #[test]
    fn cells_that_are_no_figures_are_told_and_empty_ones_are_not() {
        let (sheet, mut notes) = sheet("t_s,n\n1,5\n2,\n60,inf\n120,seven\n121,1e300\n180,6.5\n");
        let figures = sheet.figures("n", &mut notes);
        assert_eq!(figures, [(1, 1, 5.0), (180, 59, 6.5)].map(|(end, seconds, value)| Row { end, seconds, value }));
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(sheet.figures("none", &mut notes).is_empty());
    }

    #[test]
    fn rows_are_chosen_and_grouped_by_a_text() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.csv"), "scope,operation,t_s\nall,a,1\ncohort:x,a,1\nall,b,1\nall,a,2\n").unwrap();
        let sheet = Sheet::read(dir.path(), "x.csv", Some(("scope", &["all"])), &mut Notes::new());
        let groups: Vec<(String, usize)> =
            sheet.grouped("operation").into_iter().map(|(key, rows)| (key, rows.rows.len())).collect();
        assert_eq!(groups, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(sheet.ends(), BTreeSet::from([1, 2]));
    }

    #[test]
    fn a_file_that_is_missing_is_empty_and_a_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("y.csv")).unwrap();
        let mut notes = Notes::new();
        assert!(Sheet::read(dir.path(), "x.csv", None, &mut notes).rows.is_empty() && notes.is_empty());
        Sheet::read(dir.path(), "y.csv", None, &mut notes);
        assert!(notes[0].contains("y.csv"), "{notes:?}");
    }
}
