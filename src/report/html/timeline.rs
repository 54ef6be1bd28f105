//! The time axis of the charts: rows of the growing files gathered into spans, as many as a line can show and as a table can list.

use crate::report::sheet::Row;
use std::collections::BTreeSet;

/// Points of a line, at most.
const POINTS_MAX: u64 = 400;
/// Rows of the table of a chart, at most.
const ROWS_MAX: usize = 40;

/// Spans of time, one after the other from the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    /// In seconds, ascending.
    ends: Vec<u64>,
}

/// The spans of a line, and those of a table, each of which is some whole spans of the line.
pub(super) struct Timeline {
    pub(super) fine: Spans,
    pub(super) coarse: Spans,
}

/// One figure over time: by the spans of the line, and by those of the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) fine: Vec<Option<f64>>,
    pub(super) coarse: Vec<Option<f64>>,
}

/// What rows become when they share a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// Gauges: how it stood at the end.
    Last,
    /// Rates: the mean over the seconds.
    Mean,
    /// Counts: their sum over the seconds of the span; nothing counted is 0.
    PerSecond,
    /// What must not be averaged: the worst of them.
    Worst,
}

impl Spans {
    /// Whole rows, at least `width` seconds together.
    fn of_rows(row_ends: &BTreeSet<u64>, width: u64) -> Self {
        let mut ends = Vec::new();
        let mut start = 0;
        for end in row_ends {
            if end - start >= width {
                ends.push(*end);
                start = *end;
            }
        }
        ends.extend(row_ends.last().filter(|last| ends.last() != Some(last)));
        Self { ends }
    }

    /// So many of them together.
    fn joined(&self, count: usize) -> Self {
        let ends = self.ends.chunks(count.max(1)).filter_map(|chunk| chunk.last().copied()).collect();
        Self { ends }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Ends in seconds, ascending.
    pub(super) fn ends(&self) -> impl Iterator<Item = f64> {
        self.ends.iter().map(|end| *end as f64)
    }

    /// Of the span that has the second which ends at `end`; `None` behind the last one.
    pub(super) fn place(&self, end: u64) -> Option<usize> {
        let place = self.ends.partition_point(|known| *known < end);
        (place < self.len()).then_some(place)
    }

    fn seconds(&self, place: usize) -> u64 {
        self.ends[place] - place.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn gather(&self, rows: &[Row], merge: Merge) -> Vec<Option<f64>> {
        let mut gathered = vec![None; self.len()];
        let mut weights = vec![0.0; self.len()];
        for row in rows {
            let Some(place) = self.place(row.end) else { continue };
            let (before, weight) = (gathered[place], row.seconds.max(1) as f64);
            weights[place] += weight;
            gathered[place] = Some(match merge {
                Merge::Last => row.value,
                Merge::Mean => before.unwrap_or(0.0) + row.value * weight,
                Merge::PerSecond => before.unwrap_or(0.0) + row.value,
                Merge::Worst => before.unwrap_or(row.value).max(row.value),
            });
        }
        match merge {
            Merge::Last | Merge::Worst => gathered,
            Merge::Mean => gathered.iter().zip(weights).map(|(sum, weight)| sum.map(|sum| sum / weight)).collect(),
            Merge::PerSecond => {
                let per_second = |(place, sum): (usize, &Option<f64>)| Some(sum.unwrap_or(0.0) / self.seconds(place).max(1) as f64);
                gathered.iter().enumerate().map(per_second).collect()
            }
        }
    }
}

impl Timeline {
    /// From the ends of all rows there are, in seconds.
    pub(super) fn new(row_ends: &BTreeSet<u64>) -> Self {
        let last = row_ends.last().copied().unwrap_or(0);
        let fine = Spans::of_rows(row_ends, last.div_ceil(POINTS_MAX).max(1));
        let coarse = fine.joined(fine.len().div_ceil(ROWS_MAX));
        Self { fine, coarse }
    }

    /// The last second.
    pub(super) fn last(&self) -> f64 {
        self.fine.ends().last().unwrap_or(0.0)
    }

    pub(super) fn line(&self, rows: &[Row], merge: Merge) -> Line {
        Line { fine: self.fine.gather(rows, merge), coarse: self.coarse.gather(rows, merge) }
    }
}

impl Line {
    /// Another figure, made from the values of both at each span.
    pub(super) fn with(&self, other: &Self, make: impl Fn(f64, f64) -> Option<f64>) -> Self {
        let both = |mine: &[Option<f64>], others: &[Option<f64>]| {
            mine.iter().zip(others).map(|(mine, other)| make((*mine)?, (*other)?)).collect()
        };
        Self { fine: both(&self.fine, &other.fine), coarse: both(&self.coarse, &other.coarse) }
    }

    /// The same in another unit.
    pub(super) fn scaled(&self, factor: f64) -> Self {
        self.with(self, |value, _| Some(value * factor))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.fine.iter().flatten().copied()
    }

    /// The highest value and the place of the first span that has it.
    pub(super) fn peak(&self) -> Option<(usize, f64)> {
        let known = self.fine.iter().enumerate().filter_map(|(place, value)| Some((place, (*value)?)));
        known.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[(u64, u64, f64)]) -> Vec<Row> {
        values.iter().map(|(end, seconds, value)| Row { end: *end, seconds: *seconds, value: *value }).collect()
    }

    #[test]
    fn a_short_run_has_a_span_for_every_second() {
        let timeline = Timeline::new(&(1..=30).collect());
        assert_eq!((timeline.fine.len(), timeline.coarse.len()), (30, 30));
        assert_eq!(timeline.fine.place(30), Some(29));
        assert_eq!(timeline.fine.place(31), None);
    }

    #[test]
    fn a_day_is_bounded_and_its_minutes_leave_no_span_empty() {
        let ends: BTreeSet<u64> = (1..=3600).chain((61..=1440).map(|minute| minute * 60)).collect();
        let timeline = Timeline::new(&ends);
        assert!(timeline.fine.len() as u64 <= POINTS_MAX && timeline.coarse.len() <= ROWS_MAX);
        let all: Vec<Row> = ends.iter().map(|end| Row { end: *end, seconds: 1, value: 1.0 }).collect();
        let line = timeline.line(&all, Merge::Last);
        assert!(line.fine.iter().chain(&line.coarse).all(Option::is_some));
        assert!((timeline.last() - 86_400.0).abs() < 1e-9);
        assert!(timeline.coarse.ends.iter().all(|end| timeline.fine.ends.contains(end)));
    }

    #[test]
    fn nothing_at_all_is_no_span() {
        let timeline = Timeline::new(&BTreeSet::new());
        assert_eq!((timeline.fine.len(), timeline.coarse.len()), (0, 0));
        assert!(timeline.line(&rows(&[(1, 1, 1.0)]), Merge::Last).fine.is_empty());
    }

    #[test]
    fn rows_of_a_span_merge_by_what_they_are() {
        let spans = Spans { ends: vec![2, 62] };
        let rows = rows(&[(1, 1, 4.0), (2, 1, 2.0), (62, 60, 6.0)]);
        let gathered = [Merge::Last, Merge::Mean, Merge::PerSecond, Merge::Worst].map(|merge| spans.gather(&rows, merge));
        let expected = [[2.0, 6.0], [3.0, 6.0], [3.0, 0.1], [4.0, 6.0]].map(|values| values.map(Some).to_vec());
        assert_eq!(gathered, expected);
        assert_eq!(spans.gather(&rows[..1], Merge::Mean)[1], None, "what nobody said is unknown");
        assert_eq!(spans.gather(&rows[..1], Merge::PerSecond)[1], Some(0.0), "what nobody counted is none");
    }
}
