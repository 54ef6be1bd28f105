//! Payloads of PROTOCOL 6, 7, 8 and 19.3, parsed and printed.

use iot_jobs::instant::EpochSeconds;
use iot_jobs::wire::data_plane;
use iot_jobs::wire::payload::{encode_notification, encode_reply, encode_request, parse_notification, parse_reply, parse_request};
use iot_jobs::wire::salvage::Reading;
use iot_jobs::wire::topic::RequestTopic;
use iot_jobs::{Answer, ErrorCode, ExecutionStatus, Notification, RequestBody, RequestKind, StepTimeout};
use serde_json::Value;

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Answers of PROTOCOL 6: topic kind, accepted?, text.
const REPLIES: &[(RequestKind, bool, &str)] = &[
    (RequestKind::GetPending, true, r#"{"inProgressJobs":[],"queuedJobs":[],"timestamp":1772000000}"#),
    (
        RequestKind::GetPending,
        true,
        r#"{"inProgressJobs":[{"jobId":"fw-2026-03","queuedAt":1772000001,"lastUpdatedAt":1772000120,"startedAt":1772000060,"executionNumber":1,"versionNumber":3}],"queuedJobs":[{"jobId":"cfg-77","queuedAt":1772000090,"lastUpdatedAt":1772000090,"executionNumber":1,"versionNumber":1}],"timestamp":1772000130,"clientToken":"0f4b7a1e-2d9c-4c57-9d2f-1c3a3a5a9b10"}"#,
    ),
    (RequestKind::StartNext, true, r#"{"timestamp":1772000060}"#),
    (
        RequestKind::StartNext,
        true,
        r#"{"execution":{"jobId":"fw-2026-03","status":"IN_PROGRESS","statusDetails":{"progress":"0","step":"download"},"queuedAt":1772000001,"startedAt":1772000060,"lastUpdatedAt":1772000060,"approximateSecondsBeforeTimedOut":1800,"versionNumber":2,"executionNumber":1,"jobDocument":{"operation":"firmware","version":"2.4.1","url":"https://example-bucket.s3.amazonaws.com/fw.bin?X-Amz-Signature=abc"}},"timestamp":1772000060,"clientToken":"c-0001"}"#,
    ),
    (RequestKind::Describe, true, r#"{"timestamp":1772000100}"#),
    (RequestKind::Update, true, r#"{"timestamp":1772000200}"#),
    (
        RequestKind::Update,
        true,
        r#"{"executionState":{"status":"SUCCEEDED","statusDetails":{"fw":"2.4.1","progress":"100","step":"done"},"versionNumber":5},"jobDocument":{"operation":"firmware","version":"2.4.1"},"timestamp":1772000420,"clientToken":"c-0003"}"#,
    ),
    (RequestKind::Describe, false, r#"{"code":"ResourceNotFound","message":"job execution not found","timestamp":1772000600}"#),
    (
        RequestKind::Update,
        false,
        r#"{"code":"VersionMismatch","message":"Expected version 7 but found version 4","executionState":{"status":"IN_PROGRESS","statusDetails":{"step":"install"},"versionNumber":4},"timestamp":1772000601,"clientToken":"c-0004"}"#,
    ),
];

#[test]
fn replies_round_trip() {
    for (kind, accepted, text) in REPLIES {
        let reply = parse_reply(*kind, *accepted, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(json(&encode_reply(&reply)), json(text.as_bytes()));
    }
}

const NOTIFICATIONS: &[(bool, &str)] = &[
    (false, r#"{"timestamp":1772000500,"jobs":{}}"#),
    (
        false,
        r#"{"timestamp":1772000130,"jobs":{"IN_PROGRESS":[{"jobId":"fw-2026-03","queuedAt":1772000001,"lastUpdatedAt":1772000120,"startedAt":1772000060,"executionNumber":1,"versionNumber":3}],"QUEUED":[{"jobId":"cfg-77","queuedAt":1772000090,"lastUpdatedAt":1772000090,"executionNumber":1,"versionNumber":1}]}}"#,
    ),
    (true, r#"{"timestamp":1772000500}"#),
    (
        true,
        r#"{"timestamp":1772000002,"execution":{"jobId":"fw-2026-03","status":"QUEUED","queuedAt":1772000001,"lastUpdatedAt":1772000001,"versionNumber":1,"executionNumber":1,"jobDocument":{"operation":"firmware","version":"2.4.1"}}}"#,
    ),
];

#[test]
fn notifications_round_trip() {
    for (next, text) in NOTIFICATIONS {
        let notification = parse_notification(*next, text.as_bytes()).unwrap();
        assert_eq!(json(&encode_notification(&notification)), json(text.as_bytes()));
    }
}

#[test]
fn an_empty_queue_is_a_message_with_only_a_timestamp() {
    let notification = Notification::NextChanged { timestamp: EpochSeconds(7), execution: None };
    assert_eq!(encode_notification(&notification), br#"{"timestamp":7}"#);
}

#[test]
fn a_thing_survives_what_captures_leave_out_and_add() {
    let text = r#"{"execution":{"jobId":"j","status":"QUEUED","queuedAt":1,"lastUpdatedAt":1,"versionNumber":1,"executionNumber":1,"novel":[1]},"timestamp":1,"more":{}}"#;
    let Ok(Answer::Started(Some(execution))) = parse_reply(RequestKind::StartNext, true, text.as_bytes()).unwrap().result else {
        panic!("not a started execution");
    };
    assert_eq!((execution.thing_name, execution.started_at, execution.job_document), (None, None, None));
}

#[test]
fn requests_round_trip() {
    let cases: &[(RequestTopic<'_>, &str)] = &[
        (RequestTopic::GetPending, r#"{"clientToken":"0f4b7a1e"}"#),
        (
            RequestTopic::StartNext,
            r#"{"statusDetails":{"progress":"0","step":"download"},"stepTimeoutInMinutes":30,"clientToken":"c-0001"}"#,
        ),
        (RequestTopic::Describe("fw-2026-03"), r#"{"executionNumber":1,"includeJobDocument":false,"clientToken":"c-0002"}"#),
        (RequestTopic::Describe("$next"), r"{}"),
        (
            RequestTopic::Update("fw-2026-03"),
            r#"{"status":"SUCCEEDED","statusDetails":{"fw":"2.4.1","progress":"100"},"expectedVersion":4,"executionNumber":1,"includeJobExecutionState":true,"includeJobDocument":true,"stepTimeoutInMinutes":-1,"clientToken":"c-0003"}"#,
        ),
    ];
    for (topic, text) in cases {
        let request = parse_request(*topic, text.as_bytes()).unwrap();
        assert_eq!(json(&encode_request(&request)), json(text.as_bytes()), "{topic:?}");
    }
}

fn update(text: &str) -> Result<iot_jobs::Update, (ErrorCode, String, bool)> {
    match parse_request(RequestTopic::Update("j"), text.as_bytes()) {
        Ok(request) => match request.body {
            RequestBody::Update(update) => Ok(update),
            other => panic!("{other:?}"),
        },
        Err(refusal) => Err((refusal.rejection.code, refusal.rejection.message, refusal.client_token.is_some())),
    }
}

#[test]
fn a_version_may_be_a_number_or_a_string() {
    assert_eq!(
        update(r#"{"status":"SUCCEEDED","expectedVersion":"4","statusDetails":{"progress":"100"}}"#).unwrap().expected_version,
        Some(4)
    );
    assert_eq!(update(r#"{"status":"SUCCEEDED","expectedVersion":4}"#).unwrap().expected_version, Some(4));
    for wrong in [r#""four""#, "4.5", "true", "[4]", r#""""#] {
        let (code, _, token) =
            update(&format!(r#"{{"status":"SUCCEEDED","clientToken":"c","expectedVersion":{wrong}}}"#)).unwrap_err();
        assert_eq!((code, token), (ErrorCode::InvalidRequest, true), "{wrong}");
    }
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_code() {
    let too_many = (0..11).map(|i| format!(r#""k{i}":"v""#)).collect::<Vec<_>>().join(",");
    let too_long = "x".repeat(1025);
    let cases = [
        ("[1,2]".to_owned(), ErrorCode::InvalidJson),
        ("{\"status\"".to_owned(), ErrorCode::InvalidJson),
        ("\u{1}".to_owned(), ErrorCode::InvalidJson),
        ("{}".to_owned(), ErrorCode::InvalidRequest),
        (r#"{"status":"QUEUED"}"#.to_owned(), ErrorCode::InvalidRequest),
        (r#"{"status":"CANCELED"}"#.to_owned(), ErrorCode::InvalidRequest),
        (r#"{"status":"SUCCESS"}"#.to_owned(), ErrorCode::InvalidRequest),
        (r#"{"status":7}"#.to_owned(), ErrorCode::InvalidRequest),
        (format!(r#"{{"status":"IN_PROGRESS","statusDetails":{{{too_many}}}}}"#), ErrorCode::InvalidRequest),
        (r#"{"status":"IN_PROGRESS","statusDetails":{"log":"a\nb"}}"#.to_owned(), ErrorCode::InvalidRequest),
        (format!(r#"{{"status":"IN_PROGRESS","statusDetails":{{"k":"{too_long}"}}}}"#), ErrorCode::InvalidRequest),
        (r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":0}"#.to_owned(), ErrorCode::InvalidRequest),
        (r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":10081}"#.to_owned(), ErrorCode::InvalidRequest),
    ];
    for (text, code) in cases {
        assert_eq!(update(&text).unwrap_err().0, code, "{text}");
    }
    assert_eq!(update("{}").unwrap_err().1, "Value null at 'status' failed to satisfy constraint: Member must not be null");
    assert_eq!(update(r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":-1}"#).unwrap().step_timeout, Some(StepTimeout::Cancel));
    assert_eq!(update(r#"{"status":"IN_PROGRESS","unknown":{"a":[1]}}"#).unwrap().status, ExecutionStatus::InProgress);
}

#[test]
fn a_payload_of_zero_bytes_is_an_empty_object() {
    assert!(matches!(parse_request(RequestTopic::StartNext, b"").unwrap().body, RequestBody::StartNext(_)));
}

#[test]
fn a_value_escaped_in_json_is_read_unescaped() {
    let update = update(r#"{"status":"IN_PROGRESS","statusDetails":{"k":"a\u00e9\"b"}}"#).unwrap();
    assert_eq!(update.status_details.unwrap().get("k"), Some("aé\"b"));
}

/// Bodies of requests and answers that are no JSON object of UTF-8, whatever is in them.
const NO_OBJECTS: &[&[u8]] = &[
    b"[]",
    b" [ ]",
    br#"["c","IN_PROGRESS"]"#,
    b"\"{}\"",
    b"1",
    b"null",
    b"{",
    b"{}{}",
    b"{\"unread\":\"\xff\"}",
    b"{\"unread\":{\"deeper\":[\"\xc3\x28\"]}}",
    b"{\"\xff\":1}",
    b"{\"clientToken\":\"\xff\"}",
];

#[test]
fn what_is_no_object_of_utf_8_is_invalid_json_for_every_operation() {
    let topics = [RequestTopic::GetPending, RequestTopic::StartNext, RequestTopic::Describe("fw"), RequestTopic::Update("fw")];
    for body in NO_OBJECTS {
        let shown = String::from_utf8_lossy(body);
        for topic in topics {
            let refusal = parse_request(topic, body).unwrap_err();
            assert_eq!((refusal.rejection.code, refusal.client_token), (ErrorCode::InvalidJson, None), "{topic:?} {shown}");
        }
        for topic in [RequestTopic::StartNext, RequestTopic::Update("fw")] {
            let refusal = data_plane::parse_request(topic, |_| None, body).unwrap_err();
            assert_eq!(refusal.rejection.code, ErrorCode::InvalidJson, "{topic:?} {shown}");
        }
        for kind in [RequestKind::GetPending, RequestKind::StartNext, RequestKind::Describe, RequestKind::Update] {
            assert!(parse_reply(kind, true, body).is_err() && parse_reply(kind, false, body).is_err(), "{kind} {shown}");
            let read = data_plane::read_answer(kind, 200, None, body);
            assert!(matches!(read, Reading::Nothing(_)), "{kind} {shown}: {read:?}");
        }
        assert!(parse_notification(true, body).is_err() && parse_notification(false, body).is_err(), "{shown}");
    }
    let summary = r#"["fw",1,2,3,4,5]"#;
    assert!(parse_reply(RequestKind::GetPending, true, format!(r#"{{"queuedJobs":[{summary}]}}"#).as_bytes()).is_err());
    assert!(parse_reply(RequestKind::Update, true, br#"{"executionState":["QUEUED",null,1]}"#).is_err());
    assert!(parse_notification(false, format!(r#"{{"timestamp":1,"jobs":{{"QUEUED":[{summary}]}}}}"#).as_bytes()).is_err());
}
