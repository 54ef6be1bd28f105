//! `fleetsim certs ca` and `issue`: certificates that `serve` takes as its own, and that a run shows to it.

use crate::bench::{Bench, assert_code, mqtt};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A bench with a CA of `fleetsim certs` in the place of its store.
fn bench() -> Bench {
    let bench = Bench::new(0);
    fs::remove_dir_all(bench.path("pki")).unwrap();
    assert_code(&bench.run(&["certs", "ca", "pki"]), 0);
    bench
}

fn made(bench: &Bench, more: &[&str]) -> String {
    let output = bench.run(&[&["certs", "issue", "pki", "--things", "3", "--thing-name", "t-{index}"], more].concat());
    assert_code(&output, 0);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn issued_certificates_connect_to_an_endpoint_with_their_ca() {
    let bench = bench();
    let ca = bench.text("pki/ca.cert.pem");
    assert_eq!(fs::metadata(bench.path("pki/ca.key.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    let told = made(&bench, &[]);
    assert!(told.starts_with("# 3 certificates made, 0 kept\n[target.tls]\nca = \"pki/ca.cert.pem\"\n"), "{told}");
    let issued = bench.text("pki/things/t-1.cert.pem");
    assert!(made(&bench, &[]).starts_with("# 0 certificates made, 3 kept"));
    let again = bench.run(&["certs", "ca", "pki"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("kept"), "{}", assert_code(&again, 0));
    // Another three, in one file and nowhere else.
    let packed = made(&bench, &["--first-index", "3", "--bundle", "more.pem"]);
    assert_eq!(packed, "[target.tls]\nca = \"pki/ca.cert.pem\"\nbundle = \"more.pem\"\n");
    assert_eq!(fs::metadata(bench.path("more.pem")).unwrap().permissions().mode() & 0o777, 0o600, "keys are private");
    assert!(!bench.path("pki/things/t-3.cert.pem").exists());

    let serve = bench.serve(&["--things", "6"]);
    assert_eq!(
        (bench.text("pki/ca.cert.pem"), bench.text("pki/things/t-1.cert.pem")),
        (ca, issued),
        "serve takes them as they are"
    );
    let end = "[end]\nidle = '500ms'\nlimit = '20s'";
    // As it was printed, but for the line that the bench has already.
    let tls = |told: &str| told.lines().skip_while(|line| !line.starts_with("ca = ")).skip(1).collect::<Vec<_>>().join("\n");
    assert_code(&bench.scenario(&mqtt(&serve.mqtt_port, 3, &tls(&told), end), &[]), 0);
    assert_eq!(bench.connected(), 3);
    assert_code(&bench.scenario(&mqtt(&serve.mqtt_port, 3, &tls(&packed), end), &["--set", "fleet.first_index=3"]), 0);
    assert_eq!(bench.connected(), 3);
}

#[test]
fn a_bundle_may_go_to_standard_output() {
    let bench = bench();
    let text = made(&bench, &["--bundle", "-"]);
    assert!(text.starts_with("thing: t-0\n-----BEGIN CERTIFICATE-----") && text.contains("\nthing: t-2\n"), "{text}");
    assert!(!text.contains("[target.tls]") && !bench.path("pki/things").exists());
}
