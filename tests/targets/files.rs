//! Files that cannot be used: all named at once, before the first connection. And packed ones.

use crate::bench::{Bench, EACH_ITS_OWN, assert_code, mqtt};
use rcgen::{CertificateParams, DnType, KeyPair};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use time::{Duration, OffsetDateTime};

/// Replaces the pair of a thing by one that is valid from and until so many days from now.
fn issue(bench: &Bench, thing: &str, from: i64, until: i64) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, thing);
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now + Duration::days(from), now + Duration::days(until));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    bench.write(&format!("pki/things/{thing}.cert.pem"), &certificate.pem());
    bench.write(&format!("pki/things/{thing}.key.pem"), &key.serialize_pem());
}

#[test]
fn every_kind_of_unfit_file_is_named_at_once_before_the_first_connection() {
    let bench = Bench::new(9);
    let file = |name: &str| bench.path("pki/things").join(name);
    fs::remove_file(file("t-1.cert.pem")).unwrap();
    fs::copy(file("t-0.key.pem"), file("t-2.key.pem")).unwrap();
    issue(&bench, "t-3", -30, -1);
    issue(&bench, "t-4", 1, 30);
    fs::write(file("t-5.key.pem"), "no key at all\n").unwrap();
    fs::write(file("t-6.cert.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    bench.openssl("ec -in pki/things/t-7.key.pem -aes128 -passout pass:x -out pki/things/t-7.key.pem");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let scenario = mqtt(&port, 9, EACH_ITS_OWN, "[end]\nduration = '2s'").replace("pki/ca.cert.pem", "pki/no-ca.pem");
    let run = assert_code(&bench.scenario(&scenario, &[]), 1);
    let check = assert_code(&bench.run(&["check", "s.toml"]), 1);
    for told in [run, check] {
        for (file, why) in [
            ("pki/no-ca.pem", "No such file"),
            ("t-1.cert.pem", "No such file"),
            ("t-2.key.pem", "belongs to another certificate"),
            ("t-3.cert.pem", "it expired at"),
            ("t-4.cert.pem", "it is not valid before"),
            ("t-5.key.pem", "it holds no private key"),
            ("t-6.cert.pem", "no X.509 certificate"),
            ("t-7.key.pem", "t-7.key.pem"),
        ] {
            let line = told.lines().find(|line| line.contains(file)).unwrap_or_else(|| panic!("{file}: {told}"));
            assert!(line.contains(why), "{line}");
        }
        assert!(!told.contains("t-0.") || told.contains("t-2.key.pem"), "{told}");
        assert!(!told.contains("t-8."), "{told}");
    }
    assert!(listener.accept().is_err(), "nobody has connected");
    assert_eq!(bench.manifest()["verdict"], "ERROR");
}

#[test]
fn a_thousand_missing_files_are_ten_names_and_a_number() {
    let bench = Bench::new(0);
    let told = assert_code(&bench.scenario(&mqtt("1", 1_000, EACH_ITS_OWN, "[end]\nduration = '2s'"), &[]), 1);
    assert!(told.contains("t-9.cert.pem") && told.contains("and 990 more") && !told.contains("t-10.cert.pem"), "{told}");
}

#[test]
fn a_packed_file_serves_a_fleet_and_unpacks_to_what_it_was() {
    let bench = Bench::new(3);
    let packed = bench.run(&["certs", "pack", "pki", "fleet.pem"]);
    assert_eq!(String::from_utf8_lossy(&packed.stdout), "3 things: fleet.pem\n", "{}", assert_code(&packed, 0));
    assert_eq!(fs::metadata(bench.path("fleet.pem")).unwrap().permissions().mode() & 0o777, 0o600, "keys are private");
    let serve = bench.serve(&["--things", "3"]);
    let scenario = mqtt(&serve.mqtt_port, 3, "bundle = 'fleet.pem'", "[end]\nidle = '500ms'\nlimit = '20s'");
    assert_code(&bench.scenario(&scenario, &[]), 0);
    assert_eq!(bench.connected(), 3);
    assert_code(&bench.run(&["certs", "unpack", "fleet.pem", "again"]), 0);
    for file in ["t-0.cert.pem", "t-2.key.pem"] {
        assert_eq!(bench.text(&format!("again/things/{file}")), bench.text(&format!("pki/things/{file}")));
    }
    let told = assert_code(&bench.scenario(&scenario.replace("things = 3", "things = 5"), &[]), 1);
    assert!(told.contains("fleet.pem: t-3: it is not in the bundle") && told.contains("t-4"), "{told}");
    assert!(assert_code(&bench.run(&["certs", "pack", "nowhere", "x.pem"]), 1).contains("nowhere"));
}
