//! The capacity plan in words: what the roll-out took, what it asked of the endpoint, and what the generator needed for it. A fact is
//! there where the files have it.

use super::Section;
use crate::report::forecast_totals::QuotaTotals;
use crate::report::html::run::Run;
use crate::report::manifest::{PredictedRollout, RolloutTotals, UsageTotals};
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
    let facts: Vec<Fact> = rollouts(run)
        .into_iter()
        .chain(predicted(run))
        .chain(quotas(run))
        .chain(rates(run))
        .chain(generator(run))
        .chain(endpoint(run))
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
    let reached = if reached.is_empty() { "not even half of the executions ended".into() } else { reached.join(", ") };
    let done = job.done_share.map_or_else(String::new, |share| format!("; {:.1} % of the targets are done", share * 100.0));
    Fact { subject: format!("Roll-out {}", job.job), says: format!("{targets}: {reached}{done}.") }
}

/// How far the run was from its forecast.
fn predicted(run: &Run<'_>) -> Vec<Fact> {
    let of_job = |job: &PredictedRollout| {
        let (seconds, error) =
            job.seconds_to.iter().zip(&job.error_share).filter_map(|(seconds, error)| (*seconds).zip(*error)).next_back()?;
        let says =
            format!("The forecast said {seconds:.1} s, and it took {:.1} s ({:+.1} %).", seconds * (1.0 + error), error * 100.0);
        Some(Fact { subject: format!("Forecast of {}", job.job), says })
    };
    run.manifest.predicted.iter().take(JOBS_MAX).filter_map(of_job).collect()
}

/// Of a forecast: the quotas that are passed, or else the one that is nearest.
fn quotas(run: &Run<'_>) -> Vec<Fact> {
    let Some(forecast) = &run.manifest.forecast else { return Vec::new() };
    let used = |quota: &QuotaTotals| quota.limit.map_or(0.0, |limit| quota.peak as f64 / f64::from(limit));
    let mut known: Vec<&QuotaTotals> = forecast.quotas.iter().filter(|quota| quota.limit.is_some()).collect();
    known.sort_by(|a, b| used(b).total_cmp(&used(a)));
    let passed = known.iter().filter(|quota| quota.refused > 0).count();
    let fact = |quota: &&QuotaTotals| Fact {
        subject: format!("Quota {}", quota.quota),
        says: format!(
            "at most {} of {} were asked for ({:.0} %), at {:.0} s; {} of {} were over it.",
            grouped(quota.peak),
            grouped(quota.limit.unwrap_or_default().into()),
            used(quota) * 100.0,
            quota.peak_at_s,
            grouped(quota.refused),
            grouped(quota.total)
        ),
    };
    let over: Vec<&&QuotaTotals> = known.iter().filter(|quota| passed == 0 || quota.refused > 0).collect();
    over.into_iter().take(passed.max(1)).map(fact).collect()
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
