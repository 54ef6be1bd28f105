//! What was run, and where.

use super::Section;
use crate::report::html::run::Run;
use crate::report::html::text::{cut_to, table};
use load_metrics::format::{bytes, grouped};
use maud::html;

/// Characters of a scenario on the page; all of it is in run.json.
const SCENARIO_MAX: usize = 20_000;

pub(super) fn section(run: &Run<'_>) -> Section {
    let manifest = run.manifest;
    let host = &manifest.host;
    let facts = [
        ("fleetsim", manifest.version.clone()),
        ("started", manifest.started_at.clone()),
        ("finished", manifest.finished_at.clone().unwrap_or_else(|| "not finished".into())),
        ("seed", manifest.seed.to_string()),
        ("shards", manifest.shards.to_string()),
        ("host", host.hostname.clone()),
        ("kernel", host.kernel.clone()),
        ("cores", host.cores.to_string()),
        ("memory available", bytes(host.memory_available_bytes)),
        ("descriptors a process", grouped(host.descriptors)),
        ("ephemeral ports", grouped(host.ephemeral_ports)),
        ("SHA-256 of the scenario", manifest.scenario_sha256.clone()),
        ("reconciliation differences", manifest.differences.map_or_else(|| "not compared".into(), grouped)),
    ];
    let rows = facts.into_iter().map(|(what, value)| vec![what.to_owned(), value]).collect();
    // A manifest that somebody changed may hold what TOML does not know.
    let scenario = toml::to_string(&manifest.scenario).unwrap_or_else(|_| format!("{:#}", manifest.scenario));
    let rest = html! {
        h3 { "The scenario with every default filled in" }
        div.scroll tabindex="0" role="group" aria-label="The resolved scenario" { pre { code { (cut_to(&scenario, SCENARIO_MAX)) } } }
    };
    let lead = table("Environment", vec!["what".into(), "value".into()], rows, 2);
    Section { lead, rest, ..Section::new("setup", "Environment and scenario") }
}
