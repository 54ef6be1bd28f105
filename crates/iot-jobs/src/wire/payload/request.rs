//! Requests: what the service parses, and a thing encodes.

use super::{Refusal, to_bytes};
use crate::wire::json;
use crate::wire::topic::{NEXT, RequestTopic};
use crate::{
    ClientToken, Describe, ErrorCode, ExecutionStatus, JobId, JobRef, Rejection, Request, RequestBody, StartNext, StatusDetails,
    StepTimeout, Update, limits,
};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The text AWS answers an update without `status` with (PROTOCOL 8).
const MISSING_STATUS: &str = "Value null at 'status' failed to satisfy constraint: Member must not be null";

/// Every field a request may have; unknown ones are ignored (inferred).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::wire) struct RequestFields<'a> {
    #[serde(borrow)]
    client_token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status_details: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    expected_version: Option<NumberOrText>,
    execution_number: Option<NumberOrText>,
    include_job_execution_state: Option<bool>,
    include_job_document: Option<bool>,
    step_timeout_in_minutes: Option<i64>,
}

impl RequestFields<'_> {
    /// All that a describe may say.
    pub(in crate::wire) fn of_describe(execution_number: Option<i64>, include_job_document: Option<bool>) -> Self {
        Self { execution_number: execution_number.map(NumberOrText), include_job_document, ..Self::default() }
    }
}

/// An integer, or a string that holds one: the guide and the embedded C library quote versions (PROTOCOL 2 fact 9).
struct NumberOrText(i64);

impl<'de> Deserialize<'de> for NumberOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = NumberOrText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer, or a string that holds one")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(NumberOrText(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                i64::try_from(value).map(NumberOrText).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
                value.parse().map(NumberOrText).map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Parses what a thing published on a request topic.
///
/// # Errors
/// `InvalidJson` for what is no JSON object, `InvalidRequest` for a member that breaks a rule; with the client token where one
/// could be read, as AWS echoes it.
pub fn parse_request(topic: RequestTopic<'_>, payload: &[u8]) -> Result<Request, Refusal> {
    let payload = if payload.is_empty() { b"{}" } else { payload };
    let mut fields: RequestFields<'_> = json::object(payload).map_err(|error| refuse_unparsed(payload, &error))?;
    let client_token = fields.client_token.take().map(|token| ClientToken(token.into()));
    match request_body(topic, fields) {
        Ok(body) => Ok(Request { client_token, body }),
        Err(message) => Err(Refusal { client_token, rejection: Rejection::new(ErrorCode::InvalidRequest, message) }),
    }
}

fn refuse_unparsed(payload: &[u8], error: &serde_json::Error) -> Refusal {
    match serde_json::from_slice::<serde_json::Value>(payload) {
        Ok(serde_json::Value::Object(object)) => Refusal {
            client_token: object.get("clientToken").and_then(|t| t.as_str()).map(|t| ClientToken(t.into())),
            rejection: Rejection::new(ErrorCode::InvalidRequest, error.to_string()),
        },
        Ok(_) => {
            Refusal { client_token: None, rejection: Rejection::new(ErrorCode::InvalidJson, "the payload is not a JSON object") }
        }
        Err(error) => Refusal { client_token: None, rejection: Rejection::new(ErrorCode::InvalidJson, error.to_string()) },
    }
}

pub(in crate::wire) fn request_body(topic: RequestTopic<'_>, fields: RequestFields<'_>) -> Result<RequestBody, String> {
    let status_details = match fields.status_details {
        Some(pairs) => Some(StatusDetails::new(pairs).map_err(|e| e.to_string())?),
        None => None,
    };
    let step_timeout = fields.step_timeout_in_minutes.map(step_timeout).transpose()?;
    let execution_number = fields.execution_number.map(|n| n.0);
    Ok(match topic {
        RequestTopic::GetPending => RequestBody::GetPending,
        RequestTopic::StartNext => RequestBody::StartNext(StartNext { status_details, step_timeout }),
        RequestTopic::Describe(job) => RequestBody::Describe(Describe {
            job: if job == NEXT { JobRef::Next } else { JobRef::Id(JobId::new(job).map_err(|e| e.to_string())?) },
            execution_number,
            include_job_document: fields.include_job_document.unwrap_or(true),
        }),
        RequestTopic::Update(job) => {
            let status = fields.status.ok_or(MISSING_STATUS)?;
            RequestBody::Update(Update {
                job_id: JobId::new(job).map_err(|e| e.to_string())?,
                status: ExecutionStatus::parse(&status)
                    .filter(|status| status.may_be_set_by_device())
                    .ok_or_else(|| format!("a thing may set IN_PROGRESS, SUCCEEDED, FAILED or REJECTED, not {status:?}"))?,
                status_details,
                expected_version: fields.expected_version.map(|n| n.0),
                execution_number,
                include_execution_state: fields.include_job_execution_state.unwrap_or(false),
                include_job_document: fields.include_job_document.unwrap_or(false),
                step_timeout,
            })
        }
    })
}

fn step_timeout(minutes: i64) -> Result<StepTimeout, String> {
    match minutes {
        limits::STEP_TIMEOUT_CANCEL => Ok(StepTimeout::Cancel),
        1..=limits::TIMEOUT_MINUTES_MAX => Ok(StepTimeout::Minutes(minutes as u32)),
        _ => Err(format!("stepTimeoutInMinutes must be -1 or 1 to {}, not {minutes}", limits::TIMEOUT_MINUTES_MAX)),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_details: Option<&'a StatusDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_job_execution_state: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_job_document: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_timeout_in_minutes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
}

/// The payload of a request; members that equal their default are left out.
#[must_use]
pub fn encode_request(request: &Request) -> Vec<u8> {
    let mut out = RequestOut {
        status: None,
        status_details: None,
        expected_version: None,
        execution_number: None,
        include_job_execution_state: None,
        include_job_document: None,
        step_timeout_in_minutes: None,
        client_token: request.client_token.as_ref().map(|t| &*t.0),
    };
    let minutes = |timeout: StepTimeout| match timeout {
        StepTimeout::Minutes(minutes) => i64::from(minutes),
        StepTimeout::Cancel => limits::STEP_TIMEOUT_CANCEL,
    };
    match &request.body {
        RequestBody::GetPending => {}
        RequestBody::StartNext(start) => {
            out.status_details = start.status_details.as_ref();
            out.step_timeout_in_minutes = start.step_timeout.map(minutes);
        }
        RequestBody::Describe(describe) => {
            out.execution_number = describe.execution_number;
            out.include_job_document = (!describe.include_job_document).then_some(false);
        }
        RequestBody::Update(update) => {
            out.status = Some(update.status.as_str());
            out.status_details = update.status_details.as_ref();
            out.expected_version = update.expected_version;
            out.execution_number = update.execution_number;
            out.include_job_execution_state = update.include_execution_state.then_some(true);
            out.include_job_document = update.include_job_document.then_some(true);
            out.step_timeout_in_minutes = update.step_timeout.map(minutes);
        }
    }
    to_bytes(&out)
}

/// The payload of an update with one more pair in its `statusDetails`, whatever the limits say; what is no object stays as it is.
#[must_use]
pub fn with_status_detail(payload: &[u8], key: &str, value: &str) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(payload) else { return payload.to_vec() };
    let details = fields.entry("statusDetails").or_insert_with(|| serde_json::json!({}));
    if let Some(details) = details.as_object_mut() {
        details.insert(key.into(), value.into());
    }
    serde_json::Value::Object(fields).to_string().into_bytes()
}
