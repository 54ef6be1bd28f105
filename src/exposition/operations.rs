//! Families of operations: of the fleet, and of each cohort and transport.

use super::family::{Family, Kind, Row, Value};
use super::times::TimeBuckets;
use load_metrics::{Counts, Measure, Operation, OperationRow, ScopeName, Snapshot};

/// Which things one series is about. Every operation is counted over the fleet, and many once more by cohort and by transport: in families
/// of their own, so that a sum over a family is right.
#[derive(Clone, Copy)]
pub(super) enum Breadth {
    Fleet,
    Cohort,
    Transport,
}

impl Breadth {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Fleet => None,
            Self::Cohort => Some("cohort"),
            Self::Transport => Some("transport"),
        }
    }

    /// The labels that such a scope has; `None`: it is of another breadth.
    fn of(self, scope: &ScopeName) -> Option<Vec<String>> {
        match (self, scope) {
            (Self::Fleet, ScopeName::All) => Some(Vec::new()),
            (Self::Cohort, ScopeName::Cohort(name)) | (Self::Transport, ScopeName::Transport(name)) => Some(vec![name.to_string()]),
            _ => None,
        }
    }
}

pub(super) fn operations(breadth: Breadth) -> Vec<Family> {
    let name = |what: &str| breadth.name().map_or_else(|| what.to_owned(), |name| format!("{name}_{what}"));
    let labels = |more: &[&'static str]| [breadth.name().as_slice(), &["operation"], more].concat();
    let help = |text: &str| breadth.name().map_or_else(|| format!("{text}."), |name| format!("{text}, by {name}."));
    let times = |what: &str, text: &str, measure: Measure| {
        Family::new(&name(what), Kind::Histogram, &labels(&[]), &help(text), move |standing| {
            let row = |(operation, scope, times): (Operation, &ScopeName, &TimeBuckets)| {
                Some(Row { labels: labelled(breadth, scope, operation, &[])?, value: Value::Times(times.clone()) })
            };
            standing.times.of(measure).filter_map(row).collect()
        })
    };
    vec![
        Family::counter(
            &name("operations_started"),
            &labels(&[]),
            &help("Operations that were started"),
            of_operations(breadth, |row| row.counts.started),
        ),
        Family::counter(&name("operations"), &labels(&["outcome"]), &help("Operations that ended, by outcome"), move |snapshot| {
            outcomes(breadth, snapshot)
        }),
        Family::counter(
            &name("lost_arrivals"),
            &labels(&[]),
            &help("Planned operations that found their thing busy or away"),
            of_operations(breadth, |row| row.counts.lost_arrivals),
        ),
        Family::gauge(
            &name("open_operations"),
            &labels(&[]),
            &help("Operations that were started and have not ended"),
            of_operations(breadth, |row| row.open),
        ),
        times("service_seconds", "Service time, written to ended, without operations that failed with an error", Measure::Service),
        times(
            "response_seconds",
            "Response time, intended start to ended, without operations that failed with an error",
            Measure::Response,
        ),
    ]
}

fn labelled(breadth: Breadth, scope: &ScopeName, operation: Operation, more: &[&str]) -> Option<Vec<String>> {
    let mut labels = breadth.of(scope)?;
    labels.push(operation.to_string());
    labels.extend(more.iter().map(|&label| label.to_owned()));
    Some(labels)
}

fn of_operations(breadth: Breadth, value: fn(&OperationRow) -> u64) -> impl Fn(&Snapshot) -> Vec<Row> {
    move |snapshot| {
        let row = |row: &OperationRow| {
            Some(Row { labels: labelled(breadth, &row.scope, row.operation, &[])?, value: Value::Number(value(row) as f64) })
        };
        snapshot.totals.iter().filter_map(row).collect()
    }
}

fn outcomes(breadth: Breadth, snapshot: &Snapshot) -> Vec<Row> {
    let of_row = |row: &OperationRow| {
        let Counts { ok, rejected, timeout, error, .. } = row.counts;
        let ends = [("ok", ok), ("rejected", rejected), ("timeout", timeout), ("error", error)];
        ends.into_iter()
            .filter_map(|(outcome, count)| {
                Some(Row { labels: labelled(breadth, &row.scope, row.operation, &[outcome])?, value: Value::Number(count as f64) })
            })
            .collect::<Vec<_>>()
    };
    snapshot.totals.iter().flat_map(of_row).collect()
}
