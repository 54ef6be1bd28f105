//! The calls of the control plane that fleetsim makes: method, URI, header and body of each (as in botocore's `iot/2015-05-28` model),
//! what its quota is, and whether it is billed.

use http::Method;
use iot_jobs::ThingName;
use iot_jobs::wire::control::encode_cancel_job;
use iot_jobs::wire::registry::{self, MembershipBody};
use iot_jobs::{CancelJob, GroupName, JobId};
use jobs_engine::quotas::{QuotaName, Quotas};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// What stays as it is in a URI (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Of every list.
const PAGE: &str = "250";
/// The calls that the metering page names as registry operations (PROTOCOL-CORE 6.2), as far as they are made here.
const BILLED: [&str; 7] = [
    "AddThingToThingGroup",
    "AttachThingPrincipal",
    "CreateThing",
    "CreateThingGroup",
    "CreateThingType",
    "DescribeThing",
    "ListThings",
];
/// Calls a second of an operation for which the account has no quota that is published (inferred): the least that the reference has for any.
const QUOTA_OF_OTHERS: u32 = 10;
/// Of those that take back what one of 100 a second does, or put a thing into a group (inferred).
const FAST: [&str; 4] = ["AddThingToThingGroup", "DeleteThing", "DescribeThing", "DetachThingPrincipal"];
const QUOTA_OF_FAST: u32 = 100;

/// Calls a second of an operation that an account with these quotas may make.
#[must_use]
pub fn pace_of(quotas: &Quotas, operation: &str) -> u32 {
    let others = if FAST.contains(&operation) { QUOTA_OF_FAST } else { QUOTA_OF_OTHERS };
    quotas.get(QuotaName::of_registry_call(operation)).unwrap_or(others)
}

/// A call, not signed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// As AWS calls it.
    pub operation: &'static str,
    pub method: Method,
    /// With its query.
    pub uri: String,
    /// The header `x-amzn-principal`.
    pub principal: Option<String>,
    pub body: Vec<u8>,
}

/// Which executions end with their job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canceled {
    /// Those that no thing has begun.
    Queued,
    /// Those in progress, too.
    All,
}

/// `ACTIVE`, as certificates are made or become.
pub const ACTIVE: &str = "ACTIVE";
/// `INACTIVE`, as they become before they are deleted.
pub const INACTIVE: &str = "INACTIVE";

impl Call {
    fn new(operation: &'static str, method: Method, uri: String) -> Self {
        Self { operation, method, uri, principal: None, body: Vec::new() }
    }

    fn with_body(self, body: &Value) -> Self {
        Self { body: registry::encode(body), ..self }
    }

    fn of_principal(self, arn: &str) -> Self {
        Self { principal: Some(arn.into()), ..self }
    }

    /// Whether it is billed as a registry operation.
    #[must_use]
    pub fn is_billed(&self) -> bool {
        BILLED.contains(&self.operation)
    }

    /// Whether what it makes can be nobody else's: then what is there already was made by an earlier try. A thing's name is anybody's, and
    /// who makes the same one again is not refused at all.
    #[must_use]
    pub fn is_of_its_own_name(&self) -> bool {
        self.operation != "CreateThing"
    }

    // ------------------------------------------------------------------------------------------------------ what all share

    #[must_use]
    pub fn describe_endpoint(kind: &str) -> Self {
        Self::new("DescribeEndpoint", Method::GET, format!("/endpoint?endpointType={}", escaped(kind)))
    }

    #[must_use]
    pub fn create_thing_type(name: &str, tags: &[(&str, &str)]) -> Self {
        let body = json!({ "thingTypeProperties": {}, "tags": tags_of(tags) });
        Self::new("CreateThingType", Method::POST, format!("/thing-types/{}", escaped(name))).with_body(&body)
    }

    #[must_use]
    pub fn deprecate_thing_type(name: &str) -> Self {
        Self::new("DeprecateThingType", Method::POST, format!("/thing-types/{}/deprecate", escaped(name))).with_body(&json!({}))
    }

    #[must_use]
    pub fn delete_thing_type(name: &str) -> Self {
        Self::new("DeleteThingType", Method::DELETE, format!("/thing-types/{}", escaped(name)))
    }

    #[must_use]
    pub fn create_thing_group(name: &str, tags: &[(&str, &str)]) -> Self {
        let body = if tags.is_empty() { json!({}) } else { json!({ "tags": tags_of(tags) }) };
        Self::new("CreateThingGroup", Method::POST, format!("/thing-groups/{}", escaped(name))).with_body(&body)
    }

    #[must_use]
    pub fn delete_thing_group(name: &str) -> Self {
        Self::new("DeleteThingGroup", Method::DELETE, format!("/thing-groups/{}", escaped(name)))
    }

    #[must_use]
    pub fn create_policy(name: &str, document: &str, tags: &[(&str, &str)]) -> Self {
        let body = json!({ "policyDocument": document, "tags": tags_of(tags) });
        Self::new("CreatePolicy", Method::POST, format!("/policies/{}", escaped(name))).with_body(&body)
    }

    #[must_use]
    pub fn delete_policy(name: &str) -> Self {
        Self::new("DeletePolicy", Method::DELETE, format!("/policies/{}", escaped(name)))
    }

    #[must_use]
    pub fn list_targets_for_policy(name: &str, marker: Option<&str>) -> Self {
        let uri = paged(format!("/policy-targets/{}", escaped(name)), "pageSize", "marker", marker);
        Self::new("ListTargetsForPolicy", Method::POST, uri)
    }

    // --------------------------------------------------------------------------------------------------------- certificates

    #[must_use]
    pub fn register_certificate(pem: &str) -> Self {
        let body = json!({ "certificatePem": pem, "status": ACTIVE });
        Self::new("RegisterCertificateWithoutCA", Method::POST, "/certificate/register-no-ca".into()).with_body(&body)
    }

    /// A certificate that is not active yet: one whose answer is lost is of no use to anybody.
    #[must_use]
    pub fn create_keys_and_certificate() -> Self {
        Self::new("CreateKeysAndCertificate", Method::POST, "/keys-and-certificate?setAsActive=false".into())
    }

    #[must_use]
    pub fn update_certificate(id: &str, status: &str) -> Self {
        Self::new("UpdateCertificate", Method::PUT, format!("/certificates/{}?newStatus={status}", escaped(id)))
    }

    #[must_use]
    pub fn delete_certificate(id: &str) -> Self {
        Self::new("DeleteCertificate", Method::DELETE, format!("/certificates/{}", escaped(id)))
    }

    /// The newest first.
    #[must_use]
    pub fn list_certificates(marker: Option<&str>) -> Self {
        Self::new("ListCertificates", Method::GET, paged("/certificates".into(), "pageSize", "marker", marker))
    }

    #[must_use]
    pub fn list_principal_things(arn: &str) -> Self {
        Self::new("ListPrincipalThings", Method::GET, "/principals/things".into()).of_principal(arn)
    }

    #[must_use]
    pub fn attach_policy(name: &str, arn: &str) -> Self {
        let body = json!({ "target": arn });
        Self::new("AttachPolicy", Method::PUT, format!("/target-policies/{}", escaped(name))).with_body(&body)
    }

    #[must_use]
    pub fn detach_policy(name: &str, arn: &str) -> Self {
        let body = json!({ "target": arn });
        Self::new("DetachPolicy", Method::POST, format!("/target-policies/{}", escaped(name))).with_body(&body)
    }

    // --------------------------------------------------------------------------------------------------------------- things

    /// Without type and attributes.
    #[must_use]
    pub fn create_bare_thing(thing: &ThingName) -> Self {
        Self::new("CreateThing", Method::POST, uri_of(thing)).with_body(&json!({}))
    }

    /// Calling again with the same type and attribute is fine; a thing of the same name that has others is refused with 409.
    #[must_use]
    pub fn create_thing(thing: &ThingName, thing_type: &str, attribute: (&str, &str)) -> Self {
        let (name, value) = attribute;
        let body = json!({ "thingTypeName": thing_type, "attributePayload": { "attributes": { name: value } } });
        Self::new("CreateThing", Method::POST, uri_of(thing)).with_body(&body)
    }

    #[must_use]
    pub fn describe_thing(thing: &ThingName) -> Self {
        Self::new("DescribeThing", Method::GET, uri_of(thing))
    }

    #[must_use]
    pub fn delete_thing(thing: &ThingName) -> Self {
        Self::new("DeleteThing", Method::DELETE, uri_of(thing))
    }

    #[must_use]
    pub fn list_things_of_type(thing_type: &str, token: Option<&str>) -> Self {
        let uri = paged(format!("/things?thingTypeName={}", escaped(thing_type)), "maxResults", "nextToken", token);
        Self::new("ListThings", Method::GET, uri)
    }

    #[must_use]
    pub fn attach_thing_principal(thing: &ThingName, arn: &str) -> Self {
        Self::new("AttachThingPrincipal", Method::PUT, format!("{}/principals", uri_of(thing))).of_principal(arn)
    }

    #[must_use]
    pub fn detach_thing_principal(thing: &ThingName, arn: &str) -> Self {
        Self::new("DetachThingPrincipal", Method::DELETE, format!("{}/principals", uri_of(thing))).of_principal(arn)
    }

    #[must_use]
    pub fn add_thing_to_group(thing: &ThingName, group: &GroupName) -> Self {
        let call = Self::new("AddThingToThingGroup", Method::PUT, "/thing-groups/addThingToThingGroup".into());
        Self { body: registry::encode(&MembershipBody::new(thing, group)), ..call }
    }

    // ----------------------------------------------------------------------------------------------------------------- jobs

    /// With a body of [`iot_jobs::wire::job`].
    #[must_use]
    pub fn create_job(job: &JobId, body: Vec<u8>) -> Self {
        Self { body, ..Self::new("CreateJob", Method::PUT, format!("/jobs/{}", escaped(job.as_str()))) }
    }

    #[must_use]
    pub fn describe_job(job: &JobId) -> Self {
        Self::new("DescribeJob", Method::GET, format!("/jobs/{}", escaped(job.as_str())))
    }

    #[must_use]
    pub fn cancel_job(job: &JobId, what: Canceled, comment: &str) -> Self {
        let force = what == Canceled::All;
        let body = encode_cancel_job(&CancelJob { reason_code: None, comment: Some(comment.to_owned()), force });
        let uri = format!("/jobs/{}/cancel?force={force}", escaped(job.as_str()));
        Self { body, ..Self::new("CancelJob", Method::PUT, uri) }
    }

    #[must_use]
    pub fn delete_job(job: &JobId) -> Self {
        Self::new("DeleteJob", Method::DELETE, format!("/jobs/{}?force=true", escaped(job.as_str())))
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn uri_of(thing: &ThingName) -> String {
    format!("/things/{}", escaped(thing.as_str()))
}

fn paged(uri: String, size: &str, marker: &str, at: Option<&str>) -> String {
    let joint = if uri.contains('?') { '&' } else { '?' };
    let from = at.map(|at| format!("&{marker}={}", escaped(at))).unwrap_or_default();
    format!("{uri}{joint}{size}={PAGE}{from}")
}

fn tags_of(tags: &[(&str, &str)]) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_a_uri_wants_it() {
        let thing = ThingName::new("a:b_c-1").unwrap();
        assert_eq!(Call::describe_thing(&thing).uri, "/things/a%3Ab_c-1");
        assert_eq!(Call::describe_endpoint("iot:Data-ATS").uri, "/endpoint?endpointType=iot%3AData-ATS");
        assert_eq!(Call::list_things_of_type("t", Some("a/b=")).uri, "/things?thingTypeName=t&maxResults=250&nextToken=a%2Fb%3D");
        assert_eq!(Call::list_certificates(None).uri, "/certificates?pageSize=250");
    }

    #[test]
    fn a_job_is_canceled_with_a_comment_and_by_force_where_things_have_begun() {
        let call = Call::cancel_job(&JobId::new("j").unwrap(), Canceled::All, "over");
        assert_eq!(call.uri, "/jobs/j/cancel?force=true");
        assert_eq!(call.body, br#"{"comment":"over"}"#);
    }

    #[test]
    fn every_operation_has_a_quota_and_those_of_the_metering_page_a_price() {
        let quotas = Quotas { things_per_second: Some(50), ..Quotas::default() };
        let paces = ["CreateThing", "AttachPolicy", "DeleteThing", "DeletePolicy"].map(|operation| pace_of(&quotas, operation));
        assert_eq!(paces, [50, 10, 100, 10]);
        assert!(Call::describe_thing(&ThingName::new("a").unwrap()).is_billed());
        assert!(!Call::delete_policy("p").is_billed());
    }
}
