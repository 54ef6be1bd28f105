//! Our things against endpoints that misbehave: every wait has a deadline, every failure a name, and they come back.

use assert_cmd::cargo::cargo_bin;
use fleetsim::pki::{Store, StoreSpec};
use fleetsim::wire::tls;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, server::WebPkiClientVerifier};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// What a connection meets; called once a connection, on a thread of its own.
type Behaviour = fn(Tls);

const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const SUBACK: &[u8] = &[0x90, 6, 0, 1, 1, 1, 1, 1];

/// Reads one packet: its first byte and body.
fn packet(stream: &mut Tls) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut length = usize::from(head[1] & 0x7f);
    if head[1] & 0x80 != 0 {
        let mut more = [0];
        stream.read_exact(&mut more)?;
        length |= usize::from(more[0]) << 7;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

fn send(stream: &mut Tls, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}

/// CONNECT and SUBSCRIBE as they should go.
fn welcome(stream: &mut Tls) {
    let _ = packet(stream);
    send(stream, CONNACK);
    let _ = packet(stream);
    send(stream, SUBACK);
}

/// Keeps a connection open and says nothing.
fn fall_silent(mut stream: Tls) {
    while packet(&mut stream).is_ok() {}
}

/// Runs two things against such an endpoint for three seconds; the errors by (operation, code), and the exit code.
fn meet(behaviour: Behaviour) -> (BTreeMap<(String, String), u64>, i32, serde_json::Value) {
    let dir = tempfile::tempdir().unwrap();
    let names = ["t-0", "t-1"].map(|name| fleetsim::jobs::ThingName::new(name).unwrap()).to_vec();
    let (store, _) = Store::ensure(dir.path(), &StoreSpec { things: names, server_names: vec![] }, &mut |_, _| {}).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(store.ca_cert()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().unwrap();
    let pair = store.server().unwrap();
    let config = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(pair.chain, pair.key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || behaviour(StreamOwned::new(ServerConnection::new(config).unwrap(), tcp)));
        }
    });
    let scenario = r#"
        name = "odd"
        target.kind = "mqtt"
        [fleet]
        things = 2
        thing_name = "t-{index}"
        timeouts = { connect = "1s", answer = "500ms" }
        reconnect = { policy = "fixed", base = "400ms" }
        retry = { policy = "fixed", base = "200ms" }
        [end]
        duration = "3s"
    "#;
    std::fs::write(dir.path().join("odd.toml"), scenario).unwrap();
    let output = Command::new(cargo_bin("fleetsim"))
        .args([
            "run",
            "odd.toml",
            "--ui",
            "none",
            "--out",
            "out",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--set",
            "target.server_name='localhost'",
        ])
        .args(["--ca", "ca.cert.pem", "--cert", "things/{thing}.cert.pem", "--key", "things/{thing}.key.pem"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let manifest = manifest(dir.path());
    let errors = manifest["totals"]["errors"].as_array().unwrap().iter().map(|error| {
        let text = |key: &str| error[key].as_str().unwrap().to_owned();
        ((text("operation"), text("code")), error["count"].as_u64().unwrap())
    });
    (errors.collect(), output.status.code().unwrap(), manifest)
}

fn manifest(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join("out/run.json")).unwrap()).unwrap()
}

fn operation<'a>(manifest: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    manifest["totals"]["operations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["scope"] == "all" && row["operation"] == name)
        .unwrap()
}

/// Every attempt fails with this error of this operation, and there are several attempts.
#[track_caller]
fn expect(behaviour: Behaviour, name: &str, code: &str) {
    let (errors, exit, manifest) = meet(behaviour);
    assert_eq!(exit, 0, "a run for a duration ends as planned");
    let count = errors.get(&(name.to_owned(), code.to_owned())).copied().unwrap_or(0);
    assert!((4..40).contains(&count), "{name} {code}: {errors:?}");
    let connect = operation(&manifest, "connect");
    assert_eq!(
        connect["started"].as_u64().unwrap(),
        count + connect["open"].as_u64().unwrap() + connect["ok"].as_u64().unwrap(),
        "{connect}"
    );
}

#[test]
fn an_endpoint_that_accepts_and_never_answers_the_handshake() {
    expect(|stream| drop((std::thread::sleep(Duration::from_secs(5)), stream)), "connect_tls", "tls");
}

#[test]
fn an_endpoint_that_never_sends_a_connack() {
    expect(fall_silent, "connect_mqtt", "connack");
}

#[test]
fn an_endpoint_that_refuses() {
    let refuse = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0x20, 2, 0, 5]);
    };
    expect(refuse, "connect_mqtt", "not_authorized");
}

#[test]
fn an_endpoint_that_talks_nonsense() {
    let babble = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0xff; 64]);
        fall_silent(stream);
    };
    expect(babble, "connect_mqtt", "protocol");
}

#[test]
fn an_endpoint_that_refuses_one_subscription() {
    let refuse = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, CONNACK);
        let _ = packet(&mut stream);
        send(&mut stream, &[0x90, 6, 0, 1, 1, 1, 0x80, 1]);
        fall_silent(stream);
    };
    expect(refuse, "subscribe", "suback_failure");
}

#[test]
fn an_endpoint_that_never_sends_a_suback() {
    let forget = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, CONNACK);
        fall_silent(stream);
    };
    expect(forget, "subscribe", "suback");
}

#[test]
fn an_endpoint_that_drops_connections_is_come_back_to() {
    let drop_soon = |mut stream: Tls| {
        welcome(&mut stream);
        std::thread::sleep(Duration::from_millis(100));
    };
    let (errors, _, manifest) = meet(drop_soon);
    assert!(
        errors.iter().any(|((operation, code), count)| operation == "connect"
            && ["closed", "unexpected_eof", "connection_reset"].contains(&&**code)
            && *count >= 4),
        "{errors:?}"
    );
    assert!(operation(&manifest, "reconnect")["ok"].as_u64().unwrap() >= 4);
}

#[test]
fn answers_and_pubacks_that_never_come_are_given_up_and_asked_for_again() {
    let ignore = |mut stream: Tls| {
        welcome(&mut stream);
        fall_silent(stream);
    };
    let (errors, _, manifest) = meet(ignore);
    assert!(errors[&("start_next".to_owned(), "no_answer".to_owned())] >= 4, "{errors:?}");
    let start_next = operation(&manifest, "start_next");
    assert!(start_next["service_ms"]["p50"].as_f64().unwrap() >= 499.0, "a timeout counts at its age: {start_next}");
    assert!(operation(&manifest, "puback")["timeout"].as_u64().unwrap() >= 4);
    assert_eq!(operation(&manifest, "connect")["ok"], 2, "the session itself is kept");
}

#[test]
fn messages_that_make_no_sense_are_counted_and_survived() {
    let confuse = |mut stream: Tls| {
        welcome(&mut stream);
        for (topic, payload) in [
            ("$aws/things/t-0/jobs/notify-next", "{"),
            ("$aws/things/other/jobs/notify-next", "{}"),
            ("$aws/things/t-0/jobs/start-next/accepted", r#"{"clientToken":"never-asked","timestamp":1}"#),
            ("dt/unasked", "{}"),
        ] {
            let body = [&(topic.len() as u16).to_be_bytes()[..], topic.as_bytes(), payload.as_bytes()].concat();
            send(&mut stream, &[&[0x30, body.len() as u8][..], &body].concat());
        }
        fall_silent(stream);
    };
    let (errors, exit, manifest) = meet(confuse);
    assert_eq!((exit, &operation(&manifest, "connect")["ok"]), (0, &2.into()));
    assert!(errors[&("notify_next".to_owned(), "payload".to_owned())] >= 6, "{errors:?}");
}
