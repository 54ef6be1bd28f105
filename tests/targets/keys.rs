//! Every kind of key and every wrapping of it connects, in certificates of both versions of X.509 that AWS IoT takes.

use crate::bench::{Bench, assert_code, mqtt};

/// How each key is made with openssl, and what its PEM begins with.
const KINDS: [(&str, &[&str], &str); 11] = [
    ("p256-pkcs8", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {key}"], "BEGIN PRIVATE KEY"),
    ("p384-pkcs8", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out {key}"], "BEGIN PRIVATE KEY"),
    ("p521-pkcs8", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out {key}"], "BEGIN PRIVATE KEY"),
    ("p256-sec1", &["ecparam -name prime256v1 -genkey -noout -out {key}"], "BEGIN EC PRIVATE KEY"),
    ("p384-sec1", &["ecparam -name secp384r1 -genkey -noout -out {key}"], "BEGIN EC PRIVATE KEY"),
    ("p521-sec1", &["ecparam -name secp521r1 -genkey -noout -out {key}"], "BEGIN EC PRIVATE KEY"),
    ("p256-sec1-parameters", &["ecparam -name prime256v1 -genkey -out {key}"], "BEGIN EC PARAMETERS"),
    ("rsa-pkcs8", &["genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {key}"], "BEGIN PRIVATE KEY"),
    ("rsa-pkcs1", &["genrsa -traditional -out {key} 2048"], "BEGIN RSA PRIVATE KEY"),
    ("rsa-pss-pkcs8", &["genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out {key}"], "BEGIN PRIVATE KEY"),
    ("ed25519-pkcs8", &["genpkey -algorithm ed25519 -out {key}"], "BEGIN PRIVATE KEY"),
];

/// With an extension openssl makes version 3, without one version 1 (some releases of it version 3 always).
const VERSIONS: [(&str, &str); 2] = [("v3", " -extfile v3.ext"), ("v1", "")];

#[test]
fn ec_and_rsa_keys_connect_in_pkcs8_sec1_and_pkcs1_and_x509_of_versions_1_and_3() {
    let bench = Bench::new(0);
    bench.write("v3.ext", "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n");
    let mut list = "thing,cert,key\n".to_owned();
    for (kind, steps, beginning) in KINDS {
        for step in steps {
            bench.openssl(&step.replace("{key}", &format!("{kind}.key")));
        }
        assert!(bench.text(&format!("{kind}.key")).starts_with(&format!("-----{beginning}")), "{kind}");
        for (version, extensions) in VERSIONS {
            let name = format!("{kind}-{version}");
            bench.openssl(&format!("req -new -key {kind}.key -subj /CN={name} -out {name}.csr"));
            bench.openssl(&format!(
                "x509 -req -in {name}.csr -CA pki/ca.cert.pem -CAkey pki/ca.key.pem -CAcreateserial -days 2{extensions} -out {name}.pem"
            ));
            list += &format!("{name},{name}.pem,{kind}.key\n");
        }
    }
    bench.write("fleet.csv", &list);
    let serve = bench.serve(&["--auto-register"]);
    let things = KINDS.len() * VERSIONS.len();
    let scenario = mqtt(&serve.mqtt_port, things, "", "[end]\nidle = '500ms'\nlimit = '20s'")
        .replace("thing_name = 't-{index}'", "things_from = 'fleet.csv'");
    assert_code(&bench.scenario(&scenario, &[]), 0);
    assert_eq!(bench.connected(), things as u64, "{:?}", bench.cells("errors.csv", &["example"]));
}

/// The key is blamed for what is wrong with the key, and for nothing else.
#[test]
fn a_pair_that_cannot_be_used_is_refused_with_its_own_reason() {
    let bench = Bench::new(0);
    let pair = |name: &str, make: &str| {
        bench.openssl(&make.replace("{key}", &format!("{name}.key")));
        bench.openssl(&format!("req -x509 -new -key {name}.key -subj /CN={name} -days 2 -out {name}.pem"));
    };
    pair("secp256k1", "ecparam -name secp256k1 -genkey -noout -out {key}");
    pair("rsa1024", "genrsa -out {key} 1024");
    pair("p521", "ecparam -name secp521r1 -genkey -noout -out {key}");
    pair("other-p521", "ecparam -name secp521r1 -genkey -noout -out {key}");
    let rows = ["secp256k1,secp256k1.pem,secp256k1.key", "rsa1024,rsa1024.pem,rsa1024.key", "mixed,p521.pem,other-p521.key"];
    bench.write("fleet.csv", &format!("thing,cert,key\n{}\n", rows.join("\n")));
    let scenario =
        mqtt("1", rows.len(), "", "[end]\nduration = '2s'").replace("thing_name = 't-{index}'", "things_from = 'fleet.csv'");
    let told = assert_code(&bench.scenario(&scenario, &[]), 1);
    for (file, why) in [
        ("secp256k1.key", "of no kind that can be used"),
        ("rsa1024.key", "of no kind that can be used"),
        ("other-p521.key", "belongs to another certificate"),
    ] {
        let line = told.lines().find(|line| line.contains(file)).unwrap_or_else(|| panic!("{file}: {told}"));
        assert!(line.contains(why), "{line}");
    }
}
