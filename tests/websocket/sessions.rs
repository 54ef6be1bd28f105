//! The same sessions as over mutual TLS.

use crate::common::authority::Authority;
use crate::common::{Client, Endpoint, connect_packet, publish_packet, subscribe_packet};
use crate::{BINARY, FIN, Socket, frame};
use serde_json::{Value, json};

impl Socket {
    fn send_packet(&mut self, packet: &[u8]) {
        self.send(&frame(FIN | BINARY, packet));
    }

    /// The next message, at QoS 0: last part of its topic, payload. Several may have come in one frame.
    #[track_caller]
    fn message(&mut self) -> (String, Value) {
        if self.packets.is_empty() {
            self.packets = self.frame().expect("a message").1;
        }
        let length_bytes = 1 + self.packets[1..].iter().take_while(|byte| **byte & 0x80 != 0).count();
        let length = (1..=length_bytes).rev().fold(0, |length, at| length << 7 | usize::from(self.packets[at] & 0x7f));
        let rest = self.packets.split_off(1 + length_bytes + length);
        let packet = std::mem::replace(&mut self.packets, rest);
        assert_eq!(packet[0] & 0xf6, 0x30, "a PUBLISH at QoS 0");
        let body = &packet[1 + length_bytes..];
        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let whole = std::str::from_utf8(&body[2..2 + topic]).unwrap();
        let last = whole.rsplit_once("/jobs/").map_or(whole, |(_, last)| last).to_owned();
        (last, serde_json::from_slice(&body[2 + topic..]).unwrap())
    }

    #[track_caller]
    fn request(&mut self, thing: &str, last: &str, payload: &Value) -> (String, Value) {
        self.send_packet(&publish_packet(&format!("$aws/things/{thing}/jobs/{last}"), 0, 0, payload.to_string().as_bytes(), false));
        self.message()
    }
}

#[test]
fn a_job_from_creation_to_success() {
    let endpoint = Endpoint::start(&[]);
    let mut socket = Socket::connect(&endpoint, "t-1");
    let filters = ["notify", "notify-next"].map(|last| format!("$aws/things/t-1/jobs/{last}"));
    socket.send_packet(&subscribe_packet(3, &filters, 0));
    assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0x90, 4, 0, 3, 0, 0])));
    endpoint.create_job("fw", "t-1");
    assert_eq!([socket.message().0, socket.message().0], ["notify", "notify-next"]);
    let (topic, started) = socket.request("t-1", "start-next", &json!({"clientToken": "c"}));
    assert_eq!((&*topic, &started["clientToken"]), ("start-next/accepted", &json!("c")));
    assert_eq!(started["execution"]["jobDocument"], json!({"operation": "x"}), "an object, and no name of the thing");
    assert!(started["execution"].get("thingName").is_none());
    assert_eq!(socket.request("t-1", "fw/update", &json!({"status": "SUCCEEDED"})).0, "fw/update/accepted");
    assert_eq!([socket.message().0, socket.message().0], ["notify", "notify-next"]);
    socket.expect_quiet();
}

#[test]
fn who_signs_may_have_any_client_id_and_ask_for_every_thing() {
    let endpoint = Endpoint::start(&["--auto-register"]);
    let mut nameless = Socket::open(&endpoint);
    nameless.send_packet(&connect_packet("", 300, 4, 2));
    nameless.expect_close(None);
    for client_id in ["nobody", "not a name"] {
        let mut socket = Socket::connect(&endpoint, client_id);
        socket.send_packet(&subscribe_packet(3, &["$aws/things/t-2/jobs/get/#".to_owned()], 0));
        assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0x90, 3, 0, 3, 0])), "{client_id:?}");
        socket.send_packet(&publish_packet("$aws/things/t-2/jobs/get", 0, 0, b"{}", false));
        assert_eq!(socket.message().0, "get/accepted");
    }
}

/// Notifications reach those who named another thing, and those who named none.
#[test]
fn who_signs_hears_of_things_of_other_names() {
    let endpoint = Endpoint::start(&[]);
    let mut watchers = ["$aws/things/t-2/jobs/notify-next", "$aws/things/+/jobs/notify-next"].map(|filter| {
        let mut socket = Socket::connect(&endpoint, filter);
        socket.send_packet(&subscribe_packet(3, &[filter.to_owned()], 0));
        assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0x90, 3, 0, 3, 0])));
        socket
    });
    endpoint.create_job("fw", "t-2");
    for watcher in &mut watchers {
        assert_eq!(watcher.message().0, "notify-next");
    }
}

/// Things that come with certificates hear none: not in a session either that was begun by somebody who signs.
#[test]
fn events_of_jobs_are_for_who_signs_once_they_are_enabled() {
    let endpoint = Endpoint::start(&[]);
    let mut watcher = Socket::open(&endpoint);
    watcher.send_packet(&connect_packet("t-1", 300, 4, 0));
    assert_eq!(watcher.frame(), Some((FIN | BINARY, vec![0x20, 2, 0, 0])));
    let filters = ["$aws/events/job/+/+", "$aws/events/jobExecution/#"].map(str::to_owned);
    watcher.send_packet(&subscribe_packet(3, &filters, 0));
    assert_eq!(watcher.frame(), Some((FIN | BINARY, vec![0x90, 4, 0, 3, 0, 0])));
    let enable = json!({"eventConfigurations": {"JOB": {"Enabled": true}, "JOB_EXECUTION": {"Enabled": true}}});
    assert_eq!(endpoint.call("PATCH", "/event-configurations", &enable.to_string(), |_| {}).0, 200);
    let mut thing = endpoint.connect("t-0");
    let mut succeed = |job: &str| {
        endpoint.create_job(job, "t-0");
        let update = json!({"status": "SUCCEEDED", "statusDetails": {"progress": "100"}});
        assert_eq!(thing.request(&format!("{job}/update"), &update).0, format!("{job}/update/accepted"));
    };
    succeed("fw");
    let (topic, event) = watcher.message();
    assert_eq!(topic, "$aws/events/jobExecution/fw/succeeded");
    assert_eq!((&event["status"], &event["statusDetails"]), (&json!("SUCCEEDED"), &json!({"progress": "100"})));
    let (topic, event) = watcher.message();
    assert_eq!((&*topic, &event["operation"]), ("$aws/events/job/fw/completed", &json!("completed")));
    assert_eq!(event["jobProcessDetails"]["numberOfSucceededThings"], 1);
    let mut by_certificate = endpoint.dial("t-1");
    by_certificate.send(&connect_packet("t-1", 300, 4, 0));
    assert_eq!(by_certificate.packet(), Some((0x20, vec![1, 0])), "the same session goes on");
    succeed("fw-2");
    by_certificate.expect_quiet();
}

/// Told even where no events are enabled (PROTOCOL-CORE 4.4).
#[test]
fn who_signs_hears_of_certificates_that_register_themselves() {
    let endpoint = Endpoint::start(&[]);
    let ours = Authority::new("ours");
    let id = ours.register(&endpoint, "?setAsActive=true&allowAutoRegistration=true");
    let topic = format!("$aws/events/certificates/registered/{id}");
    let mut owner = Socket::connect(&endpoint, "t-0");
    owner.send_packet(&subscribe_packet(3, std::slice::from_ref(&topic), 0));
    assert_eq!(owner.frame(), Some((FIN | BINARY, vec![0x90, 3, 0, 3, 0])));
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("things")).unwrap();
    let (certificate, key) = ours.sign("device");
    std::fs::write(dir.path().join("things/device.cert.pem"), certificate).unwrap();
    std::fs::write(dir.path().join("things/device.key.pem"), key).unwrap();
    let mut registered = Vec::new();
    for _ in 0..2 {
        let stream = endpoint.tls(&endpoint.mqtt, Some((dir.path(), "device"))).unwrap();
        let mut device = Client { stream, thing: "t-1".into() };
        device.send(&connect_packet("t-1", 300, 4, 2));
        assert_ne!(device.packet(), Some((0x20, vec![0, 0])));
        let (heard, event) = owner.message();
        assert_eq!((&heard, &event["caCertificateId"]), (&topic, &json!(id)));
        assert_eq!((&event["certificateStatus"], &event["awsAccountId"]), (&json!("PENDING_ACTIVATION"), &json!("111122223333")));
        assert!(event["timestamp"].is_i64() && event["certificateRegistrationTimestamp"].is_string(), "{event}");
        registered.push(event["certificateId"].clone());
    }
    assert_eq!(registered[0], registered[1], "told again, and not made again");
}

#[test]
fn a_thing_has_one_session_whatever_carries_it() {
    let endpoint = Endpoint::start(&[]);
    let mut over_tls = endpoint.connect("t-1");
    let mut over_websocket = Socket::connect(&endpoint, "t-1");
    assert!(over_tls.is_closed(), "the newest wins");
    over_websocket.expect_quiet();
    let mut again = endpoint.connect("t-1");
    over_websocket.expect_close(None);
    again.expect_quiet();
}

#[test]
fn silence_of_one_and_a_half_keep_alives_ends_it() {
    let endpoint = Endpoint::start(&["--keep-alive-min", "1s"]);
    let mut socket = Socket::open(&endpoint);
    socket.send_packet(&connect_packet("t-1", 1, 4, 2));
    assert!(socket.frame().is_some());
    socket.expect_close(None);
}

#[test]
fn what_shapes_the_endpoint_applies() {
    let endpoint = Endpoint::start(&["--reject", "1"]);
    let mut socket = Socket::connect(&endpoint, "t-1");
    let (topic, answer) = socket.request("t-1", "get", &json!({}));
    assert_eq!((&*topic, &answer["code"]), ("get/rejected", &json!("RequestThrottled")));
    let endpoint = Endpoint::start(&["--disconnect", "300ms"]);
    Socket::connect(&endpoint, "t-1").expect_close(None);
}
