//! What an endpoint costs at least: accept, mutual TLS, decode, PUBACK, one fixed answer to whatever is asked. It runs as `fleetsim
//! serve` does: the same runtime, TLS settings and codec, buffers given back at rest. It knows neither jobs nor rules, and has no state
//! but its connections. `scripts/prove` puts it beside `serve` under the same load.
//!
//! ```text
//! thin_endpoint --dir DIR --answer-bytes N [--port P]
//! ```
//! `--dir` is a folder that `fleetsim serve` has made. Several may share a port: the kernel deals the connections to them. The line that says it is ready is `serve`'s, too. A line on stdin sends one fixed
//! message to every session's `notify-next`; the moment it does so comes back on stdout, in nanoseconds of `CLOCK_MONOTONIC`.

use bytes::{Bytes, BytesMut};
use host::clock;
use host::tls;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v3::{Codec, ConnectAck, ConnectAckReason, Packet, SubscribeReturnCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::io::{self, BufRead as _};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::{Decoder, Encoder};
use tokio_util::io::poll_read_buf;

const LISTEN_BACKLOG: u32 = 4096;
const READ_BYTES: usize = 512;
const PACKET_BYTES_MAX: u32 = 200_000;

fn main() {
    // `cargo test --benches` and `cargo bench` without arguments have nothing to serve.
    let arguments: Vec<String> = std::env::args().collect();
    let flag = |name: &str| arguments.iter().position(|argument| argument == name).and_then(|place| arguments.get(place + 1));
    let (Some(dir), Some(answer_bytes)) = (flag("--dir"), flag("--answer-bytes")) else { return };
    let answer = Bytes::from(vec![b'x'; answer_bytes.parse().expect("a number of bytes")]);
    let _ = fleetsim::preflight::facts();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let port = flag("--port").map_or(0, |port| port.parse().expect("a port"));
    runtime.block_on(accept(dir.into(), port, answer)).unwrap();
}

async fn accept(dir: PathBuf, port: u16, answer: Bytes) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(mutual_tls(&dir)));
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    let listener = socket.listen(LISTEN_BACKLOG)?;
    let ready = serde_json::json!({
        "event": "ready",
        "mqtt": listener.local_addr()?.to_string(),
        "dir": dir,
        "pid": std::process::id(),
    });
    println!("{ready}");
    let (notify, notified) = watch::channel(());
    std::thread::spawn(move || {
        for _ in io::stdin().lock().lines() {
            println!("{}", clock::mono().0);
            notify.send_replace(());
        }
        // Whoever started us has gone, or wants no more of us.
        std::process::exit(0);
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, notified, answer) = (acceptor.clone(), notified.clone(), answer.clone());
        tokio::spawn(async move {
            if let Ok(stream) = Box::pin(acceptor.accept(stream)).await {
                let _ = serve(stream, answer, notified).await;
            }
        });
    }
}

/// As `fleetsim serve` sets it up.
fn mutual_tls(dir: &Path) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.cert.pem")).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().unwrap();
    let chain = CertificateDer::pem_file_iter(dir.join("server.cert.pem")).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key.pem")).unwrap();
    let builder = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config
}

/// One connection until it ends.
async fn serve(mut stream: TlsStream<TcpStream>, answer: Bytes, mut notified: watch::Receiver<()>) -> io::Result<()> {
    let mut codec = Codec::new(PACKET_BYTES_MAX);
    let (mut inbound, mut out) = (BytesMut::new(), BytesMut::new());
    let mut session = Session { notify_next: Box::default(), last_id: 0, answer };
    loop {
        while let Some((packet, _)) = codec.decode(&mut inbound).map_err(io::Error::other)? {
            session.handle(packet, &mut codec, &mut out)?;
        }
        if !out.is_empty() {
            stream.write_all(&out).await?;
            stream.flush().await?;
            out = BytesMut::new();
        }
        if inbound.is_empty() {
            inbound = BytesMut::new();
        }
        tokio::select! {
            read = read(&mut stream, &mut inbound) => if read? == 0 { return Ok(()) },
            changed = notified.changed() => {
                changed.map_err(io::Error::other)?;
                let topic = session.notify_next.clone();
                session.publish(&topic, &mut codec, &mut out)?;
            }
        }
    }
}

async fn read(stream: &mut TlsStream<TcpStream>, inbound: &mut BytesMut) -> io::Result<usize> {
    std::future::poll_fn(|cx| {
        inbound.reserve(READ_BYTES);
        let polled = poll_read_buf(std::pin::Pin::new(&mut *stream), cx, inbound);
        if polled.is_pending() && inbound.is_empty() {
            *inbound = BytesMut::new();
        }
        polled
    })
    .await
}

struct Session {
    notify_next: Box<str>,
    last_id: u16,
    answer: Bytes,
}

impl Session {
    fn handle(&mut self, packet: Packet, codec: &mut Codec, out: &mut BytesMut) -> io::Result<()> {
        let answer = match packet {
            Packet::Connect(connect) => {
                self.notify_next = format!("$aws/things/{}/jobs/notify-next", connect.client_id).into();
                Packet::ConnectAck(ConnectAck { session_present: false, return_code: ConnectAckReason::ConnectionAccepted })
            }
            Packet::Subscribe { packet_id, topic_filters } => {
                let status = topic_filters.iter().map(|(_, qos)| SubscribeReturnCode::Success(*qos)).collect();
                Packet::SubscribeAck { packet_id, status }
            }
            Packet::Publish(publish) => {
                if let Some(packet_id) = publish.packet_id {
                    codec.encode(Packet::PublishAck { packet_id }, out).map_err(io::Error::other)?;
                }
                return self.publish(&format!("{}/accepted", publish.topic), codec, out);
            }
            Packet::PingRequest => Packet::PingResponse,
            Packet::Disconnect => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => return Ok(()),
        };
        codec.encode(answer, out).map_err(io::Error::other)
    }

    fn publish(&mut self, topic: &str, codec: &mut Codec, out: &mut BytesMut) -> io::Result<()> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let publish = Publish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: topic.into(),
            packet_id: NonZeroU16::new(self.last_id),
            payload: self.answer.clone(),
            properties: None,
        };
        codec.encode(publish.into(), out).map_err(io::Error::other)
    }
}
