//! Jobs topics both ways (PROTOCOL 4). Nothing else builds or takes apart one.

use crate::{JobRef, Request, RequestBody, RequestKind, Subscription, ThingName};
use std::fmt::{self, Write as _};

const PREFIX: &str = "$aws/things/";
/// `$next` in place of a job id.
pub const NEXT: &str = "$next";

/// A topic `$aws/things/{thing}/jobs/...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// `{thing}` as found, maybe not a valid name.
    pub thing: &'a str,
    /// What the rest of the topic says.
    pub kind: TopicKind<'a>,
}

/// What a topic is for (PROTOCOL 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind<'a> {
    /// A thing asks.
    Request(RequestTopic<'a>),
    /// The service answers; `/accepted` behind the topic of the request.
    Accepted(RequestTopic<'a>),
    /// The service refuses; `/rejected` behind the topic of the request.
    Rejected(RequestTopic<'a>),
    /// `notify` (PROTOCOL 7).
    Notify,
    /// `notify-next` (PROTOCOL 7).
    NotifyNext,
}

/// The operation a request topic names; the job is text as found, maybe `$next`, maybe not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestTopic<'a> {
    /// `get`
    GetPending,
    /// `start-next`
    StartNext,
    /// `{jobId}/get`
    Describe(&'a str),
    /// `{jobId}/update`
    Update(&'a str),
}

impl RequestTopic<'_> {
    /// Which operation it is.
    #[must_use]
    pub fn kind(self) -> RequestKind {
        match self {
            Self::GetPending => RequestKind::GetPending,
            Self::StartNext => RequestKind::StartNext,
            Self::Describe(_) => RequestKind::Describe,
            Self::Update(_) => RequestKind::Update,
        }
    }
}

/// Why a topic is none of AWS IoT Jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError<'a> {
    /// Outside the Jobs namespace of things.
    #[error("not a topic of $aws/things/<thing>/jobs/")]
    NotJobs,
    /// In the Jobs namespace, but no operation: answered with `InvalidTopic`.
    #[error("no operation of AWS IoT Jobs has this topic")]
    InvalidOperation {
        /// `{thing}` as found, maybe not a valid name.
        thing: &'a str,
    },
}

impl<'a> Topic<'a> {
    /// # Errors
    /// When the topic is outside the Jobs namespace, or inside it without meaning.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError<'a>> {
        let (thing, rest) = topic.strip_prefix(PREFIX).and_then(|t| t.split_once("/jobs/")).ok_or(TopicError::NotJobs)?;
        if thing.is_empty() || thing.contains('/') {
            return Err(TopicError::NotJobs);
        }
        let kind = match rest {
            "notify" => TopicKind::Notify,
            "notify-next" => TopicKind::NotifyNext,
            _ => match rest.rsplit_once('/') {
                Some((request, "accepted")) => TopicKind::Accepted(RequestTopic::parse(request, thing)?),
                Some((request, "rejected")) => TopicKind::Rejected(RequestTopic::parse(request, thing)?),
                _ => TopicKind::Request(RequestTopic::parse(rest, thing)?),
            },
        };
        Ok(Self { thing, kind })
    }

    /// Appends the text of the topic to `out`.
    pub fn write(&self, out: &mut String) {
        write!(out, "{self}").expect("writing to a String does not fail");
    }

    /// The topic a request is published on.
    #[must_use]
    pub fn of_request<'b>(thing: &'b ThingName, request: &'b Request) -> Topic<'b> {
        let request = match &request.body {
            RequestBody::GetPending => RequestTopic::GetPending,
            RequestBody::StartNext(_) => RequestTopic::StartNext,
            RequestBody::Describe(describe) => RequestTopic::Describe(match &describe.job {
                JobRef::Next => NEXT,
                JobRef::Id(id) => id.as_str(),
            }),
            RequestBody::Update(update) => RequestTopic::Update(update.job_id.as_str()),
        };
        Topic { thing: thing.as_str(), kind: TopicKind::Request(request) }
    }
}

impl<'a> RequestTopic<'a> {
    fn parse(text: &'a str, thing: &'a str) -> Result<Self, TopicError<'a>> {
        match text {
            "get" => return Ok(Self::GetPending),
            "start-next" => return Ok(Self::StartNext),
            _ => {}
        }
        match text.split_once('/') {
            Some((job, "get")) if !job.is_empty() => Ok(Self::Describe(job)),
            Some((job, "update")) if !job.is_empty() => Ok(Self::Update(job)),
            _ => Err(TopicError::InvalidOperation { thing }),
        }
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        [PREFIX, self.thing, "/jobs/"].into_iter().try_for_each(|part| f.write_str(part))?;
        let (request, leg) = match self.kind {
            TopicKind::Request(request) => (request, ""),
            TopicKind::Accepted(request) => (request, "/accepted"),
            TopicKind::Rejected(request) => (request, "/rejected"),
            TopicKind::Notify => return f.write_str("notify"),
            TopicKind::NotifyNext => return f.write_str("notify-next"),
        };
        request.fmt(f)?;
        f.write_str(leg)
    }
}

impl fmt::Display for RequestTopic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, operation) = match self {
            Self::GetPending => ("", "get"),
            Self::StartNext => ("", "start-next"),
            Self::Describe(job) => (*job, "/get"),
            Self::Update(job) => (*job, "/update"),
        };
        f.write_str(job)?;
        f.write_str(operation)
    }
}

/// The text of a subscription of `thing`.
#[must_use]
pub fn filter(thing: &ThingName, subscription: Subscription) -> String {
    let last = match subscription {
        Subscription::Notify => "notify",
        Subscription::NotifyNext => "notify-next",
        Subscription::GetPendingAnswers => "get/+",
        Subscription::StartNextAnswers => "start-next/+",
        Subscription::DescribeAnswers => "+/get/+",
        Subscription::UpdateAnswers => "+/update/+",
    };
    format!("{PREFIX}{thing}/jobs/{last}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(rest: &str) -> Option<TopicKind<'_>> {
        let topic: &'static str = Box::leak(format!("$aws/things/t1/jobs/{rest}").into_boxed_str());
        Topic::parse(topic).ok().map(|t| t.kind)
    }

    #[test]
    fn every_topic_of_the_reference() {
        use RequestTopic::{Describe, GetPending, StartNext, Update};
        assert_eq!(parse("get"), Some(TopicKind::Request(GetPending)));
        assert_eq!(parse("get/accepted"), Some(TopicKind::Accepted(GetPending)));
        assert_eq!(parse("start-next"), Some(TopicKind::Request(StartNext)));
        assert_eq!(parse("start-next/rejected"), Some(TopicKind::Rejected(StartNext)));
        assert_eq!(parse("$next/get"), Some(TopicKind::Request(Describe("$next"))));
        assert_eq!(parse("fw-1/get/accepted"), Some(TopicKind::Accepted(Describe("fw-1"))));
        assert_eq!(parse("fw-1/update"), Some(TopicKind::Request(Update("fw-1"))));
        assert_eq!(parse("fw-1/update/rejected"), Some(TopicKind::Rejected(Update("fw-1"))));
        assert_eq!(parse("notify"), Some(TopicKind::Notify));
        assert_eq!(parse("notify-next"), Some(TopicKind::NotifyNext));
    }

    #[test]
    fn what_is_no_operation_is_told_apart_from_what_is_not_jobs() {
        for rest in ["foo", "fw-1/delete", "accepted", "a/b/get", "/get", ""] {
            let topic = format!("$aws/things/t1/jobs/{rest}");
            assert_eq!(Topic::parse(&topic), Err(TopicError::InvalidOperation { thing: "t1" }), "{topic}");
        }
        for topic in ["dt/t1/state", "$aws/things/t1/shadow/update", "$aws/things//jobs/get", "$aws/things/a/b/jobs/get", ""] {
            assert_eq!(Topic::parse(topic), Err(TopicError::NotJobs), "{topic}");
        }
    }

    proptest! {
        #[test]
        fn written_topics_parse_back(thing in "[a-zA-Z0-9:_-]{1,20}", job in "[a-zA-Z0-9_-]{1,20}|\\$next", which in 0..4usize, leg in 0..3usize) {
            let request = [RequestTopic::GetPending, RequestTopic::StartNext, RequestTopic::Describe(&job), RequestTopic::Update(&job)][which];
            let kind = [TopicKind::Request(request), TopicKind::Accepted(request), TopicKind::Rejected(request)][leg];
            let topic = Topic { thing: &thing, kind };
            let text = topic.to_string();
            prop_assert_eq!(Topic::parse(&text), Ok(topic));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,80}") {
            let _ = Topic::parse(&text);
            let _ = Topic::parse(&format!("$aws/things/t/jobs/{text}"));
        }
    }
}
