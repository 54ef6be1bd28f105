//! The data plane over HTTP: request lines, bodies and status codes (PROTOCOL 10). What the members mean stands in [`payload`], for
//! every way in.

use super::control;
use super::payload::{self, Form, Refusal, RequestFields, serialize_answer, to_bytes};
use super::salvage::{self, Reading};
use super::topic::{NEXT, RequestTopic};
use crate::{Answer, ErrorCode, JobRef, Rejection, Reply, Request, RequestBody, RequestKind, ThingName};
use http::Method;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Signing name of the data plane (PROTOCOL 12.3).
pub const SIGNING_NAME: &str = "iot-jobs-data";

/// What a request line asks for. Names are as found, maybe not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// `{thingName}` of the path.
    pub thing: &'a str,
    /// Method and rest of the path.
    pub operation: RequestTopic<'a>,
}

/// The operation of a request line; `path` is in segments, each percent-decoded, so that `$next` and `%24next` are one.
#[must_use]
pub fn parse_call<'a>(method: &str, path: &[&'a str]) -> Option<Call<'a>> {
    let ["things", thing, "jobs", rest @ ..] = path else { return None };
    let operation = match (method, rest) {
        ("GET", []) => RequestTopic::GetPending,
        ("PUT", [NEXT]) => RequestTopic::StartNext,
        ("GET", [job]) => RequestTopic::Describe(job),
        ("POST", [job]) => RequestTopic::Update(job),
        _ => return None,
    };
    Some(Call { thing, operation })
}

/// Parses the rest of a request. `parameter` looks into the query; the body of a GET says nothing.
///
/// # Errors
/// As [`payload::parse_request`], never with a client token: there is none over HTTP.
pub fn parse_request<'a>(
    operation: RequestTopic<'_>,
    parameter: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
) -> Result<Request, Refusal> {
    let body = match operation {
        RequestTopic::GetPending => payload::request_body(operation, RequestFields::default()),
        RequestTopic::Describe(_) => describe_fields(parameter).and_then(|fields| payload::request_body(operation, fields)),
        RequestTopic::StartNext | RequestTopic::Update(_) => {
            return payload::parse_request(operation, body)
                .map(|request| Request { client_token: None, ..request })
                .map_err(|refusal| Refusal { client_token: None, ..refusal });
        }
    };
    let refuse = |message| Refusal { client_token: None, rejection: Rejection::new(ErrorCode::InvalidRequest, message) };
    body.map(|body| Request { client_token: None, body }).map_err(refuse)
}

fn describe_fields<'a>(parameter: impl Fn(&str) -> Option<&'a str>) -> Result<RequestFields<'static>, String> {
    let flag = |text: &str| text.parse().map_err(|_| format!("includeJobDocument must be true or false, not {text:?}"));
    let number = |text: &str| text.parse().map_err(|_| format!("executionNumber must be an integer, not {text:?}"));
    let include_job_document = parameter("includeJobDocument").map(flag).transpose()?;
    Ok(RequestFields::of_describe(parameter("executionNumber").map(number).transpose()?, include_job_document))
}

/// An answer as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// `x-amzn-ErrorType`.
    pub error_type: Option<&'static str>,
    /// JSON.
    pub body: Vec<u8>,
}

/// Status and `x-amzn-ErrorType` of a refusal (PROTOCOL 10.2). The model has no name for a version conflict, and none for a body
/// that is no JSON (both inferred).
#[must_use]
pub fn error_status(code: ErrorCode) -> (u16, &'static str) {
    match code {
        ErrorCode::InvalidTopic => (404, "UnknownOperationException"),
        ErrorCode::InvalidJson | ErrorCode::InvalidRequest => (400, "InvalidRequestException"),
        ErrorCode::ResourceNotFound => (404, "ResourceNotFoundException"),
        ErrorCode::InvalidStateTransition | ErrorCode::VersionMismatch => (409, "InvalidStateTransitionException"),
        ErrorCode::TerminalStateReached => (410, "TerminalStateException"),
        ErrorCode::RequestThrottled => (429, "ThrottlingException"),
        ErrorCode::InternalError | ErrorCode::Unknown => (503, "ServiceUnavailableException"),
    }
}

struct AnswerOut<'a>(&'a Answer, Form<'a>);

impl Serialize for AnswerOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        serialize_answer(&mut map, self.0, self.1)?;
        map.end()
    }
}

/// The answer to a request of `thing`.
#[must_use]
pub fn encode_reply(thing: &ThingName, reply: &Reply) -> HttpAnswer {
    match &reply.result {
        Ok(answer) => {
            HttpAnswer { status: 200, error_type: None, body: to_bytes(&AnswerOut(answer, Form::Http { thing: thing.as_str() })) }
        }
        Err(rejection) => {
            let (status, error_type) = error_status(rejection.code);
            HttpAnswer { status, error_type: Some(error_type), body: control::encode_error(&rejection.message) }
        }
    }
}

/// A request as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `PUT` or `POST` (PROTOCOL 10.1).
    pub method: Method,
    /// With the query.
    pub path: String,
    /// JSON; empty where the operation has no body.
    pub body: Vec<u8>,
}

/// A request of `thing`; members and parameters that equal their default are left out.
#[must_use]
pub fn encode_request(thing: &ThingName, request: &Request) -> HttpRequest {
    let jobs = format!("/things/{thing}/jobs");
    let call = |method, path| HttpRequest { method, path, body: Vec::new() };
    let with_body = |method, path| {
        let body = payload::encode_request(&Request { client_token: None, body: request.body.clone() });
        HttpRequest { method, path, body }
    };
    match &request.body {
        RequestBody::GetPending => call(Method::GET, jobs),
        RequestBody::StartNext(_) => with_body(Method::PUT, format!("{jobs}/{NEXT}")),
        RequestBody::Update(update) => with_body(Method::POST, format!("{jobs}/{}", update.job_id)),
        RequestBody::Describe(describe) => {
            let job = match &describe.job {
                JobRef::Next => NEXT,
                JobRef::Id(job) => job.as_str(),
            };
            let number = describe.execution_number.map(|number| format!("executionNumber={number}"));
            let document = (!describe.include_job_document).then(|| "includeJobDocument=false".to_owned());
            let query: Vec<String> = number.into_iter().chain(document).collect();
            let mark = if query.is_empty() { "" } else { "?" };
            call(Method::GET, format!("{jobs}/{job}{mark}{}", query.join("&")))
        }
    }
}

/// Whether the service did not even look at the request, since who asked may not ask (PROTOCOL 10.2).
#[must_use]
pub fn is_forbidden(status: u16, error_type: Option<&str>) -> bool {
    matches!(status, 401 | 403) || error_type.is_some_and(|name| name_of(name) == "CertificateValidationException")
}

/// Reads the answer to a request of `kind` as far as it can be understood: its status, the value of `x-amzn-ErrorType`, its body.
#[must_use]
pub fn read_answer(kind: RequestKind, status: u16, error_type: Option<&str>, body: &[u8]) -> Reading<Result<Answer, Rejection>> {
    if (200..300).contains(&status) {
        return match salvage::read_http_answer(kind, body) {
            Reading::Whole(answer) => Reading::Whole(Ok(answer)),
            Reading::Part(answer, flaws) => Reading::Part(Ok(answer), flaws),
            Reading::Nothing(unread) => Reading::Nothing(unread),
        };
    }
    let rejection = rejection(status, error_type, body);
    let is_known = match error_type.map(name_of) {
        Some(name) => code_of_name(name).is_some(),
        None => rejection.code != ErrorCode::Unknown,
    };
    if is_known {
        return Reading::Whole(Err(rejection));
    }
    let name = error_type.unwrap_or("without an error type");
    let flaw = format!("{status} {name} is no error of the operation ({})", rejection.message);
    Reading::Part(Err(rejection), salvage::shortened(&flaw))
}

fn rejection(status: u16, error_type: Option<&str>, body: &[u8]) -> Rejection {
    let message = control::parse_error(body).unwrap_or_else(|| format!("{status} without a message"));
    Rejection::new(error_code(status, error_type), message)
}

/// Clients cut anything after a colon (PROTOCOL 10.2), and a namespace before a `#`.
fn name_of(error_type: &str) -> &str {
    let name = error_type.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}

/// The code that a thing would have been given over MQTT, as far as HTTP tells: a version conflict has no name of its own.
fn error_code(status: u16, error_type: Option<&str>) -> ErrorCode {
    error_type.map(name_of).and_then(code_of_name).unwrap_or(match status {
        400 => ErrorCode::InvalidRequest,
        404 => ErrorCode::ResourceNotFound,
        409 => ErrorCode::InvalidStateTransition,
        410 => ErrorCode::TerminalStateReached,
        429 => ErrorCode::RequestThrottled,
        500.. => ErrorCode::InternalError,
        _ => ErrorCode::Unknown,
    })
}

fn code_of_name(name: &str) -> Option<ErrorCode> {
    Some(match name {
        "InvalidRequestException" => ErrorCode::InvalidRequest,
        "UnknownOperationException" => ErrorCode::InvalidTopic,
        "ResourceNotFoundException" => ErrorCode::ResourceNotFound,
        "InvalidStateTransitionException" => ErrorCode::InvalidStateTransition,
        "TerminalStateException" => ErrorCode::TerminalStateReached,
        "ThrottlingException" => ErrorCode::RequestThrottled,
        "ServiceUnavailableException" | "InternalFailureException" => ErrorCode::InternalError,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::EpochSeconds;
    use crate::{
        ClientToken, Describe, ExecutionStatus, JobDocument, JobExecution, JobId, PendingJobs, StartNext, StatusDetails, Update,
        UpdateAnswer,
    };
    use serde_json::{Value, json};

    fn thing() -> ThingName {
        ThingName::new("meter-0001").unwrap()
    }

    fn encoded(result: Result<Answer, Rejection>) -> (u16, Option<&'static str>, Value) {
        let reply = Reply { client_token: None, timestamp: None, result };
        let HttpAnswer { status, error_type, body } = encode_reply(&thing(), &reply);
        (status, error_type, serde_json::from_slice(&body).unwrap())
    }

    fn parsed(operation: RequestTopic<'_>, query: &[(&str, &'static str)], body: &str) -> Result<RequestBody, String> {
        let parameter = |name: &str| query.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match parse_request(operation, parameter, body.as_bytes()) {
            Ok(request) => Ok(request.body),
            Err(refusal) => Err(format!("{} {}", refusal.rejection.code, refusal.rejection.message)),
        }
    }

    #[test]
    fn the_four_operations_by_method_and_path() {
        let call = |method: &str, path: &'static str| {
            let path: Vec<&str> = path.split('/').collect();
            parse_call(method, &path).map(|call| (call.thing, call.operation))
        };
        assert_eq!(call("GET", "things/t/jobs"), Some(("t", RequestTopic::GetPending)));
        assert_eq!(call("PUT", "things/t/jobs/$next"), Some(("t", RequestTopic::StartNext)));
        assert_eq!(call("GET", "things/t/jobs/$next"), Some(("t", RequestTopic::Describe("$next"))));
        assert_eq!(call("GET", "things/t/jobs/fw"), Some(("t", RequestTopic::Describe("fw"))));
        assert_eq!(call("POST", "things/t/jobs/fw"), Some(("t", RequestTopic::Update("fw"))));
        for (method, path) in [
            ("PUT", "things/t/jobs/fw"),
            ("DELETE", "things/t/jobs/fw"),
            ("GET", "things/t"),
            ("GET", "things/t/jobs/fw/x"),
            ("GET", ""),
        ] {
            assert_eq!(call(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn what_a_describe_asks_for_stands_in_its_query() {
        let describe = |query: &[(&str, &'static str)]| parsed(RequestTopic::Describe("$next"), query, "not even JSON");
        let expected = |execution_number, include_job_document| {
            Ok(RequestBody::Describe(Describe { job: JobRef::Next, execution_number, include_job_document }))
        };
        assert_eq!(describe(&[]), expected(None, true));
        assert_eq!(
            describe(&[("includeJobDocument", "false"), ("executionNumber", "7"), ("other", "x")]),
            expected(Some(7), false)
        );
        for (name, value) in [("includeJobDocument", "yes"), ("executionNumber", "one"), ("executionNumber", "")] {
            let refusal = describe(&[(name, value)]).unwrap_err();
            assert!(refusal.starts_with("InvalidRequest") && refusal.contains(name), "{refusal}");
        }
    }

    #[test]
    fn bodies_are_those_of_mqtt_without_a_client_token() {
        let body = r#"{"status":"SUCCEEDED","clientToken":"c"}"#;
        let request = parse_request(RequestTopic::Update("fw"), |_| None, body.as_bytes()).unwrap();
        assert!(request.client_token.is_none() && matches!(request.body, RequestBody::Update(_)));
        let refusal = parse_request(RequestTopic::Update("fw"), |_| None, br#"{"clientToken":"c"}"#).unwrap_err();
        assert_eq!((refusal.client_token, refusal.rejection.code), (None, ErrorCode::InvalidRequest));
        assert!(parsed(RequestTopic::StartNext, &[], "").is_ok(), "no body is an empty one");
        assert!(parsed(RequestTopic::StartNext, &[], "{").unwrap_err().starts_with("InvalidJson"));
        assert!(parsed(RequestTopic::Update("$next"), &[], r#"{"status":"FAILED"}"#).unwrap_err().starts_with("InvalidRequest"));
    }

    #[test]
    fn answers_are_as_in_the_reference() {
        let execution = JobExecution {
            job_id: JobId::new("fw-2026-03").unwrap(),
            thing_name: None,
            status: ExecutionStatus::Queued,
            status_details: StatusDetails::default(),
            queued_at: EpochSeconds(1_772_000_001),
            started_at: None,
            last_updated_at: EpochSeconds(1_772_000_001),
            approximate_seconds_before_timed_out: None,
            version_number: 1,
            execution_number: 1,
            job_document: Some(JobDocument::from_valid_json(r#"{"operation":"firmware","version":"2.4.1"}"#)),
        };
        let shown = json!({"execution": {
            "jobId": "fw-2026-03", "thingName": "meter-0001", "status": "QUEUED", "queuedAt": 1_772_000_001,
            "lastUpdatedAt": 1_772_000_001, "versionNumber": 1, "executionNumber": 1,
            "jobDocument": r#"{"operation":"firmware","version":"2.4.1"}"#,
        }});
        assert_eq!(encoded(Ok(Answer::Described(Some(Box::new(execution))))), (200, None, shown));
        assert_eq!(encoded(Ok(Answer::Started(None))), (200, None, json!({})));
        assert_eq!(
            encoded(Ok(Answer::Pending(PendingJobs::default()))),
            (200, None, json!({"inProgressJobs": [], "queuedJobs": []}))
        );
        let document = Some(JobDocument::from_valid_json("{}"));
        assert_eq!(
            encoded(Ok(Answer::Updated(UpdateAnswer { execution_state: None, job_document: document }))),
            (200, None, json!({"jobDocument": "{}"}))
        );
        assert_eq!(encoded(Ok(Answer::Updated(UpdateAnswer::default()))), (200, None, json!({})));
    }

    #[test]
    fn each_code_has_its_status_and_name() {
        for (code, status, name) in [
            (ErrorCode::InvalidJson, 400, "InvalidRequestException"),
            (ErrorCode::InvalidRequest, 400, "InvalidRequestException"),
            (ErrorCode::ResourceNotFound, 404, "ResourceNotFoundException"),
            (ErrorCode::InvalidStateTransition, 409, "InvalidStateTransitionException"),
            (ErrorCode::VersionMismatch, 409, "InvalidStateTransitionException"),
            (ErrorCode::TerminalStateReached, 410, "TerminalStateException"),
            (ErrorCode::RequestThrottled, 429, "ThrottlingException"),
            (ErrorCode::InternalError, 503, "ServiceUnavailableException"),
        ] {
            assert_eq!(encoded(Err(Rejection::new(code, "why"))), (status, Some(name), json!({"message": "why"})), "{code}");
        }
    }

    #[test]
    fn what_a_thing_asks_for_is_what_the_service_reads() {
        let update = Update {
            job_id: JobId::new("fw").unwrap(),
            status: ExecutionStatus::InProgress,
            status_details: Some(StatusDetails::new([("progress", "40")]).unwrap()),
            expected_version: Some(2),
            execution_number: Some(1),
            include_execution_state: false,
            include_job_document: false,
            step_timeout: None,
        };
        let describe = |job, execution_number, include_job_document| {
            RequestBody::Describe(Describe { job, execution_number, include_job_document })
        };
        let bodies = [
            ("GET", "/things/meter-0001/jobs", RequestBody::GetPending),
            ("PUT", "/things/meter-0001/jobs/$next", RequestBody::StartNext(StartNext::default())),
            ("GET", "/things/meter-0001/jobs/$next?includeJobDocument=false", describe(JobRef::Next, None, false)),
            ("GET", "/things/meter-0001/jobs/fw?executionNumber=7", describe(JobRef::Id(JobId::new("fw").unwrap()), Some(7), true)),
            ("POST", "/things/meter-0001/jobs/fw", RequestBody::Update(update)),
        ];
        for (method, path, body) in bodies {
            let request = Request { client_token: Some(ClientToken("t".into())), body };
            let sent = encode_request(&thing(), &request);
            assert_eq!((sent.method.as_str(), &*sent.path), (method, path));
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            let call = parse_call(method, &segments).unwrap();
            let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            let read = parse_request(call.operation, parameter, &sent.body).unwrap();
            assert_eq!((read.body, read.client_token), (request.body, None));
        }
    }

    #[test]
    fn what_the_service_answers_is_what_a_thing_reads() {
        let execution = |document: &str| JobExecution {
            job_id: JobId::new("fw").unwrap(),
            thing_name: Some(thing()),
            status: ExecutionStatus::InProgress,
            status_details: StatusDetails::default(),
            queued_at: EpochSeconds(1),
            started_at: Some(EpochSeconds(2)),
            last_updated_at: EpochSeconds(3),
            approximate_seconds_before_timed_out: None,
            version_number: 2,
            execution_number: 1,
            job_document: Some(JobDocument::from_valid_json(document)),
        };
        for (kind, answer) in [
            (RequestKind::StartNext, Answer::Started(Some(Box::new(execution(r#"{"a":"\"b\""}"#))))),
            (RequestKind::Describe, Answer::Described(None)),
            (RequestKind::GetPending, Answer::Pending(PendingJobs::default())),
            (RequestKind::Update, Answer::Updated(UpdateAnswer::default())),
        ] {
            let HttpAnswer { status, error_type, body } =
                encode_reply(&thing(), &Reply { client_token: None, timestamp: None, result: Ok(answer.clone()) });
            assert_eq!(read_answer(kind, status, error_type, &body), Reading::Whole(Ok(answer)));
        }
        let unread = br#"{"execution":{"jobId":"fw","status":"QUEUED","queuedAt":1,"lastUpdatedAt":1,"versionNumber":1,"executionNumber":1,"jobDocument":"{"}}"#;
        let unread = read_answer(RequestKind::StartNext, 200, None, unread);
        assert!(matches!(unread, Reading::Part(Ok(_), _)), "a document that is no JSON: {unread:?}");
        assert!(matches!(read_answer(RequestKind::StartNext, 200, None, b"<html>"), Reading::Nothing(_)));
    }

    #[test]
    fn refusals_are_told_by_name_or_by_status() {
        let code = |status, name| match read_answer(RequestKind::Update, status, name, br#"{"message":"why"}"#) {
            Reading::Whole(Err(rejection)) | Reading::Part(Err(rejection), _) => (rejection.code, rejection.message),
            other => panic!("{status} {name:?}: {other:?}"),
        };
        for known in ErrorCode::of_service() {
            let (status, name) = error_status(known);
            let told = match known {
                ErrorCode::InvalidJson => ErrorCode::InvalidRequest,
                ErrorCode::VersionMismatch => ErrorCode::InvalidStateTransition,
                same => same,
            };
            assert_eq!(code(status, Some(name)), (told, "why".into()));
        }
        assert_eq!(code(409, Some("InvalidStateTransitionException:http://x")).0, ErrorCode::InvalidStateTransition);
        assert_eq!(code(409, Some("com.amazonaws.iot#InvalidStateTransitionException")).0, ErrorCode::InvalidStateTransition);
        assert_eq!(
            code(409, Some("ConflictException")).0,
            ErrorCode::InvalidStateTransition,
            "an unknown name says less than the status"
        );
        assert_eq!(code(502, None).0, ErrorCode::InternalError);
        assert_eq!(code(429, None).0, ErrorCode::RequestThrottled);
        assert_eq!(code(400, Some("SomethingElse")).0, ErrorCode::InvalidRequest);
        assert_eq!(code(302, None).0, ErrorCode::Unknown);
        for (status, name, flaw) in [
            (400, Some("SomethingElse"), "400 SomethingElse is no error of the operation (why)"),
            (302, None, "302 without an error type is no error of the operation (why)"),
        ] {
            let reading = read_answer(RequestKind::Update, status, name, br#"{"message":"why"}"#);
            assert!(matches!(&reading, Reading::Part(Err(_), words) if words == flaw), "{reading:?}");
        }
        assert!(is_forbidden(403, None) && is_forbidden(400, Some("CertificateValidationException")));
        assert!(!is_forbidden(404, Some("ResourceNotFoundException")));
    }
}
