//! The report for people: the answer first, then what it rests on.

use super::quotas::{QuotaRow, QuotaState};
use super::{Cause, CostReport, Performance, PolicyDenial, PolicyReport, QuotaReport, Report, Sizing};
use crate::billing::Bill;
use crate::report::{finish, table};
use load_metrics::format::{bytes, clock, grouped, plain};
use std::time::Duration;

pub(super) fn text(report: &Report) -> String {
    let mut parts = vec![format!("{}: {}", report.scenario, report.summary), host(report)];
    parts.extend(report.policy.as_ref().filter(|policy| policy.denied_things > 0).map(policy));
    parts.push(quotas(&report.quotas));
    parts.extend(report.quotas.rows.iter().filter_map(remark));
    parts.push(cost(&report.cost));
    parts.extend(report.sizing.as_ref().map(sizing));
    parts.push(format!("assumptions:\n{}", lines(&report.assumptions)));
    parts.join("\n\n") + "\n"
}

fn lines<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("  - {item}")).collect::<Vec<_>>().join("\n")
}

fn host(report: &Report) -> String {
    let facts = &report.host.facts;
    let mut text = match report.host.shortages.as_slice() {
        [] => format!("host: this host can carry it: {facts}"),
        shortages => format!("host: {facts}\n{}", lines(shortages)),
    };
    if let Some(fault) = &report.target_fault {
        text += &format!("\ntarget: failed to {fault}");
    }
    text
}

fn policy(report: &PolicyReport) -> String {
    let (some, all) = (grouped(report.denied_things), grouped(report.things));
    let denials = report.denials.iter().map(|denial| {
        let PolicyDenial { cohort, action, need, things, explanation } = denial;
        format!("{} things of {cohort}, {action} ({need}): {explanation}", grouped(*things))
    });
    format!(
        "policy: {} denies {some} of {all} things an action that they need\n{}",
        report.source,
        lines(&denials.collect::<Vec<_>>())
    )
}

fn at(seconds: f64) -> String {
    clock(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn quotas(report: &QuotaReport) -> String {
    let published = report.published.as_ref().map(|date| format!(", published {date}")).unwrap_or_default();
    let mut table = table(&["quota", "", "peak", "at", "limit", "used", "refused", "of"]);
    for row in &report.rows {
        let is_used = row.state != QuotaState::Unused;
        table.add_row([
            row.quota.clone(),
            state(row.state).into(),
            grouped(row.peak),
            if is_used { at(row.peak_at_s) } else { String::new() },
            row.limit.map_or_else(|| "unlimited".into(), |limit| grouped(u64::from(limit))),
            row.used_share.filter(|_| is_used).map_or_else(String::new, |share| format!("{:.0} %", share * 100.0)),
            if row.refused > 0 { grouped(row.refused) } else { String::new() },
            if row.refused > 0 { grouped(row.total) } else { String::new() },
        ]);
    }
    format!(
        "quotas: {}{published}; peaks are of a second or minute, or of what is held at once\n{}",
        report.source,
        finish(table, 2)
    )
}

fn state(state: QuotaState) -> &'static str {
    match state {
        QuotaState::Unused => "unused",
        QuotaState::Unlimited | QuotaState::Fits => "fits",
        QuotaState::Tight => "TIGHT",
        QuotaState::Exceeded => "EXCEEDED",
    }
}

/// More of what is passed, or nearly.
fn remark(row: &QuotaRow) -> Option<String> {
    if !matches!(row.state, QuotaState::Exceeded | QuotaState::Tight) {
        return None;
    }
    let source = row.source.map(|source| format!("{source}, ")).unwrap_or_default();
    let adjustable = if row.is_adjustable { "AWS raises it on request" } else { "not adjustable" };
    let mut text = format!("! {}: {} ({source}{adjustable})\n  if exceeded: {}", row.quota, row.unit, row.past_it);
    if let Some(unverified) = row.unverified {
        text += &format!("\n  unverified: {unverified}");
    }
    let others = row.causes.iter().skip(1).map(|cause| ("and of", cause));
    let of_peak = row.causes.first().map(|cause| ("because of", cause));
    for (word, cause) in of_peak.into_iter().chain(others) {
        text += &format!("\n  {word} {}", because(cause));
    }
    let first = row.first_cause.as_ref().filter(|first| row.causes.first().is_none_or(|cause| cause.setting != first.setting));
    if let (Some(cause), Some(seconds)) = (first, row.first_refused_s) {
        text += &format!("\n  first, at {}, because of {}", at(seconds), because(cause));
    }
    Some(text)
}

fn because(cause: &Cause) -> String {
    let asks = if cause.asks < 10.0 { plain(cause.asks) } else { grouped(cause.asks.round() as u64) };
    let fits = cause.fits.as_ref().map(|fits| format!("; {fits} would fit")).unwrap_or_default();
    format!("{} (about {asks}){fits}", cause.setting)
}

fn cost(cost: &CostReport) -> String {
    let mut table = table(&["", "this run", cost.currency.as_str(), "production", cost.currency.as_str()]);
    let production = cost.production.as_ref();
    for n in 0..cost.run.lines.len() {
        let cells = |bill: &Bill| [grouped(bill.lines[n].quantity), bill.lines[n].amount.to_string()];
        let [run, of_run] = cells(&cost.run);
        let [there, of_production] = production.map_or_else(Default::default, |production| cells(&production.bill));
        table.add_row([cost.run.lines[n].label.to_owned(), run, of_run, there, of_production]);
    }
    let totals =
        |pick: fn(&Bill) -> String| [pick(&cost.run), production.map_or_else(String::new, |production| pick(&production.bill))];
    for (label, [run, there]) in [
        ("total", totals(|bill| bill.total.to_string())),
        ("of it in the first year's free tier", totals(|bill| bill.free_tier.to_string())),
    ] {
        table.add_row([label.to_owned(), String::new(), run, String::new(), there]);
    }
    let lasts = production.map_or_else(String::new, |production| {
        let hours = Duration::from_secs(production.quantities.minutes.saturating_mul(60));
        format!("; in production {}", clock(hours))
    });
    format!("cost: {}, prices of {}; the run lasts {}{lasts}\n{}", cost.region, cost.published, at(cost.run_s), finish(table, 1))
}

fn sizing(sizing: &Sizing) -> String {
    let mut of_process = table(&["one core, one GiB", "connects/s", "messages/s", "bytes a thing", "things/GiB"]);
    let row = |name: &str, performance: &Performance| {
        let Performance { connects_per_core, messages_per_core, bytes_per_thing, things_per_gib } = performance;
        [
            name.into(),
            plain(connects_per_core.round()),
            plain(messages_per_core.round()),
            bytes(*bytes_per_thing),
            grouped(*things_per_gib),
        ]
    };
    of_process.add_row(row("generator", &sizing.calibration.generator));
    of_process.add_row(row("endpoint", &sizing.calibration.endpoint));
    let mut of_machine = table(&["", "needed", "one machine", "machines"]);
    for resource in &sizing.resources {
        let (needed, one) = (plain(resource.needed), plain(resource.one_machine));
        of_machine.add_row([resource.resource.to_owned(), needed, one, grouped(resource.machines)]);
    }
    let machines = match sizing.machines {
        1 => "one machine like this is enough".into(),
        count => format!("this scenario needs {} machines like this one", grouped(count)),
    };
    format!("size: {machines}; the first limit is {}\n{}\n\n{}", sizing.limited_by, finish(of_machine, 1), finish(of_process, 1))
}
