//! One family of the exposition: its series, read from how a run stands, in the shape of Prometheus.

use super::Standing;
use super::times::TimeBuckets;
use load_metrics::Snapshot;
use prometheus::proto::{self, LabelPair, Metric, MetricFamily};

/// The kinds that Prometheus has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What finds the series of a family.
type ReadRows = Box<dyn Fn(&Standing) -> Vec<Row> + Send + Sync>;

/// One family.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) labels: Vec<&'static str>,
    /// A sentence.
    pub(super) help: String,
    pub(super) rows: ReadRows,
}

/// One series: the values of the labels, in their order, and its own.
pub(super) struct Row {
    pub(super) labels: Vec<String>,
    pub(super) value: Value,
}

pub(super) enum Value {
    Number(f64),
    Times(TimeBuckets),
}

impl Row {
    pub(super) fn new<const N: usize>(labels: [&str; N], value: f64) -> Self {
        Self { labels: labels.map(str::to_owned).to_vec(), value: Value::Number(value) }
    }
}

impl Family {
    pub(super) fn new(
        name: &str,
        kind: Kind,
        labels: &[&'static str],
        help: &str,
        rows: impl Fn(&Standing) -> Vec<Row> + Send + Sync + 'static,
    ) -> Self {
        Self { name: format!("fleetsim_{name}"), kind, labels: labels.to_vec(), help: help.to_owned(), rows: Box::new(rows) }
    }

    /// A gauge that there is from the end of the first second on.
    pub(super) fn gauge(
        name: &str,
        labels: &[&'static str],
        help: &str,
        rows: impl Fn(&Snapshot) -> Vec<Row> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, Kind::Gauge, labels, help, of_snapshot(rows))
    }

    /// A counter of the whole run, likewise.
    pub(super) fn counter(
        name: &str,
        labels: &[&'static str],
        help: &str,
        rows: impl Fn(&Snapshot) -> Vec<Row> + Send + Sync + 'static,
    ) -> Self {
        Self::new(&format!("{name}_total"), Kind::Counter, labels, help, of_snapshot(rows))
    }

    /// As Prometheus wants it; `None` where there is nothing yet.
    pub(super) fn read(&self, standing: &Standing) -> Option<MetricFamily> {
        let metrics: Vec<Metric> = (self.rows)(standing).into_iter().map(|row| self.metric(row)).collect();
        if metrics.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.clone());
        family.set_help(self.help.clone());
        family.set_field_type(match self.kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
            Kind::Histogram => proto::MetricType::HISTOGRAM,
        });
        family.set_metric(metrics);
        Some(family)
    }

    fn metric(&self, row: Row) -> Metric {
        let pair = |(name, value): (&&str, String)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        };
        debug_assert_eq!(self.labels.len(), row.labels.len(), "{}", self.name);
        let mut metric = Metric::default();
        metric.set_label(self.labels.iter().zip(row.labels).map(pair).collect());
        match (self.kind, row.value) {
            (Kind::Counter, Value::Number(value)) => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            (_, Value::Number(value)) => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            (_, Value::Times(times)) => metric.set_histogram((&times).into()),
        }
        metric
    }
}

fn of_snapshot(rows: impl Fn(&Snapshot) -> Vec<Row>) -> impl Fn(&Standing) -> Vec<Row> {
    move |standing| standing.snapshot.as_deref().map_or_else(Vec::new, &rows)
}

pub(super) fn one(value: f64) -> Vec<Row> {
    vec![Row::new([], value)]
}
