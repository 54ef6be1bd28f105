//! Operations on jobs and their executions.

use super::tags::tag_new;
use super::{Answer, Call, Refused, empty, invalid};
use crate::service::Service;
use iot_jobs::wire::create_job::{self, JobSources, NewJob};
use iot_jobs::wire::execution::{self, ListedBy};
use iot_jobs::wire::{control, job};
use iot_jobs::{
    ControlError, ExecutionDescription, ExecutionStatus, GroupName, JobId, JobTemplate, NamespaceId, TemplateId, ThingName, limits,
};
use jobs_engine::engine::ExecutionFilter;
use jobs_engine::registry::{Registry, Tagged};

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("GET", ["jobs"]) => list_jobs(call),
        ("PUT", ["jobs", job]) => create_job(call, job),
        ("GET", ["jobs", job]) => describe_job(call, job),
        ("PATCH", ["jobs", job]) => update_job(call, job),
        ("DELETE", ["jobs", job]) => delete_job(call, job),
        ("PUT", ["jobs", job, "cancel"]) => cancel_job(call, job),
        ("GET", ["jobs", job, "job-document"]) => job_document(call, job),
        ("POST", ["jobs", job, "targets"]) => associate_targets(call, job),
        ("GET", ["jobs", job, "things"]) => executions_of_job(call, job),
        ("GET", ["things", thing, "jobs"]) => executions_of_thing(call, thing),
        ("GET", ["things", thing, "jobs", job]) => describe_execution(call, thing, job),
        ("PUT", ["things", thing, "jobs", job, "cancel"]) => cancel_execution(call, thing, job),
        ("DELETE", ["things", thing, "jobs", job, "executionNumber", number]) => delete_execution(call, thing, job, number),
        ("GET", ["event-configurations"]) => {
            Ok(execution::encode_event_config(call.service.call(|engine, _| engine.event_config())))
        }
        ("PATCH", ["event-configurations"]) => configure_events(call),
        _ => return None,
    })
}

fn job_id(text: &str) -> Result<JobId, ControlError> {
    JobId::new(text).map_err(invalid)
}

fn names(thing: &str, job: &str) -> Result<(ThingName, JobId), ControlError> {
    Ok((ThingName::new(thing).map_err(invalid)?, job_id(job)?))
}

fn namespace(call: &Call<'_>) -> Result<Option<NamespaceId>, ControlError> {
    call.query.get("namespaceId").map(NamespaceId::new).transpose().map_err(invalid)
}

fn number(text: &str) -> Result<i64, ControlError> {
    text.parse().map_err(|_| invalid(format!("executionNumber must be an integer, not {text:?}")))
}

/// No job is for a group whose id nobody has (inferred).
fn list_jobs(call: &Call<'_>) -> Result<Answer, Refused> {
    let query = &call.query;
    let mut filter = job::parse_job_filter(|name| query.get(name))?;
    let (page, id) = (query.page(limits::LIST_PAGE_MAX)?, query.get("thingGroupId"));
    let (jobs, id, token) = call.service.call_registry(|registry, engine, _| {
        if let Some(id) = id {
            let Some(name) = group_of_id(registry, id, filter.group.as_ref()) else { return (Vec::new(), None, None) };
            filter.group = Some(name);
        }
        let id = filter.group.as_ref().and_then(|name| registry.group(name).ok()).map(|group| group.id.to_string());
        let (jobs, token) = page.cut(engine.list_jobs(&filter), |job| job.as_str());
        (jobs.into_iter().filter_map(|job| engine.describe_job(job).ok()).collect(), id, token)
    });
    Ok(job::encode_jobs(&jobs, id.as_deref(), token.as_deref()))
}

/// The group of this id, if it has the name that was asked for, too.
fn group_of_id(registry: &Registry, id: &str, named: Option<&GroupName>) -> Option<GroupName> {
    let (name, _) = registry.groups().find(|(_, group)| group.id.to_string() == id)?;
    named.is_none_or(|named| named == name).then(|| name.clone())
}

impl JobSources for Service {
    fn document(&self, source: &str) -> Result<String, ControlError> {
        self.read_document(source)
    }

    fn template(&self, id: &TemplateId) -> Result<JobTemplate, ControlError> {
        let kept = self.call_registry(|registry, _, _| registry.template(id).map(|kept| kept.template.clone()));
        kept.map_err(|error| ControlError::ResourceNotFound(error.message))
    }
}

fn create_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let NewJob { create, tags } = create_job::parse_create_job(job, call.body, call.service)?;
    call.service.check_document(&create)?;
    let (job, description) = (create.job_id.clone(), create.config.description.clone());
    call.service.call_registry(|registry, engine, now| {
        engine.create_job(create, now)?;
        Ok::<_, Refused>(tag_new(registry, &Tagged::Job(job.clone()), tags)?)
    })?;
    Ok(job::encode_job_answer(&job, description.as_deref()))
}

fn describe_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let job = job_id(job)?;
    call.service.call(|engine, now| Ok(job::encode_describe_job(&engine.describe_job(&job)?, now.epoch_ms)))
}

fn job_document(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let job = job_id(job)?;
    let create = call.service.call(|engine, _| engine.describe_job(&job))?.create;
    let is_before = call.query.flag("beforeSubstitution");
    Ok(job::encode_document(&if is_before { create_job::before_substitution(&create) } else { create.document }))
}

fn update_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let (job, namespace, update) = (job_id(job)?, namespace(call)?, job::parse_update_job(call.body)?);
    call.service.call(|engine, now| {
        engine.check_namespace(&job, namespace.as_ref())?;
        engine.update_job(&job, update, now)
    })?;
    Ok(empty())
}

fn associate_targets(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let (job, namespace, (targets, comment)) = (job_id(job)?, namespace(call)?, job::parse_associate_targets(call.body)?);
    let description = call.service.call(|engine, now| {
        engine.check_namespace(&job, namespace.as_ref())?;
        engine.associate_targets(&job, targets, comment, now)
    })?;
    Ok(job::encode_job_answer(&job, description.as_deref()))
}

fn cancel_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let job = job_id(job)?;
    let cancel = control::parse_cancel_job(call.body, call.query.flag("force"))?;
    let description = call.service.call(|engine, now| engine.cancel_job(&job, cancel, now))?;
    Ok(job::encode_job_answer(&job, description.as_deref()))
}

fn delete_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let (job, namespace) = (job_id(job)?, namespace(call)?);
    call.service.call_registry(|registry, engine, now| {
        engine.check_namespace(&job, namespace.as_ref())?;
        engine.delete_job(&job, call.query.flag("force"), now)?;
        registry.forget_tags(&Tagged::Job(job.clone()));
        Ok::<_, Refused>(())
    })?;
    Ok(empty())
}

fn status(call: &Call<'_>) -> Result<Option<ExecutionStatus>, ControlError> {
    call.query.get("status").map(execution::parse_status).transpose()
}

/// An execution with its place in a list.
type Placed = (String, ExecutionDescription);

fn placed(by: &str, execution: ExecutionDescription) -> Placed {
    (format!("{by} {:020}", execution.execution_number), execution)
}

fn executions_of_job(call: &Call<'_>, job: &str) -> Result<Answer, Refused> {
    let (job, status, page) = (job_id(job)?, status(call)?, call.query.page(limits::LIST_PAGE_MAX)?);
    let (list, token) = call.service.call(|engine, now| {
        let all = engine.executions_of_job(&job, status, now)?;
        let all = all.map(|execution| placed(execution.thing.clone().as_str(), execution));
        Ok::<_, ControlError>(page.cut(all, |(place, _)| place))
    })?;
    Ok(encode_list(list, ListedBy::Thing, token.as_deref()))
}

fn executions_of_thing(call: &Call<'_>, thing: &str) -> Result<Answer, Refused> {
    let (thing, status, page) = (ThingName::new(thing).map_err(invalid)?, status(call)?, call.query.page(limits::LIST_PAGE_MAX)?);
    let filter = ExecutionFilter { job: call.query.get("jobId").map(job_id).transpose()?, status, namespace: namespace(call)? };
    let all = call.service.call(|engine, now| engine.executions_of_thing(&thing, &filter, now))?;
    let all = all.into_iter().map(|execution| placed(execution.job_id.clone().as_str(), execution));
    let (list, token) = page.cut(all, |(place, _)| place);
    Ok(encode_list(list, ListedBy::Job, token.as_deref()))
}

fn encode_list(list: Vec<Placed>, by: ListedBy, token: Option<&str>) -> Answer {
    let list: Vec<ExecutionDescription> = list.into_iter().map(|(_, execution)| execution).collect();
    execution::encode_executions(&list, by, token)
}

fn describe_execution(call: &Call<'_>, thing: &str, job: &str) -> Result<Answer, Refused> {
    let ((thing, job), number) = (names(thing, job)?, call.query.get("executionNumber").map(number).transpose()?);
    let execution = call.service.call(|engine, now| engine.describe_execution(&thing, &job, number, now))?;
    Ok(execution::encode_describe_execution(&execution))
}

fn cancel_execution(call: &Call<'_>, thing: &str, job: &str) -> Result<Answer, Refused> {
    let (thing, job) = names(thing, job)?;
    let cancel = execution::parse_cancel_execution(call.body, call.query.flag("force"))?;
    call.service.call(|engine, now| engine.cancel_execution(&thing, &job, cancel, now))?;
    Ok(empty())
}

fn delete_execution(call: &Call<'_>, thing: &str, job: &str, text: &str) -> Result<Answer, Refused> {
    let ((thing, job), number, namespace) = (names(thing, job)?, number(text)?, namespace(call)?);
    call.service.call(|engine, now| {
        engine.check_namespace(&job, namespace.as_ref())?;
        engine.delete_execution(&thing, &job, number, call.query.flag("force"), now)
    })?;
    Ok(empty())
}

fn configure_events(call: &Call<'_>) -> Result<Answer, Refused> {
    call.service.call(|engine, _| {
        let config = execution::parse_event_config(call.body, engine.event_config())?;
        engine.configure_events(config);
        Ok::<_, ControlError>(())
    })?;
    Ok(empty())
}
