//! CA certificates of the account, and certificates that they have signed, on real sockets (PROTOCOL-CORE 1.13 and 4.4).

use crate::common::authority::Authority;
use crate::common::{Client, Endpoint, connect_packet};
use crate::identity::Issued;
use crate::listener::{ARN, ok, refused, with_principal};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read as _};

const INVALID: (u16, &str) = (400, "InvalidRequestException");
const NOT_FOUND: (u16, &str) = (404, "ResourceNotFoundException");
const UNFIT: (u16, &str) = (400, "CertificateValidationException");

fn get(endpoint: &Endpoint, path: &str) -> Value {
    ok(endpoint, "GET", path, &Value::Null)
}

fn of_device((certificate, key): &(String, String)) -> Issued {
    Issued::keep(certificate, key, &json!({"certificateArn": "", "certificateId": ""}))
}

#[test]
fn the_owner_of_a_ca_proves_that_with_the_registration_code() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let body = |verification: &str| json!({"caCertificate": ours.pem, "verificationCertificate": verification});
    let no_code = (400, "RegistrationCodeValidationException");
    refused(e, "POST", "/cacertificate", &body(&ours.sign("x").0), no_code);
    let code = get(e, "/registrationcode")["registrationCode"].as_str().unwrap().to_owned();
    assert_eq!((code.len(), get(e, "/registrationcode")["registrationCode"].as_str()), (64, Some(&*code)), "the same each time");
    refused(e, "POST", "/cacertificate", &body(&ours.sign("x").0), no_code);
    refused(e, "POST", "/cacertificate", &body(&other.sign(&code).0), UNFIT);
    refused(e, "POST", "/cacertificate", &json!({"caCertificate": ours.pem}), INVALID);
    refused(e, "POST", "/cacertificate", &json!({"caCertificate": ours.sign("device").0, "certificateMode": "SNI_ONLY"}), UNFIT);
    let proof = ours.sign(&code).0;
    let with_tags = json!({"caCertificate": ours.pem, "verificationCertificate": proof, "tags": [{"Key": "site", "Value": "n1"}]});
    let made = ok(e, "POST", "/cacertificate?setAsActive=true", &with_tags);
    let id = made["certificateId"].as_str().unwrap();
    assert_eq!(made["certificateArn"], format!("{ARN}cacert/{id}"));
    refused(e, "POST", "/cacertificate", &body(&proof), (409, "ResourceAlreadyExistsException"));
    let described = get(e, &format!("/cacertificate/{id}"))["certificateDescription"].clone();
    let expected = [("status", "ACTIVE"), ("autoRegistrationStatus", "DISABLE"), ("certificateMode", "DEFAULT")];
    assert!(expected.iter().all(|(member, value)| described[member] == *value), "{described}");
    let arn = percent_encoding::utf8_percent_encode(made["certificateArn"].as_str().unwrap(), percent_encoding::NON_ALPHANUMERIC);
    assert_eq!(get(e, &format!("/tags?resourceArn={arn}"))["tags"][0]["Key"], "site");
    refused(e, "DELETE", &format!("/cacertificate/{id}"), &Value::Null, (406, "CertificateStateException"));
    ok(e, "PUT", &format!("/cacertificate/{id}?newStatus=INACTIVE&newAutoRegistrationStatus=ENABLE"), &json!({}));
    let described = get(e, &format!("/cacertificate/{id}"))["certificateDescription"].clone();
    assert_eq!((&described["status"], &described["autoRegistrationStatus"]), (&json!("INACTIVE"), &json!("ENABLE")));
    refused(e, "PUT", &format!("/cacertificate/{id}?newStatus=OPEN"), &json!({}), INVALID);
    refused(e, "PUT", &format!("/cacertificate/{id}"), &json!({"registrationConfig": {}}), INVALID);
    other.register(e, "");
    let page = get(e, "/cacertificates?pageSize=1&isAscendingOrder=true");
    assert_eq!(page["certificates"][0]["certificateId"], id);
    let marker = percent_encoding::utf8_percent_encode(page["nextMarker"].as_str().unwrap(), percent_encoding::NON_ALPHANUMERIC);
    let rest = get(e, &format!("/cacertificates?pageSize=1&isAscendingOrder=true&marker={marker}"));
    assert_eq!((rest["certificates"].as_array().unwrap().len(), rest.get("nextMarker")), (1, None));
    ok(e, "DELETE", &format!("/cacertificate/{id}"), &Value::Null);
    refused(e, "GET", &format!("/cacertificate/{id}"), &Value::Null, NOT_FOUND);
    ok(e, "DELETE", "/registrationcode", &Value::Null);
    refused(e, "DELETE", "/registrationcode", &Value::Null, NOT_FOUND);
    assert_ne!(get(e, "/registrationcode")["registrationCode"].as_str(), Some(&*code));
}

#[test]
fn a_certificate_of_a_registered_ca_connects_once_it_is_registered() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let ours = Authority::new("ours");
    let (device, stranger) = (ours.sign("device"), Authority::new("other").sign("device"));
    let body = |pem: &str| json!({"certificatePem": pem, "status": "ACTIVE"});
    refused(e, "POST", "/certificate/register", &body(&device.0), UNFIT);
    let id = ours.register(e, "");
    refused(e, "POST", "/certificate/register", &body(&device.0), (406, "CertificateStateException"));
    ok(e, "PUT", &format!("/cacertificate/{id}?newStatus=ACTIVE"), &json!({}));
    refused(e, "POST", "/certificate/register", &body(&stranger.0), UNFIT);
    let answer = ok(e, "POST", "/certificate/register", &json!({"certificatePem": device.0, "caCertificatePem": ours.pem}));
    refused(e, "POST", "/certificate/register", &body(&device.0), (409, "ResourceAlreadyExistsException"));
    let issued = Issued::keep(&device.0, &device.1, &answer);
    let described = get(e, &format!("/certificates/{}", issued.id()))["certificateDescription"].clone();
    assert_eq!((&described["status"], &described["caCertificateId"]), (&json!("INACTIVE"), &json!(id)));
    let of_ca = get(e, &format!("/certificates-by-ca/{id}"))["certificates"].clone();
    assert_eq!((of_ca.as_array().unwrap().len(), &of_ca[0]["certificateId"]), (1, &answer["certificateId"]));
    issued.attach(e, "t-1");
    assert!(issued.connect(e, "t-1").is_none(), "INACTIVE");
    issued.set(e, "ACTIVE");
    assert!(issued.connect(e, "t-1").is_some());
    ok(e, "PUT", &format!("/cacertificate/{id}?newStatus=INACTIVE"), &json!({}));
    assert!(issued.connect(e, "t-1").is_some(), "what is registered stays when its CA is deactivated");
}

/// Whether a CONNECT got through the handshake; it is answered, or the connection ends.
fn comes_and_goes(endpoint: &Endpoint, issued: &Issued) -> bool {
    let Ok(stream) = endpoint.tls(&endpoint.mqtt, Some((issued.dir(), "device"))) else { return false };
    let mut client = Client { stream, thing: "t-1".into() };
    client.try_send(&connect_packet("t-1", 300, 4, 2));
    let refused = client.stream.read_exact(&mut [0]).map_err(|error| error.kind());
    // An alert is what a handshake ends with.
    refused != Err(ErrorKind::InvalidData)
}

#[test]
fn a_device_registers_its_certificate_as_it_connects() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let ours = Authority::new("ours");
    let device = of_device(&ours.sign("device"));
    assert!(!comes_and_goes(e, &device), "no handshake while nobody knows the CA");
    let id = ours.register(e, "?setAsActive=true");
    assert!(!comes_and_goes(e, &device), "nor while it does not let its certificates register themselves");
    ok(e, "PUT", &format!("/cacertificate/{id}?newAutoRegistrationStatus=ENABLE"), &json!({}));
    let certificates = || get(e, &format!("/certificates-by-ca/{id}"))["certificates"].as_array().unwrap().clone();
    assert!(comes_and_goes(e, &device));
    let registered = certificates();
    assert_eq!((registered.len(), &registered[0]["status"]), (1, &json!("PENDING_ACTIVATION")));
    assert!(comes_and_goes(e, &device));
    assert_eq!(certificates().len(), 1, "a repeated CONNECT changes nothing");
    let certificate = registered[0]["certificateId"].as_str().unwrap();
    refused(e, "PUT", &format!("/certificates/{certificate}?newStatus=PENDING_ACTIVATION"), &Value::Null, INVALID);
    ok(e, "PUT", &format!("/certificates/{certificate}?newStatus=ACTIVE"), &Value::Null);
    with_principal(e, "PUT", "/things/t-1/principals", &format!("{ARN}cert/{certificate}"));
    let policy = json!({"target": format!("{ARN}cert/{certificate}")});
    ok(e, "PUT", "/target-policies/fleetsim-device", &policy);
    assert!(device.connect(e, "t-1").is_some());
    ok(e, "PUT", &format!("/certificates/{certificate}?newStatus=INACTIVE"), &Value::Null);
    with_principal(e, "DELETE", "/things/t-1/principals", &format!("{ARN}cert/{certificate}"));
    ok(e, "POST", "/target-policies/fleetsim-device", &policy);
    ok(e, "DELETE", &format!("/certificates/{certificate}"), &Value::Null);
    assert!(!comes_and_goes(e, &device), "what was deleted does not come back by itself");
}

#[test]
fn cas_templates_and_tags_survive_with_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let state = ["--state", state.to_str().unwrap()];
    let look = |e: &Endpoint, id: &str| {
        let tags = format!("/tags?resourceArn={ARN}jobtemplate%2Ft");
        [format!("/cacertificate/{id}"), "/registrationcode".into(), "/job-templates/t".into(), tags].map(|path| get(e, &path))
    };
    let (id, before);
    {
        let endpoint = Endpoint::start(&state);
        id = Authority::new("ours").register(&endpoint, "?setAsActive=true&allowAutoRegistration=true");
        let template = json!({"description": "d", "document": "{}", "tags": [{"Key": "a", "Value": "b"}]});
        ok(&endpoint, "PUT", "/job-templates/t", &template);
        before = look(&endpoint, &id);
    }
    assert_eq!(look(&Endpoint::start(&state), &id), before);
}
