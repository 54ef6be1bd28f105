//! The object store behind presigned URLs, and what job documents have of it (PROTOCOL 17.1).

use crate::common::Endpoint;
use crate::listener::{ARN, ok};
use aws_signing::presign::presign;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

const BUCKET: &str = "https://s3.us-east-1.amazonaws.com/firmware";

/// One unsigned request: status, head, body.
fn fetch(endpoint: &Endpoint, method: &str, url: &str, headers: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let path = url.strip_prefix(&format!("https://{}", endpoint.api)).unwrap_or(url);
    let mut stream = endpoint.tls(&endpoint.api, None).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        endpoint.api,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..at].to_vec()).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), answer[at + 4..].to_vec())
}

#[track_caller]
fn refused(answer: (u16, String, Vec<u8>), status: u16, code: &str) {
    let text = String::from_utf8(answer.2).unwrap();
    assert_eq!(answer.0, status, "{text}");
    assert!(text.starts_with("<?xml") && text.contains(&format!("<Code>{code}</Code>")), "{text}");
}

fn endpoint() -> Endpoint {
    let endpoint = Endpoint::start(&[]);
    std::fs::create_dir_all(endpoint.dir.path().join("objects/firmware/v 1")).unwrap();
    std::fs::write(endpoint.dir.path().join("objects/firmware/v 1/fw.bin"), (0..=255).collect::<Vec<u8>>().repeat(1000)).unwrap();
    endpoint
}

fn create(endpoint: &Endpoint, job: &str, more: &Value) {
    let mut body = json!({"targets": [format!("{ARN}thing/t-1")]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ok(endpoint, "PUT", &format!("/jobs/{job}"), &body);
}

fn document() -> String {
    json!({
        "fw": format!("${{aws:iot:s3-presigned-url:{BUCKET}/v%201/fw.bin}}"),
        "log": format!("${{aws:iot:s3-presigned-url-upload:{BUCKET}/logs/${{thingName}}/${{jobId}}-${{executionNumber}}.txt}}"),
    })
    .to_string()
}

#[test]
fn a_device_fetches_and_puts_by_the_urls_of_its_document() {
    let endpoint = endpoint();
    let mut client = endpoint.connect("t-1");
    client.subscribe(&["notify-next"]);
    create(&endpoint, "j", &json!({"document": document()}));
    let (_, told) = client.message();
    let (_, started) = client.request("start-next", &json!({}));
    let (_, described) = client.request("j/get", &json!({}));
    let (_, updated) = client.request("j/update", &json!({"status": "IN_PROGRESS", "includeJobDocument": true}));
    for document in [
        &told["execution"]["jobDocument"],
        &started["execution"]["jobDocument"],
        &described["execution"]["jobDocument"],
        &updated["jobDocument"],
    ] {
        let url = document["fw"].as_str().unwrap();
        assert!(url.contains("X-Amz-Expires=3600"), "{url}");
        let (status, head, body) = fetch(&endpoint, "GET", url, "", b"");
        assert_eq!((status, body.len()), (200, 256_000));
        assert!(head.contains("content-length: 256000"), "{head}");
        let log = document["log"].as_str().unwrap();
        assert_eq!(fetch(&endpoint, "PUT", log, "", log.as_bytes()).0, 200);
        let kept = std::fs::read_to_string(endpoint.dir.path().join("objects/firmware/logs/t-1/j-1.txt")).unwrap();
        assert_eq!(kept, log);
    }
    let url = told["execution"]["jobDocument"]["fw"].as_str().unwrap();
    let (status, head, body) = fetch(&endpoint, "GET", url, "range: bytes=254-257\r\n", b"");
    assert_eq!((status, &body[..]), (206, &[254, 255, 0, 1][..]));
    assert!(head.contains("content-range: bytes 254-257/256000"), "{head}");
    refused(fetch(&endpoint, "GET", url, "range: bytes=256000-\r\n", b""), 416, "InvalidRange");
    let stored = ok(&endpoint, "GET", "/jobs/j/job-document", &Value::Null);
    assert_eq!(stored["document"], document(), "the control plane tells it as it was given");
}

#[test]
fn a_url_is_good_for_nothing_else_and_not_for_ever() {
    let endpoint = endpoint();
    create(&endpoint, "j", &json!({"document": document(), "presignedUrlConfig": {"expiresInSec": 60}}));
    let mut client = endpoint.connect("t-1");
    let (_, started) = client.request("start-next", &json!({}));
    let url = started["execution"]["jobDocument"]["fw"].as_str().unwrap();
    assert!(url.contains("X-Amz-Expires=60&"), "{url}");
    refused(fetch(&endpoint, "PUT", url, "", b"x"), 403, "SignatureDoesNotMatch");
    refused(fetch(&endpoint, "GET", &url.replace("fw.bin", "fx.bin"), "", b""), 403, "SignatureDoesNotMatch");
    refused(fetch(&endpoint, "GET", &url.replace("Expires=60", "Expires=61"), "", b""), 403, "SignatureDoesNotMatch");
    refused(fetch(&endpoint, "GET", url.split_once('?').unwrap().0, "", b""), 403, "AccessDenied");
    let at = url.find("X-Amz-Date=").unwrap() + "X-Amz-Date=".len();
    let (day, old) = (&url[at..at + 8], format!("2020{}", &url[at + 4..at + 8]));
    refused(fetch(&endpoint, "GET", &url.replace(day, &old), "", b""), 403, "AccessDenied");
    let of_another_day = url.replacen(&format!("%2F{day}%2F"), &format!("%2F{old}%2F"), 1);
    refused(fetch(&endpoint, "GET", &of_another_day, "", b""), 400, "AuthorizationQueryParametersError");
    let upload = started["execution"]["jobDocument"]["log"].as_str().unwrap();
    refused(fetch(&endpoint, "GET", upload, "", b""), 403, "SignatureDoesNotMatch");
}

#[test]
fn what_is_not_there_is_answered_as_s3_does() {
    let endpoint = endpoint();
    for (n, object, status, code) in [
        (1, format!("{BUCKET}/none"), 404, "NoSuchKey"),
        (2, format!("{BUCKET}2/x"), 404, "NoSuchBucket"),
        (3, format!("{BUCKET}/v%201"), 404, "NoSuchKey"),
    ] {
        let document = json!({"url": format!("${{aws:iot:s3-presigned-url-v2:{object}}}")}).to_string();
        create(&endpoint, &format!("j{n}"), &json!({"document": document}));
        let (_, described) = endpoint.connect("t-1").request(&format!("j{n}/get"), &json!({}));
        let url = described["execution"]["jobDocument"]["url"].as_str().unwrap().to_owned();
        refused(fetch(&endpoint, "GET", &url, "", b""), status, code);
    }
    for path in ["/objects/firmware/%2E%2E/%2E%2E/ca.key.pem", "/objects/../ca.key.pem", "/objects//etc/passwd"] {
        assert_eq!(fetch(&endpoint, "GET", path, "", b"").0, 403, "{path}");
    }
}

#[test]
fn a_placeholder_that_stands_for_nothing_is_refused_with_its_job() {
    let endpoint = endpoint();
    for placeholder in [
        "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/firmware/../../ca.key.pem}",
        "${aws:iot:s3-presigned-url:https://example.com/firmware/fw.bin}",
        "${aws:iot:s3-presigned-url:firmware}",
        "${aws:iot:parameter:version}",
    ] {
        let document = json!({"url": placeholder}).to_string();
        let body = json!({"targets": [format!("{ARN}thing/t-1")], "document": document}).to_string();
        let (status, error, answer) = endpoint.call("PUT", "/jobs/j", &body, |_| {});
        assert_eq!((status, error.as_deref()), (400, Some("InvalidRequestException")), "{placeholder}");
        assert!(answer["message"].as_str().unwrap().contains(placeholder), "{answer}");
    }
    let host = "https://firmware.s3-us-west-2.amazonaws.com/v%201/fw.bin";
    let document = json!({
        "older": "${aws:iot:s3-presigned-url:firmware/v 1/fw.bin}",
        "regional": format!("${{aws:iot:s3-presigned-url-v2:{host}?versionId=3HL4}}"),
    });
    create(&endpoint, "j", &json!({"document": document.to_string()}));
    let (_, described) = endpoint.connect("t-1").request("j/get", &json!({}));
    for url in ["older", "regional"].map(|name| &described["execution"]["jobDocument"][name]) {
        let (status, _, body) = fetch(&endpoint, "GET", url.as_str().unwrap(), "", b"");
        assert_eq!((status, body.len()), (200, 256_000), "{url}");
    }
}

#[test]
fn a_job_is_created_from_a_document_in_the_store() {
    let endpoint = endpoint();
    std::fs::write(endpoint.dir.path().join("objects/firmware/doc.json"), r#"{"operation":"stored"}"#).unwrap();
    create(&endpoint, "j", &json!({"documentSource": format!("{BUCKET}/doc.json")}));
    let (_, started) = endpoint.connect("t-1").request("start-next", &json!({}));
    assert_eq!(started["execution"]["jobDocument"], json!({"operation": "stored"}));
    let body = json!({"targets": [format!("{ARN}thing/t-1")], "documentSource": format!("{BUCKET}/none.json")});
    let (status, error, answer) = endpoint.call("PUT", "/jobs/k", &body.to_string(), |_| {});
    assert_eq!((status, error.as_deref()), (400, Some("InvalidRequestException")));
    assert!(answer["message"].as_str().unwrap().contains("none.json"));
}

#[test]
fn a_bucket_is_created_by_who_may_and_again_without_harm() {
    let endpoint = endpoint();
    let key = endpoint.key();
    let signed = |method: &str, path: &str| {
        let url = format!("https://{}{path}", endpoint.api);
        presign(method, &url, &key, "us-east-1", SystemTime::now(), Duration::from_secs(60)).unwrap()
    };
    let object = signed("PUT", "/objects/new/a/k");
    refused(fetch(&endpoint, "PUT", &object, "", b"x"), 404, "NoSuchBucket");
    let bucket = signed("PUT", "/objects/new");
    assert_eq!(fetch(&endpoint, "PUT", &bucket, "", b"").0, 200);
    assert_eq!(fetch(&endpoint, "PUT", &object, "", b"x").0, 200);
    assert_eq!(fetch(&endpoint, "PUT", &bucket, "", b"").0, 200);
    assert_eq!(fetch(&endpoint, "GET", &signed("GET", "/objects/new/a/k"), "", b"").2, b"x", "what is in it stays");
    refused(fetch(&endpoint, "PUT", "/objects/other", "", b""), 403, "AccessDenied");
    refused(fetch(&endpoint, "GET", &signed("GET", "/objects/new"), "", b""), 405, "MethodNotAllowed");
    for name in ["..", ".uploads", "%2E%2E", "a%20b", &"b".repeat(64)] {
        let answer = fetch(&endpoint, "PUT", &signed("PUT", &format!("/objects/{name}")), "", b"");
        assert!((400..500).contains(&answer.0), "{name}: {}", answer.0);
    }
    assert!(!endpoint.dir.path().join("objects/a b").exists());
}

/// A document of less than 32 KB may have so many placeholders that their URLs would not fit into a message.
#[test]
fn a_document_that_would_be_too_large_with_its_urls_is_refused_and_the_largest_arrives() {
    let endpoint = endpoint();
    let document = |count: usize| {
        let urls: Vec<String> = (0..count).map(|n| format!("${{aws:iot:s3-presigned-url:{BUCKET}/{n}}}")).collect();
        json!({ "urls": urls }).to_string()
    };
    let body = |count: usize| json!({"targets": [format!("{ARN}thing/t-1")], "document": document(count)}).to_string();
    assert!(document(420).len() < 32 * 1024);
    let (status, error, answer) = endpoint.call("PUT", "/jobs/large", &body(420), |_| {});
    assert_eq!((status, error.as_deref()), (400, Some("InvalidRequestException")), "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("420 placeholders") && message.contains("bytes"), "{message}");
    let mut client = endpoint.connect("t-1");
    client.subscribe(&["notify-next"]);
    let largest = (250..420).rev().find(|n| endpoint.call("PUT", "/jobs/largest", &body(*n), |_| {}).0 == 200).unwrap();
    let (_, told) = client.message();
    let (_, answer) = client.request("start-next", &json!({}));
    for execution in [&told["execution"], &answer["execution"]] {
        let urls = execution["jobDocument"]["urls"].as_array().unwrap();
        assert!(urls.len() == largest && urls.iter().all(|url| url.as_str().unwrap().contains("X-Amz-Signature=")));
        let bytes = execution["jobDocument"].to_string().len();
        assert!((100 * 1024..128 * 1024).contains(&bytes), "{bytes}");
    }
    client.expect_quiet();
}
