//! Dialling: TCP, TLS, CONNECT, each timed apart, all under one deadline. The upgrade to a WebSocket counts as a part of the last.

use crate::error::{Failure, Stage};
use crate::mqtt::{ConnAck, Connect, MqttSettings, Packet, Version};
use crate::observer::{Observer, SessionEvent};
use crate::shard::Member;
use crate::socket::Socket;
use aws_signing::request::{self, Signing, SigningError};
use aws_signing::websocket::{self, SUBPROTOCOL};
use bytes::BytesMut;
use host::clock;
use host::websocket::FrameStream;
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use iot_jobs::instant::Mono;
use iot_jobs::wire::control;
use rustls::{ClientConfig, ClientConnection};
use std::future::Future;
use std::io::Write as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _, error::ProtocolError};
use tokio_util::either::Either;

/// A CONNACK is 4 bytes; what follows it in the same read belongs to the session.
const FIRST_READ_BYTES: usize = 256;

/// The bytes of MQTT: over TLS itself, or over a WebSocket.
pub type Stream = Either<TlsStream<Socket>, Box<FrameStream<TlsStream<Socket>>>>;

/// An accepted connection, its CONNACK, and what was read behind that.
pub struct Connection {
    /// Behind the CONNACK, and what was read ahead. On the heap: a future that holds it by value has room for it twice.
    pub stream: Box<Stream>,
    /// What the endpoint promised.
    pub ack: ConnAck,
    /// Bytes of packets behind the CONNACK.
    pub read_ahead: BytesMut,
}

impl Connection {
    /// The socket below it.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match &*self.stream {
            Either::Left(stream) => stream.get_ref().0.get_ref(),
            Either::Right(frames) => frames.get_ref().get_ref().0.get_ref(),
        }
    }
}

/// Brings up one connection to the point where the CONNACK said yes. Cuts of the thing at the slot `cut` end the attempt.
///
/// # Errors
/// With the first stage that failed or was not done at `deadline`.
pub async fn connect<O: Observer>(
    thing: Member<'_, O>,
    tls: Arc<ClientConfig>,
    settings: &MqttSettings,
    deadline: Mono,
    cut: Option<usize>,
) -> Result<Connection, Failure> {
    let dial = Dial { thing, deadline, cut: cut.filter(|_| thing.shard.cuts.is_planned()) };
    let first = Some(settings).filter(|_| thing.endpoint().signing.is_none());
    let stream = dial.secure(tls, first).await?;
    dial.staged(Stage::Mqtt, pin!(open(thing, stream, settings))).await
}

fn connect_packet<O: Observer>(thing: Member<'_, O>, settings: &MqttSettings) -> BytesMut {
    let MqttSettings { version, keep_alive, clean, .. } = *settings;
    let mut packet = BytesMut::new();
    version.write_connect(&Connect { client_id: thing.id.client_id(), keep_alive, clean }, &mut packet);
    packet
}

/// The upgrade to a WebSocket and CONNECT, where the thing signs; otherwise CONNECT has left with the end of the TLS handshake.
async fn open<O: Observer>(
    thing: Member<'_, O>,
    stream: TlsStream<Socket>,
    settings: &MqttSettings,
) -> Result<Connection, Failure> {
    let endpoint = thing.endpoint();
    let mut stream = Box::new(match &endpoint.signing {
        None => Either::Left(stream),
        Some(signing) => {
            let authority = &endpoint.route(thing.id.position).destination.authority;
            Either::Right(Box::new(Box::pin(upgraded(thing, stream, authority, signing, settings)).await?))
        }
    });
    let (ack, read_ahead) = read_connack(&mut stream, settings.version).await?;
    if settings.clean && ack.session_present {
        return Err(Failure::Protocol("a CONNACK with an old session, though a clean one was asked for".into()));
    }
    Ok(Connection { stream, ack, read_ahead })
}

/// The same to the point where HTTP may be spoken.
///
/// # Errors
/// With the first stage that failed or was not done at `deadline`.
pub async fn secure<O: Observer>(
    thing: Member<'_, O>,
    tls: Arc<ClientConfig>,
    deadline: Mono,
    cut: usize,
) -> Result<TlsStream<Socket>, Failure> {
    Dial { thing, deadline, cut: Some(cut).filter(|_| thing.shard.cuts.is_planned()) }.secure(tls, None).await
}

/// A WebSocket on which CONNECT has left.
async fn upgraded<O: Observer>(
    thing: Member<'_, O>,
    stream: TlsStream<Socket>,
    authority: &str,
    signing: &Signing,
    settings: &MqttSettings,
) -> Result<FrameStream<TlsStream<Socket>>, Failure> {
    let mut frames = upgrade(stream, authority, signing).await?;
    frames.write_all(&connect_packet(thing, settings)).await?;
    frames.flush().await?;
    Ok(frames)
}

/// Asks for MQTT over a WebSocket, by a signed URL (PROTOCOL 12.4).
async fn upgrade(stream: TlsStream<Socket>, authority: &str, signing: &Signing) -> Result<FrameStream<TlsStream<Socket>>, Failure> {
    let key = signing.keyring.key().await.map_err(SigningError::from)?;
    let path = websocket::presign(authority, &key, key.session_token.as_deref(), &signing.region, request::now());
    let mut request = format!("wss://{authority}{path}").into_client_request().map_err(not_upgraded)?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    FrameStream::request(stream, request).await.map_err(not_upgraded)
}

fn not_upgraded(error: tungstenite::Error) -> Failure {
    match error {
        tungstenite::Error::Io(error) => error.into(),
        tungstenite::Error::ConnectionClosed | tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete) => Failure::Closed,
        tungstenite::Error::Http(response) => {
            let name = response.headers().get("x-amzn-errortype").and_then(|name| name.to_str().ok()).unwrap_or_default();
            let message = response.body().as_deref().and_then(control::parse_error).unwrap_or_default();
            Failure::NoUpgrade { status: response.status().as_u16(), why: format!("{name} {message}").trim().to_owned() }
        }
        error => Failure::Protocol(error.to_string()),
    }
}

async fn read_connack(stream: &mut Stream, version: Version) -> Result<(ConnAck, BytesMut), Failure> {
    let mut bytes = BytesMut::with_capacity(FIRST_READ_BYTES);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(Failure::Closed);
        }
        match version.read(&mut bytes)? {
            Some(Packet::ConnAck(ack)) => {
                return Ok((ack, if bytes.is_empty() { BytesMut::new() } else { bytes }));
            }
            Some(_) => return Err(Failure::Protocol("a packet before CONNACK".into())),
            None => {}
        }
    }
}

/// One attempt to connect.
struct Dial<'a, O> {
    thing: Member<'a, O>,
    deadline: Mono,
    /// The slot whose cuts end it, where there will be any.
    cut: Option<usize>,
}

impl<O: Observer> Dial<'_, O> {
    /// TCP, then TLS. With `first`, CONNECT leaves with the client's end of the handshake: one packet and one system call less, at both
    /// sides, than if it came behind.
    async fn secure(&self, tls: Arc<ClientConfig>, first: Option<&MqttSettings>) -> Result<TlsStream<Socket>, Failure> {
        let route = self.thing.endpoint().route(self.thing.id.position);
        let dialled = async { if self.is_unreachable() { Err(Failure::Outage) } else { route.dial().await } };
        let tcp = self.staged(Stage::Tcp, pin!(dialled)).await?;
        let name = route.destination.server_name.clone();
        let tcp = Socket::new(tcp, &self.thing.shard.arrivals);
        let queue = |tls: &mut ClientConnection| {
            if let Some(settings) = first {
                // Kept until there are keys: TLS has room for 64 KB.
                let _ = tls.writer().write_all(&connect_packet(self.thing, settings));
            }
        };
        let shaken = async { Ok(TlsConnector::from(tls).connect_with(name, tcp, queue).await?) };
        self.staged(Stage::Tls, pin!(shaken)).await
    }

    /// Where the work is pinned it stays: to hand it over by value would make room for it in every future that it passes.
    async fn staged<T>(&self, stage: Stage, work: Pin<&mut impl Future<Output = Result<T, Failure>>>) -> Result<T, Failure> {
        let started = clock::mono();
        self.thing.emit(SessionEvent::StageStarted(stage));
        let timely = tokio::time::timeout(self.deadline.since(started), self.or_cut(work)).await;
        let result = timely.unwrap_or(Err(Failure::Timeout(stage.as_str())));
        let failure = result.as_ref().err();
        self.thing.emit(SessionEvent::StageEnded { stage, started, at: clock::mono(), failure });
        result
    }

    /// The work, until an event of the scenario cuts the connection it is for.
    fn or_cut<T>(&self, mut work: Pin<&mut impl Future<Output = Result<T, Failure>>>) -> impl Future<Output = Result<T, Failure>> {
        std::future::poll_fn(move |cx| {
            if let Some(slot) = self.cut {
                if let Some(event) = self.thing.shard.cuts.struck(slot) {
                    return Poll::Ready(Err(Failure::Cut { event }));
                }
                self.thing.shard.pacer.wake_at(slot, self.deadline, clock::mono(), cx);
            }
            work.as_mut().poll(cx)
        })
    }

    /// Whether there is no way to the endpoint.
    fn is_unreachable(&self) -> bool {
        self.cut.is_some_and(|slot| self.thing.shard.cuts.is_unreachable(slot, clock::mono()))
    }
}
