//! An endpoint as a process of its own, and a client that is written in bytes from the specification rather than by a codec.
#![allow(dead_code, reason = "every test target uses its part")]

pub(crate) mod authority;
pub(crate) mod http;

use aws_signing::sigv4::{AccessKey, sign_request};
use host::tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// No wait for the endpoint is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// An endpoint with four things, t-0 to t-3, registered.
pub(crate) struct Endpoint {
    pub(crate) process: Child,
    /// Its log, what it writes to stderr, is `serve.log` in it.
    pub(crate) dir: Arc<tempfile::TempDir>,
    pub(crate) mqtt: String,
    pub(crate) https: String,
    pub(crate) api: String,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Endpoint {
    /// With a minute of one second.
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::with(&[&["--minute", "1s"], more].concat())
    }

    /// With AWS's quotas, changed by `quotas`.
    pub(crate) fn with_quotas(quotas: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), quotas).unwrap();
        Self::with(&["--quotas", file.path().to_str().unwrap()])
    }

    pub(crate) fn with(more: &[&str]) -> Self {
        Self::in_dir(Arc::new(tempfile::tempdir().unwrap()), more)
    }

    /// Killed, and started again in its folder.
    pub(crate) fn restart(self, more: &[&str]) -> Self {
        let dir = Arc::clone(&self.dir);
        drop(self);
        Self::in_dir(dir, more)
    }

    /// With so many descriptors for its process.
    pub(crate) fn with_descriptors(count: u32) -> Self {
        let limited = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Self::spawn(Command::new("sh").args(["-c", &limited]).arg(env!("CARGO_BIN_EXE_fleetsim")), dir, &[])
    }

    fn in_dir(dir: Arc<tempfile::TempDir>, more: &[&str]) -> Self {
        Self::spawn(&mut Command::new(env!("CARGO_BIN_EXE_fleetsim")), dir, more)
    }

    fn spawn(command: &mut Command, dir: Arc<tempfile::TempDir>, more: &[&str]) -> Self {
        let log = File::options().create(true).append(true).open(dir.path().join("serve.log")).unwrap();
        let mut process = command
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
            .arg(dir.path())
            .args(more)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&ready["event"], &ready["pid"]), (&json!("ready"), &json!(process.id())));
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self { process, mqtt: text("mqtt"), https: text("https"), api: text("api"), dir }
    }

    /// Waits until the log says all of `words` in one line, which it gives.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, words: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "no line with {words:?}:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("serve.log")).unwrap()
    }

    pub(crate) fn pem(&self, file: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.dir.path().join(file)).unwrap()
    }

    pub(crate) fn tls(&self, address: &str, certificate_of: Option<(&Path, &str)>) -> std::io::Result<Tls> {
        self.tls_by(address, certificate_of, &[])
    }

    /// With names for ALPN.
    pub(crate) fn tls_by(&self, address: &str, certificate_of: Option<(&Path, &str)>, alpn: &[&str]) -> std::io::Result<Tls> {
        let mut config = self.client_config(certificate_of, rustls::ALL_VERSIONS);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self::tls_with(config, address)
    }

    pub(crate) fn client_config(
        &self,
        certificate_of: Option<(&Path, &str)>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> rustls::ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.pem("ca.cert.pem")).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(tls::provider()).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        match certificate_of {
            Some((dir, thing)) => {
                let cert = CertificateDer::from_pem_file(dir.join(format!("things/{thing}.cert.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(dir.join(format!("things/{thing}.key.pem"))).unwrap();
                let pair = tls::certified_key(vec![cert], key).unwrap();
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)))
            }
            None => builder.with_no_client_auth(),
        }
    }

    pub(crate) fn tls_with(config: rustls::ClientConfig, address: &str) -> std::io::Result<Tls> {
        let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, tcp);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    /// A TLS connection with the thing's certificate, nothing sent yet.
    pub(crate) fn dial(&self, thing: &str) -> Client {
        Client { stream: self.tls(&self.mqtt, Some((self.dir.path(), thing))).unwrap(), thing: thing.to_owned() }
    }

    /// The return code of a CONNECT with client id = thing name, and the client.
    #[track_caller]
    pub(crate) fn try_connect(&self, thing: &str) -> (u8, Client) {
        let mut client = self.dial(thing);
        client.send(&connect_packet(thing, 300, 4, 2));
        let (first, body) = client.packet().expect("a CONNACK");
        assert_eq!((first, body.len(), body[0]), (0x20, 2, 0));
        (body[1], client)
    }

    /// As on AWS, a thing goes when its certificates are detached.
    pub(crate) fn delete_thing(&self, thing: &str) {
        let (status, _, listed) = self.call("GET", &format!("/things/{thing}/principals"), "", |_| {});
        assert_eq!(status, 200, "{listed}");
        for principal in listed["principals"].as_array().unwrap() {
            let path = format!("/things/{thing}/principals");
            let headers = [("x-amzn-principal", principal.as_str().unwrap())];
            assert_eq!(self.call_with(("DELETE", &path, ""), &headers, |_| {}).0, 200);
        }
        assert_eq!(self.call("DELETE", &format!("/things/{thing}"), "", |_| {}).0, 200);
    }

    /// Connected with client id = thing name.
    #[track_caller]
    pub(crate) fn connect(&self, thing: &str) -> Client {
        let (code, client) = self.try_connect(thing);
        assert_eq!(code, 0);
        client
    }

    /// The key of the API, from its file.
    pub(crate) fn key(&self) -> AccessKey {
        let credentials = std::fs::read_to_string(self.dir.path().join("aws-credentials")).unwrap();
        let value =
            |key: &str| credentials.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix("= ")).unwrap().to_owned();
        AccessKey::lasting(&value("aws_access_key_id"), &value("aws_secret_access_key"))
    }

    /// One signed call of the control plane: status, error type, body.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: &str,
        change: impl FnOnce(&mut ::http::Request<Vec<u8>>),
    ) -> (u16, Option<String>, Value) {
        self.call_with((method, path, body), &[], change)
    }

    /// As [`Self::call`], with more headers, which are signed.
    pub(crate) fn call_with(
        &self,
        (method, path, body): (&str, &str, &str),
        headers: &[(&str, &str)],
        change: impl FnOnce(&mut ::http::Request<Vec<u8>>),
    ) -> (u16, Option<String>, Value) {
        let builder = ::http::Request::builder().method(method).uri(format!("https://{}{path}", self.api));
        let builder =
            headers.iter().fold(builder.header("host", &self.api), |builder, (name, value)| builder.header(*name, *value));
        let mut request = builder.body(body.as_bytes().to_vec()).unwrap();
        sign_request(&mut request, &self.key(), "us-east-1", "iot", SystemTime::now()).unwrap();
        change(&mut request);
        let mut text = format!("{method} {path} HTTP/1.1\r\ncontent-length: {}\r\nconnection: close\r\n", request.body().len());
        for (name, value) in request.headers() {
            text += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let mut stream = self.tls(&self.api, None).unwrap();
        stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        stream.write_all(request.body()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let error = head
            .lines()
            .find_map(|line| line.to_lowercase().starts_with("x-amzn-errortype:").then(|| line[17..].trim().to_owned()));
        (status, error, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// CreateJob for one thing, with `more` members: status, error type, body.
    pub(crate) fn try_create_job(&self, job: &str, thing: &str, more: &Value) -> (u16, Option<String>, Value) {
        let mut body =
            json!({"targets": [format!("arn:aws:iot:us-east-1:111122223333:thing/{thing}")], "document": r#"{"operation":"x"}"#});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("PUT", &format!("/jobs/{job}"), &body.to_string(), |_| {})
    }

    #[track_caller]
    pub(crate) fn create_job(&self, job: &str, thing: &str) {
        let (status, error, answer) = self.try_create_job(job, thing, &json!({}));
        assert_eq!((status, &error, &answer["jobId"]), (200, &None, &json!(job)));
    }
}

/// A message: last part of its topic, and payload.
pub(crate) type Message = (String, Value);

pub(crate) const PING: [u8; 2] = [0xc0, 0];

pub(crate) struct Client {
    pub(crate) stream: Tls,
    pub(crate) thing: String,
}

pub(crate) fn field(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
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

pub(crate) fn connect_packet(client_id: &str, keep_alive: u16, level: u8, flags: u8) -> Vec<u8> {
    packet(0x10, &[&field(b"MQTT")[..], &[level, flags], &keep_alive.to_be_bytes(), &field(client_id.as_bytes())].concat())
}

pub(crate) fn subscribe_packet(id: u16, filters: &[String], qos: u8) -> Vec<u8> {
    let filters: Vec<u8> = filters.iter().flat_map(|filter| [field(filter.as_bytes()), vec![qos]].concat()).collect();
    packet(0x82, &[&id.to_be_bytes()[..], &filters].concat())
}

pub(crate) fn publish_packet(topic: &str, qos: u8, id: u16, payload: &[u8], retain: bool) -> Vec<u8> {
    let id = if qos > 0 { id.to_be_bytes().to_vec() } else { vec![] };
    packet(0x30 | qos << 1 | u8::from(retain), &[&field(topic.as_bytes())[..], &id, payload].concat())
}

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).unwrap();
    }

    /// Sends as much as the endpoint takes before it closes the connection.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// The next packet, or `None` when the endpoint has closed the connection.
    pub(crate) fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut byte = [0u8];
        match self.stream.read_exact(&mut byte) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
                ) =>
            {
                return None;
            }
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

    pub(crate) fn is_closed(&mut self) -> bool {
        self.packet().is_none()
    }

    /// Answers a ping: the connection is alive and has nothing else to say.
    #[track_caller]
    pub(crate) fn expect_quiet(&mut self) {
        self.send(&PING);
        assert_eq!(self.packet(), Some((0xd0, vec![])));
    }

    pub(crate) fn topic(&self, last: &str) -> String {
        format!("$aws/things/{}/jobs/{last}", self.thing)
    }

    /// Codes of the SUBACK. Filters are last parts of the thing's topics, or whole ones behind a `=`.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        self.subscribe_at(1, filters)
    }

    #[track_caller]
    pub(crate) fn subscribe_at(&mut self, qos: u8, filters: &[&str]) -> Vec<u8> {
        let filters: Vec<String> =
            filters.iter().map(|filter| filter.strip_prefix('=').map_or_else(|| self.topic(filter), str::to_owned)).collect();
        self.send(&subscribe_packet(9, &filters, qos));
        let (first, body) = self.packet().expect("a SUBACK");
        assert_eq!((first, &body[..2]), (0x90, &[0, 9][..]));
        body[2..].to_vec()
    }

    /// A message, acknowledged when it wants to be.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        let packet = self.packet().expect("a message");
        let (message, id) = self.read_message(&packet);
        if let Some(id) = id {
            self.send(&[0x40, 2, id[0], id[1]]);
        }
        message
    }

    /// A message at QoS 0.
    #[track_caller]
    pub(crate) fn message_qos_0(&mut self) -> Message {
        let packet = self.packet().expect("a message");
        self.read_message_qos_0(&packet)
    }

    #[track_caller]
    fn read_message_qos_0(&self, packet: &(u8, Vec<u8>)) -> Message {
        assert_eq!(packet.0 & 0xf6, 0x30, "a PUBLISH at QoS 0, not {:#x}", packet.0);
        self.read_message(packet).0
    }

    /// A message, and its packet id at QoS 1.
    #[track_caller]
    fn read_message(&self, (first, body): &(u8, Vec<u8>)) -> (Message, Option<[u8; 2]>) {
        assert_eq!(first & 0xf0, 0x30, "a PUBLISH, not {first:#x}");
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = std::str::from_utf8(&body[2..2 + length]).unwrap();
        let mut payload = &body[2 + length..];
        let id = (first & 0x06 == 0x02).then(|| {
            let (id, rest) = payload.split_at(2);
            payload = rest;
            [id[0], id[1]]
        });
        let last = topic.strip_prefix(&self.topic("")).unwrap_or(topic).to_owned();
        ((last, serde_json::from_slice(payload).unwrap()), id)
    }

    /// Sends a burst with a ping behind it. PUBACKs and messages, all at QoS 0, until its answer, and how many seconds that took.
    #[track_caller]
    pub(crate) fn burst(&mut self, packets: &[u8]) -> (usize, Vec<Message>, f64) {
        let start = Instant::now();
        self.send(&[packets, &PING].concat());
        let (mut acknowledged, mut messages) = (0, Vec::new());
        loop {
            let packet = self.packet().expect("the connection stays");
            match packet.0 {
                0xd0 => return (acknowledged, messages, start.elapsed().as_secs_f64()),
                0x40 => acknowledged += 1,
                _ => messages.push(self.read_message_qos_0(&packet)),
            }
        }
    }

    /// A request at QoS 0, to be sent.
    pub(crate) fn request_packet(&self, last: &str, payload: &Value) -> Vec<u8> {
        publish_packet(&self.topic(last), 0, 0, payload.to_string().as_bytes(), false)
    }

    /// A request at QoS 1 and its answer.
    #[track_caller]
    pub(crate) fn request(&mut self, last: &str, payload: &Value) -> Message {
        self.send(&publish_packet(&self.topic(last), 1, 7, payload.to_string().as_bytes(), false));
        assert_eq!(self.packet(), Some((0x40, vec![0, 7])), "PUBACK first");
        self.message()
    }
}
