//! Ways to an endpoint: several hosts, source addresses, tickets; and what is said where there is none.

use crate::bench::{Bench, EACH_ITS_OWN, assert_code, mqtt};
use crate::fake::{Fake, Manner};
use std::collections::{BTreeMap, BTreeSet};

const THREE_SECONDS: &str = "[end]\nduration = '3s'";
/// How runs end at an endpoint that answers no request.
const UNANSWERED: i32 = 99;

#[test]
fn things_are_spread_over_hosts_and_source_addresses_the_same_for_any_number_of_shards() {
    let bench = Bench::new(8);
    let fake = Fake::start(&bench, &["127.0.0.1", "127.0.0.2"], Manner::Keep);
    let scenario = mqtt(&fake.port, 8, EACH_ITS_OWN, "[end]\nduration = '2s'")
        .replace("host = '127.0.0.1'", "hosts = ['127.0.0.1', '127.0.0.2']\nsource_ips = ['127.0.0.3-127.0.0.4']");
    assert_code(&bench.scenario(&scenario, &["--shards", "1"]), UNANSWERED);
    let first = fake.visits();
    let pairs = first.iter().fold(BTreeMap::new(), |mut pairs: BTreeMap<_, usize>, visit| {
        *pairs.entry((visit.from, visit.to)).or_default() += 1;
        pairs
    });
    assert_eq!(pairs.into_values().collect::<Vec<_>>(), [2, 2, 2, 2], "{first:?}");
    assert_code(&bench.scenario(&scenario, &["--shards", "3"]), UNANSWERED);
    let all = fake.visits();
    assert_eq!((all.len(), all.into_iter().collect::<BTreeSet<_>>()), (16, first.into_iter().collect()));
}

#[test]
fn an_address_that_is_not_of_this_host_is_told_before_the_first_connection() {
    let bench = Bench::new(2);
    let fake = Fake::start(&bench, &["127.0.0.1"], Manner::Keep);
    let scenario = mqtt(&fake.port, 2, EACH_ITS_OWN, THREE_SECONDS)
        .replace("kind = 'mqtt'", "kind = 'mqtt'\nsource_ips = ['203.0.113.1-203.0.113.2', '127.0.0.1']");
    let told = assert_code(&bench.scenario(&scenario, &[]), 1);
    for address in ["203.0.113.1", "203.0.113.2"] {
        assert!(told.contains(&format!("cannot leave from {address}")), "{told}");
    }
    assert!(told.contains("must be an address of this host") && fake.visits().is_empty(), "{told}");
    assert!(assert_code(&bench.run(&["check", "s.toml"]), 1).contains("203.0.113.2"));
}

#[test]
fn tickets_are_used_where_they_are_wanted_and_only_there() {
    for (wanted, words) in [(true, "resumption = true"), (false, "")] {
        let bench = Bench::new(2);
        let fake = Fake::start(&bench, &["127.0.0.1"], Manner::DropSoon);
        let scenario = mqtt(&fake.port, 2, &format!("{EACH_ITS_OWN}\n{words}"), THREE_SECONDS);
        assert_code(&bench.scenario(&scenario, &[]), UNANSWERED);
        for thing in ["t-0", "t-1"] {
            let visits: Vec<bool> =
                fake.visits().into_iter().filter(|visit| visit.client_id == thing).map(|visit| visit.resumed).collect();
            assert!(visits.len() > 4, "{thing} came back: {visits:?}");
            let resumed = visits.iter().filter(|resumed| **resumed).count();
            assert_eq!(resumed, if wanted { visits.len() - 1 } else { 0 }, "{thing}: all but the first");
        }
    }
}

#[test]
fn a_connection_that_is_closed_before_connack_says_what_usually_causes_it() {
    let bench = Bench::new(2);
    let fake = Fake::start(&bench, &["127.0.0.1"], Manner::Close);
    let told = assert_code(&bench.scenario(&mqtt(&fake.port, 2, EACH_ITS_OWN, THREE_SECONDS), &[]), 1);
    assert!(told.contains("not one of 2 things could connect") && told.contains("iot:Connect"), "{told}");
    let examples = bench.cells("errors.csv", &["operation", "kind", "example"]);
    let example = examples.iter().find(|row| row[0] == "connect_mqtt" && row[1] == "connack").expect("the stage has failed");
    assert!(["before CONNACK", "client id", "iot:Connect", "ACTIVE"].iter().all(|word| example[2].contains(word)), "{example:?}");
}

#[test]
fn what_the_local_endpoint_refuses_says_it_too() {
    let bench = Bench::new(2);
    let serve = bench.serve(&["--things", "2"]);
    let shared = "cert = 'pki/things/t-0.cert.pem'\nkey = 'pki/things/t-0.key.pem'";
    assert_code(&bench.scenario(&mqtt(&serve.mqtt_port, 2, shared, THREE_SECONDS), &[]), 0);
    assert_eq!(bench.connected(), 1, "t-0 is who its certificate says");
    let examples = bench.cells("errors.csv", &["operation", "example"]);
    let example = examples.iter().find(|row| row[0] == "connect_mqtt").expect("t-1 is refused");
    assert!(example[1].starts_with("t-1: ") && example[1].contains("client id is not the thing name"), "{example:?}");
}

#[test]
fn without_a_ca_only_amazons_roots_are_trusted() {
    let bench = Bench::new(1);
    let fake = Fake::start(&bench, &["127.0.0.1"], Manner::Keep);
    let scenario = mqtt(&fake.port, 1, EACH_ITS_OWN, "[end]\nduration = '1s'").replace("ca = 'pki/ca.cert.pem'\n", "");
    assert_code(&bench.scenario(&scenario, &[]), 1);
    let rows = bench.cells("errors.csv", &["code", "example"]);
    assert!(rows.iter().any(|row| row[0] == "invalid_certificate" && row[1].contains("target.tls.ca")), "{rows:?}");
}

#[test]
fn the_local_endpoint_gives_tickets_where_it_is_told_to() {
    use crate::common::Endpoint;
    use host::tls;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
    use std::io::{Read as _, Write as _};
    for (option, expected) in [(&["--tls-resumption"][..], HandshakeKind::Resumed), (&[], HandshakeKind::Full)] {
        let endpoint = Endpoint::start(option);
        let file = |kind: &str| endpoint.dir.path().join(format!("things/t-1.{kind}.pem"));
        let roots = tls::roots([endpoint.pem("ca.cert.pem")]).unwrap();
        let builder = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from_pem_file(file("cert")).unwrap()];
        let config = builder
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(file("key")).unwrap())
            .unwrap();
        let config = std::sync::Arc::new(config);
        let connect = || {
            let tcp = std::net::TcpStream::connect(&endpoint.mqtt).unwrap();
            let connection = ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
            let mut stream = StreamOwned::new(connection, tcp);
            stream.write_all(&crate::common::connect_packet("t-1", 300, 4, 2)).unwrap();
            let mut connack = [0; 4];
            stream.read_exact(&mut connack).unwrap();
            assert_eq!(connack, [0x20, 2, 0, 0], "a resumed client is who its certificate said");
            stream.conn.handshake_kind().unwrap()
        };
        assert_eq!((connect(), connect()), (HandshakeKind::Full, expected));
    }
}

#[test]
fn a_run_against_its_own_endpoint_may_resume_and_take_several_source_addresses() {
    let bench = Bench::new(0);
    let scenario = "name = 's'\n[target]\nkind = 'emulator'\nsource_ips = ['127.0.0.2-127.0.0.3']\ntls = { resumption = true }\n\
                    [target.emulator]\ndisconnect = { every = '300ms' }\n[fleet]\nthings = 4\nreconnect = { policy = 'fixed', base = '50ms' }\n\
                    [end]\nduration = '3s'\n";
    assert_code(&bench.scenario(scenario, &[]), 0);
    let errors = bench.cells("errors.csv", &["operation", "kind"]);
    assert!(errors.iter().all(|row| row[1] == "lost"), "resumed sessions are let in like others: {errors:?}");
    assert!(bench.connected() > 12);
}
