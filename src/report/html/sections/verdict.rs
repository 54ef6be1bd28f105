//! What a reader must know first: how the run went, what was found, and what was to hold.

use crate::report::html::limits;
use crate::report::html::run::Run;
use crate::report::html::text::{cut_to, table};
use crate::report::manifest::{Mode, ThresholdTotals, Verdict};
use load_metrics::format::{clock, grouped, plain};
use maud::{Markup, html};
use std::collections::BTreeSet;
use std::time::Duration;

const FINDINGS_MAX: usize = 40;
/// Characters of a finding.
const FINDING_MAX: usize = 600;

/// `charts`: ids of those on the page.
pub(in crate::report::html) fn verdict(run: &Run<'_>, charts: &BTreeSet<&str>) -> Markup {
    let manifest = run.manifest;
    let totals = &manifest.totals;
    let code = manifest.exit_code.map_or_else(String::new, |code| format!(" (exit code {code})"));
    html! {
        h1 { (manifest.title()) }
        p.verdict {
            strong.{ "badge " (class(manifest.verdict)) } { (manifest.verdict.as_str()) }
            " " (manifest.verdict.meaning()) (code)
        }
        @if manifest.mode == Mode::Forecast { p { "This is a forecast: the scenario in virtual time, of which nothing was measured." } }
        p.facts {
            (grouped(totals.things)) " things, " (clock(Duration::from_secs(totals.run_s))) " (min:s), "
            (grouped(totals.messages_out)) " messages out and " (grouped(totals.messages_in)) " in, seed " (manifest.seed) ", started "
            (manifest.started_at)
        }
        section #findings aria-labelledby="findings-head" {
            h2 #findings-head { "Findings" }
            (findings(run))
        }
        section #thresholds aria-labelledby="thresholds-head" {
            h2 #thresholds-head { "Thresholds" }
            @if manifest.thresholds.is_empty() { p { "The scenario has no thresholds." } }
            @else { (thresholds(&manifest.thresholds, charts)) }
        }
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "good",
        Verdict::Running | Verdict::Interrupted => "open",
        Verdict::Fail | Verdict::Invalid | Verdict::Error => "bad",
    }
}

fn findings(run: &Run<'_>) -> Markup {
    let all: Vec<&String> = run.manifest.findings.iter().chain(&run.notes).collect();
    let more = all.len().saturating_sub(FINDINGS_MAX);
    html! {
        @if all.is_empty() { p { "No findings." } }
        @else { ul { @for finding in all.iter().take(FINDINGS_MAX) { li { (cut_to(finding, FINDING_MAX)) } } } }
        @if more > 0 { p.note { "and " (more) " more findings, in run.json" } }
    }
}

fn thresholds(thresholds: &[ThresholdTotals], charts: &BTreeSet<&str>) -> Markup {
    let drawn: BTreeSet<String> =
        thresholds.iter().filter_map(limits::chart_of).filter(|chart| charts.contains(chart.as_str())).collect();
    let head = ["threshold", "verdict", "is", "must be", "period"].map(str::to_owned).to_vec();
    let row = |threshold: &ThresholdTotals| {
        let about = threshold.about();
        let period = about.trim_matches([' ', '(', ')']);
        let word = match threshold.holds {
            Some(true) => "holds",
            Some(false) => "FAILS",
            None => "open",
        };
        vec![
            threshold.metric.clone(),
            word.into(),
            threshold.value.map_or_else(|| "no sample".into(), plain),
            threshold.check.clone(),
            if period.is_empty() { "whole run".into() } else { period.to_owned() },
        ]
    };
    html! {
        (table("Thresholds", head, thresholds.iter().map(row).collect(), 2))
        @if !drawn.is_empty() {
            p.note { "Drawn as lines in " @for (n, chart) in drawn.iter().enumerate() { @if n > 0 { ", " } a href={ "#" (chart) } { (chart) } } "." }
        }
    }
}
