//! The summary of a run in Markdown, as job summaries want it: the verdict and what it rests on first, tables behind a fold.

use crate::report::grid::{Grid, markdown_text};
use crate::report::html::{PAGE, printable};
use crate::report::manifest::{Manifest, Verdict};
use crate::report::text;
use load_metrics::ScopeName;
use std::path::Path;

/// Rows of a table, at most: a summary of GitHub's may have 1 MiB.
const ROWS_MAX: usize = 40;
const FINDINGS_MAX: usize = 20;
/// Characters of a finding.
const FINDING_MAX: usize = 600;

/// `dir` is the results folder.
pub(super) fn summary(manifest: &Manifest, dir: &Path) -> String {
    let totals = &manifest.totals;
    let code = manifest.exit_code.map_or_else(String::new, |code| format!(" (exit code {code})"));
    let verdict = manifest.verdict;
    let mut parts = vec![
        format!("## {} fleetsim {}: {}", mark(verdict), markdown_text(&manifest.name), verdict.as_str()),
        format!("{}{code}", verdict.meaning()),
        markdown_text(&text::facts(manifest)),
    ];
    parts.extend(text::executions(totals).map(|executions| markdown_text(&executions)));
    parts.extend(findings(&manifest.findings));
    if !manifest.thresholds.is_empty() {
        parts.push(format!("### Thresholds\n\n{}", text::thresholds(&manifest.thresholds).markdown(ROWS_MAX)));
    }
    let folded = [
        ("Rollouts", text::rollouts(totals), totals.rollouts.len()),
        ("Operations", text::operations(totals, &ScopeName::All), totals.operations.len()),
        ("Events", text::events(&manifest.events), manifest.events.len()),
        ("Errors", text::errors(totals), totals.errors.len()),
    ];
    parts.extend(folded.iter().filter(|(_, _, rows)| *rows > 0).map(|(title, grid, _)| fold(title, grid)));
    parts.extend(text::generator(totals).map(|generator| markdown_text(&generator)));
    let page = if dir.join(PAGE).is_file() { format!(" Open {} in it.", code_span(PAGE)) } else { String::new() };
    parts.push(format!("Results: {}.{page}", code_span(&dir.display().to_string())));
    printable(&(parts.join("\n\n") + "\n"))
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Fail | Verdict::Error => "❌",
        Verdict::Invalid | Verdict::Interrupted | Verdict::Running => "⚠️",
    }
}

fn findings(findings: &[String]) -> Option<String> {
    let more = findings.len().saturating_sub(FINDINGS_MAX);
    let line = |finding: &String| {
        let cut: String = finding.chars().take(FINDING_MAX).collect();
        let rest = if cut.len() < finding.len() { "…" } else { "" };
        format!("- {}{rest}", markdown_text(&cut))
    };
    let mut lines: Vec<String> = findings.iter().take(FINDINGS_MAX).map(line).collect();
    lines.extend((more > 0).then(|| format!("- and {more} more, in `run.json`")));
    (!lines.is_empty()).then(|| format!("### Findings\n\n{}", lines.join("\n")))
}

fn fold(title: &str, grid: &Grid) -> String {
    format!("<details><summary>{title}</summary>\n\n{}\n\n</details>", grid.markdown(ROWS_MAX))
}

/// Within backticks, longer than those in it.
fn code_span(text: &str) -> String {
    if text.contains('`') { markdown_text(text) } else { format!("`{text}`") }
}
