//! Every kind of certificate, key and signature that AWS IoT takes of devices (PROTOCOL-CORE 1.13), made by openssl as the developer
//! guide does: registered, attached, and good for a connection; others are refused when they are registered, with a reason.

use crate::common::{Client, Endpoint, connect_packet};
use crate::listener::{ok, with_principal};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files of openssl.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(bench.path("things")).unwrap();
        bench.write("v3.ext", "basicConstraints=CA:FALSE\n");
        bench
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    #[track_caller]
    fn openssl(&self, args: &str) -> String {
        let output =
            Command::new("openssl").args(args.split(' ')).current_dir(self.0.path()).output().expect("openssl is installed");
        assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A key, a signing request, and a CA with a key of its own, all by the same way of making keys.
    fn make(&self, name: &str, key: &str) {
        for file in [name.to_owned(), format!("ca-{name}")] {
            key.split(" && ").for_each(|step| drop(self.openssl(&step.replace("{key}", &format!("things/{file}.key.pem")))));
        }
        // openssl's own salt is as long as it can be, which nobody else verifies.
        let salt = if name == "rsa-pss" { " -sigopt rsa_pss_saltlen:digest" } else { "" };
        self.openssl(&format!("req -new -sha256{salt} -key things/{name}.key.pem -subj /CN=t-2 -out {name}.csr"));
    }
}

/// The return code of CONNECT as `thing`, with the pair of that name.
fn connect(
    endpoint: &Endpoint,
    dir: &Path,
    name: &str,
    version: &'static rustls::SupportedProtocolVersion,
    thing: &str,
) -> Option<u8> {
    let config = endpoint.client_config(Some((dir, name)), &[version]);
    let mut client = Client { stream: Endpoint::tls_with(config, &endpoint.mqtt).ok()?, thing: thing.into() };
    client.try_send(&connect_packet(thing, 300, 4, 2));
    client.packet().map(|(_, body)| body[1])
}

const EC: &str = "ecparam -genkey -noout -out {key} -name ";

/// How the keys are made that AWS IoT takes. RSASSA-PSS keys are for TLS 1.3.
fn kinds() -> [(&'static str, String, bool); 5] {
    let ec = |curve: &str| format!("{EC}{curve}");
    [
        ("p256", ec("prime256v1"), true),
        ("p384", ec("secp384r1"), true),
        ("p521", ec("secp521r1"), true),
        ("rsa", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {key}".into(), true),
        ("rsa-pss", "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out {key}".into(), false),
    ]
}

/// Registers a certificate, attaches it to `t-2`, and connects in both versions of TLS.
#[track_caller]
fn expect_good(endpoint: &Endpoint, bench: &Bench, name: &str, in_tls_12: bool) {
    let body = json!({"certificatePem": bench.text(&format!("things/{name}.cert.pem")), "status": "ACTIVE"});
    let answer = ok(endpoint, "POST", "/certificate/register-no-ca", &body);
    expect_connection(endpoint, bench, name, &answer, in_tls_12);
}

#[track_caller]
fn expect_connection(endpoint: &Endpoint, bench: &Bench, name: &str, registered: &Value, in_tls_12: bool) {
    let arn = registered["certificateArn"].as_str().unwrap();
    with_principal(endpoint, "PUT", "/things/t-2/principals", arn);
    ok(endpoint, "PUT", "/target-policies/fleetsim-device", &json!({ "target": arn }));
    assert_eq!(connect(endpoint, bench.0.path(), name, &TLS13, "t-2"), Some(0), "{name} in TLS 1.3");
    assert_eq!(connect(endpoint, bench.0.path(), name, &TLS12, "t-2").is_some(), in_tls_12, "{name} in TLS 1.2");
}

#[test]
fn certificates_of_every_kind_connect_once_they_are_registered_in_both_versions_of_x509() {
    let (endpoint, bench) = (Endpoint::start(&[]), Bench::new());
    for (kind, key, in_tls_12) in kinds() {
        bench.make(kind, &key);
        bench.openssl(&format!(
            "req -x509 -new -sha256 -key things/ca-{kind}.key.pem -subj /CN=root-{kind} -days 2 -out ca-{kind}.pem"
        ));
        for (version, extensions) in [("v1", ""), ("v3", " -extfile v3.ext")] {
            let name = format!("{kind}-{version}");
            bench.openssl(&format!(
                "x509 -req -in {kind}.csr -CA ca-{kind}.pem -CAkey things/ca-{kind}.key.pem -CAcreateserial -days 500 -sha256{extensions} -out things/{name}.cert.pem"
            ));
            std::fs::copy(bench.path(&format!("things/{kind}.key.pem")), bench.path(&format!("things/{name}.key.pem"))).unwrap();
            expect_good(&endpoint, &bench, &name, in_tls_12);
        }
    }
}

/// The endpoint verifies no signature of somebody else's CA, whose algorithm is therefore only looked at.
#[test]
fn every_signature_of_a_ca_that_aws_takes_is_taken() {
    let (endpoint, bench) = (Endpoint::start(&[]), Bench::new());
    bench.make("device", &format!("{EC}prime256v1"));
    for (ca, key) in [
        ("rsa", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {key}"),
        ("dsa", "dsaparam -out dsa.pem 1024 && gendsa -out {key} dsa.pem"),
        ("ec", "ecparam -genkey -noout -out {key} -name secp521r1"),
    ] {
        key.split(" && ").for_each(|step| drop(bench.openssl(&step.replace("{key}", &format!("{ca}.key")))));
        bench.openssl(&format!("req -x509 -new -sha256 -key {ca}.key -subj /CN=root -days 2 -out {ca}.pem"));
        for digest in ["sha256", "sha384", "sha512"].iter().take(if ca == "dsa" { 1 } else { 3 }) {
            let name = format!("{ca}-{digest}");
            bench.openssl(&format!(
                "x509 -req -in device.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 500 -{digest} -out things/{name}.cert.pem"
            ));
            std::fs::copy(bench.path("things/device.key.pem"), bench.path(&format!("things/{name}.key.pem"))).unwrap();
            expect_good(&endpoint, &bench, &name, true);
        }
    }
}

#[test]
fn signing_requests_of_every_kind_make_certificates_that_connect() {
    let (endpoint, bench) = (Endpoint::start(&[]), Bench::new());
    for (kind, key, in_tls_12) in kinds() {
        bench.make(kind, &key);
        let body = json!({"certificateSigningRequest": bench.text(&format!("{kind}.csr"))});
        let answer = ok(&endpoint, "POST", "/certificates?setAsActive=true", &body);
        bench.write(&format!("things/{kind}.cert.pem"), answer["certificatePem"].as_str().unwrap());
        let shown = bench.openssl(&format!("x509 -in things/{kind}.cert.pem -noout -subject -issuer -pubkey"));
        assert!(shown.contains("t-2") && shown.contains("fleetsim development CA"), "{shown}");
        assert!(shown.contains(bench.openssl(&format!("pkey -in things/{kind}.key.pem -pubout")).trim()), "{kind}: its own key");
        let chain =
            bench.openssl(&format!("verify -CAfile {} things/{kind}.cert.pem", endpoint.dir.path().join("ca.cert.pem").display()));
        assert!(chain.contains("OK"), "{chain}");
        expect_connection(&endpoint, &bench, kind, &answer, in_tls_12);
    }
}

/// TLS 1.2 leaves hash and curve free of each other; openssl signs with what it is told to.
#[test]
fn any_hash_goes_with_any_curve_in_tls_12() {
    let (endpoint, bench) = (Endpoint::start(&[]), Bench::new());
    let ca = endpoint.dir.path().join("ca.cert.pem");
    for (kind, curve) in [("p256", "prime256v1"), ("p384", "secp384r1"), ("p521", "secp521r1")] {
        bench.make(kind, &format!("{EC}{curve}"));
        bench.openssl(&format!("req -x509 -new -key things/{kind}.key.pem -subj /CN={kind} -days 2 -out things/{kind}.cert.pem"));
        let body = json!({"certificatePem": bench.text(&format!("things/{kind}.cert.pem")), "status": "ACTIVE"});
        ok(&endpoint, "POST", "/certificate/register-no-ca", &body);
        for hash in ["SHA256", "SHA384", "SHA512"] {
            let output = Command::new("openssl")
                .args(["s_client", "-tls1_2", "-connect", &endpoint.mqtt, "-client_sigalgs", &format!("ECDSA+{hash}")])
                .args(["-cert", &format!("things/{kind}.cert.pem"), "-key", &format!("things/{kind}.key.pem"), "-CAfile"])
                .arg(&ca)
                .current_dir(bench.0.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(output.status.success(), "{kind} with {hash}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn what_aws_does_not_take_is_refused_when_it_is_registered_with_what_it_takes() {
    let (endpoint, bench) = (Endpoint::start(&[]), Bench::new());
    for (kind, key, digest, why) in [
        ("rsa1024", "genrsa -out {key} 1024", "sha256", "RSA of 1024 bits: AWS IoT takes RSA from 2048 bits"),
        ("secp256k1", "ecparam -genkey -noout -out {key} -name secp256k1", "sha256", "EC of P-256, P-384 and P-521"),
        ("p224", "ecparam -genkey -noout -out {key} -name secp224r1", "sha256", "EC of P-256, P-384 and P-521"),
        ("ed25519", "genpkey -algorithm ed25519 -out {key}", "", "signed by the algorithm 1.3.101.112"),
        ("sha1", "ecparam -genkey -noout -out {key} -name prime256v1", "sha1", "with SHA-256, SHA-384 or SHA-512"),
    ] {
        bench.openssl(&key.replace("{key}", &format!("{kind}.key")));
        let digest = if digest.is_empty() { String::new() } else { format!(" -{digest}") };
        bench.openssl(&format!("req -x509 -new{digest} -key {kind}.key -subj /CN={kind} -days 2 -out {kind}.pem"));
        let body = json!({"certificatePem": bench.text(&format!("{kind}.pem")), "status": "ACTIVE"});
        let (status, error, answer) = endpoint.call("POST", "/certificate/register-no-ca", &body.to_string(), |_| {});
        assert_eq!((status, error.as_deref()), (400, Some("CertificateValidationException")), "{kind}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(why), "{kind}: {answer}");
        if kind == "sha1" {
            continue;
        }
        bench.openssl(&format!("req -new{digest} -key {kind}.key -subj /CN={kind} -out {kind}.csr"));
        let body = json!({"certificateSigningRequest": bench.text(&format!("{kind}.csr"))});
        let (status, error, answer) = endpoint.call("POST", "/certificates", &body.to_string(), |_| {});
        assert_eq!((status, error.as_deref()), (400, Some("InvalidRequestException")), "{kind}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains("AWS IoT takes"), "{kind}: {answer}");
    }
}

#[test]
fn keys_of_the_registry_are_rsa() {
    let (endpoint, bench) = (Endpoint::start(&[]), Bench::new());
    let made = ok(&endpoint, "POST", "/keys-and-certificate?setAsActive=true", &Value::Null);
    for (file, text) in [
        ("things/made.cert.pem", &made["certificatePem"]),
        ("things/made.key.pem", &made["keyPair"]["PrivateKey"]),
        ("public.pem", &made["keyPair"]["PublicKey"]),
    ] {
        bench.write(file, text.as_str().unwrap());
    }
    assert!(bench.text("things/made.key.pem").starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    let key = bench.openssl("pkey -in things/made.key.pem -noout -text");
    assert!(key.contains("2048 bit"), "{key}");
    assert_eq!(bench.openssl("pkey -in things/made.key.pem -pubout"), bench.text("public.pem"));
    assert_eq!(bench.openssl("x509 -in things/made.cert.pem -noout -pubkey"), bench.text("public.pem"));
    expect_connection(&endpoint, &bench, "made", &made, true);
}
