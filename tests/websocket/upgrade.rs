//! Who gets a WebSocket.

use crate::common::Endpoint;
use crate::common::http::{Http, header};
use crate::{Socket, upgrade, url};
use aws_signing::sigv4::AccessKey;
use aws_signing::websocket::presign;
use std::time::{Duration, SystemTime};

const PROTOCOL: &str = "sec-websocket-protocol: mqtt\r\n";

#[test]
fn a_token_after_the_signature_breaks_nothing() {
    let endpoint = Endpoint::start(&[]);
    let token = presign(&endpoint.api, &endpoint.key(), Some("FwoGZXIvYXdzE/+="), "us-east-1", SystemTime::now());
    assert!(token.contains("&X-Amz-Security-Token="));
    Socket::open_by(&endpoint, &token);
    Socket::open_by(&endpoint, &url(&endpoint));
}

#[test]
fn the_older_name_of_the_protocol_is_understood() {
    let endpoint = Endpoint::start(&[]);
    let (head, _) = upgrade(&endpoint, &url(&endpoint), "sec-websocket-protocol: mqttv3.1\r\n");
    let told = (head.split(' ').nth(1), header(&head, "sec-websocket-protocol"));
    assert_eq!(told, (Some("101"), Some("mqttv3.1".to_owned())), "{head}");
}

#[test]
fn a_signature_that_is_wrong_in_any_way_is_refused() {
    let endpoint = Endpoint::start(&[]);
    let (key, good) = (endpoint.key(), url(&endpoint));
    let by = |key: &AccessKey, region: &str, ago: i64| {
        let now = SystemTime::now();
        let at = if ago < 0 { now + Duration::from_secs(ago.unsigned_abs()) } else { now - Duration::from_secs(ago as u64) };
        presign(&endpoint.api, key, None, region, at)
    };
    const INVALID: &str = "InvalidSignatureException";
    for (what, url, error) in [
        ("a wrong secret", by(&AccessKey { secret: "wrong".into(), ..key.clone() }, "us-east-1", 0), INVALID),
        ("an unknown key", by(&AccessKey { id: "AKIA".into(), ..key.clone() }, "us-east-1", 0), "UnrecognizedClientException"),
        ("another region", by(&key, "eu-west-1", 0), INVALID),
        ("a stale date", by(&key, "us-east-1", 400), INVALID),
        ("a date to come", by(&key, "us-east-1", -400), INVALID),
        ("another service", good.replace("iotdevicegateway", "iot-jobs-data"), INVALID),
        ("another host", presign("127.0.0.1", &key, None, "us-east-1", SystemTime::now()), INVALID),
        ("one more parameter", good.replace("/mqtt?", "/mqtt?a=b&"), INVALID),
        ("half a signature", good[..good.len() - 8].to_owned(), INVALID),
        ("no signature", "/mqtt".to_owned(), "MissingAuthenticationTokenException"),
        ("nothing but a signature", "/mqtt?X-Amz-Signature=0".to_owned(), "IncompleteSignatureException"),
    ] {
        let (head, _) = upgrade(&endpoint, &url, PROTOCOL);
        let told = (head.split(' ').nth(1), header(&head, "x-amzn-errortype"));
        assert_eq!(told, (Some("403"), Some(error.to_owned())), "{what}: {head}");
    }
}

#[test]
fn what_is_no_upgrade_to_mqtt_is_refused_and_the_connection_stays() {
    let endpoint = Endpoint::start(&[]);
    for protocols in ["", "sec-websocket-protocol: mqttv5\r\n", "sec-websocket-protocol: xmqtt\r\n"] {
        let (head, mut http) = upgrade(&endpoint, &url(&endpoint), protocols);
        assert!(head.starts_with("HTTP/1.1 400"), "{protocols:?}: {head}");
        http.ask("GET", "/jobs", "").refused(403, "MissingAuthenticationTokenException");
    }
    let mut http = Http::without_certificate(&endpoint);
    http.ask("GET", &url(&endpoint), "").refused(400, "InvalidRequestException");
    http.ask("POST", &url(&endpoint), "").refused(403, "InvalidSignatureException");
    http.ask("GET", "/mqtt/x", "").refused(403, "MissingAuthenticationTokenException");
}
