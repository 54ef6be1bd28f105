//! Rollouts: how the jobs came to their end, and where their executions stood.

use super::Section;
use crate::report::html::chart::{Chart, Figure, SERIES_MAX, Series};
use crate::report::html::limits::EXECUTIONS_CHART;
use crate::report::html::run::{Job, MILESTONES, Run};
use crate::report::html::scale::{Scale, clock};
use crate::report::html::text::table;
use crate::report::html::timeline::Merge;
use load_metrics::ExecutionStage;
use load_metrics::format::{grouped, grouped_or_unknown};
use maud::{Markup, html};
use strum::VariantArray;

pub(super) fn section(run: &Run<'_>) -> Section {
    let figures = [curves(run), executions(run)].into_iter().flatten().collect();
    let section = Section { rest: jobs(run), ..Section::new("rollouts", "Rollouts") };
    section.with_charts(figures, "No thing had a job.")
}

fn curves(run: &Run<'_>) -> Option<Figure> {
    let first = run.jobs.first()?;
    let more = run.manifest.totals.rollouts.len().saturating_sub(run.jobs.len());
    let predicted = run.predicted.iter().find(|job| job.name == first.name);
    let says = format!(
        "{}{}{}{}.",
        progress(first),
        predicted.map_or_else(String::new, |job| format!("; forecast: {}", progress(job))),
        if run.jobs.len() > 1 { format!("; {} more jobs beside it", run.jobs.len() - 1) } else { String::new() },
        if more > 0 { format!(", and {more} smaller ones that are not drawn") } else { String::new() }
    );
    let marks = |(n, job): (usize, &Job)| {
        MILESTONES.into_iter().zip(job.reached).filter_map(move |(percent, at)| Some((n, at?, percent))).collect::<Vec<_>>()
    };
    let dots = run.jobs.iter().enumerate().flat_map(marks).collect();
    let measured = run.jobs.iter().map(|job| Series { name: job.name.clone(), line: job.done.clone() });
    let predicted = run.predicted.iter().map(|job| Series { name: format!("{}, forecast", job.name), line: job.done.clone() });
    let series = measured.chain(predicted).take(SERIES_MAX).collect();
    let chart = Chart {
        id: "rollout-curves".into(),
        title: "Targets that are done; dots at 50, 90, 99 and 100 %".into(),
        says,
        x: run.time_axis(),
        y: Scale::linear([100.0].into_iter(), "% of targets"),
        series,
        limits: Vec::new(),
        moments: run.moments.clone(),
        dots,
    };
    Some(chart.figure())
}

/// `fw-1 reached 50 % at 0:12, 90 % at 0:20`.
fn progress(job: &Job) -> String {
    let reached: Vec<String> = MILESTONES
        .into_iter()
        .zip(job.reached)
        .filter_map(|(percent, at)| Some(format!("{percent} % by {}", clock(at?.ceil()))))
        .collect();
    if reached.is_empty() {
        format!("{} did not come to half of its targets", job.name)
    } else {
        format!("{} reached {}", job.name, reached.join(", "))
    }
}

fn executions(run: &Run<'_>) -> Option<Figure> {
    let stage = |stage: &ExecutionStage| {
        let line = run.line(&format!("exec_{}", stage.key()), Merge::Last)?;
        let is_used = line.values().any(|value| value > 0.0);
        is_used.then(|| Series { name: stage.label().into(), line })
    };
    let series: Vec<Series> = ExecutionStage::VARIANTS.iter().filter_map(stage).take(SERIES_MAX).collect();
    if series.is_empty() {
        return None;
    }
    let last = |stage: &ExecutionStage| run.manifest.totals.executions.get(stage.key()).copied();
    let sum =
        |wanted: fn(&ExecutionStage) -> bool| ExecutionStage::VARIANTS.iter().filter(|stage| wanted(stage)).filter_map(last).sum();
    let says = format!(
        "At the end {} executions have succeeded, {} ended otherwise, and {} are open.",
        grouped_or_unknown(last(&ExecutionStage::Succeeded)),
        grouped(sum(|stage| stage.is_bad())),
        grouped(sum(|stage| !stage.is_terminal()))
    );
    let limits = run.limits(EXECUTIONS_CHART);
    let values = series.iter().flat_map(|series| series.line.values()).chain(limits.iter().map(|limit| limit.at));
    let chart = Chart {
        id: EXECUTIONS_CHART.into(),
        title: "Executions by state".into(),
        says,
        x: run.time_axis(),
        y: Scale::linear(values, "executions"),
        series,
        limits,
        moments: run.moments.clone(),
        dots: Vec::new(),
    };
    Some(chart.figure())
}

fn jobs(run: &Run<'_>) -> Markup {
    let jobs = &run.manifest.totals.rollouts;
    let stages = ExecutionStage::VARIANTS;
    let head = ["job", "targets", "done"].map(str::to_owned).into_iter().chain(stages.iter().map(|stage| stage.label().to_owned()));
    let head = head.chain(["50 % after", "90 % after", "99 % after", "all after"].map(str::to_owned)).collect();
    let rows = jobs.iter().map(|job| {
        let counts = stages.iter().map(|stage| grouped_or_unknown(job.executions.get(stage.key()).copied()));
        let seconds = job.seconds_to.iter().map(|seconds| seconds.map_or_else(|| "-".into(), |seconds| format!("{seconds:.1} s")));
        let about = [
            job.job.clone(),
            job.targets.map_or_else(|| "-".into(), grouped),
            job.done_share.map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0)),
        ];
        about.into_iter().chain(counts).chain(seconds).collect()
    });
    html! { @if !jobs.is_empty() { (table("Jobs: executions by state, and seconds from the job's creation", head, rows.collect(), 1)) } }
}
