//! Operations of the registry, and where the data plane is. One file a kind of resource; rules are in [`jobs_engine::registry`],
//! JSON shapes in [`iot_jobs::wire::registry`].

mod authorities;
mod authorization;
mod certificates;
mod groups;
mod policies;
mod things;

use super::{Answer, Call, Refused, invalid};
use host::clock;
use iot_jobs::wire::control::{self, THING, THING_GROUP};
use iot_jobs::wire::registry::{
    self as wire, AttributePayloadBody, AttributesBody, CA_CERTIFICATE, CERTIFICATE, POLICY, THING_TYPE,
};
use iot_jobs::wire::template::JOB_TEMPLATE;
use iot_jobs::{GroupName, ThingName};
use jobs_engine::registry::{
    AttributePayload, Attributes, CertificateId, ErrorKind, RegistryError, ResourceId, ResourceKind, TypeName,
};
use rand::RngExt as _;

/// `maxResults` and `pageSize` of every list.
const PAGE_MAX: usize = 250;
const JOBS_ENDPOINT: &str = "iot:Jobs";
const ENDPOINT_TYPES: [&str; 4] = ["iot:Data", "iot:Data-ATS", JOBS_ENDPOINT, "iot:CredentialProvider"];

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    if let ("GET", ["endpoint"]) = (call.method, call.path) {
        return Some(describe_endpoint(call));
    }
    let answered = things::operation(call)
        .or_else(|| groups::operation(call))
        .or_else(|| certificates::operation(call))
        .or_else(|| authorities::operation(call))
        .or_else(|| policies::operation(call))
        .or_else(|| authorization::operation(call));
    if matches!(answered, Some(Ok(_))) && concerns_permissions(call) {
        call.service.authority.changed(clock::mono());
    }
    answered
}

/// Whether a call may have changed what somebody may do: policies, what they are attached to, and what their variables stand for.
fn concerns_permissions(call: &Call<'_>) -> bool {
    let is_new = call.method == "POST";
    match call.path.first() {
        Some(&"policies" | &"target-policies") => call.method != "GET",
        Some(&"principal-policies" | &"thing-groups") => call.method != "GET",
        Some(&"things" | &"certificates") => call.method != "GET" && !is_new,
        _ => false,
    }
}

/// Where MQTT is, and for the Jobs endpoint where requests go that are signed (PROTOCOL 12.1). AWS answers a host whose ports are known;
/// ours are any, so that the answer is `host:port`.
fn describe_endpoint(call: &Call<'_>) -> Result<Answer, Refused> {
    match call.query.get("endpointType") {
        Some(kind) if !ENDPOINT_TYPES.contains(&kind) => {
            Err(invalid(format!("endpointType must be one of {}, not {kind:?}", ENDPOINT_TYPES.join(", "))).into())
        }
        Some(JOBS_ENDPOINT) => Ok(wire::encode(&serde_json::json!({ "endpointAddress": call.settings.jobs_endpoint }))),
        _ => Ok(wire::encode(&serde_json::json!({ "endpointAddress": call.settings.data_endpoint }))),
    }
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        let (status, error_type) = match error.kind {
            ErrorKind::InvalidRequest => (400, "InvalidRequestException"),
            ErrorKind::ResourceNotFound => (404, "ResourceNotFoundException"),
            ErrorKind::ResourceAlreadyExists => (409, "ResourceAlreadyExistsException"),
            ErrorKind::VersionConflict => (409, "VersionConflictException"),
            ErrorKind::Conflict => (409, "ConflictException"),
            ErrorKind::DeleteConflict => (409, "DeleteConflictException"),
            ErrorKind::CertificateState => (406, "CertificateStateException"),
            ErrorKind::LimitExceeded => (410, "LimitExceededException"),
            ErrorKind::VersionsLimitExceeded => (409, "VersionsLimitExceededException"),
        };
        let resource = error.resource.map(|resource| (arn(resource.kind, &resource.name), resource.id));
        Self { resource, ..Self::new(status, error_type, error.message) }
    }
}

fn arn(kind: ResourceKind, name: &str) -> String {
    let kind = match kind {
        ResourceKind::Thing => THING,
        ResourceKind::ThingType => THING_TYPE,
        ResourceKind::ThingGroup => THING_GROUP,
        ResourceKind::Policy => POLICY,
        ResourceKind::Certificate => CERTIFICATE,
        ResourceKind::CaCertificate => CA_CERTIFICATE,
        ResourceKind::JobTemplate => JOB_TEMPLATE,
    };
    control::arn(kind, name)
}

fn new_id() -> ResourceId {
    ResourceId::from_random(rand::rng().random())
}

fn thing_name(text: &str) -> Result<ThingName, Refused> {
    ThingName::new(text).map_err(|error| invalid(error).into())
}

fn group_name(text: &str) -> Result<GroupName, Refused> {
    GroupName::new(text).map_err(|error| invalid(error).into())
}

fn type_name(text: Option<&str>) -> Result<Option<TypeName>, RegistryError> {
    text.map(TypeName::new).transpose()
}

fn expected_version(call: &Call<'_>) -> Result<Option<i64>, Refused> {
    let parse = |text: &str| text.parse().map_err(|_| invalid(format!("expectedVersion must be an integer, not {text:?}")).into());
    call.query.get("expectedVersion").map(parse).transpose()
}

fn payload(body: AttributePayloadBody) -> AttributePayload {
    AttributePayload { attributes: body.attributes, merge: body.merge }
}

fn attributes(attributes: &Attributes) -> AttributesBody<'_> {
    attributes.iter().collect()
}

/// The certificate that an ARN names.
fn certificate_of_arn(arn: &str) -> Result<CertificateId, Refused> {
    match wire::parse_arn(arn) {
        Some((CERTIFICATE, id)) => Ok(id.parse::<CertificateId>()?),
        _ => {
            Err(invalid(format!("{arn:?} is not the ARN of a certificate of this account, the only kind of principal here")).into())
        }
    }
}

/// The principal that a header names.
fn principal(call: &Call<'_>, header: &str) -> Result<CertificateId, Refused> {
    certificate_of_arn(call.header(header).unwrap_or_default())
}
