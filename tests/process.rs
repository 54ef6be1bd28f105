//! The endpoint as a process: what its log says, and what its files hold, however it ends.

mod common;

use common::{Client, Endpoint, PATIENCE, connect_packet};
use dev_pki::{Store, StoreSpec};
use iot_jobs::ThingName;
use rand::RngExt as _;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::RootCertStore;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn keep(dir: &Path, name: &str, certificate: &str, key: &str) {
    std::fs::create_dir_all(dir.join("things")).unwrap();
    std::fs::write(dir.join(format!("things/{name}.cert.pem")), certificate).unwrap();
    std::fs::write(dir.join(format!("things/{name}.key.pem")), key).unwrap();
}

/// Whoever is refused finds out why in the log, once for each reason and not once for each attempt.
#[test]
fn every_refused_handshake_leaves_its_reason_in_the_log() {
    let mut endpoint = Endpoint::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "t-1");
    keep(dir.path(), "foreign", &params.self_signed(&key).unwrap().pem(), &key.serialize_pem());
    let store = Store::ensure(endpoint.dir.path(), &StoreSpec::default(), &mut |_, _| {}).unwrap().0;
    let expired = store.expired(&[ThingName::new("t-1").unwrap()]).unwrap().remove(0);
    let [certificate] = &expired.chain[..] else { panic!("a leaf") };
    let pem = |label: &str, der: &[u8]| pem::encode(&pem::Pem::new(label, der));
    keep(dir.path(), "expired", &pem("CERTIFICATE", certificate), &pem("PRIVATE KEY", expired.key.secret_der()));
    let refused = |config: rustls::ClientConfig, address: &str| {
        // In TLS 1.3 the client learns of it with the first bytes it reads.
        if let Ok(mut stream) = Endpoint::tls_with(config, address) {
            let _ = stream.write_all(&connect_packet("t-1", 300, 4, 2));
            assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "refused");
        }
    };
    let config = |name: Option<&str>| endpoint.client_config(name.map(|name| (dir.path(), name)), rustls::ALL_VERSIONS);
    for address in [&endpoint.mqtt, &endpoint.https] {
        refused(config(None), address);
        refused(config(Some("foreign")), address);
        refused(config(Some("expired")), address);
    }
    let distrusting = rustls::ClientConfig::builder_with_provider(host::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    assert!(Endpoint::tls_with(distrusting, &endpoint.api).is_err());
    let mut plain = TcpStream::connect(&endpoint.mqtt).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = plain.read_to_end(&mut Vec::new());
    for why in ["showed no certificate", "neither of this endpoint's CA nor registered", "has expired", "does not trust", "no TLS"]
    {
        let line = endpoint.wait_for_log(&["WARN", "TLS handshake", why]);
        assert!(line.contains("127.0.0.1:"), "who: {line}");
    }
    (0..100).for_each(|_| refused(config(None), &endpoint.mqtt));
    rustix::process::kill_process(rustix::process::Pid::from_child(&endpoint.process), rustix::process::Signal::TERM).unwrap();
    endpoint.process.wait().unwrap();
    endpoint.wait_for_log(&["refused in all", "showed no certificate", "102"]);
    let lines = endpoint.log().lines().filter(|line| line.contains("showed no certificate")).count();
    assert!(lines <= 20, "{lines} lines for 102 refusals");
}

#[test]
fn a_client_id_cannot_write_lines_of_its_own_into_the_log() {
    let endpoint = Endpoint::start(&[]);
    let client_id = "x\nWARN forged: \x1b[2J\r\u{9b}1m";
    let mut client: Client = endpoint.dial("t-1");
    client.send(&connect_packet(client_id, 300, 4, 2));
    assert_eq!(client.packet(), None);
    let line = endpoint.wait_for_log(&["MQTT CONNECT", "forged"]);
    assert!(line.contains(r"x\nWARN forged"), "{line}");
    let log = endpoint.log();
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("WARN forged")), "{log}");
}

/// Whoever was told that a job was accepted finds its executions in the ledger, though the process was killed at once.
#[test]
fn the_ledger_has_every_job_that_was_accepted_before_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger.csv");
    let arguments = ["--minute", "1s", "--ledger", ledger.to_str().unwrap()];
    let mut endpoint = Endpoint::with(&arguments);
    let mut accepted = BTreeSet::new();
    for round in 0..6 {
        let mut thing = endpoint.connect("t-1");
        for n in 0..8 {
            let job = format!("fw-{round}-{n}");
            endpoint.create_job(&job, "t-1");
            accepted.insert(job);
        }
        let last = format!("fw-{round}-0");
        assert_eq!(thing.request("start-next", &json!({})).1["execution"]["jobId"], json!(last));
        // A kill, and nothing in between.
        endpoint = endpoint.restart(&arguments);
        let text = std::fs::read_to_string(&ledger).unwrap();
        let of = |event: &str| -> BTreeSet<String> {
            let rows = text.lines().map(|row| row.split(',').collect::<Vec<_>>());
            rows.filter(|row| row[6] == event).map(|row| row[2].to_owned()).collect()
        };
        assert_eq!(of("queued"), accepted, "round {round}");
        assert!(of("answered").contains(&last), "round {round}");
    }
}

/// The first row after a writer that died amid a row is a row.
#[test]
fn a_ledger_that_was_cut_short_goes_on_with_whole_rows() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger.csv");
    let arguments = ["--ledger", ledger.to_str().unwrap()];
    let endpoint = Endpoint::with(&arguments);
    endpoint.create_job("fw-1", "t-1");
    let whole = std::fs::read_to_string(&ledger).unwrap();
    std::fs::write(&ledger, format!("{whole}{}", &whole.lines().last().unwrap()[..20])).unwrap();
    let endpoint = endpoint.restart(&arguments);
    endpoint.wait_for_log(&["ledger", "cut short"]);
    endpoint.create_job("fw-2", "t-1");
    let text = std::fs::read_to_string(&ledger).unwrap();
    assert!(text.starts_with(&whole) && text.len() > whole.len());
    for row in text.lines().skip(1) {
        assert!(iot_jobs::ledger::LedgerRow::parse(row).is_some(), "{row}");
    }
}

/// Refused with its name, at once: no panic, no endpoint that answers nothing.
#[test]
fn a_damaged_state_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let endpoint = Endpoint::start(&["--state", state.to_str().unwrap()]);
    (0..10).for_each(|n| endpoint.create_job(&format!("fw-{n}"), "t-1"));
    let pki = std::sync::Arc::clone(&endpoint.dir);
    drop(endpoint);
    let whole = std::fs::read(&state).unwrap();
    let mut rng = rand::rng();
    for round in 0..20 {
        let mut bytes = whole.clone();
        let at = rng.random_range(0..bytes.len());
        if round % 2 == 0 {
            bytes[at] ^= 0x55;
        } else {
            bytes[at..].fill(0xff);
        }
        std::fs::write(&state, &bytes).unwrap();
        let start = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
            .args(["serve", "--mqtt-port", "0", "--https-port", "0", "--api-port", "0", "--dir"])
            .arg(pki.path())
            .arg("--state")
            .arg(&state)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "byte {at}: {said}");
        assert!(said.contains(state.to_str().unwrap()) && said.contains("remove the file"), "byte {at}: {said}");
        assert!(!said.contains("panicked") && output.stdout.is_empty(), "byte {at}: {said}");
        assert!(start.elapsed() < PATIENCE);
        assert_eq!(std::fs::read(&state).unwrap(), bytes);
    }
}

/// A core would hold the CA's key. Where the system writes it is the system's: here no process of ours has one to give.
#[test]
fn no_process_leaves_a_core() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited; exec \"$0\" serve --dir pki --mqtt-port 0 --https-port 0 --api-port 0"]);
    let mut process = shell.arg(env!("CARGO_BIN_EXE_fleetsim")).current_dir(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 1];
    process.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let proc = Path::new("/proc").join(process.id().to_string());
    let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    assert_eq!(std::fs::read_to_string(proc.join("coredump_filter")).unwrap().trim(), "00000000");
    rustix::process::kill_process(rustix::process::Pid::from_child(&process), rustix::process::Signal::ABORT).unwrap();
    process.wait().unwrap();
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["pki"]);
}
