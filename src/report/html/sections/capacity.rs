//! The capacity plan in words: what the rollout took, what it asked of the endpoint, and what the generator needed for it. A fact is
//! there where the files have it.

use super::Section;
use crate::billing::{Bill, BillLine, Prices};
use crate::preflight::CORE_SHARE;
use crate::report::forecast_totals::QuotaTotals;
use crate::report::html::demand::QuotaUse;
use crate::report::html::run::Run;
use crate::report::manifest::{PredictedRollout, RolloutTotals, UsageTotals};
use load_metrics::format::{bytes, clock, grouped, milliseconds};
use maud::html;
use std::time::Duration;

/// Jobs that are told one by one.
const JOBS_MAX: usize = 10;
/// Quotas that are told besides the one that breaks first.
const QUOTAS_MAX: usize = 8;
/// The program itself weighs as much as a thousand things.
const THINGS_MIN: u64 = 1_000;

struct Fact {
    subject: String,
    says: String,
}

pub(super) fn section(run: &Run<'_>) -> Section {
    let facts: Vec<Fact> = rollouts(run)
        .into_iter()
        .chain(predicted(run))
        .chain(quotas(run))
        .chain(rates(run))
        .chain(cost(run))
        .chain(generator(run))
        .chain(endpoint(run))
        .chain(sizing(run))
        .collect();
    let lead = html! {
        @if facts.is_empty() { p { "The run ended before there was anything to plan with." } }
        @else { dl { @for fact in &facts { dt { (fact.subject) } dd { (fact.says) } } } }
    };
    Section { lead, ..Section::new("capacity", "Capacity plan") }
}

fn rollouts(run: &Run<'_>) -> Vec<Fact> {
    let jobs = &run.manifest.totals.rollouts;
    let mut facts: Vec<Fact> = jobs.iter().take(JOBS_MAX).map(rollout).collect();
    let more = jobs.len().saturating_sub(JOBS_MAX);
    facts.extend((more > 0).then(|| Fact { subject: "More jobs".into(), says: format!("{more} more, in rollouts.csv") }));
    facts
}

fn rollout(job: &RolloutTotals) -> Fact {
    let targets = job.targets.map_or_else(|| "targets that others chose".into(), |targets| format!("{} targets", grouped(targets)));
    let reached: Vec<String> = ["half of the executions", "90 %", "99 %", "all"]
        .iter()
        .zip(&job.seconds_to)
        .filter_map(|(share, seconds)| Some(format!("{share} had ended after {:.1} s", (*seconds)?)))
        .collect();
    let reached = if reached.is_empty() { "less than half of the executions ended".into() } else { reached.join(", ") };
    let done = job.done_share.map_or_else(String::new, |share| format!("; {:.1} % of the targets are done", share * 100.0));
    Fact { subject: format!("Rollout {}", job.job), says: format!("{targets}: {reached}{done}.") }
}

/// How far the run was from its forecast.
fn predicted(run: &Run<'_>) -> Vec<Fact> {
    let of_job = |job: &PredictedRollout| {
        let (seconds, error) =
            job.seconds_to.iter().zip(&job.error_share).filter_map(|(seconds, error)| (*seconds).zip(*error)).next_back()?;
        let says = format!(
            "The forecast predicted {seconds:.1} s, and it took {:.1} s ({:+.1} %).",
            seconds * (1.0 + error),
            error * 100.0
        );
        Some(Fact { subject: format!("Forecast of {}", job.job), says })
    };
    run.manifest.predicted.iter().take(JOBS_MAX).filter_map(of_job).collect()
}

/// What breaks first, and how much is left of the others.
fn quotas(run: &Run<'_>) -> Vec<Fact> {
    let forecast = run.manifest.forecast.as_ref();
    let of_forecast = |quota: &QuotaTotals| {
        Some(QuotaUse { name: quota.quota.clone(), limit: quota.limit?.into(), peak: quota.peak, peak_at_s: quota.peak_at_s })
    };
    let forecast_uses: Vec<QuotaUse> =
        forecast.iter().flat_map(|forecast| forecast.quotas.iter().filter_map(of_forecast)).collect();
    let mut uses: Vec<&QuotaUse> = if forecast.is_some() { &forecast_uses } else { &run.quota_uses }.iter().collect();
    uses.sort_by(|a, b| b.share().total_cmp(&a.share()));
    let Some((first, others)) = uses.split_first() else { return Vec::new() };
    let whose = if forecast.is_some() { "" } else { " that an AWS account has by default" };
    let refused = forecast.and_then(|forecast| forecast.quotas.iter().find(|quota| quota.quota == first.name && quota.refused > 0));
    let refused =
        refused.map_or_else(String::new, |quota| format!("; {} of {} exceeded it", grouped(quota.refused), grouped(quota.total)));
    let bottleneck = Fact {
        subject: "First bottleneck".into(),
        says: format!(
            "{}: {} of the {}{whose} at its peak, by {} ({:.1} %){refused}.",
            first.name,
            grouped(first.peak),
            grouped(first.limit),
            clock(Duration::from_secs_f64(first.peak_at_s)),
            first.share() * 100.0
        ),
    };
    let (passed, within): (Vec<&QuotaUse>, Vec<&QuotaUse>) = others.iter().take(QUOTAS_MAX).partition(|quota| quota.share() > 1.0);
    let listed = |subject: &str, quotas: &[&QuotaUse]| {
        let says: Vec<String> = quotas.iter().map(|quota| in_words(quota)).collect();
        (!says.is_empty()).then(|| Fact { subject: subject.into(), says: format!("{}.", says.join("; ")) })
    };
    std::iter::once(bottleneck).chain(listed("Also exceeded", &passed)).chain(listed("Headroom", &within)).collect()
}

/// What was asked of a quota, and what is left of it.
fn in_words(quota: &QuotaUse) -> String {
    let (peak, limit, share) = (grouped(quota.peak), grouped(quota.limit), quota.share() * 100.0);
    let left = if share > 100.0 { String::new() } else { format!(", {:.1} % left", 100.0 - share) };
    format!("{} {peak} of {limit} ({share:.1} %{left})", quota.name)
}

/// In an account in which nothing else is billed.
fn cost(run: &Run<'_>) -> Option<Fact> {
    let prices = Prices::aws();
    let bill = Bill::new(&prices, &run.manifest.totals.billed?);
    let line = |line: &BillLine| (line.quantity > 0).then(|| format!("{} {}", grouped(line.quantity), line.label));
    let lines: Vec<String> = bill.lines.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| Fact {
        subject: "Cost".into(),
        says: format!(
            "{} {} at AWS ({}, prices of {}): {}.",
            bill.total,
            prices.currency,
            prices.region,
            prices.published,
            lines.join(", ")
        ),
    })
}

/// How many things with this rhythm the host would carry, by what ends first.
fn sizing(run: &Run<'_>) -> Option<Fact> {
    let (totals, host) = (&run.manifest.totals, &run.manifest.host);
    let things = totals.things as f64;
    let peak = |figures: [&str; 2]| figures.iter().filter_map(|figure| run.peak(figure)).sum::<f64>();
    let (cores, bytes) = (peak(["cpu_share", "endpoint_cpu_share"]), peak(["rss_bytes", "endpoint_rss_bytes"]));
    let of = |has: f64, took: f64| (has * things / took) as u64;
    let limits = [
        ("cores, busy to 70 %,", of(host.cores as f64 * CORE_SHARE, cores)),
        ("memory", of(host.memory_available_bytes as f64, bytes)),
        ("descriptors of a process", host.descriptors),
    ];
    let (what, most) = limits.into_iter().min_by_key(|(_, most)| *most)?;
    (totals.things >= THINGS_MIN && cores > 0.0 && bytes > 0.0).then(|| Fact {
        subject: "Generator sizing".into(),
        says: format!(
            "At its peak the run kept {cores:.1} of {} cores busy. At this load the host carries about {} things; its {what} are the first limit.",
            host.cores,
            grouped(most)
        ),
    })
}

/// What quotas of the endpoint are held against.
fn rates(run: &Run<'_>) -> Option<Fact> {
    let [connects, inward, outward] = ["connects_per_s", "messages_in_per_s", "messages_out_per_s"].map(|figure| run.peak(figure));
    let rate = |rate: Option<f64>| grouped(rate.unwrap_or_default().round() as u64);
    connects.is_some().then(|| Fact {
        subject: "Busiest second".into(),
        says: format!(
            "At most {} things a second connected, {} messages a second went to the endpoint and {} came from it.",
            rate(connects),
            rate(outward),
            rate(inward)
        ),
    })
}

fn generator(run: &Run<'_>) -> Option<Fact> {
    let totals = &run.manifest.totals;
    let of_generator = totals.generator?;
    let kilobytes = of_generator.rss_bytes_max as f64 / 1e3 / totals.things as f64;
    let weight = (totals.things >= THINGS_MIN).then(|| format!(" ({kilobytes:.1} KB a thing)"));
    let late = totals.lateness_ms.map(|late| format!("; 99 % of its requests left at most {} late", milliseconds(late.p99)));
    (totals.run_s > 0).then(|| Fact {
        subject: "Generator".into(),
        says: format!(
            "{} things on {} of {} cores took {}{}{}.",
            grouped(totals.things),
            run.manifest.shards.min(run.manifest.host.cores as usize),
            run.manifest.host.cores,
            usage(of_generator, totals.run_s),
            weight.unwrap_or_default(),
            late.unwrap_or_default()
        ),
    })
}

fn endpoint(run: &Run<'_>) -> Option<Fact> {
    let totals = &run.manifest.totals;
    let says = format!("On the same host it took {}.", usage(totals.endpoint?, totals.run_s));
    Some(Fact { subject: "Local endpoint".into(), says })
}

fn usage(usage: UsageTotals, run_s: u64) -> String {
    let share = usage.cpu_seconds / run_s.max(1) as f64;
    format!("{:.1} s of CPU, {share:.2} cores on average, and at most {} of memory", usage.cpu_seconds, bytes(usage.rss_bytes_max))
}
