//! The data plane over HTTPS, by certificate and by signature, in bytes on real sockets.

#[path = "../common/mod.rs"]
mod common;
mod headers;
mod limits;
mod operations;
mod shape;
mod unknown_clients;
mod who;

use common::Endpoint;
use common::http::{Answer, Http, Signing, request, signed};
use std::time::SystemTime;

fn signing(endpoint: &Endpoint) -> Signing {
    Signing { key: endpoint.key(), service: "iot-jobs-data", region: "us-east-1", at: SystemTime::now() }
}

/// One of the two listeners, asked as they want to be.
struct Listener {
    http: Http,
    signing: Option<Signing>,
}

impl Listener {
    fn by_certificate(endpoint: &Endpoint, thing: &str) -> Self {
        Self { http: Http::with_certificate(endpoint, thing), signing: None }
    }

    fn by_signature(endpoint: &Endpoint) -> Self {
        Self { http: Http::without_certificate(endpoint), signing: Some(signing(endpoint)) }
    }

    /// Both, for the same thing.
    fn both(endpoint: &Endpoint, thing: &str) -> [Self; 2] {
        [Self::by_certificate(endpoint, thing), Self::by_signature(endpoint)]
    }

    fn bytes(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        match &self.signing {
            None => request(&self.http.host, method, path, body),
            Some(signing) => signed(&self.http.host, signing, (method, path, body), |_| {}),
        }
    }

    #[track_caller]
    fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let bytes = self.bytes(method, path, body);
        self.http.send(&bytes);
        self.http.answer().expect("an answer")
    }
}
