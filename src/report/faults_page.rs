//! `docs/FAULTS.md`: what can be made to go wrong with things, made from the table of faults.

use load_metrics::Anomaly;
use load_metrics::format::grouped;
use sim_units::text::distribution_text;
use strum::IntoEnumIterator;
use thing_faults::{Ends, Row, Setting, TABLE, Times, Where};

const INTRODUCTION: &str = "\
# Faults: failures on purpose

A behavior's `faults` make its things fail in the ways that bring real fleets down:

```toml
[behavior.fast-ota]
faults = { crash_in_progress = { share = 0.01, per = \"execution\", away = \"uniform(1s, 5s)\" }, stale_version = { rate = \"6/min\" } }
```

- `share` is the part of the units that is affected, `rate` how often one is, over all things of the behavior together; a fault has one of the two, and
  `rate` only where it affects work. A rate makes a Poisson process for each thing; an arrival affects the thing's next unit.
- `per` says what a unit is: an `update` (a report or the end of an execution, however often it has to be sent), an `execution`, a `session` (one
  connection), a `thing`. Within an affected unit the fault happens every time that it can: `duplicate_update` per execution doubles every update
  of those executions. The default is the first one in the table.
- What a share affects is a function of the seed, the thing, the fault and the unit: the same for any number of shards.
  At most one fault affects an update, the first of the table.
- Each injected fault is counted in `errors.csv`, with kind `fault` and the fault's name as code, and in the findings of the summary; executions say in
  the column `faults` of `executions.csv` which faults they had. Anomalies that the table excuses are not reported there.
- Over HTTPS there are no topics, acknowledgements and client ids, so `wrong_topic`, `foreign_topic`, `publish_flood`, `no_puback`, `slow_reader`,
  `no_notify_next`, `flapping` and `duplicate_client_id` are refused for cohorts that speak it; the others are the same as over MQTT, but for
  what the endpoint answers: HTTP has no name of its own for a version conflict and for bad JSON, and a certificate
  that has expired is `rejected` in the rows of `connect`.
- Faults of things at work may stand in the behavior of a rollout; those of connections and things belong to the behavior of a cohort.

This page is made from the table that drives the scenario's words and the test (`crates/thing-faults/src/table.rs`, `tests/faults.rs`); a test fails when they differ.
";

/// The page.
#[must_use]
pub fn faults_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page += "\n| fault | per | parameters | final status | anomalies excused |\n|---|---|---|---|---|\n";
    for row in TABLE {
        let ends = ends(row);
        page += &format!("| [`{0}`](#{0}) | {1} | {2} | {ends} | {3} |\n", row.key, per(row), parameters(row), excused(row));
    }
    for row in TABLE {
        page += &section(row);
    }
    page
}

fn section(row: &Row) -> String {
    let Row { key, trigger, thing, endpoint, seen, .. } = row;
    let meanings: String =
        row.parameters.iter().map(|parameter| format!("- `{}`: {}\n", parameter.key, parameter.meaning)).collect();
    let meanings = if meanings.is_empty() { meanings } else { format!("{meanings}\n") };
    format!(
        "\n## {key}\n\n{meanings}| | |\n|---|---|\n| when | {trigger} |\n| the thing | {thing} |\n| the endpoint | {endpoint} |\n\
         | final status | {} |\n| counters that move | {} |\n| real fleets | {seen} |\n",
        ends(row),
        counters(row)
    )
}

fn per(row: &Row) -> String {
    row.per.iter().map(|per| per.as_str()).collect::<Vec<_>>().join(", ")
}

fn parameters(row: &Row) -> String {
    let one = |parameter: &thing_faults::Parameter| match parameter.default {
        Setting::Time(time) => format!("`{} = \"{}\"`", parameter.key, distribution_text(&time)),
        Setting::Count(count) => {
            format!("`{} = {count}` ({} to {})", parameter.key, parameter.range.0, grouped(parameter.range.1.into()))
        }
    };
    row.parameters.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn ends(row: &Row) -> &'static str {
    match row.ends {
        Ends::AsDrawn => "as the behavior's `outcome` draws it",
        Ends::TimedOut => "`TIMED_OUT`",
    }
}

fn excused(row: &Row) -> String {
    let excused: Vec<String> = Anomaly::iter()
        .filter(|anomaly| anomaly.is_excused_by(row.fault))
        .map(|anomaly| format!("`{}`", anomaly.as_str()))
        .collect();
    if excused.is_empty() { "none".into() } else { excused.join(", ") }
}

fn counters(row: &Row) -> String {
    let counter = |counter: &thing_faults::Counter| {
        let place = match counter.place {
            Where::Summary(column) => format!("`{}` of `{}` in `summary.csv`", column.as_str(), counter.operation),
            Where::Errors(kind, code) => format!("`{},{kind},{code}` in `errors.csv`", counter.operation),
        };
        match counter.times {
            Times::Once => format!("{place}, once per fault"),
            Times::Some => format!("{place}, as often as it happens"),
        }
    };
    let fault = std::iter::once("the fault's own row in `errors.csv`".to_owned());
    fault.chain(row.counters.iter().map(counter)).collect::<Vec<_>>().join("; ")
}
