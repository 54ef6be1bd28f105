//! What answers say beside their bodies.

use super::Listener;
use crate::common::Endpoint;
use crate::common::http::{Http, Signing, header, signed};
use aws_signing::websocket;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// Ids of requests, none of which comes twice.
#[derive(Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    /// Asks, and looks at the head of what comes.
    #[track_caller]
    fn see(&mut self, http: &mut Http, request: &[u8], status: &str) -> (String, Vec<u8>) {
        http.send(request);
        let (head, body) = http.message().expect("an answer");
        assert_eq!(head.split(' ').nth(1), Some(status), "{head}");
        let id = header(&head, "x-amzn-requestid").unwrap_or_else(|| panic!("no id: {head}"));
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "a UUID: {id}");
        assert!(self.0.insert(id.clone()), "{id} came before");
        // SDKs learn from it how far their clock is off.
        assert!(header(&head, "date").is_some(), "{head}");
        (head, body)
    }
}

#[test]
fn every_answer_of_every_listener_has_an_id_of_its_own() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    let mut ids = Ids::default();
    for mut listener in Listener::both(&endpoint, "t-1") {
        for (method, path, body, status) in [
            ("GET", "/things/t-1/jobs", "", "200"),
            ("PUT", "/things/t-1/jobs/$next", "{}", "200"),
            ("POST", "/things/t-1/jobs/fw", "{}", "400"),
            ("GET", "/things/t-1/jobs/nothing", "", "404"),
            ("GET", "/nothing", "", "404"),
        ] {
            let request = listener.bytes(method, path, body);
            ids.see(&mut listener.http, &request, status);
        }
    }
    let mut thing = Listener::by_certificate(&endpoint, "t-1");
    let others = thing.bytes("GET", "/things/t-2/jobs", "");
    ids.see(&mut thing.http, &others, "403");
    control_plane(&endpoint, &mut ids);
    objects(&endpoint, &mut ids);
    web_sockets(&endpoint, &mut ids);
}

fn control_plane(endpoint: &Endpoint, ids: &mut Ids) {
    let signing = Signing { key: endpoint.key(), service: "iot", region: "us-east-1", at: SystemTime::now() };
    let mut http = Http::without_certificate(endpoint);
    for (path, status) in [("/jobs/fw", "200"), ("/jobs/none", "404"), ("/jobs/a%20b", "400"), ("/nothing", "404")] {
        ids.see(&mut http, &signed(&endpoint.api, &signing, ("GET", path, ""), |_| {}), status);
    }
    let unsigned = |request: &mut http::Request<Vec<u8>>| drop(request.headers_mut().remove("authorization"));
    ids.see(&mut http, &signed(&endpoint.api, &signing, ("GET", "/jobs", ""), unsigned), "403");
}

/// Those of S3 have its names, too, and its errors have them in their bodies.
fn objects(endpoint: &Endpoint, ids: &mut Ids) {
    let mut http = Http::without_certificate(endpoint);
    let request = format!("GET /objects/b/k HTTP/1.1\r\nhost: {}\r\n\r\n", endpoint.api);
    let (head, body) = ids.see(&mut http, request.as_bytes(), "403");
    let id = header(&head, "x-amz-request-id").expect("an id");
    assert_eq!(header(&head, "x-amzn-requestid").as_ref(), Some(&id));
    let (host_id, body) = (header(&head, "x-amz-id-2").expect("another"), String::from_utf8(body).unwrap());
    for (name, value) in [("RequestId", &id), ("HostId", &host_id)] {
        assert!(body.contains(&format!("<{name}>{value}</{name}>")), "{body}");
    }
}

fn web_sockets(endpoint: &Endpoint, ids: &mut Ids) {
    let path = websocket::presign(&endpoint.api, &endpoint.key(), None, "us-east-1", SystemTime::now());
    let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: mqtt\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (path, status) in [("/mqtt", "403"), (&*path, "101")] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{upgrade}\r\n", endpoint.api);
        ids.see(&mut Http::without_certificate(endpoint), request.as_bytes(), status);
    }
}
