//! Files that somebody else has signed.

use crate::bench::{Bench, EACH_ITS_OWN, assert_code, create_job, mqtt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;

fn scenario(port: &str, end: &str) -> String {
    let cohort =
        "[[cohort]]\nname = 'all'\nverify_signature = true\n[behavior.quick]\nreaction = '0s'\nstep = '20ms'\nupdates = 1\n";
    let text = mqtt(port, 2, EACH_ITS_OWN, &format!("{cohort}[end]\n{end}\nlimit = '40s'"));
    text.replace("[target.tls]", "signer = 'signer.pem'\n[target.tls]")
}

/// Another program signs, and its certificate, or its key alone, says whose signatures count.
#[test]
fn the_signatures_of_openssl_are_verified_by_its_certificate_or_its_public_key() {
    let bench = Bench::new(2);
    bench.openssl("ecparam -name prime256v1 -genkey -noout -out signer.key");
    bench.write("pki/objects/firmware/good.bin", &"firmware".repeat(10_000));
    bench.write("pki/objects/firmware/other.bin", &"firmwarf".repeat(10_000));
    bench.openssl("dgst -sha256 -sign signer.key -out signature pki/objects/firmware/good.bin");
    let signature = STANDARD.encode(fs::read(bench.path("signature")).unwrap());
    for (way, make) in [
        ("certificate", "req -x509 -new -key signer.key -subj /CN=signer -days 2 -out signer.pem"),
        ("key", "ec -in signer.key -pubout -out signer.pem"),
    ] {
        bench.openssl(make);
        let serve = bench.serve(&["--things", "2"]);
        for name in ["good", "other"] {
            let document = json!({
                "presign": format!("${{aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/firmware/{name}.bin}}"),
                "codesign": { "rawPayloadSize": 80_000, "signature": signature, "signatureAlgorithm": "SHA256withECDSA" },
            });
            create_job(&bench, &serve, 2, name, &document.to_string());
        }
        let output = bench.scenario(&scenario(&serve.mqtt_port, "expect = 4"), &[]);
        assert_code(&output, 0);
        let mut rows = bench.cells("executions.csv", &["job", "status"]);
        rows.sort();
        assert_eq!(rows, [["good", "SUCCEEDED"], ["good", "SUCCEEDED"], ["other", "REJECTED"], ["other", "REJECTED"]], "{way}");
    }
}

#[test]
fn a_signer_that_cannot_be_is_named_before_the_first_connection() {
    let bench = Bench::new(2);
    bench.openssl("ecparam -name secp384r1 -genkey -noout -out other.key");
    for (make, why) in [
        (None, "No such file"),
        (Some("ec -in other.key -pubout -out signer.pem"), "P-256"),
        (Some("ec -in other.key -out signer.pem"), "neither a certificate nor a public key"),
    ] {
        make.into_iter().for_each(|make| bench.openssl(make));
        let told = assert_code(&bench.scenario(&scenario("1", "duration = '2s'"), &[]), 1);
        let check = assert_code(&bench.run(&["check", "s.toml"]), 1);
        for told in [told, check] {
            let line = told.lines().find(|line| line.contains("signer.pem")).unwrap_or_else(|| panic!("{told}"));
            assert!(line.contains(why), "{line}");
        }
    }
}
