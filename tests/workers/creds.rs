//! A server in operator mode: whoever comes has a JWT, and proves with a key that it is its own.

use crate::bench::{Bench, EACH_ITS_OWN, mqtt};
use crate::nats::{Fleet, Nats};
use crate::secured::permissions;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// That this one is who it is, in the words of another.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: Value) -> String {
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let (iss, sub) = (issuer.public_key(), subject.public_key());
    let claims = part(json!({ "jti": name, "iat": 1_700_000_000, "iss": iss, "sub": sub, "name": name, "nats": nats }));
    let signed = format!("{}.{claims}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// The file of a user of the account, who may do this.
fn write_creds(bench: &Bench, account: &KeyPair, name: &str) {
    let user = KeyPair::new_user();
    let (publish, subscribe) = permissions(name);
    let nats = json!({
        "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
        "pub": { "allow": publish }, "sub": { "allow": subscribe },
    });
    let (token, seed) = (jwt(account, &user, name, nats), user.seed().unwrap());
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    bench.write(&format!("{name}.creds"), &text);
}

/// As the user with this file.
fn over<'a>(bench: &'a Bench, nats: &Nats, name: &str) -> Fleet<'a> {
    Fleet { bench, over: vec!["--over".into(), nats.url(), "--nats-creds".into(), format!("{name}.creds")], slices: 2 }
}

#[test]
fn who_has_the_credentials_of_a_user_takes_part_and_who_has_others_does_not() {
    let bench = Bench::new(4);
    let operator = KeyPair::new_operator();
    let [account, system, other] = std::array::from_fn(|_| KeyPair::new_account());
    let without_streams = json!({
        "subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1, "wildcards": true,
    });
    let mut limits = without_streams.clone();
    ["mem_storage", "disk_storage", "streams", "consumer"].into_iter().for_each(|limit| limits[limit] = json!(-1));
    let of_operator = jwt(&operator, &operator, "operator", json!({ "type": "operator", "version": 2 }));
    let of_account = |account: &KeyPair, limits: &Value| {
        jwt(&operator, account, "account", json!({ "type": "account", "version": 2, "limits": limits }))
    };
    let config = format!(
        "operator: {of_operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}\n",
        system.public_key(),
        account.public_key(),
        of_account(&account, &limits),
        system.public_key(),
        of_account(&system, &without_streams),
    );
    let (serve, nats) = (bench.serve(&["--things", "4"]), Nats::with(&bench, Some(&config)));
    let rest = "[[cohort]]\nname = 'all'\nshare = 1.0\nworkflow = 'none'\n[end]\nduration = '3s'";
    bench.write("s.toml", &mqtt(&serve.mqtt_port, 4, EACH_ITS_OWN, rest));
    ["leader", "worker"].into_iter().for_each(|name| write_creds(&bench, &account, name));

    let mut leader = over(&bench, &nats, "leader").lead(&[]);
    let mut workers = over(&bench, &nats, "worker").workers();
    leader.assert_code(&[0, 98]);
    workers.iter_mut().for_each(|worker| _ = worker.assert_code(&[0]));

    write_creds(&bench, &other, "worker");
    let refused = bench.run(&[
        "worker",
        "--run",
        "r-1",
        "--slice",
        "0/2",
        "--wait",
        "2s",
        "--over",
        &nats.url(),
        "--nats-creds",
        "worker.creds",
    ]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && told.contains("authorization violation"), "{told}");
}
