//! What a thing parses: answers and notifications.

use super::PayloadError;
use crate::instant::EpochSeconds;
use crate::wire::json::{self, Object};
use crate::{
    Answer, ClientToken, ErrorCode, ExecutionState, ExecutionStatus, ExecutionSummary, JobDocument, JobExecution, JobId,
    Notification, PendingJobs, Rejection, Reply, RequestKind, StatusDetails, UpdateAnswer,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

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
/// When the payload is no JSON object of that shape; [`crate::wire::salvage`] has what a thing makes of it.
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
pub(in crate::wire) fn parse_http_answer(kind: RequestKind, body: &[u8]) -> Result<Answer, PayloadError> {
    json::object::<ReplyIn<'_>>(body)?.into_answer(kind, Carried::AsText)
}

/// How an answer holds a document: [`Form`], seen from the thing.
#[derive(Clone, Copy)]
pub(in crate::wire) enum Carried {
    AsJson,
    /// A string that holds JSON.
    AsText,
}

impl Carried {
    pub(in crate::wire) fn document(self, raw: &RawValue) -> Result<JobDocument, PayloadError> {
        Ok(match self {
            Self::AsJson => raw.into(),
            Self::AsText => JobDocument::parse(&serde_json::from_str::<Cow<'_, str>>(raw.get())?)?,
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
