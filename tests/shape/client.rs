//! An endpoint with four things, t-0 to t-3, and a client that sends many packets at once and notes when each answer came.

use assert_cmd::cargo::cargo_bin;
use aws_signing::sigv4::{AccessKey, sign_request};
use host::tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// No wait for the endpoint is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Endpoint {
    process: Child,
    dir: tempfile::TempDir,
    mqtt: String,
    api: String,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Endpoint {
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), more)
    }

    /// With AWS's quotas, changed by `quotas`.
    pub(crate) fn with_quotas(quotas: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("quotas.toml");
        std::fs::write(&file, quotas).unwrap();
        Self::in_dir(dir, &["--quotas", file.to_str().unwrap()])
    }

    fn in_dir(dir: tempfile::TempDir, more: &[&str]) -> Self {
        let mut process = Command::new(cargo_bin("fleetsim"))
            .args([
                "serve",
                "--mqtt-port",
                "0",
                "--https-port",
                "0",
                "--api-port",
                "0",
                "--things",
                "4",
                "--thing-name",
                "t-{index}",
                "--dir",
            ])
            .arg(dir.path().join("pki"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self { process, mqtt: text("mqtt"), api: text("api"), dir }
    }

    fn tls(&self, address: &str, thing: Option<&str>) -> Tls {
        let path = |file: &str| self.dir.path().join("pki").join(file);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(path("ca.cert.pem")).unwrap()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match thing {
            Some(thing) => {
                let cert = CertificateDer::from_pem_file(path(&format!("things/{thing}.cert.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(path(&format!("things/{thing}.key.pem"))).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(connection, tcp)
    }

    /// The return code of a CONNECT, and the client.
    pub(crate) fn try_connect(&self, thing: &str) -> (u8, Client) {
        let mut client = Client { stream: self.tls(&self.mqtt, Some(thing)), thing: thing.to_owned() };
        client.send(&packet(0x10, &[&field("MQTT")[..], &[4, 2, 1, 44], &field(thing)].concat()));
        let (first, body) = client.packet().expect("a CONNACK");
        assert_eq!((first, body[0]), (0x20, 0));
        (body[1], client)
    }

    #[track_caller]
    pub(crate) fn connect(&self, thing: &str) -> Client {
        let (code, client) = self.try_connect(thing);
        assert_eq!(code, 0);
        client
    }

    /// One signed call of the control plane: status, error type, body.
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> (u16, Option<String>, Value) {
        let credentials = std::fs::read_to_string(self.dir.path().join("pki/aws-credentials")).unwrap();
        let value =
            |key: &str| credentials.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix("= ")).unwrap().to_owned();
        let key = AccessKey::lasting(&value("aws_access_key_id"), &value("aws_secret_access_key"));
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.api))
            .header("host", &self.api)
            .body(body.as_bytes().to_vec())
            .unwrap();
        sign_request(&mut request, &key, "us-east-1", "iot", SystemTime::now()).unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        for (name, value) in request.headers() {
            text += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let mut stream = self.tls(&self.api, None);
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let error = head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: ")).map(str::to_owned);
        (status, error, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    pub(crate) fn try_create_job(&self, job: &str, thing: &str, more: &Value) -> (u16, Option<String>, Value) {
        let mut body = json!({"targets": [format!("arn:aws:iot:us-east-1:111122223333:thing/{thing}")], "document": "{}"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("PUT", &format!("/jobs/{job}"), &body.to_string())
    }

    #[track_caller]
    pub(crate) fn create_job(&self, job: &str, thing: &str) {
        let (status, error, answer) = self.try_create_job(job, thing, &json!({}));
        assert_eq!(status, 200, "{error:?} {answer}");
    }
}

pub(crate) struct Client {
    stream: Tls,
    thing: String,
}

/// A message: last part of its topic, and payload.
pub(crate) type Message = (String, Value);

fn field(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut length = body.len();
    loop {
        out.push((length % 128) as u8 | if length > 127 { 0x80 } else { 0 });
        length /= 128;
        if length == 0 {
            return [out, body.to_vec()].concat();
        }
    }
}

pub(crate) const PING: [u8; 2] = [0xc0, 0];

pub(crate) fn publish(topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let id_bytes = id.map(u16::to_be_bytes);
    packet(
        0x30 | if id.is_some() { 2 } else { 0 },
        &[&field(topic)[..], id_bytes.as_ref().map_or(&[], |id| &id[..]), payload].concat(),
    )
}

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).unwrap();
    }

    /// The next packet, or `None` when the endpoint has closed the connection.
    pub(crate) fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut byte = [0u8];
        match self.stream.read_exact(&mut byte) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return None,
            Err(error) => panic!("{error}"),
        }
        let first = byte[0];
        let (mut length, mut shift) = (0usize, 0);
        loop {
            self.stream.read_exact(&mut byte).unwrap();
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Some((first, body))
    }

    pub(crate) fn topic(&self, last: &str) -> String {
        format!("$aws/things/{}/jobs/{last}", self.thing)
    }

    /// A request at QoS 0.
    pub(crate) fn request(&self, last: &str, payload: &Value) -> Vec<u8> {
        publish(&self.topic(last), None, payload.to_string().as_bytes())
    }

    /// SUBACK codes.
    pub(crate) fn subscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let filters: Vec<u8> = filters.iter().flat_map(|filter| [field(filter), vec![0]].concat()).collect();
        self.send(&packet(0x82, &[&[0, 9][..], &filters].concat()));
        let (first, body) = self.packet().expect("a SUBACK");
        assert_eq!(first, 0x90);
        body[2..].to_vec()
    }

    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        let packet = self.packet().expect("a message");
        self.read_message(&packet)
    }

    #[track_caller]
    fn read_message(&self, (first, body): &(u8, Vec<u8>)) -> Message {
        assert_eq!(first & 0xf6, 0x30, "a PUBLISH at QoS 0, not {first:#x}");
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = std::str::from_utf8(&body[2..2 + length]).unwrap();
        let last = topic.strip_prefix(&self.topic("")).unwrap_or(topic).to_owned();
        (last, serde_json::from_slice(&body[2 + length..]).unwrap())
    }

    /// Sends a burst with a ping behind it; PUBACKs and messages until its answer, and how long that took.
    pub(crate) fn burst(&mut self, packets: &[u8]) -> (usize, Vec<Message>, f64) {
        let start = Instant::now();
        self.send(&[packets, &PING].concat());
        let (mut acknowledged, mut messages) = (0, Vec::new());
        loop {
            let packet = self.packet().expect("the connection stays");
            match packet.0 {
                0xd0 => return (acknowledged, messages, start.elapsed().as_secs_f64()),
                0x40 => acknowledged += 1,
                _ => messages.push(self.read_message(&packet)),
            }
        }
    }
}
