//! JSON shapes of executions on the control plane (PROTOCOL 11.4), and of what is told on event topics (PROTOCOL 4.1).

use super::control::target_arn;
use super::control::{THING, arn, invalid, to_bytes};
use super::job::{ProcessDetails, seconds};
use super::json;
use crate::instant::EpochSeconds;
use crate::{
    CancelExecution, ControlError, EventConfig, ExecutionChange, ExecutionDescription, ExecutionStatus, JobChange, JobDescription,
    JobEvent, StatusDetails, TargetSelection,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use strum::VariantArray;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailsBody<'a> {
    details_map: BTreeMap<&'a str, &'a str>,
}

/// Details stand nested here, flat on the data plane; absent when empty.
fn details(details: &StatusDetails) -> Option<DetailsBody<'_>> {
    (!details.is_empty()).then(|| DetailsBody { details_map: details.iter().collect() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionBody<'a> {
    job_id: &'a str,
    status: &'static str,
    force_canceled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_details: Option<DetailsBody<'a>>,
    thing_arn: String,
    queued_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<f64>,
    last_updated_at: f64,
    execution_number: i64,
    version_number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_seconds_before_timed_out: Option<i64>,
}

/// The answer to DescribeJobExecution.
#[must_use]
pub fn encode_describe_execution(execution: &ExecutionDescription) -> Vec<u8> {
    let body = ExecutionBody {
        job_id: execution.job_id.as_str(),
        status: execution.status.as_str(),
        force_canceled: execution.force_canceled,
        status_details: details(&execution.status_details),
        thing_arn: arn(THING, execution.thing.as_str()),
        queued_at: seconds(execution.queued_at_ms),
        started_at: execution.started_at_ms.map(seconds),
        last_updated_at: seconds(execution.last_updated_at_ms),
        execution_number: execution.execution_number,
        version_number: execution.version_number,
        approximate_seconds_before_timed_out: execution.approximate_seconds_before_timed_out,
    };
    to_bytes(&BTreeMap::from([("execution", body)]))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryBody {
    status: &'static str,
    queued_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<f64>,
    last_updated_at: f64,
    execution_number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_attempt: Option<u32>,
}

/// What names an execution in a list: the thing in a job's, the job in a thing's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedBy {
    /// `thingArn`, in ListJobExecutionsForJob.
    Thing,
    /// `jobId`, in ListJobExecutionsForThing.
    Job,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<&'a str>,
    job_execution_summary: SummaryBody,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListAnswer<'a> {
    execution_summaries: Vec<ListedBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

/// The answer to ListJobExecutionsForJob and ListJobExecutionsForThing.
#[must_use]
pub fn encode_executions(executions: &[ExecutionDescription], by: ListedBy, next_token: Option<&str>) -> Vec<u8> {
    let listed = executions.iter().map(|execution| ListedBody {
        thing_arn: (by == ListedBy::Thing).then(|| arn(THING, execution.thing.as_str())),
        job_id: (by == ListedBy::Job).then(|| execution.job_id.as_str()),
        job_execution_summary: SummaryBody {
            status: execution.status.as_str(),
            queued_at: seconds(execution.queued_at_ms),
            started_at: execution.started_at_ms.map(seconds),
            last_updated_at: seconds(execution.last_updated_at_ms),
            execution_number: execution.execution_number,
            retry_attempt: Some(execution.retry_attempt).filter(|attempt| *attempt > 0),
        },
    });
    to_bytes(&ListAnswer { execution_summaries: listed.collect(), next_token })
}

/// # Errors
/// `InvalidRequest`.
pub fn parse_status(text: &str) -> Result<ExecutionStatus, ControlError> {
    ExecutionStatus::parse(text).ok_or_else(|| {
        let known: Vec<&str> = ExecutionStatus::VARIANTS.iter().map(|status| status.as_str()).collect();
        invalid(format!("status must be one of {}, not {text:?}", known.join(", ")))
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CancelExecutionBody {
    expected_version: Option<i64>,
    status_details: Option<BTreeMap<String, String>>,
}

/// `force` comes from the query. An empty body is fine.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_cancel_execution(body: &[u8], force: bool) -> Result<CancelExecution, ControlError> {
    let body: CancelExecutionBody = json::body("CancelJobExecution", body)?;
    let status_details = body.status_details.map(StatusDetails::new).transpose().map_err(|error| invalid(error.to_string()))?;
    Ok(CancelExecution { expected_version: body.expected_version, status_details, force })
}

const JOB_EVENTS: &str = "JOB";
const EXECUTION_EVENTS: &str = "JOB_EXECUTION";
/// Of AWS's, which this endpoint does not have.
const OTHER_EVENTS: [&str; 9] = [
    "THING",
    "THING_GROUP",
    "THING_TYPE",
    "THING_GROUP_MEMBERSHIP",
    "THING_GROUP_HIERARCHY",
    "THING_TYPE_ASSOCIATION",
    "POLICY",
    "CERTIFICATE",
    "CA_CERTIFICATE",
];

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct EventConfigBody {
    event_configurations: BTreeMap<String, EnabledBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EnabledBody {
    #[serde(default)]
    enabled: bool,
}

/// The configuration after UpdateEventConfigurations. Kinds of events that this endpoint does not have can only be disabled.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_event_config(body: &[u8], mut config: EventConfig) -> Result<EventConfig, ControlError> {
    let body: EventConfigBody = json::body("UpdateEventConfigurations", body)?;
    for (kind, EnabledBody { enabled }) in body.event_configurations {
        match &*kind {
            JOB_EVENTS => config.job = enabled,
            EXECUTION_EVENTS => config.job_execution = enabled,
            other if !enabled && OTHER_EVENTS.contains(&other) => {}
            _ => return Err(invalid(format!("this endpoint has events of {JOB_EVENTS} and {EXECUTION_EVENTS} only, not {kind}"))),
        }
    }
    Ok(config)
}

/// The answer to DescribeEventConfigurations.
#[must_use]
pub fn encode_event_config(config: EventConfig) -> Vec<u8> {
    let kinds = [(JOB_EVENTS, config.job), (EXECUTION_EVENTS, config.job_execution)];
    let kinds: BTreeMap<_, _> = kinds.map(|(kind, enabled)| (kind, EnabledBody { enabled })).into();
    to_bytes(&json!({ "eventConfigurations": kinds }))
}

/// Topic and payload of an event. `number` makes its id.
#[must_use]
pub fn encode_event(event: &JobEvent, number: u64, now: EpochSeconds) -> (String, Vec<u8>) {
    let (topic, kind, operation, mut members) = match event {
        JobEvent::Job { change, job } => {
            let operation = job_operation(*change);
            (
                format!("$aws/events/job/{}/{operation}", job.create.job_id),
                JOB_EVENTS,
                operation.to_owned(),
                job_members(*change, job),
            )
        }
        JobEvent::Execution { change, execution } => {
            let operation = match change {
                ExecutionChange::Ended(status) => status.as_str().to_lowercase(),
                ExecutionChange::Deleted => "deleted".to_owned(),
            };
            let topic = format!("$aws/events/jobExecution/{}/{operation}", execution.job_id);
            (topic, EXECUTION_EVENTS, operation, execution_members(*change, execution))
        }
    };
    let id = super::control::stable_uuid(&format!("{topic} {number}"));
    for (name, value) in
        [("eventType", json!(kind)), ("eventId", json!(id)), ("timestamp", json!(now.0)), ("operation", json!(operation))]
    {
        members.insert(name.into(), value);
    }
    (topic, to_bytes(&members))
}

fn job_operation(change: JobChange) -> &'static str {
    match change {
        JobChange::Completed => "completed",
        JobChange::CancellationInProgress => "cancellation_in_progress",
        JobChange::Canceled => "canceled",
        JobChange::DeletionInProgress => "deletion_in_progress",
        JobChange::Deleted => "deleted",
    }
}

/// Times of job events are milliseconds, as the guide shows them; the real unit was not found (PROTOCOL 4.1).
fn job_members(change: JobChange, job: &JobDescription) -> Map<String, Value> {
    let status = match change {
        JobChange::Completed => "COMPLETED",
        JobChange::CancellationInProgress => "CANCELLATION_IN_PROGRESS",
        JobChange::Canceled => "CANCELED",
        JobChange::DeletionInProgress => "DELETION_IN_PROGRESS",
        JobChange::Deleted => "DELETED",
    };
    let selection = match job.create.target_selection {
        TargetSelection::Snapshot => "SNAPSHOT",
        TargetSelection::Continuous => "CONTINUOUS",
    };
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("jobId", json!(job.create.job_id.as_str()));
    put("status", json!(status));
    put("targetSelection", json!(selection));
    put("targets", json!(job.create.targets.iter().map(target_arn).collect::<Vec<_>>()));
    put("createdAt", json!(job.created_at_ms));
    put("lastUpdatedAt", json!(job.last_updated_at_ms));
    for (name, text) in [("description", &job.create.config.description), ("comment", &job.comment)] {
        if let Some(text) = text {
            put(name, json!(text));
        }
    }
    if change == JobChange::Completed {
        put("completedAt", json!(job.completed_at_ms));
        put("jobProcessDetails", json!(ProcessDetails::of(job)));
    }
    members
}

fn execution_members(change: ExecutionChange, execution: &ExecutionDescription) -> Map<String, Value> {
    let status = match change {
        ExecutionChange::Ended(status) => status.as_str(),
        ExecutionChange::Deleted => "DELETED",
    };
    let mut members = Map::new();
    members.insert("jobId".into(), json!(execution.job_id.as_str()));
    members.insert("thingArn".into(), json!(arn(THING, execution.thing.as_str())));
    members.insert("status".into(), json!(status));
    if !execution.status_details.is_empty() {
        members.insert("statusDetails".into(), json!(execution.status_details.iter().collect::<BTreeMap<_, _>>()));
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobId, ThingName};

    #[test]
    fn an_execution_event_is_as_in_the_reference() {
        let execution = ExecutionDescription {
            job_id: JobId::new("fw-2026-03").unwrap(),
            thing: ThingName::new("meter-0001").unwrap(),
            status: ExecutionStatus::Succeeded,
            force_canceled: false,
            status_details: StatusDetails::new([("progress", "100")]).unwrap(),
            queued_at_ms: 1_772_000_001_000,
            started_at_ms: Some(1_772_000_060_000),
            last_updated_at_ms: 1_772_000_420_000,
            execution_number: 1,
            version_number: 5,
            approximate_seconds_before_timed_out: None,
            retry_attempt: 0,
        };
        let event =
            JobEvent::Execution { change: ExecutionChange::Ended(ExecutionStatus::Succeeded), execution: Box::new(execution) };
        let (topic, payload) = encode_event(&event, 7, EpochSeconds(1_772_000_420));
        assert_eq!(topic, "$aws/events/jobExecution/fw-2026-03/succeeded");
        let mut payload: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload.remove("eventId").unwrap().as_str().unwrap().len(), 36);
        let expected = json!({
            "eventType": "JOB_EXECUTION", "timestamp": 1_772_000_420, "operation": "succeeded", "jobId": "fw-2026-03",
            "thingArn": "arn:aws:iot:us-east-1:111122223333:thing/meter-0001", "status": "SUCCEEDED",
            "statusDetails": {"progress": "100"}
        });
        assert_eq!(Value::Object(payload), expected);
    }

    #[test]
    fn only_events_that_exist_can_be_enabled() {
        let parse = |body: &str| parse_event_config(body.as_bytes(), EventConfig::default());
        let both = r#"{"eventConfigurations":{"JOB":{"Enabled":true},"JOB_EXECUTION":{"Enabled":true},"THING":{"Enabled":false}}}"#;
        assert_eq!(parse(both), Ok(EventConfig { job: true, job_execution: true }));
        for (kind, enabled) in [("THING", true), ("MOON", false)] {
            let body = format!(r#"{{"eventConfigurations":{{"{kind}":{{"Enabled":{enabled}}}}}}}"#);
            assert!(parse(&body).unwrap_err().message().contains(kind));
        }
        assert_eq!(parse(""), Ok(EventConfig::default()));
    }
}
