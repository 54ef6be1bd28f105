//! The local endpoint on real sockets, spoken to in bytes written from the MQTT 3.1.1 specification rather than by a codec.

mod common;

use aws_signing::sigv4::{AccessKey, sign_request};
use common::{Client, Endpoint, Tls, connect_packet, field, packet, publish_packet, subscribe_packet};
use serde_json::json;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

// ---------------------------------------------------------------------------------------------------------- jobs over MQTT

#[test]
fn a_job_from_creation_to_success_with_every_message() {
    let endpoint = Endpoint::start(&[]);
    let mut client = endpoint.connect("t-1");
    assert_eq!(client.subscribe(&["notify", "notify-next", "start-next/+"]), [1, 1, 1]);
    endpoint.create_job("fw", "t-1");
    let mut told = [client.message(), client.message()];
    told.sort_by_key(|(topic, _)| topic.clone());
    assert_eq!((&*told[0].0, &told[0].1["jobs"]["QUEUED"][0]["jobId"]), ("notify", &json!("fw")));
    assert_eq!((&*told[1].0, &told[1].1["execution"]["jobDocument"]), ("notify-next", &json!({"operation": "x"})));
    let (topic, started) = client.request("start-next", &json!({"clientToken": "a"}));
    assert_eq!(
        (&*topic, &started["clientToken"], &started["execution"]["versionNumber"]),
        ("start-next/accepted", &json!("a"), &json!(2))
    );
    let (topic, mismatch) = client.request("fw/update", &json!({"status": "SUCCEEDED", "expectedVersion": "9"}));
    assert_eq!(
        (&*topic, &mismatch["code"], &mismatch["executionState"]["status"]),
        ("fw/update/rejected", &json!("VersionMismatch"), &json!("IN_PROGRESS"))
    );
    let (topic, _) = client.request("fw/update", &json!({"status": "SUCCEEDED", "expectedVersion": "2"}));
    assert_eq!(topic, "fw/update/accepted", "answers come without a subscription");
    let mut told = [client.message(), client.message()];
    told.sort_by_key(|(topic, _)| topic.clone());
    assert_eq!((&told[0].1["jobs"], told[1].1.as_object().unwrap().len()), (&json!({}), 1), "an empty queue");
    client.expect_quiet();
    let (status, _, described) = endpoint.call("GET", "/jobs/fw", "", |_| {});
    assert_eq!(
        (status, &described["job"]["status"], &described["job"]["jobProcessDetails"]["numberOfSucceededThings"]),
        (200, &json!("COMPLETED"), &json!(1))
    );
}

#[test]
fn an_answer_with_a_matching_subscription_comes_once_and_at_its_qos() {
    let endpoint = Endpoint::start(&[]);
    let mut client = endpoint.connect("t-1");
    client.send(&subscribe_packet(1, &[client.topic("get/+"), client.topic("#")], 0));
    client.packet();
    let (topic, _) = client.request("get", &json!({}));
    assert_eq!(topic, "get/accepted");
    client.expect_quiet();
    // Without a subscription at the request's own QoS.
    let mut other = endpoint.connect("t-2");
    other.send(&publish_packet(&other.topic("get"), 0, 0, b"{}", false));
    let (first, _) = other.packet().unwrap();
    assert_eq!(first, 0x30);
}

#[test]
fn an_unknown_operation_and_a_bad_payload_are_rejected_and_the_connection_stays() {
    let endpoint = Endpoint::start(&[]);
    let mut client = endpoint.connect("t-1");
    for (topic, payload, code) in [
        ("foo", "{}", "InvalidTopic"),
        ("fw/delete", "{}", "InvalidTopic"),
        ("start-next", "{", "InvalidJson"),
        ("fw/update", "{}", "InvalidRequest"),
        ("fw/get", "{}", "ResourceNotFound"),
    ] {
        client.send(&publish_packet(&client.topic(topic), 1, 7, payload.as_bytes(), false));
        client.packet();
        let (answered, body) = client.message();
        assert_eq!((answered, &body["code"]), (format!("{topic}/rejected"), &json!(code)));
    }
}

#[test]
fn a_timer_of_the_job_ends_an_execution() {
    let endpoint = Endpoint::start(&[]);
    let body = json!({
        "targets": ["arn:aws:iot:us-east-1:111122223333:thing/t-1"], "document": "{}", "timeoutConfig": {"inProgressTimeoutInMinutes": 1},
    });
    assert_eq!(endpoint.call("PUT", "/jobs/fw", &body.to_string(), |_| {}).0, 200);
    let mut client = endpoint.connect("t-1");
    client.subscribe(&["notify-next"]);
    client.request("start-next", &json!({}));
    // A minute is a second here.
    let (topic, body) = client.message();
    assert_eq!((&*topic, body.get("execution")), ("notify-next", None));
    let (_, late) = client.request("fw/update", &json!({"status": "SUCCEEDED"}));
    assert_eq!(late["executionState"]["status"], "TIMED_OUT");
}

// --------------------------------------------------------------------------------------------------------------- identity

#[test]
fn a_connection_needs_a_certificate_of_this_ca_and_its_things_name() {
    let endpoint = Endpoint::start(&[]);
    let foreign = Endpoint::start(&[]);
    let refused = |result: std::io::Result<Tls>| match result {
        Err(_) => true,
        // With TLS 1.3 the refusal arrives after the client's side of the handshake.
        Ok(stream) => {
            let mut client = Client { stream, thing: "t-1".into() };
            let _ = client.stream.write_all(&connect_packet("t-1", 300, 4, 2));
            let mut byte = [0];
            client.stream.read(&mut byte).map_or(true, |count| count == 0)
        }
    };
    assert!(refused(endpoint.tls(&endpoint.mqtt, None)), "without a certificate");
    assert!(refused(endpoint.tls(&endpoint.mqtt, Some((foreign.dir.path(), "t-1")))), "with one of another CA");
    let mut other_name = endpoint.dial("t-1");
    other_name.send(&connect_packet("t-2", 300, 4, 2));
    assert_eq!(other_name.packet(), None, "closed, without a CONNACK");
}

#[test]
fn an_unregistered_thing_is_refused_unless_it_may_register_itself() {
    for (more, answer) in [(&[][..], None), (&["--auto-register"], Some((0x20, vec![0, 0])))] {
        let endpoint = Endpoint::start(more);
        // A pair for a thing that the endpoint does not know, from the same CA.
        let name = iot_jobs::ThingName::new("stranger").unwrap();
        let spec = dev_pki::StoreSpec { things: vec![name], server_names: vec!["127.0.0.1".into()] };
        dev_pki::Store::ensure(endpoint.dir.path(), &spec, &mut |_, _| {}).unwrap();
        let mut client = endpoint.dial("stranger");
        client.send(&connect_packet("stranger", 300, 4, 2));
        assert_eq!(client.packet(), answer);
    }
}

#[test]
fn topics_of_another_thing_are_refused_the_way_aws_does() {
    let endpoint = Endpoint::start(&[]);
    let mut client = endpoint.connect("t-1");
    assert_eq!(client.subscribe(&["notify", "=a/#/b", "=dt/#"]), [1, 0x80, 1]);
    client.expect_quiet();
    client.send(&publish_packet("$aws/things/t-2/jobs/get", 1, 7, b"{}", false));
    let first = client.packet();
    assert!(first.is_none() || (first == Some((0x40, vec![0, 7])) && client.is_closed()), "the connection is closed");
}

#[test]
fn the_newest_session_of_a_client_id_wins() {
    let endpoint = Endpoint::start(&[]);
    let mut first = endpoint.connect("t-1");
    first.subscribe(&["notify-next"]);
    let mut second = endpoint.connect("t-1");
    assert!(first.is_closed());
    second.subscribe(&["notify-next"]);
    std::thread::sleep(Duration::from_millis(200));
    endpoint.create_job("fw", "t-1");
    assert_eq!(second.message().0, "notify-next", "the end of the first does not take the second's subscription away");
}

// --------------------------------------------------------------------------------------------------------------- protocol

#[test]
fn what_breaks_the_protocol_closes_the_connection() {
    let endpoint = Endpoint::start(&[]);
    let connected = |bytes: &[u8]| {
        let mut client = endpoint.connect("t-1");
        client.send(bytes);
        // A PUBACK may come first.
        let first = client.packet();
        assert!(
            first.is_none() || (first.as_ref().is_some_and(|(kind, _)| *kind == 0x40) && client.is_closed()),
            "{:?} {first:?}",
            &bytes[..bytes.len().min(20)]
        );
    };
    let nine: Vec<String> = (0..9).map(|n| format!("dt/{n}")).collect();
    connected(&connect_packet("t-1", 300, 4, 2));
    connected(&subscribe_packet(1, &nine, 1));
    connected(&subscribe_packet(1, &[], 1));
    connected(&publish_packet("dt/+/x", 0, 0, b"", false));
    connected(&publish_packet("$aws/things/t-1/jobs/get", 1, 7, b"{}", true));
    connected(&publish_packet("$aws/nothing", 1, 7, b"{}", false));
    connected(&publish_packet("a/b/c/d/e/f/g/h/i", 0, 0, b"", false));
    connected(&publish_packet(&"x".repeat(257), 0, 0, b"", false));
    connected(&publish_packet("dt", 0, 0, &vec![0; 128 * 1024 + 1], false));
    connected(&[0x10, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    connected(&[0x00, 0x00]);
    connected(&[0xe0, 0x00]);
    let before = |bytes: &[u8]| {
        let mut client = endpoint.dial("t-1");
        client.send(bytes);
        let answer = client.packet();
        let is_refusal = matches!(answer.as_ref(), Some((0x20, body)) if matches!(body[..], [0, 1 | 2]));
        assert!(answer.is_none() || (is_refusal && client.is_closed()), "{bytes:?} {answer:?}");
    };
    before(&[0xc0, 0x00]);
    before(&connect_packet("t-1", 300, 4, 3));
    before(&connect_packet("t-1", 300, 3, 2));
    before(&connect_packet(&"x".repeat(20_000), 300, 4, 2));
}

#[test]
fn packets_in_pieces_and_several_in_one_piece_are_understood() {
    let endpoint = Endpoint::start(&[]);
    let mut client = endpoint.dial("t-1");
    for byte in connect_packet("t-1", 300, 4, 2) {
        client.send(&[byte]);
    }
    assert_eq!(client.packet(), Some((0x20, vec![0, 0])));
    let get = publish_packet(&client.topic("get"), 1, 7, b"{}", false);
    client.send(&get.repeat(3));
    let mut kinds: Vec<u8> = (0..6).map(|_| client.packet().unwrap().0 & 0xf0).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [0x30, 0x30, 0x30, 0x40, 0x40, 0x40]);
}

#[test]
fn qos_2_gets_silence_and_more_than_50_subscriptions_a_failure() {
    let endpoint = Endpoint::start(&[]);
    let mut client = endpoint.connect("t-1");
    client.send(&publish_packet("dt/x", 2, 7, b"", false));
    client.send(&subscribe_packet(1, &["dt/x".into()], 2));
    client.expect_quiet();
    let mut codes = Vec::new();
    for chunk in 0..7 {
        let filters: Vec<String> = (0..8).map(|n| format!("=dt/{chunk}/{n}")).collect();
        codes.extend(client.subscribe(&filters.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    assert_eq!((codes[..50].iter().all(|code| *code == 1), codes[50..].iter().all(|code| *code == 0x80)), (true, true));
}

#[test]
fn ordinary_topics_are_acknowledged_and_routed() {
    let endpoint = Endpoint::start(&[]);
    let mut listener = endpoint.connect("t-2");
    listener.subscribe(&["=dt/+/state"]);
    let mut client = endpoint.connect("t-1");
    client.send(&publish_packet("dt/t-1/state", 1, 7, b"{\"v\":1}", false));
    assert_eq!(client.packet(), Some((0x40, vec![0, 7])));
    assert_eq!(listener.message(), ("dt/t-1/state".into(), json!({"v": 1})));
    listener.send(&packet(0xa2, &[&[0, 3][..], &field(b"dt/+/state")].concat()));
    assert_eq!(listener.packet(), Some((0xb0, vec![0, 3])));
    client.send(&publish_packet("dt/t-1/state", 0, 0, b"{}", false));
    client.expect_quiet();
    listener.expect_quiet();
}

// ---------------------------------------------------------------------------------------------------------- control plane

#[test]
fn the_control_plane_in_awss_shapes() {
    let endpoint = Endpoint::start(&[]);
    let ok = |method: &str, path: &str, body: &str| {
        let (status, error, answer) = endpoint.call(method, path, body, |_| {});
        assert_eq!(status, 200, "{method} {path}: {error:?} {answer}");
        answer
    };
    assert_eq!(ok("POST", "/things/new", "{}")["thingArn"], "arn:aws:iot:us-east-1:111122223333:thing/new");
    assert_eq!(ok("POST", "/thing-groups/all", "{}")["thingGroupName"], "all");
    for thing in ["new", "t-0"] {
        ok("PUT", "/thing-groups/addThingToThingGroup", &json!({"thingName": thing, "thingGroupName": "all"}).to_string());
    }
    let body = json!({"targets": ["arn:aws:iot:us-east-1:111122223333:thinggroup/all"], "document": "{}"}).to_string();
    assert_eq!(ok("PUT", "/jobs/j", &body)["jobArn"], "arn:aws:iot:us-east-1:111122223333:job/j");
    assert_eq!(ok("GET", "/jobs/j", "")["job"]["jobProcessDetails"]["numberOfQueuedThings"], 2);
    assert_eq!(ok("PUT", "/jobs/j/cancel?force=true", r#"{"reasonCode":"X"}"#)["jobId"], "j");
    let job = ok("GET", "/jobs/j", "")["job"].clone();
    assert_eq!((&job["status"], &job["reasonCode"], &job["forceCanceled"]), (&json!("CANCELED"), &json!("X"), &json!(true)));
    ok("GET", "/endpoint", "");
    for (method, path, body, status, error) in [
        ("PUT", "/jobs/j", &*body, 409, "ResourceAlreadyExistsException"),
        ("GET", "/jobs/none", "", 404, "ResourceNotFoundException"),
        ("PUT", "/jobs/a:b", &body, 400, "InvalidRequestException"),
        ("PUT", "/jobs/k", "{", 400, "InvalidRequestException"),
        ("PUT", "/jobs/k", r#"{"targets":[],"document":"{}","abortConfig":{}}"#, 400, "InvalidRequestException"),
        ("GET", "/nothing", "", 404, "UnknownOperationException"),
    ] {
        let (found, kind, answer) = endpoint.call(method, path, body, |_| {});
        assert_eq!((found, kind.as_deref()), (status, Some(error)), "{method} {path}");
        assert!(answer["message"].is_string());
    }
}

#[test]
fn signatures_are_verified_really() {
    let endpoint = Endpoint::start(&[]);
    let refused = |change: &dyn Fn(&mut http::Request<Vec<u8>>)| {
        let (status, error, _) = endpoint.call("POST", "/things/x", "{}", |request| change(request));
        assert_eq!(status, 403);
        error.unwrap()
    };
    assert_eq!(refused(&|request| *request.body_mut() = b"{ }".to_vec()), "InvalidSignatureException");
    assert_eq!(refused(&|request| drop(request.headers_mut().remove("authorization"))), "MissingAuthenticationTokenException");
    assert_eq!(
        refused(&|request| drop(request.headers_mut().insert("x-amz-date", "20200101T000000Z".parse().unwrap()))),
        "InvalidSignatureException"
    );
    let other_key = |request: &mut http::Request<Vec<u8>>| {
        request.headers_mut().remove("authorization");
        let key = AccessKey::lasting("AKIAOTHER", "x");
        sign_request(request, &key, "us-east-1", "iot", SystemTime::now()).unwrap();
    };
    assert_eq!(refused(&other_key), "UnrecognizedClientException");
}

/// Where the service shows no ledger its whole seconds bound how long the news of a job took.
#[test]
fn things_of_an_endpoint_without_a_ledger_say_what_a_notification_took_at_least_and_at_most() {
    let endpoint = Endpoint::start(&[]);
    let dir = endpoint.dir.path();
    let (host, port) = endpoint.mqtt.rsplit_once(':').unwrap();
    let scenario = format!(
        "name = 'bounds'\n[target]\nkind = 'mqtt'\nhost = '{host}'\nport = {port}\nserver_name = 'localhost'\n\
         [target.tls]\nca = 'ca.cert.pem'\ncert = 'things/{{thing}}.cert.pem'\nkey = 'things/{{thing}}.key.pem'\n\
         [fleet]\nthings = 4\nthing_name = 't-{{index}}'\n[behavior.quick]\nreaction = '0s'\nupdates = 0\nstep = '10ms'\n\
         [end]\nexpect = 8\nlimit = '30s'\n"
    );
    std::fs::write(dir.join("bounds.toml"), scenario).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
        .args(["run", "bounds.toml", "--ui", "none", "--out", "out"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    // Jobs come once the things have asked and been told that there is nothing, and again when those are done.
    for (n, job) in ["fw-1", "fw-2"].into_iter().enumerate() {
        std::thread::sleep(Duration::from_millis(2_500 + 300 * n as u64));
        (0..4).for_each(|thing| endpoint.create_job(&format!("{job}-{thing}"), &format!("t-{thing}")));
    }
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let mut summary = csv::Reader::from_path(dir.join("out/summary.csv")).unwrap();
    let headers = summary.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let rows: Vec<csv::StringRecord> = summary.records().map(Result::unwrap).collect();
    let of = |operation: &str, name: &str| -> f64 {
        let row = rows.iter().find(|row| &row[0] == "all" && &row[1] == operation).unwrap_or_else(|| panic!("no {operation}"));
        row[column(name)].parse().unwrap()
    };
    assert_eq!((of("notify_next", "ok"), of("notify_next_at_least", "ok")), (8.0, 8.0));
    // On one machine the news takes milliseconds: less than the upper bound, and more than the lower one.
    assert!(of("notify_next_at_least", "service_ms_max") <= 500.0, "{rows:?}");
    assert!((1.0..=2_500.0).contains(&of("notify_next", "service_ms_max")), "{rows:?}");
}
