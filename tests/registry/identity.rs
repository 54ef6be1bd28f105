//! Certificates of the registry at the listeners.

use crate::common::http::Http;
use crate::common::{Client, Endpoint, connect_packet};
use crate::listener::{ok, with_principal};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use serde_json::{Value, json};
use std::path::Path;

/// With the colon that AWS writes behind it.
const FORBIDDEN: &str = "ForbiddenException:";

pub(crate) struct Issued {
    dir: tempfile::TempDir,
    arn: String,
    id: String,
}

impl Issued {
    /// Where [`Endpoint::tls`] looks for the pair.
    pub(crate) fn keep(certificate: &str, key: &str, answer: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("things")).unwrap();
        std::fs::write(dir.path().join("things/device.cert.pem"), certificate).unwrap();
        std::fs::write(dir.path().join("things/device.key.pem"), key).unwrap();
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        Self { dir, arn: text("certificateArn"), id: text("certificateId") }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn new(endpoint: &Endpoint) -> Self {
        let answer = ok(endpoint, "POST", "/keys-and-certificate?setAsActive=true", &Value::Null);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self::keep(&text(&answer["certificatePem"]), &text(&answer["keyPair"]["PrivateKey"]), &answer)
    }

    pub(crate) fn attach(&self, endpoint: &Endpoint, thing: &str) {
        with_principal(endpoint, "PUT", &format!("/things/{thing}/principals"), &self.arn);
        self.allow(endpoint, "fleetsim-device");
    }

    fn allow(&self, endpoint: &Endpoint, policy: &str) {
        ok(endpoint, "PUT", &format!("/target-policies/{policy}"), &json!({ "target": self.arn }));
    }

    pub(crate) fn set(&self, endpoint: &Endpoint, status: &str) {
        ok(endpoint, "PUT", &format!("/certificates/{}?newStatus={status}", self.id), &Value::Null);
    }

    /// The client, if it is let in; otherwise the connection ends without a CONNACK (PROTOCOL-CORE 1.9).
    pub(crate) fn connect(&self, endpoint: &Endpoint, thing: &str) -> Option<Client> {
        let path: &Path = self.dir.path();
        let mut client = Client { stream: endpoint.tls(&endpoint.mqtt, Some((path, "device"))).unwrap(), thing: thing.into() };
        client.send(&connect_packet(thing, 300, 4, 2));
        match client.packet() {
            Some((0x20, body)) if body == [0, 0] => Some(client),
            None => None,
            other => panic!("neither accepted nor closed: {other:?}"),
        }
    }
}

#[test]
fn a_certificate_of_the_registry_is_the_thing_it_is_attached_to() {
    let endpoint = Endpoint::start(&[]);
    let issued = Issued::new(&endpoint);
    assert!(issued.connect(&endpoint, "t-1").is_none(), "attached to nothing");
    issued.attach(&endpoint, "t-1");
    let mut client = issued.connect(&endpoint, "t-1").unwrap();
    assert_eq!(client.request("get", &json!({})).0, "get/accepted");
    assert!(issued.connect(&endpoint, "t-2").is_none(), "another thing");
    issued.attach(&endpoint, "t-2");
    assert!(issued.connect(&endpoint, "t-2").is_some(), "the client id chooses");
    let listed = ok(&endpoint, "GET", "/things/t-2/principals", &Value::Null);
    assert!(listed["principals"].as_array().unwrap().contains(&json!(issued.arn)), "{listed}");
    assert_eq!(with_principal(&endpoint, "GET", "/principals/things", &issued.arn)["things"], json!(["t-1", "t-2"]));
    assert_eq!(
        ok(&endpoint, "GET", &format!("/certificates/{}", issued.id), &Value::Null)["certificateDescription"]["status"],
        "ACTIVE"
    );
}

#[test]
fn over_https_each_request_asks_what_the_certificate_is_worth() {
    let endpoint = Endpoint::start(&[]);
    let issued = Issued::new(&endpoint);
    let mut http = Http::new(endpoint.tls(&endpoint.https, Some((issued.dir.path(), "device"))).unwrap(), &endpoint.https);
    http.ask("GET", "/things/t-1/jobs", "").refused(403, FORBIDDEN);
    let thing = "arn:aws:iot:us-east-1:111122223333:thing/";
    let document = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "iotjobsdata:*", "Resource": [format!("{thing}t-1"), format!("{thing}t-2"), format!("{thing}none")],
    }});
    ok(&endpoint, "POST", "/policies/jobs", &json!({ "policyDocument": document.to_string() }));
    issued.allow(&endpoint, "jobs");
    http.ask("GET", "/things/none/jobs", "").refused(403, FORBIDDEN);
    http.ask("GET", "/things/t-1/jobs", "").ok();
    http.ask("GET", "/things/t-2/jobs", "").ok();
    http.ask("GET", "/things/t-3/jobs", "").refused(403, FORBIDDEN);
    issued.set(&endpoint, "INACTIVE");
    http.ask("GET", "/things/t-1/jobs", "").refused(403, FORBIDDEN);
    issued.set(&endpoint, "ACTIVE");
    http.ask("GET", "/things/t-1/jobs", "").ok();
}

#[test]
fn a_session_ends_when_its_certificate_is_no_longer_active_and_no_other_does() {
    let endpoint = Endpoint::start(&[]);
    let issued = Issued::new(&endpoint);
    issued.attach(&endpoint, "t-1");
    let mut other = endpoint.connect("t-2");
    let mut client = issued.connect(&endpoint, "t-1").unwrap();
    client.subscribe(&["notify-next"]);
    issued.set(&endpoint, "INACTIVE");
    assert!(client.is_closed());
    assert!(issued.connect(&endpoint, "t-1").is_none());
    issued.set(&endpoint, "ACTIVE");
    let mut client = issued.connect(&endpoint, "t-1").unwrap();
    // What is asked of a certificate that did not bring this session in does not touch it.
    let unrelated = Issued::new(&endpoint);
    unrelated.attach(&endpoint, "t-1");
    unrelated.set(&endpoint, "REVOKED");
    client.expect_quiet();
    with_principal(&endpoint, "DELETE", "/things/t-1/principals", &issued.arn);
    assert!(client.is_closed(), "detached");
    other.expect_quiet();
}

/// The common name of a certificate that was deleted must not let its owner in by the other way.
#[test]
fn a_signing_request_makes_a_certificate_that_is_worth_nothing_once_deleted() {
    let endpoint = Endpoint::start(&[]);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "t-1");
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let body = json!({"certificateSigningRequest": request});
    let answer = ok(&endpoint, "POST", "/certificates?setAsActive=true", &body);
    assert!(answer.get("keyPair").is_none());
    let issued = Issued::keep(answer["certificatePem"].as_str().unwrap(), &key.serialize_pem(), &answer);
    assert!(issued.connect(&endpoint, "t-1").is_none(), "attached to nothing, whatever its common name");
    issued.attach(&endpoint, "t-1");
    assert!(issued.connect(&endpoint, "t-1").is_some());
    let path = format!("/certificates/{}", issued.id);
    let deletion = || {
        let (status, error, _) = endpoint.call("DELETE", &path, "", |_| {});
        (status, error)
    };
    assert_eq!(deletion(), (406, Some("CertificateStateException".into())));
    issued.set(&endpoint, "INACTIVE");
    assert_eq!(deletion(), (409, Some("DeleteConflictException".into())));
    with_principal(&endpoint, "DELETE", "/things/t-1/principals", &issued.arn);
    assert_eq!(deletion(), (409, Some("DeleteConflictException".into())), "a policy is attached");
    ok(&endpoint, "POST", "/target-policies/fleetsim-device", &json!({ "target": issued.arn }));
    assert_eq!(deletion(), (200, None));
    assert!(issued.connect(&endpoint, "t-1").is_none());
}

/// What the registry issued says nothing by itself, whatever common name somebody asked for: not to a registry either that has lost
/// its records.
#[test]
fn a_common_name_counts_only_in_what_the_endpoint_made_for_a_thing() {
    for more in [&[][..], &["--auto-register"]] {
        let endpoint = Endpoint::start(more);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "t-1");
        let request = params.serialize_request(&key).unwrap().pem().unwrap();
        let answer = ok(&endpoint, "POST", "/certificates?setAsActive=true", &json!({"certificateSigningRequest": request}));
        let issued = Issued::keep(answer["certificatePem"].as_str().unwrap(), &key.serialize_pem(), &answer);
        let keys = Issued::new(&endpoint);
        issued.set(&endpoint, "REVOKED");
        ok(&endpoint, "DELETE", &format!("/certificates/{}", issued.id), &Value::Null);
        // Of the CA, by somebody who has its key.
        let by_hand = signed_by_hand(&endpoint, "t-1");
        let endpoint = endpoint.restart(&[&["--minute", "1s"], more].concat());
        assert!(issued.connect(&endpoint, "t-1").is_none(), "{more:?}");
        assert!(keys.connect(&endpoint, "t-1").is_none(), "{more:?}");
        endpoint.wait_for_log(&["MQTT CONNECT", "\"t-1\"", "issued by a registry that is gone"]);
        assert_eq!(by_hand.connect(&endpoint, "t-1").is_some(), !more.is_empty(), "{more:?}");
        let listed = ok(&endpoint, "GET", "/things/t-1/principals", &Value::Null);
        let principals = listed["principals"].as_array().unwrap();
        assert_eq!(principals.len(), 1 + more.len());
        for arn in principals {
            let id = arn.as_str().unwrap().rsplit_once('/').unwrap().1;
            let described = ok(&endpoint, "GET", &format!("/certificates/{id}"), &Value::Null);
            let pem = described["certificateDescription"]["certificatePem"].as_str().unwrap();
            assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "the endpoint has no file of what others made: {pem}");
        }
        endpoint.connect("t-1").expect_quiet();
    }
}

fn signed_by_hand(endpoint: &Endpoint, common_name: &str) -> Issued {
    let read = |file: &str| std::fs::read_to_string(endpoint.dir.path().join(file)).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca.cert.pem"), KeyPair::from_pem(&read("ca.key.pem")).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Issued::keep(&certificate.pem(), &key.serialize_pem(), &json!({"certificateArn": "", "certificateId": ""}))
}

/// The certificate that the endpoint made for a thing.
fn principal_of(endpoint: &Endpoint, thing: &str) -> String {
    let listed = ok(endpoint, "GET", &format!("/things/{thing}/principals"), &Value::Null);
    listed["principals"][0].as_str().unwrap().to_owned()
}

/// As on AWS, a thing goes when its certificate is detached.
fn delete(endpoint: &Endpoint, thing: &str) {
    with_principal(endpoint, "DELETE", &format!("/things/{thing}/principals"), &principal_of(endpoint, thing));
    ok(endpoint, "DELETE", &format!("/things/{thing}"), &Value::Null);
}

/// With its session, its subscriptions, and what is stored for it.
#[test]
fn a_thing_that_is_deleted_is_answered_no_more() {
    let endpoint = Endpoint::start(&[]);
    let persistent = |thing: &str| {
        let mut client = endpoint.dial(thing);
        client.send(&connect_packet(thing, 300, 4, 0));
        let Some((0x20, answer)) = client.packet() else { panic!("no CONNACK") };
        (client, answer)
    };
    let (mut open, answer) = persistent("t-1");
    assert_eq!(answer, [0, 0]);
    open.subscribe(&["notify"]);
    let (mut away, _) = persistent("t-2");
    away.subscribe(&["notify"]);
    drop(away);
    let mut http = Http::new(endpoint.tls(&endpoint.https, Some((endpoint.dir.path(), "t-1"))).unwrap(), &endpoint.https);
    http.ask("GET", "/things/t-1/jobs", "").ok();
    let mut other = endpoint.connect("t-3");
    let mut principals: Vec<String> = ["t-2", "t-1"].map(|thing| principal_of(&endpoint, thing)).into();
    for thing in ["t-1", "t-2"] {
        delete(&endpoint, thing);
    }
    assert!(open.is_closed());
    let mut again = endpoint.dial("t-1");
    again.send(&connect_packet("t-1", 300, 4, 2));
    assert_eq!(again.packet(), None);
    http.ask("GET", "/things/t-1/jobs", "").refused(403, FORBIDDEN);
    other.expect_quiet();
    for thing in ["t-1", "t-2"] {
        ok(&endpoint, "POST", &format!("/things/{thing}"), &json!({}));
        let certificate = principals.pop().unwrap();
        with_principal(&endpoint, "PUT", &format!("/things/{thing}/principals"), &certificate);
        assert_eq!(persistent(thing).1, [0, 0], "a new thing has no session from before");
    }
}

#[test]
fn a_certificate_of_any_issuer_connects_once_it_is_registered() {
    let endpoint = Endpoint::start(&[]);
    let key = KeyPair::generate().unwrap();
    let foreign = CertificateParams::default().self_signed(&key).unwrap().pem();
    let body = json!({"certificatePem": foreign, "status": "ACTIVE"});
    let unknown = Issued::keep(&foreign, &key.serialize_pem(), &json!({"certificateArn": "", "certificateId": ""}));
    let hears_nothing = |issued: &Issued| {
        let Ok(stream) = endpoint.tls(&endpoint.mqtt, Some((issued.dir.path(), "device"))) else { return true };
        let mut client = Client { stream, thing: "t-1".into() };
        let _ = std::io::Write::write_all(&mut client.stream, &connect_packet("t-1", 300, 4, 2));
        let mut byte = [0];
        !matches!(std::io::Read::read(&mut client.stream, &mut byte), Ok(1))
    };
    assert!(hears_nothing(&unknown), "no handshake with a certificate of nobody");
    let answer = ok(&endpoint, "POST", "/certificate/register-no-ca", &body);
    let issued = Issued::keep(&foreign, &key.serialize_pem(), &answer);
    issued.attach(&endpoint, "t-1");
    assert!(issued.connect(&endpoint, "t-1").is_some());
    issued.set(&endpoint, "REVOKED");
    assert!(hears_nothing(&issued));
}

#[test]
fn what_is_registered_survives_with_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let state = ["--state", state.to_str().unwrap()];
    let (first, second);
    {
        let endpoint = Endpoint::start(&state);
        ok(&endpoint, "PATCH", "/things/t-1", &json!({"attributePayload": {"attributes": {"k": "v"}}}));
        first = ok(&endpoint, "GET", "/things/t-1", &Value::Null);
        let issued = Issued::new(&endpoint);
        issued.attach(&endpoint, "t-1");
        second = issued.arn.clone();
    }
    let endpoint = Endpoint::start(&state);
    assert_eq!(ok(&endpoint, "GET", "/things/t-1", &Value::Null), first);
    assert_eq!(with_principal(&endpoint, "GET", "/principals/things", &second)["things"], json!(["t-1"]));
}
