//! Job templates, of the account and of AWS.

use super::tags::tag_new;
use super::{Answer, Call, Refused, empty, invalid};
use iot_jobs::managed::{self, TEMPLATES};
use iot_jobs::wire::template::{self, NewTemplate};
use iot_jobs::{ControlError, JobId, JobTemplate, TemplateId, limits};
use jobs_engine::registry::Tagged;

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("GET", ["job-templates"]) => list_templates(call),
        ("PUT", ["job-templates", id]) => create_template(call, id),
        ("GET", ["job-templates", id]) => describe_template(call, id),
        ("DELETE", ["job-templates", id]) => delete_template(call, id),
        ("GET", ["managed-job-templates"]) => list_managed(call),
        ("GET", ["managed-job-templates", name]) => describe_managed(call, name),
        _ => return None,
    })
}

fn template_id(text: &str) -> Result<TemplateId, ControlError> {
    TemplateId::new(text).map_err(invalid)
}

/// What of a job a template can keep.
fn of_job(call: &Call<'_>, job: &JobId) -> Result<JobTemplate, ControlError> {
    let create = call.service.call(|engine, _| engine.describe_job(job))?.create;
    let windows = create.scheduling.map(|scheduling| scheduling.windows).unwrap_or_default();
    Ok(JobTemplate { document: create.document, document_source: create.document_source, config: create.config, windows })
}

fn create_template(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let read_source = |source: &str| call.service.read_document(source);
    let NewTemplate { id, template, tags } = template::parse_create_template(id, call.body, |job| of_job(call, job), read_source)?;
    call.service.call_registry(|registry, _, now| {
        registry.create_template(&id, template, now)?;
        tag_new(registry, &Tagged::Template(id.clone()), tags)
    })?;
    Ok(template::encode_created(&id))
}

fn describe_template(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id = template_id(id)?;
    call.service.call_registry(|registry, _, _| {
        let kept = registry.template(&id)?;
        Ok(template::encode_described(&id, &kept.template, kept.created_ms))
    })
}

/// In the order of ids (inferred).
fn list_templates(call: &Call<'_>) -> Result<Answer, Refused> {
    let page = call.query.page(limits::LIST_PAGE_MAX)?;
    call.service.call_registry(|registry, _, _| {
        let (templates, token) = page.cut(registry.templates(), |(id, _)| id.as_str());
        let listed = templates.into_iter().map(|(id, kept)| (id, &kept.template, kept.created_ms));
        Ok(template::encode_templates(listed, token))
    })
}

fn delete_template(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id = template_id(id)?;
    call.service.call_registry(|registry, _, _| registry.delete_template(&id))?;
    Ok(empty())
}

fn list_managed(call: &Call<'_>) -> Result<Answer, Refused> {
    let (page, wanted) = (call.query.page(limits::LIST_PAGE_MAX)?, call.query.get("templateName"));
    let found = TEMPLATES.iter().filter(|template| wanted.is_none_or(|wanted| template.name == wanted));
    let (templates, token) = page.cut(found, |template| template.name);
    Ok(template::encode_managed_templates(templates, token))
}

fn describe_managed(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    Ok(template::encode_managed(managed::find(name, call.query.get("templateVersion"))?))
}
