//! The capacity plan in words: what the roll-out took, what it asked of the endpoint, and what the generator needed for it. A fact is
//! there where the files have it.

use super::Section;
use crate::report::html::run::Run;
use crate::report::manifest::{RolloutTotals, UsageTotals};
use load_metrics::format::{bytes, grouped, milliseconds};
use maud::html;

/// Jobs that are told one by one.
const JOBS_MAX: usize = 10;
/// The program itself weighs as much as a thousand things.
const THINGS_MIN: u64 = 1_000;

struct Fact {
    subject: String,
    says: String,
}

pub(super) fn section(run: &Run<'_>) -> Section {
    let facts: Vec<Fact> = rollouts(run).into_iter().chain(rates(run)).chain(generator(run)).chain(endpoint(run)).collect();
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
    let reached: Vec<String> = ["half of the executions", "90 %", "99 %"]
        .iter()
        .zip(job.seconds_to)
        .filter_map(|(share, seconds)| Some(format!("{share} had ended after {:.1} s", seconds?)))
        .collect();
    let reached = if reached.is_empty() { "not even half of the executions ended".into() } else { reached.join(", ") };
    let done = job.done_share.map_or_else(String::new, |share| format!("; {:.1} % of the targets are done", share * 100.0));
    Fact { subject: format!("Roll-out {}", job.job), says: format!("{targets}: {reached}{done}.") }
}

/// What quotas of the endpoint are held against.
fn rates(run: &Run<'_>) -> Option<Fact> {
    let [connects, inward, outward] = ["connects_per_s", "messages_in_per_s", "messages_out_per_s"].map(|figure| run.peak(figure));
    let rate = |rate: Option<f64>| grouped(rate.unwrap_or_default().round() as u64);
    connects.is_some().then(|| Fact {
        subject: "Busiest second".into(),
        says: format!(
            "At most {} things a second came up, {} messages a second went to the endpoint and {} came from it.",
            rate(connects),
            rate(outward),
            rate(inward)
        ),
    })
}

fn generator(run: &Run<'_>) -> Option<Fact> {
    let totals = &run.manifest.totals;
    let kilobytes = totals.generator.rss_bytes_max as f64 / 1e3 / totals.things as f64;
    let weight = (totals.things >= THINGS_MIN).then(|| format!(" ({kilobytes:.1} KB a thing)"));
    let late = totals.lateness_ms.map(|late| format!("; 99 % of its requests left at most {} late", milliseconds(late.p99)));
    (totals.run_s > 0).then(|| Fact {
        subject: "Generator".into(),
        says: format!(
            "{} things on {} of {} cores took {}{}{}.",
            grouped(totals.things),
            run.manifest.shards.min(run.manifest.host.cores as usize),
            run.manifest.host.cores,
            usage(totals.generator, totals.run_s),
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
