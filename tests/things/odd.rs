//! An endpoint of our own making, for each test another one, and a run of two things against it.

use dev_pki::{Store, StoreSpec};
use host::tls;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, server::WebPkiClientVerifier};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

pub(crate) type Tls = StreamOwned<ServerConnection, TcpStream>;

pub(crate) const CONNACK: &[u8] = &[0x20, 2, 0, 0];
pub(crate) const SUBACK: &[u8] = &[0x90, 6, 0, 1, 1, 1, 1, 1];

/// Reads one packet: its first byte and body.
pub(crate) fn packet(stream: &mut Tls) -> std::io::Result<(u8, Vec<u8>)> {
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

pub(crate) fn send(stream: &mut Tls, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}

/// CONNECT and SUBSCRIBE as they should go.
pub(crate) fn welcome(stream: &mut Tls) {
    let _ = packet(stream);
    send(stream, CONNACK);
    let _ = packet(stream);
    send(stream, SUBACK);
}

/// Keeps a connection open and says nothing.
pub(crate) fn fall_silent(mut stream: Tls) {
    while packet(&mut stream).is_ok() {}
}

/// The errors of a run by (operation, code), its exit code and its manifest.
pub(crate) type Met = (BTreeMap<(String, String), u64>, i32, serde_json::Value);

/// Runs two things against an endpoint for three seconds. `behaviour` is what a connection meets; it is called once a connection, on a
/// thread of its own.
pub(crate) fn meet(behaviour: impl Fn(Tls) + Send + Sync + 'static) -> Met {
    meet_as(&[], behaviour)
}

/// The same, with other settings of the scenario.
pub(crate) fn meet_as(sets: &[&str], behaviour: impl Fn(Tls) + Send + Sync + 'static) -> Met {
    let behaviour = Arc::new(behaviour);
    let dir = tempfile::tempdir().unwrap();
    let names = ["t-0", "t-1"].map(|name| iot_jobs::ThingName::new(name).unwrap()).to_vec();
    let (store, _) = Store::ensure(dir.path(), &StoreSpec { things: names, server_names: vec![] }, &mut |_, _| {}).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(store.ca_cert()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider());
    // Things that sign show no certificate.
    let verifier = verifier.allow_unauthenticated().build().unwrap();
    let pair = store.server().unwrap();
    let config = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(pair.chain, pair.key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let (config, behaviour) = (Arc::clone(&config), Arc::clone(&behaviour));
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
    let output = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
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
        .args(["--set", &format!("target.ports={{ https = {port}, api = {port} }}")])
        .envs([("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")])
        .args(["--ca", "ca.cert.pem", "--cert", "things/{thing}.cert.pem", "--key", "things/{thing}.key.pem"])
        .args(sets.iter().flat_map(|set| ["--set", *set]))
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

pub(crate) fn operation<'a>(manifest: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    manifest["totals"]["operations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["scope"] == "all" && row["operation"] == name)
        .unwrap()
}

/// Every attempt fails with this error of this operation, and there are several attempts.
#[track_caller]
pub(crate) fn expect(behaviour: impl Fn(Tls) + Send + Sync + 'static, name: &str, code: &str) {
    expect_as(&[], behaviour, name, code);
}

/// The same, with other settings of the scenario.
#[track_caller]
pub(crate) fn expect_as(sets: &[&str], behaviour: impl Fn(Tls) + Send + Sync + 'static, name: &str, code: &str) {
    let (errors, exit, manifest) = meet_as(sets, behaviour);
    assert_eq!(exit, 1, "nobody was ever connected");
    let count = errors.get(&(name.to_owned(), code.to_owned())).copied().unwrap_or(0);
    assert!((4..40).contains(&count), "{name} {code}: {errors:?}");
    let connect = operation(&manifest, "connect");
    assert_eq!(
        connect["started"].as_u64().unwrap(),
        count + connect["open"].as_u64().unwrap() + connect["ok"].as_u64().unwrap(),
        "{connect}"
    );
}
