//! JSON payloads of the MQTT data plane, both ways (PROTOCOL 5 to 8). What HTTP shares with it is here, too.
//!
//! The service side parses requests and encodes replies and notifications; the thing's side does the reverse.

use super::json::{self, Object};
use super::topic::{NEXT, RequestTopic};
use crate::instant::EpochSeconds;
use crate::{
    Answer, ClientToken, Describe, ErrorCode, ExecutionState, ExecutionStatus, ExecutionSummary, JobDocument, JobExecution, JobId,
    JobRef, NameError, Notification, PendingJobs, Rejection, Reply, Request, RequestBody, RequestKind, StartNext, StatusDetails,
    StepTimeout, Update, UpdateAnswer, limits,
};
use serde::de::{self, Deserializer};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The text AWS answers an update without `status` with (PROTOCOL 8).
const MISSING_STATUS: &str = "Value null at 'status' failed to satisfy constraint: Member must not be null";

/// A request the service cannot take: what to answer, and to which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `clientToken` of the request, where one could be read.
    pub client_token: Option<ClientToken>,
    /// The body of the `rejected` answer.
    pub rejection: Rejection,
}

/// A payload that is not what its topic promises.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It is no JSON, or not of the shape that its topic has.
    #[error("parse the payload as JSON of its topic: {0}")]
    Json(#[from] serde_json::Error),
    /// A name or text in it is against the rules of PROTOCOL 3.
    #[error("read the payload: {0}")]
    Name(#[from] NameError),
    /// A word in it is none of those that there are.
    #[error("read the payload: {what} {value:?} is not known")]
    Unknown {
        /// Of which kind the word is, such as `status`.
        what: &'static str,
        /// The word as found.
        value: String,
    },
}

// ---------------------------------------------------------------------------------------------------------------- requests

/// Every field a request may have; unknown ones are ignored (inferred).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RequestFields<'a> {
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
    pub(super) fn of_describe(execution_number: Option<i64>, include_job_document: Option<bool>) -> Self {
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
    let fields: RequestFields<'_> = json::object(payload).map_err(|error| refuse_unparsed(payload, &error))?;
    let client_token = fields.client_token.as_deref().map(|token| ClientToken(token.into()));
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

pub(super) fn request_body(topic: RequestTopic<'_>, fields: RequestFields<'_>) -> Result<RequestBody, String> {
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

// ------------------------------------------------------------------------------------------------- what the service encodes

/// What the same answer is like, depending on what carries it (PROTOCOL 2 facts 2 and 11; PROTOCOL 10.1).
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    /// The document is JSON; the thing is named by the topic.
    Mqtt,
    /// The document is a string that holds JSON; the thing is named.
    Http { thing: &'a str },
}

struct Document<'a>(&'a JobDocument, Form<'a>);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Form::Mqtt => raw(self.0).serialize(serializer),
            Form::Http { .. } => serializer.serialize_str(self.0.as_json()),
        }
    }
}

struct Execution<'a>(&'a JobExecution, Form<'a>);

impl Serialize for Execution<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(execution, form) = *self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("jobId", execution.job_id.as_str())?;
        let thing = match form {
            Form::Mqtt => execution.thing_name.as_ref().map(crate::ThingName::as_str),
            Form::Http { thing } => Some(thing),
        };
        if let Some(thing) = thing {
            map.serialize_entry("thingName", thing)?;
        }
        map.serialize_entry("status", execution.status.as_str())?;
        if !execution.status_details.is_empty() {
            map.serialize_entry("statusDetails", &execution.status_details)?;
        }
        map.serialize_entry("queuedAt", &execution.queued_at.0)?;
        if let Some(started) = execution.started_at {
            map.serialize_entry("startedAt", &started.0)?;
        }
        map.serialize_entry("lastUpdatedAt", &execution.last_updated_at.0)?;
        if let Some(seconds) = execution.approximate_seconds_before_timed_out {
            map.serialize_entry("approximateSecondsBeforeTimedOut", &seconds)?;
        }
        map.serialize_entry("versionNumber", &execution.version_number)?;
        map.serialize_entry("executionNumber", &execution.execution_number)?;
        if let Some(document) = &execution.job_document {
            map.serialize_entry("jobDocument", &Document(document, form))?;
        }
        map.end()
    }
}

struct Summary<'a>(&'a ExecutionSummary);

impl Serialize for Summary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let summary = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("jobId", summary.job_id.as_str())?;
        map.serialize_entry("queuedAt", &summary.queued_at.0)?;
        map.serialize_entry("lastUpdatedAt", &summary.last_updated_at.0)?;
        if let Some(started) = summary.started_at {
            map.serialize_entry("startedAt", &started.0)?;
        }
        map.serialize_entry("executionNumber", &summary.execution_number)?;
        map.serialize_entry("versionNumber", &summary.version_number)?;
        map.end()
    }
}

struct State<'a>(&'a ExecutionState);

impl Serialize for State<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", self.0.status.as_str())?;
        if !self.0.status_details.is_empty() {
            map.serialize_entry("statusDetails", &self.0.status_details)?;
        }
        map.serialize_entry("versionNumber", &self.0.version_number)?;
        map.end()
    }
}

fn raw(document: &JobDocument) -> &RawValue {
    serde_json::from_str(document.as_json()).expect("a JobDocument holds valid JSON")
}

fn summaries(list: &[ExecutionSummary]) -> Vec<Summary<'_>> {
    list.iter().map(Summary).collect()
}

pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these shapes have string keys and finite numbers")
}

/// The members of an answer, without those that its carrier adds.
pub(super) fn serialize_answer<M: SerializeMap>(map: &mut M, answer: &Answer, form: Form<'_>) -> Result<(), M::Error> {
    match answer {
        Answer::Pending(pending) => {
            map.serialize_entry("inProgressJobs", &summaries(&pending.in_progress))?;
            map.serialize_entry("queuedJobs", &summaries(&pending.queued))?;
        }
        Answer::Started(execution) | Answer::Described(execution) => {
            if let Some(execution) = execution {
                map.serialize_entry("execution", &Execution(execution, form))?;
            }
        }
        Answer::Updated(answer) => {
            if let Some(state) = &answer.execution_state {
                map.serialize_entry("executionState", &State(state))?;
            }
            if let Some(document) = &answer.job_document {
                map.serialize_entry("jobDocument", &Document(document, form))?;
            }
        }
    }
    Ok(())
}

struct ReplyOut<'a>(&'a Reply);

impl Serialize for ReplyOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.0.result {
            Ok(answer) => serialize_answer(&mut map, answer, Form::Mqtt)?,
            Err(rejection) => {
                map.serialize_entry("code", rejection.code.as_str())?;
                map.serialize_entry("message", &rejection.message)?;
                if let Some(state) = &rejection.execution_state {
                    map.serialize_entry("executionState", &State(state))?;
                }
            }
        }
        if let Some(timestamp) = self.0.timestamp {
            map.serialize_entry("timestamp", &timestamp.0)?;
        }
        if let Some(token) = &self.0.client_token {
            map.serialize_entry("clientToken", &*token.0)?;
        }
        map.end()
    }
}

/// The payload of an `accepted` or `rejected` answer over MQTT.
#[must_use]
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    to_bytes(&ReplyOut(reply))
}

struct NotificationOut<'a>(&'a Notification);

impl Serialize for NotificationOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Notification::Changed { timestamp, jobs } => {
                let lists: BTreeMap<_, _> =
                    [(ExecutionStatus::InProgress, &jobs.in_progress), (ExecutionStatus::Queued, &jobs.queued)]
                        .into_iter()
                        .filter(|(_, list)| !list.is_empty())
                        .map(|(status, list)| (status.as_str(), summaries(list)))
                        .collect();
                map.serialize_entry("timestamp", &timestamp.0)?;
                map.serialize_entry("jobs", &lists)?;
            }
            Notification::NextChanged { timestamp, execution } => {
                map.serialize_entry("timestamp", &timestamp.0)?;
                if let Some(execution) = execution {
                    map.serialize_entry("execution", &Execution(execution, Form::Mqtt))?;
                }
            }
        }
        map.end()
    }
}

/// The payload of `notify` or `notify-next`.
#[must_use]
pub fn encode_notification(notification: &Notification) -> Vec<u8> {
    to_bytes(&NotificationOut(notification))
}

// --------------------------------------------------------------------------------------------------- what a thing parses

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionIn<'a> {
    #[serde(borrow)]
    job_id: Cow<'a, str>,
    #[serde(borrow)]
    thing_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    status_details: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    queued_at: i64,
    started_at: Option<i64>,
    last_updated_at: i64,
    approximate_seconds_before_timed_out: Option<i64>,
    version_number: i64,
    execution_number: i64,
    #[serde(borrow)]
    job_document: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SummaryIn<'a> {
    #[serde(borrow)]
    job_id: Cow<'a, str>,
    queued_at: i64,
    started_at: Option<i64>,
    last_updated_at: i64,
    version_number: i64,
    execution_number: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateIn<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    status_details: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    version_number: i64,
}

/// Every member an answer may have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyIn<'a> {
    #[serde(borrow)]
    client_token: Option<Cow<'a, str>>,
    timestamp: Option<i64>,
    #[serde(borrow)]
    execution: Option<Object<ExecutionIn<'a>>>,
    #[serde(borrow)]
    in_progress_jobs: Option<Vec<Object<SummaryIn<'a>>>>,
    #[serde(borrow)]
    queued_jobs: Option<Vec<Object<SummaryIn<'a>>>>,
    #[serde(borrow)]
    execution_state: Option<Object<StateIn<'a>>>,
    #[serde(borrow)]
    job_document: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct NotificationIn<'a> {
    timestamp: i64,
    #[serde(borrow)]
    execution: Option<Object<ExecutionIn<'a>>>,
    #[serde(borrow)]
    jobs: Option<BTreeMap<Cow<'a, str>, Vec<Object<SummaryIn<'a>>>>>,
}

fn status(text: &str) -> Result<ExecutionStatus, PayloadError> {
    ExecutionStatus::parse(text).ok_or_else(|| PayloadError::Unknown { what: "status", value: text.into() })
}

fn details(pairs: Option<BTreeMap<Cow<'_, str>, Cow<'_, str>>>) -> Result<StatusDetails, PayloadError> {
    Ok(match pairs {
        Some(pairs) => StatusDetails::new(pairs)?,
        None => StatusDetails::default(),
    })
}

impl StateIn<'_> {
    fn into_state(self) -> Result<ExecutionState, PayloadError> {
        Ok(ExecutionState {
            status: status(&self.status)?,
            status_details: details(self.status_details)?,
            version_number: self.version_number,
        })
    }
}

impl ExecutionIn<'_> {
    fn into_execution(self, carried: Carried) -> Result<Box<JobExecution>, PayloadError> {
        Ok(Box::new(JobExecution {
            job_id: JobId::new(&self.job_id)?,
            thing_name: self.thing_name.map(|name| crate::ThingName::new(&name)).transpose()?,
            status: status(&self.status)?,
            status_details: details(self.status_details)?,
            queued_at: EpochSeconds(self.queued_at),
            started_at: self.started_at.map(EpochSeconds),
            last_updated_at: EpochSeconds(self.last_updated_at),
            approximate_seconds_before_timed_out: self.approximate_seconds_before_timed_out,
            version_number: self.version_number,
            execution_number: self.execution_number,
            job_document: self.job_document.map(|document| carried.document(document)).transpose()?,
        }))
    }
}

fn into_summaries(list: Option<Vec<Object<SummaryIn<'_>>>>) -> Result<Vec<ExecutionSummary>, PayloadError> {
    list.unwrap_or_default()
        .into_iter()
        .map(|Object(summary)| {
            Ok(ExecutionSummary {
                job_id: JobId::new(&summary.job_id)?,
                queued_at: EpochSeconds(summary.queued_at),
                started_at: summary.started_at.map(EpochSeconds),
                last_updated_at: EpochSeconds(summary.last_updated_at),
                version_number: summary.version_number,
                execution_number: summary.execution_number,
            })
        })
        .collect()
}

/// Parses an answer found on an `accepted` or `rejected` topic of `kind`.
///
/// # Errors
/// When the payload is no JSON object of that shape; [`super::salvage`] has what a thing makes of it.
pub fn parse_reply(kind: RequestKind, accepted: bool, payload: &[u8]) -> Result<Reply, PayloadError> {
    let mut fields: ReplyIn<'_> = json::object(payload)?;
    let client_token = fields.client_token.take().map(|token| ClientToken(token.into()));
    let timestamp = fields.timestamp.map(EpochSeconds);
    let result = if accepted {
        Ok(fields.into_answer(kind, Carried::AsJson)?)
    } else {
        let execution_state = fields.execution_state.map(|Object(state)| state.into_state()).transpose()?;
        let code = fields.code.unwrap_or_default();
        let code = ErrorCode::parse(&code).ok_or_else(|| PayloadError::Unknown { what: "code", value: code.into_owned() })?;
        Err(Rejection { code, message: fields.message.unwrap_or_default().into_owned(), execution_state })
    };
    Ok(Reply { client_token, timestamp, result })
}

/// Parses the body of an answer over HTTP to a request of `kind` that was accepted.
///
/// # Errors
/// When the body is no JSON object of that shape.
pub(super) fn parse_http_answer(kind: RequestKind, body: &[u8]) -> Result<Answer, PayloadError> {
    json::object::<ReplyIn<'_>>(body)?.into_answer(kind, Carried::AsText)
}

/// How an answer holds a document: [`Form`], seen from the thing.
#[derive(Clone, Copy)]
pub(super) enum Carried {
    AsJson,
    /// A string that holds JSON.
    AsText,
}

impl Carried {
    pub(super) fn document(self, raw: &RawValue) -> Result<JobDocument, PayloadError> {
        Ok(match self {
            Self::AsJson => JobDocument::from_valid_json(raw.get()),
            Self::AsText => {
                let text: Cow<'_, str> = serde_json::from_str(raw.get())?;
                serde_json::from_str::<&RawValue>(&text)?;
                JobDocument::from_valid_json(&text)
            }
        })
    }
}

impl ReplyIn<'_> {
    fn into_answer(self, kind: RequestKind, carried: Carried) -> Result<Answer, PayloadError> {
        let execution = self.execution.map(|Object(execution)| execution.into_execution(carried)).transpose()?;
        Ok(match kind {
            RequestKind::GetPending => Answer::Pending(PendingJobs {
                in_progress: into_summaries(self.in_progress_jobs)?,
                queued: into_summaries(self.queued_jobs)?,
            }),
            RequestKind::StartNext => Answer::Started(execution),
            RequestKind::Describe => Answer::Described(execution),
            RequestKind::Update => Answer::Updated(UpdateAnswer {
                execution_state: self.execution_state.map(|Object(state)| state.into_state()).transpose()?,
                job_document: self.job_document.map(|document| carried.document(document)).transpose()?,
            }),
        })
    }
}

/// Parses `notify-next` (`next`) or `notify`.
///
/// # Errors
/// When the payload is no JSON object of that shape.
pub fn parse_notification(next: bool, payload: &[u8]) -> Result<Notification, PayloadError> {
    let fields: NotificationIn<'_> = json::object(payload)?;
    let timestamp = EpochSeconds(fields.timestamp);
    if next {
        let execution = fields.execution.map(|Object(execution)| execution.into_execution(Carried::AsJson)).transpose()?;
        return Ok(Notification::NextChanged { timestamp, execution });
    }
    let mut jobs = PendingJobs::default();
    for (name, list) in fields.jobs.unwrap_or_default() {
        match status(&name)? {
            ExecutionStatus::InProgress => jobs.in_progress = into_summaries(Some(list))?,
            ExecutionStatus::Queued => jobs.queued = into_summaries(Some(list))?,
            other => return Err(PayloadError::Unknown { what: "pending status", value: other.to_string() }),
        }
    }
    Ok(Notification::Changed { timestamp, jobs })
}
