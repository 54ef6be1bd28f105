//! Every kind of key and every wrapping of it connects.

use crate::bench::{Bench, assert_code, mqtt};

/// How each key is made with openssl, and what its PEM begins with.
const KINDS: [(&str, &[&str], &str); 8] = [
    ("p256-pkcs8", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {key}"], "BEGIN PRIVATE KEY"),
    ("p384-pkcs8", &["genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out {key}"], "BEGIN PRIVATE KEY"),
    ("p256-sec1", &["ecparam -name prime256v1 -genkey -noout -out {key}"], "BEGIN EC PRIVATE KEY"),
    ("p384-sec1", &["ecparam -name secp384r1 -genkey -noout -out {key}"], "BEGIN EC PRIVATE KEY"),
    ("p256-sec1-parameters", &["ecparam -name prime256v1 -genkey -out {key}"], "BEGIN EC PARAMETERS"),
    ("rsa-pkcs8", &["genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {key}"], "BEGIN PRIVATE KEY"),
    ("rsa-pkcs1", &["genrsa -traditional -out {key} 2048"], "BEGIN RSA PRIVATE KEY"),
    ("ed25519-pkcs8", &["genpkey -algorithm ed25519 -out {key}"], "BEGIN PRIVATE KEY"),
];

#[test]
fn ec_and_rsa_keys_connect_in_pkcs8_sec1_and_pkcs1() {
    let bench = Bench::new(0);
    bench.write("v3.ext", "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n");
    let mut list = "thing,cert,key\n".to_owned();
    for (name, steps, beginning) in KINDS {
        for step in steps {
            bench.openssl(&step.replace("{key}", &format!("{name}.key")));
        }
        bench.openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        bench.openssl(&format!(
            "x509 -req -in {name}.csr -CA pki/ca.cert.pem -CAkey pki/ca.key.pem -CAcreateserial -days 2 -extfile v3.ext -out {name}.pem"
        ));
        assert!(bench.text(&format!("{name}.key")).starts_with(&format!("-----{beginning}")), "{name}");
        list += &format!("{name},{name}.pem,{name}.key\n");
    }
    bench.write("fleet.csv", &list);
    let serve = bench.serve(&["--auto-register"]);
    let scenario = mqtt(&serve.mqtt_port, KINDS.len(), "", "[end]\nidle = '500ms'\nlimit = '20s'")
        .replace("thing_name = 't-{index}'", "things_from = 'fleet.csv'");
    assert_code(&bench.scenario(&scenario, &[]), 0);
    assert_eq!(bench.connected(), KINDS.len() as u64, "{:?}", bench.cells("errors.csv", &["example"]));
}
