//! `[thresholds]`: what a run must hold to.

use super::plan::CohortPlan;
use config_text::{Code, Entry, Located, Node, Place, Reader, Table, Value, nearest};
use load_metrics::{Check, Metric, Operation, Threshold};
use sim_units::text;
use std::time::Duration;
use strum::VariantArray;

/// Windows that are looked at every second are kept second by second.
const OVER_MAX: Duration = Duration::from_secs(3600);
const CHECK: &str = "check";

/// A metric's name, and what is said of it.
struct Wanted<'a> {
    name: String,
    entry: &'a Entry,
}

pub(super) fn thresholds(root: &Reader<'_>, cohorts: &[CohortPlan]) -> Vec<Threshold> {
    let Some(table) = root.raw_table(("thresholds", "what must hold for the run to pass ([THRESHOLDS.md](THRESHOLDS.md))")) else {
        return Vec::new();
    };
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    flatten(table, "", &mut |new| {
        match wanted.iter_mut().find(|known| known.name == new.name) {
            // An override replaces what the file says, however either of them writes the name.
            Some(known) if new.entry.key_place.source > 0 => known.entry = new.entry,
            Some(_) => root.gathered.push(
                Code::Duplicate,
                &new.entry.key_place,
                format!("there are two thresholds for {}", new.name),
                None,
            ),
            None => wanted.push(new),
        }
    });
    wanted.iter().filter_map(|wanted| threshold(root, wanted, cohorts)).collect()
}

/// `start_next.response_ms.p99 = "< 250"` is, without quotes around the name, a table in a table.
fn flatten<'a>(table: &'a Table, prefix: &str, take: &mut impl FnMut(Wanted<'a>)) {
    for entry in &table.entries {
        let name = format!("{prefix}{}", entry.key);
        match &entry.node.value {
            Value::Table(inner) if Metric::parse(&name).is_none() && inner.get(CHECK).is_none() => {
                flatten(inner, &format!("{name}."), take);
            }
            _ => take(Wanted { name, entry }),
        }
    }
}

fn threshold(root: &Reader<'_>, wanted: &Wanted<'_>, cohorts: &[CohortPlan]) -> Option<Threshold> {
    let Entry { key_place, node, .. } = wanted.entry;
    let shorthand = || Table { entries: vec![Entry { key: CHECK.into(), key_place: key_place.clone(), node: Node::clone(node) }] };
    let spelled_out;
    let table = match &node.value {
        Value::Table(table) => table,
        _ => {
            spelled_out = shorthand();
            &spelled_out
        }
    };
    let reader = Reader::new(table, key_place.clone(), format!("thresholds.{}", wanted.name), root.gathered);
    let check = reader.with(
        (CHECK, "the comparison; a threshold without the other keys is this string alone"),
        "a check such as \"< 250\"",
        Check::parse,
    );
    if check.is_none() && !reader.has(CHECK) {
        reader.missing(CHECK, "say what must hold, as in check = \"< 250\"");
    }
    let over = reader.with(("over", "only the last part of the run counts, at most an hour"), "a span such as \"last 60s\"", last);
    let phase = reader.variant(("phase", "only this phase of the run counts"));
    let cohort = reader.string(("cohort", "only this cohort counts")).filter(|cohort| is_known_cohort(&reader, cohort, cohorts));
    let metric = metric(root, &wanted.name, key_place);
    if let Some(metric) = metric {
        check_fit(&reader, metric, over.as_ref(), cohort.as_ref());
    }
    reader.finish();
    Some(Threshold {
        metric: metric?,
        check: check?.value,
        over: over.map(|over| over.value),
        phase: phase.map(|phase| phase.value),
        cohort: cohort.map(|cohort| cohort.value),
    })
}

fn metric(root: &Reader<'_>, name: &str, place: &Place) -> Option<Metric> {
    let metric = Metric::parse(name);
    if metric.is_none() {
        let known: Vec<String> = Metric::vocabulary().collect();
        let meant = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean {near:?}? "));
        let help = format!("{}`fleetsim scenarios thresholds` lists all metrics", meant.unwrap_or_default());
        root.gathered.push(Code::UnknownName, place, format!("{name:?} is not a metric"), Some(help));
    }
    metric
}

/// `last 60s`.
fn last(text: &str) -> Result<Duration, String> {
    let span = text.trim().strip_prefix("last ").ok_or_else(|| format!("{text:?} must be a span such as \"last 60s\""))?;
    let span = text::duration(span.trim())?;
    if span.subsec_nanos() == 0 && (Duration::from_secs(1)..=OVER_MAX).contains(&span) {
        Ok(span)
    } else {
        Err(format!("{text:?} must be whole seconds, {} at most", text::duration_text(OVER_MAX)))
    }
}

fn is_known_cohort(reader: &Reader<'_>, cohort: &Located<String>, cohorts: &[CohortPlan]) -> bool {
    let names = || cohorts.iter().map(|cohort| cohort.name.as_str());
    let is_known = names().any(|name| name == cohort.value);
    if !is_known {
        let near = nearest(&cohort.value, names()).map(|near| format!("did you mean {near:?}? ")).unwrap_or_default();
        let help = format!("{near}known here: {}", names().collect::<Vec<_>>().join(", "));
        reader.gathered.push(Code::UnknownName, &cohort.place, format!("unknown cohort {:?}", cohort.value), Some(help));
    }
    is_known
}

/// Not everything is gathered over time, and not everything is told apart by cohort.
fn check_fit(reader: &Reader<'_>, metric: Metric, over: Option<&Located<Duration>>, cohort: Option<&Located<String>>) {
    if let Some(over) = over
        && !metric.is_gathered()
    {
        let help = "leave it out: this metric describes a moment, the end of a second";
        reader.conflict(&over.place, format!("{metric} is not measured over a span"), help);
    }
    if let Some(cohort) = cohort
        && !metric.operation().is_some_and(Operation::is_scoped)
    {
        let scoped: Vec<&str> = Operation::VARIANTS.iter().filter(|o| o.is_scoped()).map(|o| o.as_str()).collect();
        let help = format!("broken down by cohort are: {}", scoped.join(", "));
        reader.conflict(&cohort.place, format!("{metric} is not broken down by cohort"), &help);
    }
}
