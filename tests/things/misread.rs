//! Answers that are not as they should be: what is understood of them is used, the rest is an error of what was asked, at once.

use crate::odd::{Met, Tls, meet_as, operation, packet, send, welcome};

const PUBLISH_QOS_1: u8 = 0x32;
/// An answer that does not count would be waited for until the end.
const PATIENT: &str = "fleet.timeouts.answer='20s'";
const SHORT: &str = "end.duration='1500ms'";

const WHOLE: &str = r#"{"clientToken":"TOKEN","timestamp":1,"execution":{"jobId":"fw","status":"IN_PROGRESS","queuedAt":1,"lastUpdatedAt":1,"versionNumber":2,"executionNumber":1}}"#;

/// What is to come of an answer.
#[derive(Clone, Copy)]
enum Means {
    /// The execution is taken up.
    Work,
    /// It is refused.
    No,
    /// Nothing.
    Nothing,
}

/// The answer to what was asked, whether it is accepted, what comes of it, and the code and words of its error.
type Row = (String, bool, Means, &'static str, &'static str);

fn rows() -> Vec<Row> {
    let but = |from: &str, to: &str| WHOLE.replace(from, to);
    vec![
        (but(r#""versionNumber":2"#, r#""versionNumber":"2""#), true, Means::Work, "", ""),
        (but(r#""queuedAt":1,"#, ""), true, Means::Work, "part", "no queuedAt"),
        (but(r#""jobId""#, r#""statusDetails":{"a":""},"jobId""#), true, Means::Work, "part", "statusDetails"),
        (but(r#""executionNumber":1"#, r#""executionNumber":null"#), true, Means::Nothing, "payload", "executionNumber"),
        (but(r#""status":"IN_PROGRESS""#, r#""status":"BUSY""#), true, Means::Nothing, "payload", "\"BUSY\""),
        ("<html>".to_owned(), true, Means::Nothing, "payload", "parse the payload"),
        (r#"{"code":"Tired","message":"later","clientToken":"TOKEN"}"#.to_owned(), false, Means::No, "part", "\"Tired\""),
    ]
}

#[track_caller]
fn assert_met(met: &Met, asked: &str, (answer, _, means, code, words): &Row) {
    let row = operation(&met.2, asked);
    let count = |key: &str| row[key].as_u64().unwrap();
    assert_eq!(count("timeout"), 0, "{answer}: {row}");
    let column = match means {
        Means::Work => "ok",
        Means::No => "rejected",
        Means::Nothing => "error",
    };
    assert!(count(column) >= 2, "{answer}: {row} {:?}", met.0);
    let errors = met.2["totals"]["errors"].as_array().unwrap();
    assert!(errors.iter().all(|error| error["operation"] != "notify_next"), "{answer}: {errors:?}");
    if code.is_empty() {
        assert!(errors.iter().all(|error| error["kind"] != "unreadable"), "{answer}: {errors:?}");
        return;
    }
    let told = errors.iter().find(|error| error["operation"] == asked && error["kind"] == "unreadable");
    let told = told.unwrap_or_else(|| panic!("{answer}: {errors:?}"));
    assert!(told["code"] == *code && told["example"].as_str().unwrap().contains(words), "{answer}: {told}");
}

/// Answers each request with `answer`, in which TOKEN is its own.
fn answering(answer: String, is_accepted: bool) -> impl Fn(Tls) + Send + Sync + 'static {
    move |mut stream: Tls| {
        welcome(&mut stream);
        while let Ok((first, body)) = packet(&mut stream) {
            if first != PUBLISH_QOS_1 {
                continue;
            }
            let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
            let (topic, id, payload) = (&body[2..2 + length], &body[2 + length..4 + length], &body[4 + length..]);
            send(&mut stream, &[&[0x40, 2][..], id].concat());
            let request: serde_json::Value = serde_json::from_slice(payload).unwrap();
            let payload = answer.replace("TOKEN", request["clientToken"].as_str().unwrap());
            let topic = [topic, if is_accepted { &b"/accepted"[..] } else { b"/rejected" }].concat();
            let body = [&(topic.len() as u16).to_be_bytes()[..], &topic, payload.as_bytes()].concat();
            send(&mut stream, &[&[0x30, body.len() as u8 & 0x7f | 0x80, (body.len() >> 7) as u8][..], &body].concat());
        }
    }
}

#[test]
fn over_mqtt() {
    for row in rows() {
        let met = meet_as(&[PATIENT, SHORT], answering(row.0.clone(), row.1));
        assert_met(&met, "start_next", &row);
    }
}

#[test]
fn over_https() {
    let sets =
        ["fleet.transport='https-mtls'", "cohort=[{ name = 'all', poll = { every = '200ms', jitter = 0 } }]", PATIENT, SHORT];
    let refused = (r#"{"message":"later"}"#.to_owned(), false, Means::No, "part", "418 TeapotException");
    for row in rows().into_iter().filter(|row| row.1).chain([refused]) {
        let status = if row.1 { "200 OK" } else { "418 Teapot\r\nx-amzn-errortype: TeapotException" };
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{}", row.0.len(), row.0);
        let met = meet_as(&sets, move |stream| crate::https::answer(stream, &text));
        assert_met(&met, "describe", &row);
    }
}
