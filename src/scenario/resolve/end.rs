//! `[end]`.

use super::super::plan::{EndPlan, EndWhen, RolloutPlan, TargetPlan};
use super::SOME_DURATION;
use config_text::{Code, Reader, Table};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    ExecutionsDone,
    Duration,
    Idle,
}

pub(super) fn end(root: &Reader<'_>, target: &TargetPlan, rollouts: &[RolloutPlan]) -> EndPlan {
    const LIMIT: Duration = Duration::from_secs(600);
    let empty = Table::default();
    let reader =
        root.table(("end", "when the run ends")).unwrap_or_else(|| Reader::new(&empty, root.place_of("end"), "end", root.gathered));
    let words = [("executions-done", When::ExecutionsDone), ("duration", When::Duration), ("idle", When::Idle)];
    let when = reader.word(("when", "what ends the run; by default what the other keys say, else `executions-done`"), &words);
    let duration = reader.duration(("duration", "for `duration`: how long the run lasts"), SOME_DURATION);
    let expect = reader.integer(
        ("expect", "for `executions-done`, where jobs are created by others: how many executions to wait for"),
        1..=i64::MAX,
    );
    let idle = reader.duration(("idle", "for `idle`: how long nothing must happen"), SOME_DURATION);
    let limit = reader
        .duration(("limit", "ends every run; executions that are still open make it FAIL"), SOME_DURATION)
        .map_or(LIMIT, |limit| limit.value);
    // Left out: what the other keys say, else what there is to wait for.
    let chosen = when.map_or_else(
        || match (&duration, &idle) {
            (Some(_), _) => When::Duration,
            (None, Some(_)) => When::Idle,
            (None, None) => When::ExecutionsDone,
        },
        |when| when.value,
    );
    let creates_jobs = !rollouts.is_empty() || root.has("rollout");
    let need = |key: &str, example: &str| reader.missing(key, example);
    let when = match chosen {
        When::Duration => {
            if duration.is_none() && !reader.has("duration") {
                need("duration", "say how long the run lasts, as in duration = \"60s\"");
            }
            EndWhen::Duration(duration.as_ref().map_or(LIMIT, |duration| duration.value))
        }
        When::Idle => {
            if idle.is_none() && !reader.has("idle") {
                need("idle", "say for how long nothing must happen, as in idle = \"30s\"");
            }
            EndWhen::Idle(idle.as_ref().map_or(LIMIT, |idle| idle.value))
        }
        When::ExecutionsDone => {
            if !creates_jobs && expect.is_none() && !reader.has("expect") {
                let help = match target {
                    TargetPlan::Emulator(_) => {
                        "add a [[rollout]], or end after a time: [end] when = \"duration\", duration = \"60s\""
                    }
                    TargetPlan::Mqtt(_) | TargetPlan::Aws(_) => {
                        "say how many executions end the run: [end] expect = 1_000; or wait until nothing happens: idle = \"30s\""
                    }
                };
                let message = "no execution is expected, so the run would never end by executions-done";
                reader.gathered.push(Code::Conflict, &reader.place, message, Some(help.into()));
            }
            EndWhen::ExecutionsDone { expect: expect.as_ref().map(|expect| expect.value as u64) }
        }
    };
    if let Some(expect) = &expect
        && (chosen != When::ExecutionsDone || creates_jobs)
    {
        reader.conflict(&expect.place, "end.expect is for executions-done with jobs that others create", "leave it out");
    }
    if let Some(duration) = &duration
        && chosen != When::Duration
    {
        reader.conflict(&duration.place, "end.duration is for when = \"duration\"", "leave it out, or change end.when");
    }
    if let Some(idle) = &idle
        && chosen != When::Idle
    {
        reader.conflict(&idle.place, "end.idle is for when = \"idle\"", "leave it out, or change end.when");
    }
    if let EndWhen::Duration(duration) = when
        && duration > limit
    {
        reader.conflict(&reader.place_of("limit"), "end.limit is below end.duration", "the limit ends every run; raise it");
    }
    reader.finish();
    EndPlan { when, limit }
}
