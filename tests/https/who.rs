//! Who may ask, and what ALPN says.

use super::{Listener, signing};
use crate::common::http::{Http, Signing, signed};
use crate::common::{Client, Endpoint, connect_packet};
use aws_signing::sigv4::AccessKey;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

const PENDING: (&str, &str, &str) = ("GET", "/things/t-1/jobs", "");
const UPDATE: (&str, &str, &str) = ("POST", "/things/t-1/jobs/fw", r#"{"status":"IN_PROGRESS"}"#);

#[test]
fn without_a_certificate_of_this_ca_there_is_no_connection() {
    let endpoint = Endpoint::start(&[]);
    let other = Endpoint::start(&[]);
    for certificate_of in [None, Some((other.dir.path(), "t-1"))] {
        let Ok(mut stream) = endpoint.tls(&endpoint.https, certificate_of) else { continue };
        // In TLS 1.3 a client learns of it when it reads.
        let _ = stream.write_all(b"GET /things/t-1/jobs HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(!matches!(stream.read(&mut [0; 64]), Ok(1..)), "no answer");
    }
}

#[test]
fn a_certificate_is_good_for_its_own_thing() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-2");
    let mut listener = Listener::by_certificate(&endpoint, "t-1");
    for (method, path, body) in [
        ("GET", "/things/t-2/jobs", ""),
        ("GET", "/things/t-2/jobs/$next", ""),
        ("PUT", "/things/t-2/jobs/%24next", "{}"),
        ("POST", "/things/t-2/jobs/fw", r#"{"status":"FAILED"}"#),
        ("GET", "/things/nobody/jobs", ""),
    ] {
        listener.ask(method, path, body).refused(403, "ForbiddenException:");
    }
    assert_eq!(listener.ask("GET", "/things/t-1/jobs", "").ok()["queuedJobs"], json!([]), "the connection stays");
    let pending = Listener::by_certificate(&endpoint, "t-2").ask("GET", "/things/t-2/jobs", "").ok();
    assert_eq!(pending["queuedJobs"][0]["versionNumber"], 1, "nothing has changed");
}

#[test]
fn an_unregistered_thing_is_refused_unless_it_may_register_itself() {
    let endpoint = Endpoint::start(&[]);
    endpoint.delete_thing("t-3");
    let message = Listener::by_certificate(&endpoint, "t-3").ask("GET", "/things/t-3/jobs", "").refused(403, "ForbiddenException:");
    assert_eq!(message, "Forbidden");
    endpoint.wait_for_log(&["HTTPS", "t-3", "the thing is not registered"]);
    let endpoint = Endpoint::start(&["--auto-register"]);
    endpoint.delete_thing("t-3");
    Listener::by_certificate(&endpoint, "t-3").ask("GET", "/things/t-3/jobs", "").ok();
}

#[test]
fn signatures_are_verified_really() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    let good = signing(&endpoint);
    let key = |id: &str, secret: &str| Signing { key: AccessKey::lasting(id, secret), ..good.clone() };
    let ago = |seconds| Signing { at: SystemTime::now() - Duration::from_secs(seconds), ..good.clone() };
    let ahead = Signing { at: SystemTime::now() + Duration::from_secs(400), ..good.clone() };
    const INVALID: &str = "InvalidSignatureException";
    let ask = |signing: &Signing, what, change: &dyn Fn(&mut http::Request<Vec<u8>>)| {
        let mut http = Http::without_certificate(&endpoint);
        http.send(&signed(&endpoint.api, signing, what, change));
        http.answer().expect("an answer")
    };
    for (what, signing, error) in [
        ("a wrong secret", key(&good.key.id, "wrong"), INVALID),
        ("an unknown key", key("AKIAUNKNOWN", &good.key.secret), "UnrecognizedClientException"),
        ("a stale date", ago(400), INVALID),
        ("a date to come", ahead, INVALID),
        ("another region", Signing { region: "eu-west-1", ..good.clone() }, INVALID),
        ("another service", Signing { service: "iotdata", ..good.clone() }, INVALID),
        ("the service of WebSockets", Signing { service: "iotdevicegateway", ..good.clone() }, INVALID),
    ] {
        for request in [PENDING, UPDATE] {
            let answer = ask(&signing, request, &|_| {});
            assert_eq!((answer.status, answer.error.as_deref()), (403, Some(error)), "{what}: {}", answer.body);
        }
    }
    let body = |request: &mut http::Request<Vec<u8>>| *request.body_mut() = br#"{"status":"SUCCEEDED"}"#.to_vec();
    ask(&good, UPDATE, &body).refused(403, INVALID);
    let path = |request: &mut http::Request<Vec<u8>>| *request.uri_mut() = "https://x/things/t-2/jobs".parse().unwrap();
    ask(&good, PENDING, &path).refused(403, INVALID);
    let query = |request: &mut http::Request<Vec<u8>>| *request.uri_mut() = "https://x/things/t-1/jobs?a=b".parse().unwrap();
    ask(&good, PENDING, &query).refused(403, INVALID);
    let spelled = |request: &mut http::Request<Vec<u8>>| *request.uri_mut() = "https://x/things/t-1/jobs/%24next".parse().unwrap();
    ask(&good, ("GET", "/things/t-1/jobs/$next", ""), &spelled).refused(403, INVALID);
    let unsigned = |request: &mut http::Request<Vec<u8>>| drop(request.headers_mut().remove("authorization"));
    ask(&good, PENDING, &unsigned).refused(403, "MissingAuthenticationTokenException");
    let garbled = |request: &mut http::Request<Vec<u8>>| {
        drop(request.headers_mut().insert("authorization", "AWS4-HMAC-SHA256 x".parse().unwrap()));
    };
    ask(&good, PENDING, &garbled).refused(403, "IncompleteSignatureException");
    // A slow clock is forgiven, and so is a session token, which temporary credentials bring.
    ask(&ago(200), PENDING, &|_| {}).ok();
    let token =
        |request: &mut http::Request<Vec<u8>>| drop(request.headers_mut().insert("x-amz-security-token", "t".parse().unwrap()));
    assert_eq!(ask(&good, PENDING, &token).ok()["queuedJobs"][0]["versionNumber"], 1, "and nothing has changed");
}

#[test]
fn alpn_names_the_protocol_whatever_the_port() {
    let endpoint = Endpoint::start(&[]);
    let certificate = Some((endpoint.dir.path(), "t-1"));
    for address in [&endpoint.https, &endpoint.mqtt] {
        for name in ["x-amzn-http-ca", "http/1.1"] {
            let stream = endpoint.tls_by(address, certificate, &["h2", name]).unwrap();
            assert_eq!(stream.conn.alpn_protocol(), Some(name.as_bytes()));
            Http::new(stream, address).ask("GET", "/things/t-1/jobs", "").ok();
        }
        for name in ["x-amzn-mqtt-ca", "mqtt"] {
            let stream = endpoint.tls_by(address, certificate, &[name]).unwrap();
            assert_eq!(stream.conn.alpn_protocol(), Some(name.as_bytes()));
            let mut client = Client { stream, thing: "t-1".into() };
            client.send(&connect_packet("t-1", 300, 4, 2));
            assert_eq!(client.packet(), Some((0x20, vec![0, 0])));
        }
        let Err(refused) = endpoint.tls_by(address, certificate, &["x-amzn-other"]) else { panic!("no alert") };
        assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    }
}
