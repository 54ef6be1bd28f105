//! The seconds of a run, read back by those who count with them: nothing is left out, so that what is damaged is an error.

use super::ReportError;
use super::hlog_reader::{self, HistogramLine};
use super::sheet::{Notes, Sheet};
use super::tables::{OPERATIONS, TIMESERIES};
use super::writer::HLOG;
use load_metrics::{Measure, Operation};
use std::fs;
use std::path::{Path, PathBuf};

/// What the growing files of a folder say of the whole fleet. After the first hour of a run, and after five minutes of a forecast, a
/// "second" is a minute.
#[derive(Clone, Debug, Default)]
pub struct RunSeconds {
    pub seconds: Vec<Second>,
    pub counts: Vec<SecondCounts>,
    pub times: Vec<SecondTimes>,
}

/// From `end_s - span_s` to `end_s`, counted from the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Second {
    pub end_s: u64,
    pub span_s: u64,
    /// As the files have it.
    pub phase: String,
}

/// How an operation ended in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondCounts {
    pub end_s: u64,
    pub operation: Operation,
    pub ok: u64,
    /// Refused, timed out or broken.
    pub failed: u64,
}

/// The times of an operation that ended in a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondTimes {
    pub end_s: u64,
    pub operation: Operation,
    pub measure: Measure,
    /// Pairs of value, in ticks of the operation's resolution, and count.
    pub buckets: Vec<(u64, u64)>,
}

/// Reads the seconds of a run.
///
/// # Errors
/// When a file is missing, or anything in it cannot be read.
pub fn load_seconds(dir: &Path) -> Result<RunSeconds, ReportError> {
    let seconds = whole_sheet(dir, TIMESERIES, None, |sheet, notes| {
        let mut before = 0;
        let second = |[end, phase]: [&str; 2]| {
            let end_s = number(end, TIMESERIES, notes)?;
            let span_s = end_s.saturating_sub(std::mem::replace(&mut before, end_s));
            Some(Second { end_s, span_s, phase: phase.to_owned() })
        };
        sheet.texts(["t_s", "phase"]).filter_map(second).collect()
    })?;
    let counts = whole_sheet(dir, OPERATIONS, Some(("scope", &["all"])), |sheet, notes| {
        let of_row = |[operation, cells @ ..]: [&str; 6]| {
            // What another version measures is passed over.
            let operation = operation.parse().ok()?;
            let numbers: Vec<u64> = cells.iter().map_while(|cell| number(cell, OPERATIONS, notes)).collect();
            let [end_s, ok, rejected, timeout, error] = numbers[..] else { return None };
            Some(SecondCounts { end_s, operation, ok, failed: rejected + timeout + error })
        };
        sheet.texts(["operation", "t_s", "ok", "rejected", "timeout", "error"]).filter_map(of_row).collect()
    })?;
    let path = dir.join(HLOG);
    let log = fs::read(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
    let times = |line| {
        let HistogramLine { end_s, operation, measure, histogram } = line;
        let buckets = histogram.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect();
        SecondTimes { end_s, operation, measure, buckets }
    };
    let read: Result<Vec<SecondTimes>, _> = hlog_reader::lines(&log).map(|line| line.map(times)).collect();
    let times = read.map_err(|fault| damaged(path, &fault))?;
    Ok(RunSeconds { seconds, counts, times })
}

/// What is made of a file that can be read to its end.
fn whole_sheet<T>(
    dir: &Path,
    file: &str,
    wanted: Option<(&str, &[&str])>,
    make: impl FnOnce(&Sheet, &mut Notes) -> T,
) -> Result<T, ReportError> {
    let path = dir.join(file);
    fs::metadata(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
    let mut notes = Notes::new();
    let sheet = Sheet::read(dir, file, wanted, &mut notes);
    let made = make(&sheet, &mut notes);
    match notes.first() {
        None => Ok(made),
        Some(why) => Err(damaged(path, why)),
    }
}

fn number(cell: &str, file: &str, notes: &mut Notes) -> Option<u64> {
    cell.parse().inspect_err(|_| notes.push(format!("{file} has {cell:?} where a number is wanted"))).ok()
}

fn damaged(path: PathBuf, why: &impl ToString) -> ReportError {
    ReportError::Damaged { path, why: why.to_string() }
}
