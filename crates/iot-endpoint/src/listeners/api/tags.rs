//! Tags of resources.

use super::{Answer, Call, Refused, empty, invalid};
use crate::service::Service;
use iot_jobs::wire::control::{JOB, THING_GROUP};
use iot_jobs::wire::registry::{CA_CERTIFICATE, POLICY, THING_TYPE, parse_arn};
use iot_jobs::wire::tags;
use iot_jobs::wire::template::JOB_TEMPLATE;
use iot_jobs::{ControlError, GroupName, JobId, Tags, TemplateId};
use jobs_engine::registry::{PolicyName, Registry, RegistryError, Tagged, TypeName};

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("POST", ["tags"]) => tag_resource(call),
        ("POST", ["untag"]) => untag_resource(call),
        ("GET", ["tags"]) => list_tags(call),
        _ => return None,
    })
}

/// Tags that a new resource is created with.
pub(super) fn tag_new(registry: &mut Registry, resource: &Tagged, tags: Tags) -> Result<(), RegistryError> {
    if tags.is_empty() { Ok(()) } else { registry.tag(resource, tags) }
}

/// The resource that an ARN names. Things and certificates of devices have no tags.
fn resource(arn: &str) -> Result<Tagged, Refused> {
    Ok(match parse_arn(arn) {
        Some((JOB, id)) => Tagged::Job(JobId::new(id).map_err(invalid)?),
        Some((JOB_TEMPLATE, id)) => Tagged::Template(TemplateId::new(id).map_err(invalid)?),
        Some((POLICY, name)) => Tagged::Policy(PolicyName::new(name)?),
        Some((THING_GROUP, name)) => Tagged::Group(GroupName::new(name).map_err(invalid)?),
        Some((THING_TYPE, name)) => Tagged::Type(TypeName::new(name)?),
        Some((CA_CERTIFICATE, id)) => Tagged::Authority(id.parse()?),
        _ => {
            let known = [JOB, JOB_TEMPLATE, POLICY, THING_GROUP, THING_TYPE, CA_CERTIFICATE].join(", ");
            return Err(invalid(format!("resourceArn {arn:?} is of nothing here that has tags; these have: {known}")).into());
        }
    })
}

/// A call about the tags of a resource that is there.
fn with_resource<T>(
    service: &Service,
    resource: &Tagged,
    call: impl FnOnce(&mut Registry) -> Result<T, RegistryError>,
) -> Result<T, Refused> {
    service.call_registry(|registry, engine, _| match resource {
        Tagged::Job(job) if !engine.has_job(job) => Err(ControlError::ResourceNotFound(format!("job {job} does not exist")).into()),
        _ => Ok(call(registry)?),
    })
}

fn tag_resource(call: &Call<'_>) -> Result<Answer, Refused> {
    let (arn, tags) = tags::parse_tag_resource(call.body)?;
    let resource = resource(&arn)?;
    with_resource(call.service, &resource, |registry| registry.tag(&resource, tags))?;
    Ok(empty())
}

fn untag_resource(call: &Call<'_>) -> Result<Answer, Refused> {
    let (arn, keys) = tags::parse_untag_resource(call.body)?;
    let resource = resource(&arn)?;
    with_resource(call.service, &resource, |registry| registry.untag(&resource, &keys))?;
    Ok(empty())
}

/// In the order of keys; the caller cannot say how many a page has.
fn list_tags(call: &Call<'_>) -> Result<Answer, Refused> {
    let resource = resource(call.query.get("resourceArn").unwrap_or_default())?;
    let page = call.query.page_after("nextToken")?;
    let tags = with_resource(call.service, &resource, |registry| registry.tags(&resource))?;
    let (tags, token) = page.cut(tags.iter(), |(key, _)| key);
    Ok(tags::encode_tags(tags, token))
}
