//! One connection: CONNECT, then packets in and packets out until somebody ends it. All waits have a deadline.

use super::MqttSettings;
use super::session::{Close, Session, encode};
use crate::clock;
use crate::emulator::service::Service;
use crate::emulator::sessions::Delivery;
use crate::instant::Mono;
use crate::jobs::{ThingName, limits};
use bytes::BytesMut;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::v3::{Codec, Connect, ConnectAck, ConnectAckReason, Packet};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::Decoder;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// From the end of the TLS handshake to a complete CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take nothing before it is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Before CONNECT nobody may send more than this.
const CONNECT_BYTES_MAX: u32 = 8 * 1024;
/// A payload, its topic, and room to see that a payload is too long.
const PACKET_BYTES_MAX: u32 = limits::PAYLOAD_BYTES_MAX as u32 + 1024;
/// A read buffer that is given back when it is empty.
const READ_BYTES: usize = 512;
/// Packets handled before other connections get their turn.
const PACKETS_PER_TURN: usize = 64;

/// What a CONNECT over a quota gets: "server unavailable" (inferred; spec section 13.2 knows no form for MQTT 3.1.1).
const CONNECT_THROTTLED: ConnectAckReason = ConnectAckReason::ServiceUnavailable;

type Stream = TlsStream<TcpStream>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("{0}")]
    Closed(#[from] Close),
    #[error("the client went away")]
    Gone,
    #[error("IO: {0}")]
    Io(#[from] std::io::Error),
    #[error("malformed packet: {0}")]
    Malformed(#[from] DecodeError),
    #[error("{0} did not come in time")]
    Timeout(&'static str),
    #[error("refused: {0}")]
    Refused(&'static str),
    #[error("the endpoint was told to end it")]
    OldEnough,
    #[error("taken over, too slow, or the endpoint stops")]
    Dismissed,
}

/// How long a connection is kept.
#[derive(Clone, Copy)]
struct Patience {
    keep_alive: Duration,
    /// Whatever the client does.
    until: Mono,
}

impl Patience {
    /// Until the client's silence, or the connection's time, is over.
    fn left(self, heard: Mono, now: Mono) -> Duration {
        (heard + self.keep_alive.mul_f64(1.5)).min(self.until).since(now)
    }
}

/// Runs a connection to its end.
pub(super) async fn run(mut stream: Stream, service: &Service, settings: MqttSettings) -> End {
    let mut inbound = BytesMut::new();
    let mut codec = Codec::new(CONNECT_BYTES_MAX);
    let connect = match timeout(CONNECT_TIMEOUT, read_connect(&mut stream, &mut codec, &mut inbound)).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(end)) => {
            if matches!(end, End::Malformed(DecodeError::UnsupportedProtocolLevel)) {
                let _ = acknowledge(&mut stream, ConnectAckReason::UnacceptableProtocolVersion, service).await;
            }
            return end;
        }
        Err(_elapsed) => return End::Timeout("CONNECT"),
    };
    // Counted before anything else is looked at: a refused CONNECT is one, too (inferred).
    let Ok(_connected) = service.shape.connect(&connect.client_id) else {
        let _ = acknowledge(&mut stream, CONNECT_THROTTLED, service).await;
        return End::Refused("over a quota of connections");
    };
    let thing = match admit(&stream, &connect, service, settings) {
        Ok(thing) => thing,
        Err((reason, why)) => {
            let _ = acknowledge(&mut stream, reason, service).await;
            return End::Refused(why);
        }
    };
    let keep_alive = keep_alive(connect.keep_alive, settings);
    drop(connect);
    let (epoch, mut deliveries, later) = service.sessions.begin(&thing);
    let mut session = Session::new(thing, epoch, later, service.shape.meter());
    let end = match acknowledge(&mut stream, ConnectAckReason::ConnectionAccepted, service).await {
        Ok(()) => {
            codec.set_max_size(PACKET_BYTES_MAX);
            let until = service.shape.end_of_life(session.thing());
            let patience = Patience { keep_alive, until };
            serve(&mut stream, &mut codec, &mut inbound, &mut session, &mut deliveries, service, patience).await
        }
        Err(end) => end,
    };
    session.end(service);
    let _ = timeout(WRITE_TIMEOUT, stream.shutdown()).await;
    end
}

async fn read_connect(stream: &mut Stream, codec: &mut Codec, inbound: &mut BytesMut) -> Result<Connect, End> {
    loop {
        match codec.decode(inbound)? {
            Some((Packet::Connect(connect), _)) => return Ok(*connect),
            Some(_) => return Err(Close::Protocol("a packet before CONNECT").into()),
            None => {}
        }
        inbound.reserve(READ_BYTES);
        if stream.read_buf(inbound).await? == 0 {
            return Err(End::Gone);
        }
    }
}

/// Whether this client may connect: the certificate says which thing it is, and the client id must be its name, as the usual
/// policy of spec section 14 wants. What MQTT 3.1.1 clients see on refusal is return code 5 (inferred).
fn admit(
    stream: &Stream,
    connect: &Connect,
    service: &Service,
    settings: MqttSettings,
) -> Result<ThingName, (ConnectAckReason, &'static str)> {
    let refuse = |why| Err((ConnectAckReason::NotAuthorized, why));
    if connect.protocol.level() != rmqtt_codec::types::MQTT_LEVEL_311 {
        return Err((ConnectAckReason::UnacceptableProtocolVersion, "the protocol level is not 4"));
    }
    if connect.last_will.as_ref().is_some_and(|will| will.qos == rmqtt_codec::types::QoS::ExactlyOnce) {
        return refuse("a will with QoS 2");
    }
    if connect.client_id.len() > limits::CLIENT_ID_BYTES_MAX {
        return Err((ConnectAckReason::IdentifierRejected, "the client id is too long"));
    }
    let Some(thing) = common_name(stream).and_then(|name| ThingName::new(&name).ok()) else {
        return refuse("the certificate has no common name that is a thing name");
    };
    if *connect.client_id != *thing.as_str() {
        return refuse("the client id is not the name of the certificate's thing");
    }
    let known = service.call(|engine, _| {
        if settings.auto_register {
            engine.create_thing(&thing);
        }
        engine.has_thing(&thing)
    });
    if known { Ok(thing) } else { refuse("the thing is not registered") }
}

fn common_name(stream: &Stream) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

/// Clamped, never refused (spec section 2, fact 21).
fn keep_alive(seconds: u16, settings: MqttSettings) -> Duration {
    match Duration::from_secs(u64::from(seconds)) {
        Duration::ZERO => settings.keep_alive_max,
        asked => asked.clamp(settings.keep_alive_min, settings.keep_alive_max),
    }
}

async fn acknowledge(stream: &mut Stream, return_code: ConnectAckReason, service: &Service) -> Result<(), End> {
    let mut out = BytesMut::new();
    encode(Packet::ConnectAck(ConnectAck { session_present: false, return_code }), &mut out);
    write(stream, &mut out, service).await
}

/// Nothing leaves that tells of a change which is not on disk yet.
async fn write(stream: &mut Stream, out: &mut BytesMut, service: &Service) -> Result<(), End> {
    if out.is_empty() {
        return Ok(());
    }
    if !service.durable().await {
        return Err(End::Timeout("the disk"));
    }
    let writing = async {
        stream.write_all(out).await?;
        stream.flush().await
    };
    timeout(WRITE_TIMEOUT, writing).await.map_err(|_elapsed| End::Timeout("the client's reading"))??;
    // Ten thousand idle connections keep no buffers.
    *out = BytesMut::new();
    Ok(())
}

async fn serve(
    stream: &mut Stream,
    codec: &mut Codec,
    inbound: &mut BytesMut,
    session: &mut Session,
    deliveries: &mut tokio::sync::mpsc::Receiver<Delivery>,
    service: &Service,
    patience: Patience,
) -> End {
    let mut out = BytesMut::new();
    let mut moved = 0;
    let mut heard: Mono = clock::mono();
    let silence = tokio::time::sleep(patience.left(heard, heard));
    tokio::pin!(silence);
    loop {
        let mut handled = 0;
        let closing = loop {
            match codec.decode(inbound) {
                Ok(Some((packet, _))) => {
                    heard = clock::mono();
                    handled += 1;
                    if let Err(close) = session.handle(packet, service, &mut out) {
                        break Some(End::from(close));
                    }
                    if handled >= PACKETS_PER_TURN {
                        break None;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error.into()),
            }
        };
        moved += out.len();
        if let Err(end) = write(stream, &mut out, service).await {
            return end;
        }
        session.handle_written(service);
        let rest = session.rest(std::mem::take(&mut moved), service);
        if !rest.is_zero() {
            Box::pin(tokio::time::sleep(rest)).await;
        }
        if let Some(end) = closing {
            return end;
        }
        if handled >= PACKETS_PER_TURN {
            tokio::task::yield_now().await;
            continue;
        }
        if inbound.is_empty() {
            *inbound = BytesMut::new();
        }
        tokio::select! {
            read = read(stream, inbound) => match read {
                Ok(0) => return End::Gone,
                Ok(count) => moved += count,
                Err(error) => return error.into(),
            },
            delivery = deliveries.recv() => {
                let Some(delivery) = delivery else { return End::Dismissed };
                if let Err(close) = session.deliver(delivery, service, &mut out) {
                    return close.into();
                }
                while let Ok(delivery) = deliveries.try_recv() {
                    if let Err(close) = session.deliver(delivery, service, &mut out) {
                        return close.into();
                    }
                }
            }
            () = &mut silence => {
                let now = clock::mono();
                if now >= patience.until {
                    return End::OldEnough;
                }
                let left = patience.left(heard, now);
                if left.is_zero() {
                    return End::Timeout("a packet within 1.5 times the keep-alive");
                }
                silence.as_mut().reset(tokio::time::Instant::now() + left);
            }
        }
    }
}

/// Reads what there is; the buffer is grown only when bytes are about to arrive.
async fn read(stream: &mut Stream, inbound: &mut BytesMut) -> std::io::Result<usize> {
    std::future::poll_fn(|cx| {
        inbound.reserve(READ_BYTES);
        let polled = tokio_util::io::poll_read_buf(std::pin::Pin::new(&mut *stream), cx, inbound);
        if polled.is_pending() && inbound.is_empty() {
            *inbound = BytesMut::new();
        }
        polled
    })
    .await
}
