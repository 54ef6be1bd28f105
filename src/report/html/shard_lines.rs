//! What each shard of a merged run did over time, for its small chart: by the spans of a table, so that a page with many of them stays small.

use super::chart::Axis;
use super::scale::Scale;
use super::timeline::{Line, Merge, Timeline};
use crate::report::manifest::Manifest;
use crate::report::sheet::{Notes, Sheet};
use crate::report::tables;
use std::collections::BTreeMap;
use std::path::Path;

/// Shards that have a part of the page to themselves, at most: the first ones.
pub(super) const SHARDS_SHOWN: usize = 64;

/// Messages a second of a shard.
pub(super) struct ShardLines {
    pub(super) to_things: Line,
    pub(super) from_things: Line,
}

/// By slice; those of which there is nothing have none.
pub(super) fn read(dir: &Path, manifest: &Manifest, timeline: &Timeline, notes: &mut Notes) -> BTreeMap<String, ShardLines> {
    let shown: Vec<String> = manifest.merged.iter().take(SHARDS_SHOWN).map(|shard| shard.slice.to_string()).collect();
    if shown.is_empty() {
        return BTreeMap::new();
    }
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let sheet = Sheet::read(dir, tables::SHARDS, Some(("slice", &shown)), notes);
    let mut lines = |sheet: &Sheet| {
        let mut line = |column| {
            let Line { coarse, .. } = timeline.line(&sheet.figures(column, notes), Merge::Mean);
            Line { fine: coarse.clone(), coarse }
        };
        ShardLines { to_things: line("messages_in_per_s"), from_things: line("messages_out_per_s") }
    };
    sheet.grouped("slice").into_iter().map(|(slice, sheet)| (slice, lines(&sheet))).collect()
}

/// The axis of these lines.
pub(super) fn axis(timeline: &Timeline) -> Axis {
    let ends: Vec<f64> = timeline.coarse.ends().collect();
    Axis { scale: Scale::time(timeline.last()), fine: ends.clone(), coarse: ends, head: "until" }
}
