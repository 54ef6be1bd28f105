//! What the endpoint's policies denied things, out of its log of decisions: errors like those that the things themselves tell of, each with
//! its explanation.

use crate::tail::LineTail;
use iot_jobs::RequestKind;
use iot_jobs::instant::Mono;
use iot_jobs::wire::topic::{RequestTopic, Topic, TopicKind};
use iot_policy::Action;
use load_metrics::{ErrorKey, ErrorKind, ErrorTally, Interval, Operation};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use strum::IntoEnumIterator as _;

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read the log of decisions: {0}")]
pub struct DenialsError(#[from] io::Error);

/// A line of the log, as far as it matters here.
#[derive(Deserialize)]
struct Line<'a> {
    mono_ns: u64,
    #[serde(borrow)]
    action: &'a str,
    #[serde(borrow)]
    resource: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    explanation: std::borrow::Cow<'a, str>,
}

/// The log, followed while the endpoint writes it.
pub(crate) struct Denials {
    log: LineTail,
    /// Of a second without an interval to tell of them.
    untold: Vec<(ErrorKey, ErrorTally)>,
}

impl Denials {
    pub(crate) fn new(path: &Path) -> Self {
        Self { log: LineTail::new(path), untold: Vec::new() }
    }

    /// Adds what was denied since the last call to the errors of a second.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn add_to(&mut self, intervals: &mut [Interval]) -> Result<(), DenialsError> {
        let denied = self.read_new()?;
        self.untold.extend(denied);
        if let Some(interval) = intervals.first_mut() {
            interval.errors.append(&mut self.untold);
        }
        Ok(())
    }

    /// What was denied since the last call, by what was wanted.
    fn read_new(&mut self) -> Result<Vec<(ErrorKey, ErrorTally)>, DenialsError> {
        let mut found: BTreeMap<ErrorKey, ErrorTally> = BTreeMap::new();
        self.log.read_new(|line| {
            // The last line counts what was left out, and names nothing.
            if let Ok(line) = serde_json::from_slice::<Line<'_>>(line)
                && let Some(key) = key(&line)
            {
                add(&mut found, key, &line);
            }
            Ok::<_, io::Error>(())
        })?;
        Ok(found.into_iter().collect())
    }
}

fn add(found: &mut BTreeMap<ErrorKey, ErrorTally>, key: ErrorKey, line: &Line<'_>) {
    let at = Mono(line.mono_ns);
    let first = || ErrorTally {
        count: 0,
        first: at,
        last: at,
        example: line.explanation.to_string(),
        last_example: line.explanation.to_string(),
    };
    let tally = found.entry(key).or_insert_with(first);
    tally.count += 1;
    tally.last = at;
}

fn key(line: &Line<'_>) -> Option<ErrorKey> {
    let action = Action::iter().find(|action| action.as_str() == line.action)?;
    let name = line.resource.strip_prefix(action.kind())?;
    Some(ErrorKey { operation: operation(action, name), kind: ErrorKind::Denied, code: action.as_str() })
}

/// Which operation of a thing it was that was denied.
fn operation(action: Action, name: &str) -> Operation {
    let of_request = |kind| match kind {
        RequestKind::GetPending => Operation::GetPending,
        RequestKind::StartNext => Operation::StartNext,
        RequestKind::Describe => Operation::Describe,
        RequestKind::Update => Operation::Update,
    };
    match action {
        Action::Connect => Operation::ConnectMqtt,
        Action::Subscribe => Operation::Subscribe,
        Action::Publish | Action::RetainPublish | Action::Receive => match Topic::parse(name).map(|topic| topic.kind) {
            Ok(TopicKind::Request(request) | TopicKind::Accepted(request) | TopicKind::Rejected(request)) => {
                of_request(RequestTopic::kind(request))
            }
            Ok(TopicKind::Notify | TopicKind::NotifyNext) => Operation::NotifyNext,
            Err(_) => Operation::Telemetry,
        },
        Action::DescribeJobExecution => Operation::Describe,
        Action::GetPendingJobExecutions => Operation::GetPending,
        Action::StartNextPendingJobExecution => Operation::StartNext,
        Action::UpdateJobExecution => Operation::Update,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn denials_are_counted_by_what_was_wanted_with_the_first_explanation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("decisions.jsonl");
        let mut denials = Denials::new(&path);
        assert!(denials.read_new().unwrap().is_empty(), "there is no file yet");
        let mut file = std::fs::File::create(&path).unwrap();
        let line = |action: &str, resource: &str, why: &str| {
            serde_json::json!({"event": "denied", "mono_ns": 7, "action": action, "resource": resource, "explanation": why})
                .to_string()
        };
        for text in [
            line("iot:Subscribe", "topicfilter/$aws/things/a/jobs/#", "it says \"topic/\""),
            line("iot:Subscribe", "topicfilter/$aws/things/b/jobs/#", "second"),
            line("iot:Publish", "topic/$aws/things/a/jobs/start-next", "third"),
            line("iot:Receive", "topic/dt/x", "fourth"),
            r#"{"event":"dropped","denials":3}"#.to_owned(),
        ] {
            writeln!(file, "{text}").unwrap();
        }
        let found = denials.read_new().unwrap();
        let told: Vec<_> = found.iter().map(|(key, tally)| (key.operation, key.code, tally.count, &*tally.example)).collect();
        assert_eq!(
            told,
            [
                (Operation::Subscribe, "iot:Subscribe", 2, "it says \"topic/\""),
                (Operation::StartNext, "iot:Publish", 1, "third"),
                (Operation::Telemetry, "iot:Receive", 1, "fourth"),
            ]
        );
        assert!(denials.read_new().unwrap().is_empty());
    }
}
