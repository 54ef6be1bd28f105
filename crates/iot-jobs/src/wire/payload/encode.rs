//! What the service encodes: answers and notifications.

use super::to_bytes_in;
use crate::{Answer, ExecutionState, ExecutionStatus, ExecutionSummary, JobDocument, JobExecution, Notification, Reply};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::collections::BTreeMap;

/// Most answers and notifications are shorter, their document apart.
const REPLY_BYTES: usize = 512;

/// What the same answer is like, depending on what carries it (PROTOCOL 2 facts 2 and 11; PROTOCOL 10.1).
#[derive(Clone, Copy)]
pub(in crate::wire) enum Form<'a> {
    /// The document is JSON; the thing is named by the topic.
    Mqtt,
    /// The document is a string that holds JSON; the thing is named.
    Http { thing: &'a str },
}

struct Document<'a>(&'a JobDocument, Form<'a>);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Form::Mqtt => self.0.as_value().serialize(serializer),
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

fn summaries(list: &[ExecutionSummary]) -> Vec<Summary<'_>> {
    list.iter().map(Summary).collect()
}

/// The members of an answer, without those that its carrier adds.
pub(in crate::wire) fn serialize_answer<M: SerializeMap>(map: &mut M, answer: &Answer, form: Form<'_>) -> Result<(), M::Error> {
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

/// Bytes that a message with this document hardly exceeds: to write it once is cheaper than to move it.
fn room(document: Option<&JobDocument>) -> usize {
    REPLY_BYTES + document.map_or(0, |document| document.as_json().len())
}

/// The payload of an `accepted` or `rejected` answer over MQTT.
#[must_use]
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    let document = match &reply.result {
        Ok(Answer::Started(Some(execution)) | Answer::Described(Some(execution))) => execution.job_document.as_ref(),
        Ok(Answer::Updated(answer)) => answer.job_document.as_ref(),
        Ok(Answer::Started(None) | Answer::Described(None) | Answer::Pending(_)) | Err(_) => None,
    };
    to_bytes_in(room(document), &ReplyOut(reply))
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
    let document = match notification {
        Notification::NextChanged { execution: Some(execution), .. } => execution.job_document.as_ref(),
        Notification::NextChanged { execution: None, .. } | Notification::Changed { .. } => None,
    };
    to_bytes_in(room(document), &NotificationOut(notification))
}
