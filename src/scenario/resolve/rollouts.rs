//! `[[rollout]]`.

use super::super::plan::{CohortPlan, EndPlan, EndWhen, RolloutPlan, RolloutStart, RolloutTargets, TargetPlan};
use super::artifact::artifact;
use super::cohorts::{known_behavior, namespace_id};
use super::{ANY_DURATION, names};
use config_text::{Code, Located, Place, Reader};
use iot_jobs::cron::Cron;
use iot_jobs::wire::create_job::{SETTINGS, parse_settings};
use iot_jobs::wire::template::{managed_arn, template_arn};
use iot_jobs::{
    ControlError, JobDocument, JobId, JobSettings, MaintenanceWindow, NamespaceId, SchedulingConfig, TemplateId, TemplateUse,
    limits, managed,
};
use serde_json::Map;
use sim_units::text::{duration_text, job_template};
use std::collections::BTreeMap;
use std::time::Duration;
use thing_agent::behavior::Behavior;

/// Jobs of one rollout: each has a row a second in the results.
const JOBS_MAX: i64 = 1_000;
/// Members of CreateJob that a rollout says in another way, or that have no counterpart here.
const NO_MEMBERS: [(&str, &str); 6] = [
    ("documentSource", "the document stands in the scenario: document = { ... }"),
    ("documentParameters", "say parameters = { ... }, and template = \"AWS-...\""),
    ("jobTemplateArn", "say template = \"NAME\": the ARN follows from the account"),
    ("destinationPackageVersions", "software packages are not supported"),
    ("namespaceId", "say namespace = \"ID\", as for a cohort"),
    ("tags", "the jobs of a run have no tags"),
];

pub(super) fn rollouts(
    root: &Reader<'_>,
    target: &TargetPlan,
    cohorts: &[CohortPlan],
    behaviors: &BTreeMap<String, Behavior>,
) -> Vec<RolloutPlan> {
    let mut plans: Vec<RolloutPlan> = Vec::new();
    for reader in root.tables(("rollout", "jobs that the run creates")) {
        if matches!(target, TargetPlan::Mqtt(_)) {
            let help = "jobs of such a target are created by others; say in [end] what to wait for: expect = N or idle = \"30s\"";
            reader.conflict(&reader.place, "a [[rollout]] needs a control plane, which a target of kind mqtt does not have", help);
        }
        let series = series(&reader);
        if let Some(Series { place, jobs, .. }) = &series
            && let Some(job) = jobs.iter().find(|job| plans.iter().any(|plan| plan.jobs.contains(job)))
        {
            reader.gathered.push(Code::Duplicate, place, format!("there are two rollouts of job {job}"), None);
        }
        let start = rollout_start(&reader);
        let delay =
            reader.duration(("delay", "added to `at` or `after`"), ANY_DURATION).map_or(Duration::ZERO, |delay| delay.value);
        let targets = rollout_targets(&reader, cohorts);
        let namespace = namespace_id(&reader).map(|namespace| namespace.value);
        check_workflows(&reader, cohorts, &targets, namespace.as_ref());
        let settings = settings(&reader);
        let behavior = reader
            .string(("behavior", "how things work through these jobs; by default the behavior of each thing's cohort"))
            .map(|behavior| known_behavior(&reader, behavior, behaviors));
        let template = template(&reader, target);
        let (template, document) = match template {
            Some((template, document)) => (Some(template), document),
            None => (None, document(&reader)),
        };
        let artifact = artifact(&reader, target, &document);
        if let Some(Series { name, jobs, every, .. }) = series {
            plans.push(RolloutPlan {
                name,
                jobs,
                every,
                start,
                delay,
                targets,
                settings,
                namespace,
                template,
                document,
                artifact,
                behavior,
            });
        }
        reader.finish();
    }
    plans
}

/// The jobs of a rollout.
struct Series {
    name: String,
    place: Place,
    jobs: Vec<JobId>,
    every: Duration,
}

fn series(reader: &Reader<'_>) -> Option<Series> {
    let count = reader.integer(("count", "how many jobs a template makes"), 1..=JOBS_MAX);
    let every = reader.duration(("every", "time from one of these jobs to the next"), ANY_DURATION);
    if !reader.has("job") {
        reader.missing("job", "give the job an id, as in job = \"fw-2-4-1\"");
    }
    let Located { value: template, place } = reader.with(
        ("job", "the job id, or a template with one `{n}` or `{n:0WIDTH}`, which counts from 1"),
        "a job id",
        job_template,
    )?;
    let name = reader.string("job")?.value;
    let (numbers, every) = if template.index.is_some() {
        for (key, help) in [
            ("count", "say how many jobs there are, as in count = 20"),
            ("every", "say how far apart they are, as in every = \"30s\""),
        ] {
            if !reader.has(key) {
                reader.missing(key, help);
            }
        }
        (1..=count?.value as u64, every?.value)
    } else {
        for key in ["count", "every"] {
            if reader.has(key) {
                let help = "several jobs need a number in their ids, as in job = \"fw-{n:03}\"; it counts from 1";
                reader.conflict(&reader.place_of(key), format!("rollout.{key} is for several jobs, and {name:?} is one"), help);
            }
        }
        (1..=1, Duration::ZERO)
    };
    match numbers.map(|n| JobId::new(&template.name(n))).collect() {
        Ok(jobs) => Some(Series { name, place, jobs, every }),
        Err(error) => {
            reader.gathered.push(Code::BadValue, &place, format!("rollout.job: {error}"), None);
            None
        }
    }
}

fn rollout_start(reader: &Reader<'_>) -> RolloutStart {
    let at = reader.duration(("at", "when the first job is created, from the first connect arrival"), ANY_DURATION);
    let after = reader.word(("after", "the first job is created once all things are connected"), &[("connected", ())]);
    if let (Some(_), Some(after)) = (&at, after) {
        reader.conflict(&after.place, "a rollout starts either at a time or after something", "keep one of at and after");
    }
    at.map_or(RolloutStart::Connected, |at| RolloutStart::At(at.value))
}

fn rollout_targets(reader: &Reader<'_>, cohorts: &[CohortPlan]) -> RolloutTargets {
    let Some(targets) =
        reader.table(("targets", "the things that the jobs are for; by default all. `share` or `cohort`, not both"))
    else {
        return RolloutTargets::Share(1.0);
    };
    let (share, cohort) = (
        targets.share(("share", "part of the fleet, chosen by seed and job")),
        targets.string(("cohort", "the things of one cohort")),
    );
    let plan = match (share, cohort) {
        (Some(_), Some(cohort)) => {
            targets.conflict(&cohort.place, "targets are either a share or a cohort", "keep one of the two");
            RolloutTargets::Share(1.0)
        }
        (Some(share), None) => RolloutTargets::Share(share.value),
        (None, Some(Located { value, place })) => {
            if !cohorts.iter().any(|cohort| cohort.name == value) {
                let help = Some(format!("known here: {}", names(cohorts.iter().map(|cohort| &cohort.name))));
                targets.gathered.push(Code::UnknownName, &place, format!("unknown cohort {value:?}"), help);
            }
            RolloutTargets::Cohort(value)
        }
        (None, None) => RolloutTargets::Share(1.0),
    };
    targets.finish();
    plan
}

/// Nobody would ever start the job.
fn check_workflows(reader: &Reader<'_>, cohorts: &[CohortPlan], targets: &RolloutTargets, namespace: Option<&NamespaceId>) {
    let is_target = |cohort: &&CohortPlan| match targets {
        RolloutTargets::Share(_) => true,
        RolloutTargets::Cohort(name) => cohort.name == *name,
    };
    if let Some(cohort) = cohorts.iter().filter(is_target).find(|cohort| !cohort.workflow.has_jobs()) {
        let message = format!("the rollout is for things of cohort {:?}, whose workflow has no jobs", cohort.name);
        let help = "give the cohort another workflow than \"none\", or the rollout other targets";
        reader.conflict(&reader.place_of("targets"), message, help);
    }
    if let Some(cohort) = cohorts.iter().filter(is_target).find(|cohort| cohort.namespace.as_ref() != namespace) {
        let of =
            |namespace: Option<&NamespaceId>| namespace.map_or("without a namespace".into(), |id| format!("of namespace {id}"));
        let (its, asked) = (of(namespace), of(cohort.namespace.as_ref()));
        let message = format!("a job {its} is not seen by things of cohort {:?}, whose jobs are {asked}", cohort.name);
        let help = "give rollout and cohort the same namespace, or the rollout other targets";
        reader.conflict(&reader.place_of("namespace"), message, help);
    }
}

/// CreateJob's own members, as the service reads them: what it would refuse is refused here, in its words.
fn settings(reader: &Reader<'_>) -> JobSettings {
    let mut members = Map::new();
    for name in SETTINGS {
        let Some(Located { value, .. }) =
            reader.json((name, "CreateJob's own member, as AWS spells it ([ROLLOUTS.md](ROLLOUTS.md))"))
        else {
            continue;
        };
        let member = Map::from_iter([(name.to_owned(), value)]);
        match parse_settings(member.clone()).and_then(|settings| settings.config.check()) {
            Ok(()) => members.extend(member),
            Err(error) => {
                let place = reader.place_named(name, error.message());
                reader.gathered.push(Code::BadValue, &place, format!("{}: {error}", reader.name(name)), None);
            }
        }
    }
    for (name, help) in NO_MEMBERS {
        if reader.has(name) {
            reader.conflict(&reader.place_of(name), format!("{} is no member of a rollout", reader.name(name)), help);
        }
        reader.know(name);
    }
    let is_given_twice = members.contains_key("jobExecutionsRolloutConfig") && reader.has("rate");
    // Each member was read before; together they are no other.
    let mut settings = parse_settings(members).unwrap_or_default();
    if let Some(rate) = rate(reader) {
        settings.config.rollout.maximum_per_minute = Some(rate);
    }
    windows(reader, &mut settings);
    if is_given_twice {
        let help = "rate is a shorthand for jobExecutionsRolloutConfig.maximumPerMinute: keep one of the two";
        reader.conflict(&reader.place_of("rate"), "the rate of the rollout is given twice", help);
    }
    settings
}

/// `maintenance_windows`, a shorthand for those of `schedulingConfig`; and whether a job may have windows at all.
fn windows(reader: &Reader<'_>, settings: &mut JobSettings) {
    let mut windows = Vec::new();
    for window in reader
        .tables(("maintenance_windows", "when a continuous job may roll out; short for `schedulingConfig.maintenanceWindows`"))
    {
        windows.extend(maintenance_window(&window));
        window.finish();
    }
    let (selection, scheduling) = (settings.target_selection, settings.scheduling.get_or_insert_default());
    let key = if reader.has("maintenance_windows") { "maintenance_windows" } else { "schedulingConfig" };
    if !windows.is_empty() && !scheduling.windows.is_empty() {
        let help = "maintenance_windows is a shorthand for schedulingConfig.maintenanceWindows: keep one of the two";
        reader.conflict(&reader.place_of(key), "the maintenance windows of the rollout are given twice", help);
    }
    scheduling.windows.extend(windows);
    if scheduling.check_windows(selection).is_err() {
        let help = "add targetSelection = \"CONTINUOUS\", or leave the windows out";
        reader.conflict(&reader.place_of(key), "maintenance windows are for continuous jobs", help);
    }
    if *scheduling == SchedulingConfig::default() {
        settings.scheduling = None;
    }
}

fn maintenance_window(reader: &Reader<'_>) -> Option<MaintenanceWindow> {
    for (key, help) in [
        ("start", "say when it opens, as in start = \"cron(0 22 ? * SAT *)\""),
        ("minutes", "say for how long it is open, as in minutes = 120"),
    ] {
        if !reader.has(key) {
            reader.missing(key, help);
        }
    }
    let minutes =
        reader.integer(("minutes", "how long it is open, in minutes of the endpoint"), 1..=i64::from(limits::WINDOW_MINUTES_MAX));
    let Located { value, place } = reader.string(("start", "when it opens: AWS's cron, as in `cron(0 22 ? * SAT *)`, in UTC"))?;
    match Cron::parse(&value) {
        Ok(start) => Some(MaintenanceWindow { start, minutes: minutes?.value as u32 }),
        Err(error) => {
            reader.gathered.push(Code::BadValue, &place, format!("{}: {error}", reader.name("start")), None);
            None
        }
    }
}

/// `template` and `parameters`: the template and its document, which of one of the account nobody here knows.
fn template(reader: &Reader<'_>, target: &TargetPlan) -> Option<(TemplateUse, JobDocument)> {
    let name = reader.string(("template", "the job template that has the document, in place of `document`"));
    let parameters = parameters(reader);
    let Some(Located { value: name, place }) = name else {
        if reader.has("parameters") && !reader.has("template") {
            let help = "add template = \"AWS-...\", or leave parameters out";
            reader.conflict(&reader.place_of("parameters"), "parameters are for a job template", help);
        }
        return None;
    };
    for key in ["document", "artifact"] {
        if reader.json(key).is_some() {
            let message = format!("the document of the job is that of its template: {} has no place in it", reader.name(key));
            reader.conflict(&reader.place_of(key), message, "leave it out, or the template");
        }
    }
    if name.starts_with(managed::PREFIX) {
        let filled = managed::find(&name, None).and_then(|template| template.fill(&parameters));
        let refuse = |error: ControlError| {
            let known = managed::TEMPLATES.iter().map(|template| template.name);
            let help = format!("managed templates: {}", known.collect::<Vec<_>>().join(", "));
            let place = if reader.has("parameters") { reader.place_of("parameters") } else { place.clone() };
            reader.gathered.push(Code::BadValue, &place, format!("{}: {error}", reader.name("template")), Some(help));
        };
        let document = filled.map_err(refuse).ok()?;
        return Some((TemplateUse { arn: managed_arn(&name, managed::VERSION), parameters }, document));
    }
    if !parameters.is_empty() {
        reader.conflict(&reader.place_of("parameters"), "parameters are for managed job templates", "leave them out");
    }
    if matches!(target, TargetPlan::Emulator(_)) {
        let message = format!("the endpoint of a run is new and has no job template {name:?}");
        reader.conflict(&place, message, "use a managed template (AWS-...), or say here what the template says");
    }
    match TemplateId::new(&name) {
        Ok(id) => Some((TemplateUse { arn: template_arn(&id), parameters }, JobDocument::from_valid_json("{}"))),
        Err(error) => {
            reader.gathered.push(Code::BadValue, &place, format!("{}: {error}", reader.name("template")), None);
            None
        }
    }
}

fn parameters(reader: &Reader<'_>) -> BTreeMap<String, String> {
    let Some(Located { value, place }) = reader.json_table(("parameters", "the parameters of a managed template, as strings"))
    else {
        return BTreeMap::new();
    };
    serde_json::from_value(value).unwrap_or_else(|_| {
        let message = format!("{} must be texts, as in parameters = {{ command = \"ls\" }}", reader.name("parameters"));
        reader.gathered.push(Code::WrongType, &place, message, None);
        BTreeMap::new()
    })
}

/// `rate`, per minute.
fn rate(reader: &Reader<'_>) -> Option<u32> {
    let Located { value, place } =
        reader.rate(("rate", "executions queued per minute; short for `jobExecutionsRolloutConfig.maximumPerMinute`"))?;
    let per_minute = value * 60.0;
    let whole = per_minute.round();
    if (per_minute - whole).abs() > 1e-6 || whole < 1.0 || whole > f64::from(u32::MAX) {
        let message = format!("a rollout rate must be a whole number of executions per minute, this is {per_minute}");
        reader.gathered.push(Code::OutOfRange, &place, message, None);
        return None;
    }
    Some(whole as u32)
}

fn document(reader: &Reader<'_>) -> JobDocument {
    let Some(Located { value, place }) = reader.json_table(("document", "the job document; `{}` by default")) else {
        return JobDocument::from_valid_json("{}");
    };
    let text = value.to_string();
    if text.len() > limits::DOCUMENT_BYTES_MAX {
        let message = format!("a job document may have {} bytes as JSON, this has {}", limits::DOCUMENT_BYTES_MAX, text.len());
        reader.gathered.push(Code::OutOfRange, &place, message, None);
    }
    JobDocument::from_valid_json(&text)
}

/// A job that is due after the end would never be created.
pub(super) fn check_dues(root: &Reader<'_>, rollouts: &[RolloutPlan], end: &EndPlan) {
    let limit = match end.when {
        EndWhen::Duration(duration) => duration.min(end.limit),
        EndWhen::ExecutionsDone { .. } | EndWhen::Idle(_) => end.limit,
    };
    let readers = root.tables("rollout");
    if readers.len() != rollouts.len() {
        return;
    }
    for (reader, plan) in readers.iter().zip(rollouts) {
        let start = match plan.start {
            RolloutStart::At(at) => at,
            RolloutStart::Connected => Duration::ZERO,
        };
        let due = start + plan.creation(plan.jobs.len() - 1);
        if due >= limit {
            let job = &plan.jobs[plan.jobs.len() - 1];
            let message = format!("job {job} is due {} into a run that ends after {}", duration_text(due), duration_text(limit));
            reader.conflict(&reader.place, message, "let the run last longer ([end]), or create the job earlier");
        }
    }
}
