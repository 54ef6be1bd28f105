//! HTTP in bytes, on a connection that is kept alive.

use super::{Endpoint, Tls};
use aws_signing::sigv4::{AccessKey, sign_request};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::time::SystemTime;

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `x-amzn-ErrorType`.
    pub(crate) error: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!((self.status, &self.error), (200, &None), "{}", self.body);
        self.body
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, error: &str) -> String {
        assert_eq!((self.status, self.error.as_deref()), (status, Some(error)), "{}", self.body);
        self.body["message"].as_str().expect("a message").to_owned()
    }
}

/// A connection.
pub(crate) struct Http {
    pub(crate) stream: Tls,
    pub(crate) host: String,
    /// Read behind the answer before.
    read: Vec<u8>,
}

/// Head and body of a request that is not signed.
pub(crate) fn request(host: &str, method: &str, path: &str, body: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What a request is signed with.
#[derive(Clone)]
pub(crate) struct Signing {
    pub(crate) key: AccessKey,
    pub(crate) service: &'static str,
    pub(crate) region: &'static str,
    pub(crate) at: SystemTime,
}

/// A signed request; what is changed afterwards is not covered by its signature.
pub(crate) fn signed(
    host: &str,
    signing: &Signing,
    (method, path, body): (&str, &str, &str),
    change: impl FnOnce(&mut ::http::Request<Vec<u8>>),
) -> Vec<u8> {
    let mut request = ::http::Request::builder()
        .method(method)
        .uri(format!("https://{host}{path}"))
        .header("host", host)
        .body(body.as_bytes().to_vec())
        .unwrap();
    sign_request(&mut request, &signing.key, signing.region, signing.service, signing.at).unwrap();
    change(&mut request);
    let mut head =
        format!("{method} {} HTTP/1.1\r\ncontent-length: {}\r\n", request.uri().path_and_query().unwrap(), request.body().len());
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    [format!("{head}\r\n").as_bytes(), request.body()].concat()
}

impl Http {
    pub(crate) fn new(stream: Tls, host: &str) -> Self {
        Self { stream, host: host.to_owned(), read: Vec::new() }
    }

    /// To the listener that asks for certificates.
    pub(crate) fn with_certificate(endpoint: &Endpoint, thing: &str) -> Self {
        let stream = endpoint.tls(&endpoint.https, Some((endpoint.dir.path(), thing))).unwrap();
        Self::new(stream, &endpoint.https)
    }

    /// To the listener that asks for signatures.
    pub(crate) fn without_certificate(endpoint: &Endpoint) -> Self {
        Self::new(endpoint.tls(&endpoint.api, None).unwrap(), &endpoint.api)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).unwrap();
    }

    /// Head and body, or `None` when the endpoint closes instead. Fails when nothing happens for too long.
    pub(crate) fn message(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(self.read[..end].to_vec()).unwrap();
                let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
                if self.read.len() >= end + 4 + length {
                    let rest = self.read.split_off(end + 4 + length);
                    let body = std::mem::replace(&mut self.read, rest).split_off(end + 4);
                    return Some((head, body));
                }
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
                {
                    return None;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let (head, body) = self.message()?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer {
            status,
            error: header(&head, "x-amzn-errortype"),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        })
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.send(&request(&self.host, method, path, body));
        self.answer().expect("an answer")
    }
}

pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    let pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}
