//! Jobs topics both ways (PROTOCOL 4; those of namespaces, PROTOCOL-CORE 2.6). Nothing else builds or takes apart one.

use crate::{JobRef, NamespaceId, Request, RequestBody, RequestKind, Subscription, ThingName};
use std::fmt::{self, Write as _};

const PREFIX: &str = "$aws/things/";
/// `$next` in place of a job id.
pub const NEXT: &str = "$next";
/// Before a namespace's id, in a segment of its own.
const NAMESPACE: &str = "namespace-";
/// Before a namespace's id, in the topics of notifications.
const NOTIFY_NAMESPACE: &str = "notify-namespace-";
const NOTIFY_NEXT_NAMESPACE: &str = "notify-next-namespace-";

/// A topic `$aws/things/{thing}/jobs/...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// `{thing}` as found, maybe not a valid name.
    pub thing: &'a str,
    /// Of whose jobs it is, as found, maybe not a valid id; absent: of those without a namespace.
    pub namespace: Option<&'a str>,
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
        let (thing, rest) = topic.strip_prefix(PREFIX).and_then(|topic| topic.split_once('/')).ok_or(TopicError::NotJobs)?;
        let rest = rest.strip_prefix("jobs/").filter(|_| !thing.is_empty()).ok_or(TopicError::NotJobs)?;
        let (namespace, kind) = match rest {
            "notify" => (None, TopicKind::Notify),
            "notify-next" => (None, TopicKind::NotifyNext),
            _ => match (rest.strip_prefix(NOTIFY_NEXT_NAMESPACE), rest.strip_prefix(NOTIFY_NAMESPACE)) {
                (Some(namespace), _) if is_segment(namespace) => (Some(namespace), TopicKind::NotifyNext),
                (_, Some(namespace)) if is_segment(namespace) => (Some(namespace), TopicKind::Notify),
                _ => Self::parse_operation(rest, thing)?,
            },
        };
        Ok(Self { thing, namespace, kind })
    }

    fn parse_operation(rest: &'a str, thing: &'a str) -> Result<(Option<&'a str>, TopicKind<'a>), TopicError<'a>> {
        let of = |request: &'a str, leg: fn(RequestTopic<'a>) -> TopicKind<'a>| {
            let (namespace, request) = RequestTopic::parse(request, thing)?;
            Ok((namespace, leg(request)))
        };
        match rest.rsplit_once('/') {
            Some((request, "accepted")) => of(request, TopicKind::Accepted),
            Some((request, "rejected")) => of(request, TopicKind::Rejected),
            _ => of(rest, TopicKind::Request),
        }
    }

    /// Appends the text of the topic to `out`.
    pub fn write(&self, out: &mut String) {
        write!(out, "{self}").expect("writing to a String does not fail");
    }

    /// The topic a request is published on. Only those that name a job, or `$next`, can be of a namespace: no other is known (PROTOCOL-CORE 2.6).
    #[must_use]
    pub fn of_request<'b>(thing: &'b ThingName, namespace: Option<&'b NamespaceId>, request: &'b Request) -> Topic<'b> {
        let request = match &request.body {
            RequestBody::GetPending => RequestTopic::GetPending,
            RequestBody::StartNext(_) => RequestTopic::StartNext,
            RequestBody::Describe(describe) => RequestTopic::Describe(match &describe.job {
                JobRef::Next => NEXT,
                JobRef::Id(id) => id.as_str(),
            }),
            RequestBody::Update(update) => RequestTopic::Update(update.job_id.as_str()),
        };
        Topic { thing: thing.as_str(), namespace: namespace.map(NamespaceId::as_str), kind: TopicKind::Request(request) }
    }
}

/// Whether it is what may stand between two slashes.
fn is_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

impl<'a> RequestTopic<'a> {
    fn parse(text: &'a str, thing: &'a str) -> Result<(Option<&'a str>, Self), TopicError<'a>> {
        match text {
            "get" => return Ok((None, Self::GetPending)),
            "start-next" => return Ok((None, Self::StartNext)),
            _ => {}
        }
        let (job, rest) = text.split_once('/').filter(|(job, _)| !job.is_empty()).ok_or(TopicError::InvalidOperation { thing })?;
        let (namespace, operation) = match rest.strip_prefix(NAMESPACE).and_then(|rest| rest.split_once('/')) {
            Some((namespace, operation)) if is_segment(namespace) => (Some(namespace), operation),
            _ => (None, rest),
        };
        match operation {
            "get" => Ok((namespace, Self::Describe(job))),
            "update" => Ok((namespace, Self::Update(job))),
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
            TopicKind::Notify => return notification(f, "notify", NOTIFY_NAMESPACE, self.namespace),
            TopicKind::NotifyNext => return notification(f, "notify-next", NOTIFY_NEXT_NAMESPACE, self.namespace),
        };
        let (job, operation) = match request {
            RequestTopic::GetPending => ("get", None),
            RequestTopic::StartNext => ("start-next", None),
            RequestTopic::Describe(job) => (job, Some("get")),
            RequestTopic::Update(job) => (job, Some("update")),
        };
        f.write_str(job)?;
        if let Some(operation) = operation {
            match self.namespace {
                Some(namespace) => write!(f, "/{NAMESPACE}{namespace}/{operation}")?,
                None => write!(f, "/{operation}")?,
            }
        }
        f.write_str(leg)
    }
}

fn notification(f: &mut fmt::Formatter<'_>, plain: &str, prefix: &str, namespace: Option<&str>) -> fmt::Result {
    match namespace {
        Some(namespace) => write!(f, "{prefix}{namespace}"),
        None => f.write_str(plain),
    }
}

/// The text of a subscription of `thing`, to what is of a namespace or of none.
#[must_use]
pub fn filter(thing: &ThingName, namespace: Option<&NamespaceId>, subscription: Subscription) -> String {
    let prefix = format!("{PREFIX}{thing}/jobs/");
    let level = namespace.map_or_else(String::new, |namespace| format!("{NAMESPACE}{namespace}/"));
    match (subscription, namespace) {
        (Subscription::Notify, None) => prefix + "notify",
        (Subscription::Notify, Some(namespace)) => format!("{prefix}{NOTIFY_NAMESPACE}{namespace}"),
        (Subscription::NotifyNext, None) => prefix + "notify-next",
        (Subscription::NotifyNext, Some(namespace)) => format!("{prefix}{NOTIFY_NEXT_NAMESPACE}{namespace}"),
        (Subscription::GetPendingAnswers, _) => prefix + "get/+",
        (Subscription::StartNextAnswers, _) => prefix + "start-next/+",
        (Subscription::DescribeAnswers, _) => format!("{prefix}+/{level}get/+"),
        (Subscription::UpdateAnswers, _) => format!("{prefix}+/{level}update/+"),
    }
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
    fn topics_of_namespaces_are_those_of_greengrass() {
        use RequestTopic::{Describe, Update};
        let parse = |rest: &'static str| {
            let topic: &'static str = Box::leak(format!("$aws/things/t1/jobs/{rest}").into_boxed_str());
            Topic::parse(topic).ok().map(|topic| (topic.namespace, topic.kind))
        };
        let gg = Some("aws-gg-deployment");
        for (rest, kind) in [
            ("notify-namespace-aws-gg-deployment", TopicKind::Notify),
            ("notify-next-namespace-aws-gg-deployment", TopicKind::NotifyNext),
            ("$next/namespace-aws-gg-deployment/get", TopicKind::Request(Describe("$next"))),
            ("fw-1/namespace-aws-gg-deployment/get/rejected", TopicKind::Rejected(Describe("fw-1"))),
            ("fw-1/namespace-aws-gg-deployment/update", TopicKind::Request(Update("fw-1"))),
            ("fw-1/namespace-aws-gg-deployment/update/accepted", TopicKind::Accepted(Update("fw-1"))),
        ] {
            assert_eq!(parse(rest), Some((gg, kind)), "{rest}");
        }
        for rest in ["notify-namespace-", "notify-namespace-a/b", "start-next/namespace-a", "get/namespace-a", "a/namespace-/get"] {
            assert!(parse(rest).is_none(), "{rest}");
        }
        let (thing, namespace) = (ThingName::new("t1").unwrap(), NamespaceId::new("aws-gg-deployment").unwrap());
        let filter = |subscription| filter(&thing, Some(&namespace), subscription);
        assert_eq!(filter(Subscription::NotifyNext), "$aws/things/t1/jobs/notify-next-namespace-aws-gg-deployment");
        assert_eq!(filter(Subscription::UpdateAnswers), "$aws/things/t1/jobs/+/namespace-aws-gg-deployment/update/+");
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
        fn written_topics_parse_back(thing in "[a-zA-Z0-9:_-]{1,20}", job in "[a-zA-Z0-9_-]{1,20}|\\$next", which in 0..4usize, leg in 0..5usize, space in "[a-zA-Z0-9_-]{0,20}") {
            let request = [RequestTopic::GetPending, RequestTopic::StartNext, RequestTopic::Describe(&job), RequestTopic::Update(&job)][which];
            let kinds = [
                TopicKind::Request(request),
                TopicKind::Accepted(request),
                TopicKind::Rejected(request),
                TopicKind::Notify,
                TopicKind::NotifyNext,
            ];
            let namespace = Some(&*space).filter(|space| !space.is_empty() && (leg >= 3 || which >= 2));
            let topic = Topic { thing: &thing, namespace, kind: kinds[leg] };
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
