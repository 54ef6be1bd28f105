//! The processes of a run that several drove: all of them in a table, and a part for each.

use super::Section;
use super::traffic::peak_of;
use crate::report::html::chart::{Chart, Moments, Series};
use crate::report::html::run::Run;
use crate::report::html::scale::Scale;
use crate::report::html::shard_lines::{SHARDS_SHOWN, ShardLines, axis};
use crate::report::html::text::{cut, table};
use crate::report::{Manifest, MergedShard};
use load_metrics::format::{bytes, grouped, milliseconds};
use maud::{Markup, html};

/// Findings of one shard, at most.
const FINDINGS_MAX: usize = 10;

/// What something is called, and how it is told.
type Fact = (&'static str, fn(&MergedShard) -> String);

/// What tells one of them from the others.
const COLUMNS: [Fact; 14] = [
    ("slice", |shard| shard.slice.to_string()),
    ("host", |shard| shard.host.hostname.clone()),
    ("verdict", |shard| shard.verdict.as_str().to_owned()),
    ("things", |shard| grouped(shard.things)),
    ("seconds", |shard| grouped(shard.measured.run_s)),
    ("silent", |shard| format!("{} s", grouped(shard.measured.silent_s))),
    ("messages/s", messages_per_s),
    ("busy", |shard| shard.measured.busy.map_or_else(unknown, |busy| percent(busy.mean))),
    ("busy max", |shard| shard.measured.busy.map_or_else(unknown, |busy| percent(busy.max))),
    ("lateness p50", |shard| shard.measured.lateness_ms.map_or_else(unknown, |lateness| milliseconds(lateness.p50))),
    ("lateness p99", |shard| shard.measured.lateness_ms.map_or_else(unknown, |lateness| milliseconds(lateness.p99))),
    ("connect p99", |shard| shard.measured.connect_ms.map_or_else(unknown, |connect| milliseconds(connect.p99))),
    ("clock", |shard| {
        shard.clock.map_or_else(unknown, |clock| format!("{:+.2} ± {:.2} ms", clock.offset_ms, clock.uncertainty_ms))
    }),
    ("findings", |shard| grouped(shard.findings.len() as u64)),
];
/// Those that are text stand first.
const TEXT_COLUMNS: usize = 3;

/// What else one of them was, and took.
const FACTS: [Fact; 11] = [
    ("process", |shard| if shard.pid == 0 { unknown() } else { shard.pid.to_string() }),
    ("fleetsim", |shard| shard.version.clone()),
    ("folder", |shard| shard.dir.clone()),
    ("exit code", |shard| shard.exit_code.map_or_else(unknown, |code| code.to_string())),
    ("started", |shard| shard.started_at.clone()),
    ("finished", |shard| shard.finished_at.clone().unwrap_or_else(|| "not finished".into())),
    ("kernel", |shard| shard.host.kernel.clone()),
    ("threads", |shard| shard.shards.to_string()),
    ("cores of the host", |shard| shard.host.cores.to_string()),
    ("CPU", |shard| shard.generator.map_or_else(unknown, |usage| format!("{:.1} s", usage.cpu_seconds))),
    ("memory at most", |shard| shard.generator.map_or_else(unknown, |usage| bytes(usage.rss_bytes_max))),
];

fn unknown() -> String {
    "-".into()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// The mean over the seconds that it told of.
fn messages_per_s(shard: &MergedShard) -> String {
    match shard.measured.run_s.saturating_sub(shard.measured.silent_s) {
        0 => unknown(),
        seconds => grouped(shard.measured.messages.div_ceil(seconds)),
    }
}

/// `None` where one process drove all things.
pub(super) fn section(run: &Run<'_>) -> Option<Section> {
    let Manifest { merged, .. } = run.manifest;
    let is_led = merged.iter().any(|shard| shard.clock.is_some());
    let (title, caption) = if is_led { ("Workers", "The workers of the run") } else { ("Slices", "The slices of the run") };
    let rows = merged.iter().map(|shard| COLUMNS.iter().map(|(_, told)| told(shard)).collect()).collect();
    let head = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let more = merged.len().saturating_sub(SHARDS_SHOWN);
    let lead = html! {
        p { "Each of them drove a slice of the fleet. All other figures of this page are those of the whole: histograms are merged, percentiles never averaged." }
        p { "The verdict is that of each slice alone. Busy is the CPU time of the busiest thread, as a share of one core: the mean of all seconds, and the highest."
            @if is_led { " The clock is how far the leader's was ahead, with the uncertainty of that." } }
    };
    let rest = html! {
        (table(caption, head, rows, TEXT_COLUMNS))
        @for (n, shard) in merged.iter().take(SHARDS_SHOWN).enumerate() { (part(run, n, shard)) }
        @if more > 0 { p.note { "and " (more) " more, in run.json and shards.csv" } }
    };
    (!merged.is_empty()).then(|| Section { lead, rest, ..Section::new("shards", title) })
}

/// What there is to say of one of them.
fn part(run: &Run<'_>, n: usize, shard: &MergedShard) -> Markup {
    let slice = shard.slice.to_string();
    let facts = FACTS.iter().map(|(name, told)| vec![(*name).to_owned(), told(shard)]).collect();
    let more = shard.findings.len().saturating_sub(FINDINGS_MAX);
    html! {
        details.shard {
            summary { "Slice " (slice) ": " (grouped(shard.things)) " things on " (cut(&shard.host.hostname)) ", " (shard.verdict.as_str()) }
            div.charts {
                @if let Some(lines) = run.shards.get(&slice) { (messages(run, n, &slice, lines)) }
                div {
                    (table(&format!("The process of slice {slice}"), vec!["what".into(), "value".into()], facts, 2))
                    @if shard.findings.is_empty() { p { "It has no findings of its own." } }
                    @else { ul { @for finding in shard.findings.iter().take(FINDINGS_MAX) { li { (cut(finding)) } } } }
                    @if more > 0 { p.note { "and " (more) " more findings, in run.json" } }
                }
            }
        }
    }
}

/// On the scale of the busiest of them, so that they can be compared.
fn messages(run: &Run<'_>, n: usize, slice: &str, lines: &ShardLines) -> Markup {
    let all = run.shards.values().flat_map(|lines| lines.to_things.values().chain(lines.from_things.values()));
    let ends: Vec<f64> = run.timeline.coarse.ends().collect();
    let series = |name: &str, line: &_| Series { name: name.into(), line: Clone::clone(line) };
    let chart = Chart {
        id: format!("shard-{n}"),
        title: format!("Messages of slice {slice}"),
        says: format!(
            "Most messages a second: {} to its things, {} from them.",
            peak_of(&lines.to_things, &ends),
            peak_of(&lines.from_things, &ends)
        ),
        x: axis(&run.timeline),
        y: Scale::linear(all, "messages a second"),
        series: vec![series("to things", &lines.to_things), series("from things", &lines.from_things)],
        limits: Vec::new(),
        moments: Moments { phases: Vec::new(), events: run.moments.events.clone() },
        dots: Vec::new(),
    };
    chart.figure().markup
}
