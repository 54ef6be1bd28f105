//! Messages to a thing that are not as they should be (PROTOCOL 5 to 8): what can be understood of them is used, and the rest told.
//!
//! Messages as they should be are read by [`super::payload`], without a copy; only what it refuses is taken apart here.

use super::payload::{self, Carried, PayloadError};
use crate::instant::EpochSeconds;
use crate::{
    Answer, ClientToken, ErrorCode, ExecutionState, ExecutionStatus, ExecutionSummary, JobDocument, JobExecution, JobId,
    Notification, PendingJobs, Rejection, Reply, RequestKind, StatusDetails, UpdateAnswer, limits,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// Characters of what is told of a message.
const WORDS_MAX: usize = 300;

/// A message, as far as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// All of it.
    Whole(T),
    /// Enough to go by; and in words what was not understood.
    Part(T, String),
    /// Nothing to go by.
    Nothing(Unread),
}

/// A message that says nothing to a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Of the request that it answers, where one could be read.
    pub client_token: Option<ClientToken>,
    /// In words.
    pub why: String,
}

impl<T> Reading<T> {
    fn nothing(client_token: Option<ClientToken>, why: impl fmt::Display) -> Self {
        Self::Nothing(Unread { client_token, why: shortened(&why.to_string()) })
    }

    fn of(value: T, flaws: &Flaws) -> Self {
        if flaws.0.is_empty() { Self::Whole(value) } else { Self::Part(value, shortened(&flaws.0.join("; "))) }
    }
}

pub(super) fn shortened(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

/// Reads an answer found on an `accepted` or `rejected` topic of `kind`.
#[must_use]
pub fn read_reply(kind: RequestKind, accepted: bool, payload: &[u8]) -> Reading<Reply> {
    match payload::parse_reply(kind, accepted, payload) {
        Ok(reply) if is_object(payload) => Reading::Whole(reply),
        Ok(_) => Reading::nothing(None, NO_OBJECT),
        Err(error) if accepted => salvage_accepted(kind, payload, &error),
        Err(error) => salvage_rejected(payload, &error),
    }
}

/// Reads `notify-next` (`next`) or `notify`.
#[must_use]
pub fn read_notification(next: bool, payload: &[u8]) -> Reading<Notification> {
    match payload::parse_notification(next, payload) {
        Ok(notification) if is_object(payload) => Reading::Whole(notification),
        Ok(_) => Reading::nothing(None, NO_OBJECT),
        Err(error) => salvage_notification(next, payload, &error),
    }
}

/// Reads the body of an answer over HTTP to a request of `kind` that was accepted.
pub(super) fn read_http_answer(kind: RequestKind, body: &[u8]) -> Reading<Answer> {
    let error = match payload::parse_http_answer(kind, body) {
        Ok(answer) if is_object(body) => return Reading::Whole(answer),
        Ok(_) => return Reading::nothing(None, NO_OBJECT),
        Err(error) => error,
    };
    let Some(members) = Members::parse(body) else { return Reading::nothing(None, error) };
    let mut flaws = Flaws::default();
    match members.answer(kind, Carried::AsText, &mut flaws) {
        Ok(answer) => Reading::of(answer, &flaws),
        Err(why) => Reading::nothing(None, why),
    }
}

const NO_OBJECT: &str = "the payload is no JSON object";

/// Structures are read from arrays, too; AWS's messages are objects.
fn is_object(payload: &[u8]) -> bool {
    payload.trim_ascii_start().first() == Some(&b'{')
}

fn salvage_accepted(kind: RequestKind, payload: &[u8], error: &PayloadError) -> Reading<Reply> {
    let Some(members) = Members::parse(payload) else { return Reading::nothing(None, error) };
    let mut flaws = Flaws::default();
    let client_token = members.token(&mut flaws);
    let timestamp = members.seconds("timestamp", &mut flaws);
    match members.answer(kind, Carried::AsJson, &mut flaws) {
        Ok(answer) => Reading::of(Reply { client_token, timestamp, result: Ok(answer) }, &flaws),
        Err(why) => Reading::nothing(client_token, why),
    }
}

/// Its topic says that it is a refusal, whatever it holds.
fn salvage_rejected(payload: &[u8], error: &PayloadError) -> Reading<Reply> {
    let mut flaws = Flaws::default();
    let members = Members::parse(payload).unwrap_or_else(|| {
        flaws.add(error);
        Members::default()
    });
    let client_token = members.token(&mut flaws);
    let timestamp = members.seconds("timestamp", &mut flaws);
    let message = members.text("message", &mut flaws).unwrap_or_default();
    let code = members.text("code", &mut flaws);
    let code = code.as_deref().and_then(ErrorCode::parse).unwrap_or_else(|| {
        flaws.add(match code {
            Some(code) => format!("code {code:?} is not known ({message})"),
            None => format!("there is no code ({message})"),
        });
        ErrorCode::Unknown
    });
    let execution_state = members.inner("executionState", &mut flaws).and_then(|state| state.state(&mut flaws));
    let result = Err(Rejection { code, message, execution_state });
    Reading::of(Reply { client_token, timestamp, result }, &flaws)
}

fn salvage_notification(next: bool, payload: &[u8], error: &PayloadError) -> Reading<Notification> {
    let Some(members) = Members::parse(payload) else { return Reading::nothing(None, error) };
    let mut flaws = Flaws::default();
    let timestamp = members.known_seconds("timestamp", &mut flaws);
    if next {
        return match members.execution(Carried::AsJson, &mut flaws) {
            Ok(execution) => Reading::of(Notification::NextChanged { timestamp, execution }, &flaws),
            Err(why) => Reading::nothing(None, why),
        };
    }
    let mut jobs = PendingJobs::default();
    for (name, list) in members.inner("jobs", &mut flaws).iter().flat_map(|lists| &lists.0) {
        let list = summaries(list, &mut flaws).unwrap_or_else(|why| {
            flaws.add(format!("jobs.{name}: {why}"));
            Vec::new()
        });
        match ExecutionStatus::parse(name) {
            Some(ExecutionStatus::InProgress) => jobs.in_progress = list,
            Some(ExecutionStatus::Queued) => jobs.queued = list,
            _ => flaws.add(format!("jobs of status {name:?} are not pending")),
        }
    }
    Reading::of(Notification::Changed { timestamp, jobs }, &flaws)
}

/// What was not understood, in words.
#[derive(Default)]
struct Flaws(Vec<String>);

impl Flaws {
    fn add(&mut self, flaw: impl fmt::Display) {
        self.0.push(flaw.to_string());
    }
}

/// The members of an object, none of them looked at yet.
#[derive(Default)]
struct Members<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    fn parse(object: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(object).ok().map(Self)
    }

    /// `null` is as good as nothing.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().filter(|value| value.get() != "null")
    }

    /// Reads a member; what cannot be read counts as absent.
    fn read<T, E: fmt::Display>(
        &self,
        name: &str,
        flaws: &mut Flaws,
        read: impl FnOnce(&'a RawValue) -> Result<T, E>,
    ) -> Option<T> {
        match read(self.get(name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                flaws.add(format!("{name}: {error}"));
                None
            }
        }
    }

    fn text(&self, name: &str, flaws: &mut Flaws) -> Option<String> {
        self.read(name, flaws, |value| serde_json::from_str(value.get()))
    }

    fn integer(&self, name: &str, flaws: &mut Flaws) -> Option<i64> {
        self.read(name, flaws, integer)
    }

    fn seconds(&self, name: &str, flaws: &mut Flaws) -> Option<EpochSeconds> {
        self.read(name, flaws, seconds)
    }

    /// Of a member that every such message has.
    fn known_seconds(&self, name: &str, flaws: &mut Flaws) -> EpochSeconds {
        if self.get(name).is_none() {
            flaws.add(format!("there is no {name}"));
        }
        self.seconds(name, flaws).unwrap_or(EpochSeconds::UNKNOWN)
    }

    fn inner(&self, name: &str, flaws: &mut Flaws) -> Option<Self> {
        self.read(name, flaws, |value| Members::parse(value.get().as_bytes()).ok_or("it is no object"))
    }

    fn token(&self, flaws: &mut Flaws) -> Option<ClientToken> {
        self.text("clientToken", flaws).map(|token| ClientToken(token.into()))
    }

    fn document(&self, carried: Carried, flaws: &mut Flaws) -> Option<JobDocument> {
        self.read("jobDocument", flaws, |value| carried.document(value))
    }

    /// The pairs that are within the limits of PROTOCOL 3.
    fn details(&self, flaws: &mut Flaws) -> StatusDetails {
        let mut pairs = BTreeMap::new();
        for (key, value) in self.inner("statusDetails", flaws).iter().flat_map(|details| &details.0) {
            let read = serde_json::from_str::<String>(value.get()).map_err(|error| error.to_string());
            match read.and_then(|value| StatusDetails::new([(&**key, &*value)]).map(|_| value).map_err(|error| error.to_string())) {
                Ok(_) if pairs.len() == limits::STATUS_DETAILS_PAIRS_MAX => flaws.add("statusDetails: too many pairs"),
                Ok(value) => _ = pairs.insert(key.clone(), value),
                Err(why) => flaws.add(format!("statusDetails: {key:?}: {why}")),
            }
        }
        StatusDetails::new(pairs).unwrap_or_default()
    }

    /// What an answer to a request of `kind` holds.
    fn answer(&self, kind: RequestKind, carried: Carried, flaws: &mut Flaws) -> Result<Answer, String> {
        Ok(match kind {
            RequestKind::StartNext => Answer::Started(self.execution(carried, flaws)?),
            RequestKind::Describe => Answer::Described(self.execution(carried, flaws)?),
            RequestKind::GetPending => Answer::Pending(PendingJobs {
                in_progress: self.summaries("inProgressJobs", flaws)?,
                queued: self.summaries("queuedJobs", flaws)?,
            }),
            RequestKind::Update => Answer::Updated(UpdateAnswer {
                execution_state: self.inner("executionState", flaws).and_then(|state| state.state(flaws)),
                job_document: self.document(carried, flaws),
            }),
        })
    }

    /// `execution`: none is an answer, too, and one that cannot be told from others is no answer.
    fn execution(&self, carried: Carried, flaws: &mut Flaws) -> Result<Option<Box<JobExecution>>, String> {
        let Some(execution) = self.get("execution") else { return Ok(None) };
        let members = Members::parse(execution.get().as_bytes()).ok_or("execution: it is no object")?;
        let (status, version) = (members.status(flaws), members.integer("versionNumber", flaws));
        let (Some((job_id, execution_number)), Some(status), Some(version_number)) = (members.key(flaws), status, version) else {
            flaws.add("an execution needs jobId, status, versionNumber and executionNumber");
            return Err(flaws.0.join("; "));
        };
        Ok(Some(Box::new(JobExecution {
            job_id,
            // Topic or connection say whose it is.
            thing_name: None,
            status,
            status_details: members.details(flaws),
            queued_at: members.known_seconds("queuedAt", flaws),
            started_at: members.seconds("startedAt", flaws),
            last_updated_at: members.known_seconds("lastUpdatedAt", flaws),
            approximate_seconds_before_timed_out: members.integer("approximateSecondsBeforeTimedOut", flaws),
            version_number,
            execution_number,
            job_document: members.document(carried, flaws),
        })))
    }

    /// Which execution it is.
    fn key(&self, flaws: &mut Flaws) -> Option<(JobId, i64)> {
        let job = self.text("jobId", flaws)?;
        let job = JobId::new(&job).map_err(|error| flaws.add(format!("jobId: {error}"))).ok()?;
        Some((job, self.integer("executionNumber", flaws)?))
    }

    fn status(&self, flaws: &mut Flaws) -> Option<ExecutionStatus> {
        let status = self.text("status", flaws)?;
        let known = ExecutionStatus::parse(&status);
        if known.is_none() {
            flaws.add(format!("status {status:?} is not known"));
        }
        known
    }

    fn state(&self, flaws: &mut Flaws) -> Option<ExecutionState> {
        let (status, version_number) = (self.status(flaws), self.integer("versionNumber", flaws));
        let (Some(status), Some(version_number)) = (status, version_number) else {
            flaws.add("executionState needs status and versionNumber");
            return None;
        };
        Some(ExecutionState { status, status_details: self.details(flaws), version_number })
    }

    fn summaries(&self, name: &str, flaws: &mut Flaws) -> Result<Vec<ExecutionSummary>, String> {
        let list = self.get(name).map(|list| summaries(list, flaws)).transpose();
        list.map(Option::unwrap_or_default).map_err(|why| format!("{name}: {why}"))
    }
}

/// Those of a list that can be told from others.
fn summaries(list: &RawValue, flaws: &mut Flaws) -> Result<Vec<ExecutionSummary>, String> {
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|error| error.to_string())?;
    let mut summaries = Vec::with_capacity(items.len());
    for item in items {
        let Some(members) = Members::parse(item.get().as_bytes()) else {
            flaws.add("an execution of the list is no object");
            continue;
        };
        let Some((job_id, execution_number)) = members.key(flaws) else {
            flaws.add("an execution of the list needs jobId and executionNumber");
            continue;
        };
        summaries.push(ExecutionSummary {
            job_id,
            queued_at: members.known_seconds("queuedAt", flaws),
            started_at: members.seconds("startedAt", flaws),
            last_updated_at: members.known_seconds("lastUpdatedAt", flaws),
            version_number: members.integer("versionNumber", flaws).unwrap_or_default(),
            execution_number,
        });
    }
    Ok(summaries)
}

/// A number, or a string that holds one: services and guides quote them (PROTOCOL 2 fact 9).
fn unquoted(value: &RawValue) -> &str {
    let text = value.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn integer(value: &RawValue) -> Result<i64, String> {
    let text = unquoted(value);
    let of_float = || text.parse::<f64>().ok().filter(|number| number.fract() == 0.0).map(|number| number as i64);
    text.parse().ok().or_else(of_float).ok_or_else(|| format!("{} is no integer", shortened(value.get())))
}

/// Fractions occur, as on the control plane (PROTOCOL 2 fact 1), and say nothing to a thing.
fn seconds(value: &RawValue) -> Result<EpochSeconds, String> {
    let text = unquoted(value);
    let of_float = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number as i64);
    let seconds = text.parse().ok().or_else(of_float);
    seconds.map(EpochSeconds).ok_or_else(|| format!("{} is no time", shortened(value.get())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""clientToken":"c","timestamp":1"#;
    const EXECUTION: &str =
        r#""jobId":"fw","status":"QUEUED","queuedAt":1,"lastUpdatedAt":1,"versionNumber":3,"executionNumber":1"#;

    fn started(execution: &str) -> Reading<Reply> {
        read_reply(RequestKind::StartNext, true, format!("{{{HEAD},\"execution\":{{{execution}}}}}").as_bytes())
    }

    fn refused(body: &str) -> Reading<Reply> {
        read_reply(RequestKind::Update, false, body.as_bytes())
    }

    #[track_caller]
    fn part<T: fmt::Debug>(reading: Reading<T>, flaw: &str) -> T {
        let Reading::Part(value, words) = reading else { panic!("{flaw}: {reading:?}") };
        assert!(words.contains(flaw), "{flaw}: {words}");
        value
    }

    #[track_caller]
    fn nothing<T: fmt::Debug>(reading: Reading<T>) -> Unread {
        let Reading::Nothing(unread) = reading else { panic!("{reading:?}") };
        unread
    }

    #[track_caller]
    fn execution(reply: Reply) -> Box<JobExecution> {
        assert_eq!(reply.client_token, Some(ClientToken("c".into())));
        let Ok(Answer::Started(Some(execution))) = reply.result else { panic!("{reply:?}") };
        assert_eq!((execution.job_id.as_str(), execution.version_number, execution.execution_number), ("fw", 3, 1));
        execution
    }

    #[test]
    fn what_an_execution_can_do_without_is_told_and_the_rest_is_used() {
        for (from, to, flaw) in [
            (r#""queuedAt":1,"#, "", "no queuedAt"),
            (r#""queuedAt":1"#, r#""queuedAt":"soon""#, "queuedAt: \"soon\" is no time"),
            (r#""lastUpdatedAt":1,"#, "", "no lastUpdatedAt"),
            (r#""jobId""#, r#""statusDetails":{"a":"","b":"c"},"jobId""#, "statusDetails: \"a\""),
            (r#""jobId""#, r#""statusDetails":{"a":5,"b":"c"},"jobId""#, "statusDetails: \"a\""),
            (r#""jobId""#, r#""statusDetails":[1],"jobId""#, "statusDetails: it is no object"),
            (r#""jobId""#, r#""startedAt":{},"jobId""#, "startedAt"),
            (r#""jobId""#, r#""approximateSecondsBeforeTimedOut":1.5,"jobId""#, "approximateSecondsBeforeTimedOut"),
        ] {
            let execution = execution(part(started(&EXECUTION.replace(from, to)), flaw));
            if to.contains("\"b\"") {
                assert_eq!(execution.status_details.get("b"), Some("c"), "{to}");
            }
        }
        let untimed = execution(part(started(&EXECUTION.replace(r#""queuedAt":1,"#, "")), "queuedAt"));
        assert_eq!(untimed.queued_at, EpochSeconds::UNKNOWN);
    }

    #[test]
    fn numbers_may_be_quoted_and_times_may_have_fractions() {
        for (from, to) in [
            (r#""versionNumber":3"#, r#""versionNumber":"3""#),
            (r#""versionNumber":3"#, r#""versionNumber":3.0"#),
            (r#""executionNumber":1"#, r#""executionNumber":"1""#),
            (r#""queuedAt":1"#, r#""queuedAt":1.389"#),
            (r#""queuedAt":1"#, r#""queuedAt":"1""#),
        ] {
            let Reading::Whole(reply) = started(&EXECUTION.replace(from, to)) else { panic!("{to}") };
            assert_eq!(execution(reply).queued_at, EpochSeconds(1), "{to}");
        }
    }

    #[test]
    fn an_execution_that_cannot_be_told_from_others_is_no_answer_and_never_an_empty_one() {
        for (from, to) in [
            (r#""jobId":"fw","#, ""),
            (r#""jobId":"fw""#, r#""jobId":"a b""#),
            (r#""status":"QUEUED""#, r#""status":"WAITING""#),
            (r#""versionNumber":3,"#, ""),
            (r#""versionNumber":3"#, r#""versionNumber":"three""#),
            (r#","executionNumber":1"#, ""),
        ] {
            let unread = nothing(started(&EXECUTION.replace(from, to)));
            assert_eq!(unread.client_token, Some(ClientToken("c".into())), "{to}: {}", unread.why);
        }
        for payload in ["", "{", "[]", "null", "\"x\"", "[null,null,null,null,null,null,null,null,null]"] {
            let unread = nothing(read_reply(RequestKind::StartNext, true, payload.as_bytes()));
            assert!(unread.client_token.is_none() && !unread.why.is_empty(), "{payload}");
        }
        nothing(read_reply(RequestKind::StartNext, true, b"{\"execution\":[]}"));
        assert!(matches!(read_reply(RequestKind::StartNext, true, b"{}"), Reading::Whole(_)), "nothing is pending");
    }

    #[test]
    fn a_refusal_is_one_whatever_it_says() {
        for (body, flaw) in [
            (r#"{"code":"Tired","message":"later","clientToken":"c"}"#, r#"code "Tired" is not known (later)"#),
            (r#"{"message":"later","clientToken":"c"}"#, "no code (later)"),
            (r#"{"code":7,"clientToken":"c"}"#, "code: "),
            ("<html>", "parse the payload"),
            ("[]", "parse the payload"),
        ] {
            let reply = part(refused(body), flaw);
            let Err(rejection) = reply.result else { panic!("{body}") };
            assert_eq!(rejection.code, ErrorCode::Unknown, "{body}");
            assert_eq!(reply.client_token.is_some(), body.contains("clientToken"), "{body}");
        }
        let state = r#"{"code":"VersionMismatch","executionState":{"status":"IN_PROGRESS","versionNumber":"4"},"clientToken":5}"#;
        let reply = part(refused(state), "clientToken");
        let Err(Rejection { code, execution_state: Some(state), .. }) = reply.result else { panic!("{:?}", reply.result) };
        assert_eq!((code, state.version_number), (ErrorCode::VersionMismatch, 4));
    }

    #[test]
    fn lists_lose_only_what_cannot_be_read() {
        let good = r#"{"jobId":"fw","queuedAt":1,"lastUpdatedAt":1,"versionNumber":1,"executionNumber":1}"#;
        let pending =
            |list: &str| read_reply(RequestKind::GetPending, true, format!("{{{HEAD},\"queuedJobs\":{list}}}").as_bytes());
        let reply = part(pending(&format!("[5,{good},{{\"jobId\":\"a b\"}}]")), "jobId");
        let Ok(Answer::Pending(jobs)) = reply.result else { panic!("{:?}", reply.result) };
        assert_eq!(jobs.queued.len(), 1);
        nothing(pending("{}"));
        let notify = format!(r#"{{"timestamp":1,"jobs":{{"QUEUED":[{good}],"DONE":[],"IN_PROGRESS":5}}}}"#);
        let Notification::Changed { jobs, .. } = part(read_notification(false, notify.as_bytes()), "DONE") else { panic!() };
        assert_eq!((jobs.queued.len(), jobs.in_progress.len()), (1, 0));
    }

    #[test]
    fn notifications_without_a_time_are_heard_and_those_without_sense_are_not() {
        let next = format!("{{\"execution\":{{{EXECUTION}}}}}");
        let heard = part(read_notification(true, next.as_bytes()), "timestamp");
        assert!(matches!(heard, Notification::NextChanged { execution: Some(_), .. }));
        for payload in ["{", "[1,null,null]", "{\"timestamp\":1,\"execution\":\"fw\"}"] {
            nothing(read_notification(true, payload.as_bytes()));
        }
    }

    #[test]
    fn what_comes_over_http_is_read_the_same_way() {
        let read = |body: &str| read_http_answer(RequestKind::StartNext, body.as_bytes());
        let answer = part(read(&format!("{{\"execution\":{{{EXECUTION},\"jobDocument\":\"{{\"}}}}")), "jobDocument");
        assert!(matches!(answer, Answer::Started(Some(execution)) if execution.job_document.is_none()));
        let unquoted = EXECUTION.replace(r#""versionNumber":3"#, r#""versionNumber":"3""#);
        assert!(matches!(read(&format!("{{\"execution\":{{{unquoted}}}}}")), Reading::Whole(_)));
        for body in ["", "<html>", "[]", "{\"execution\":5}"] {
            nothing(read(body));
        }
        let part_of_update = part(read_http_answer(RequestKind::Update, br#"{"executionState":5}"#), "executionState");
        assert_eq!(part_of_update, Answer::Updated(UpdateAnswer::default()));
    }
}
