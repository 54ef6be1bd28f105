//! The processes of a run that several drove.

use super::Section;
use crate::report::html::run::Run;
use crate::report::html::text::table;
use crate::report::{Manifest, MergedShard};
use load_metrics::format::{bytes, grouped, milliseconds};
use maud::html;

/// A column's title, and its cell.
type Column = (&'static str, fn(&MergedShard) -> String);

/// What one of them was, and did.
const COLUMNS: [Column; 13] = [
    ("slice", |shard| shard.slice.to_string()),
    ("host", |shard| shard.host.hostname.clone()),
    ("verdict by itself", |shard| shard.verdict.as_str().to_owned()),
    ("folder", |shard| shard.dir.clone()),
    ("exit code", |shard| shard.exit_code.map_or_else(unknown, |code| code.to_string())),
    ("things", |shard| grouped(shard.things)),
    ("threads", |shard| shard.shards.to_string()),
    ("cores", |shard| shard.host.cores.to_string()),
    ("seconds", |shard| grouped(shard.run_s)),
    ("CPU", |shard| shard.generator.map_or_else(unknown, |usage| format!("{:.1} s", usage.cpu_seconds))),
    ("memory at most", |shard| shard.generator.map_or_else(unknown, |usage| bytes(usage.rss_bytes_max))),
    ("lateness p99", |shard| shard.lateness_ms.map_or_else(unknown, |lateness| milliseconds(lateness.p99))),
    ("clock from the leader's", |shard| {
        shard.clock.map_or_else(unknown, |clock| format!("{:+.2} ± {:.2} ms", clock.offset_ms, clock.uncertainty_ms))
    }),
];
/// Those that are text stand first.
const TEXT_COLUMNS: usize = 4;

fn unknown() -> String {
    "-".into()
}

/// `None` where one process drove all things.
pub(super) fn section(run: &Run<'_>) -> Option<Section> {
    let Manifest { merged, .. } = run.manifest;
    let is_led = merged.iter().any(|shard| shard.clock.is_some());
    let (title, caption) = if is_led { ("Workers", "The workers of the run") } else { ("Shards", "The shards of the run") };
    let rows = merged.iter().map(|shard| COLUMNS.iter().map(|(_, cell)| cell(shard)).collect()).collect();
    let head = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lead = html! {
        p { "Each of them drove a slice of the fleet. All figures of this page are those of the whole: histograms are merged, percentiles never averaged." }
    };
    (!merged.is_empty()).then(|| Section { lead, rest: table(caption, head, rows, TEXT_COLUMNS), ..Section::new("shards", title) })
}
