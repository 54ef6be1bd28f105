//! One connection: CONNECT, then packets in and packets out until somebody ends it. All waits have a deadline.

use super::MqttSettings;
use super::session::{Close, Session, encode};
use crate::clock;
use crate::emulator::identity::Identity;
use crate::emulator::service::Service;
use crate::emulator::sessions::Delivery;
use crate::instant::Mono;
use crate::jobs::limits;
use bytes::BytesMut;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::v3::{Codec, Connect, ConnectAck, ConnectAckReason, Packet};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::Decoder;

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
    #[error("taken over, too slow, or the endpoint stops")]
    Dismissed,
}

/// Runs a connection to its end.
pub(super) async fn run(mut stream: Stream, service: &Service, settings: MqttSettings) -> End {
    let mut inbound = BytesMut::new();
    let mut codec = Codec::new(CONNECT_BYTES_MAX);
    let connect = match timeout(CONNECT_TIMEOUT, read_connect(&mut stream, &mut codec, &mut inbound)).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(end)) => {
            if matches!(end, End::Malformed(DecodeError::UnsupportedProtocolLevel)) {
                let _ = acknowledge(&mut stream, ConnectAckReason::UnacceptableProtocolVersion).await;
            }
            return end;
        }
        Err(_elapsed) => return End::Timeout("CONNECT"),
    };
    let identity = match admit(&stream, &connect, service, settings) {
        Ok(identity) => identity,
        Err((reason, why)) => {
            tracing::info!(client_id = %connect.client_id, why, "a client may not connect");
            let _ = acknowledge(&mut stream, reason).await;
            return End::Refused(why);
        }
    };
    let keep_alive = keep_alive(connect.keep_alive, settings);
    drop(connect);
    let (epoch, mut deliveries, later) = service.sessions.begin(&identity.thing);
    if !service.settle(&identity) {
        service.sessions.end(&identity.thing, epoch);
        return End::Refused("the certificate has just lost its standing");
    }
    let mut session = Session::new(identity.thing, epoch, later);
    let end = match acknowledge(&mut stream, ConnectAckReason::ConnectionAccepted).await {
        Ok(()) => {
            codec.set_max_size(PACKET_BYTES_MAX);
            serve(&mut stream, &mut codec, &mut inbound, &mut session, &mut deliveries, service, keep_alive).await
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

/// Whether this client may connect, and as which thing. What MQTT 3.1.1 clients see on refusal is return code 5 (inferred).
fn admit(
    stream: &Stream,
    connect: &Connect,
    service: &Service,
    settings: MqttSettings,
) -> Result<Identity, (ConnectAckReason, &'static str)> {
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
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.ok_or((ConnectAckReason::NotAuthorized, "there is no certificate"))?;
    service.identify(certificate, &connect.client_id, settings.auto_register).or_else(refuse)
}

/// Clamped, never refused (spec section 2, fact 21).
fn keep_alive(seconds: u16, settings: MqttSettings) -> Duration {
    match Duration::from_secs(u64::from(seconds)) {
        Duration::ZERO => settings.keep_alive_max,
        asked => asked.clamp(settings.keep_alive_min, settings.keep_alive_max),
    }
}

async fn acknowledge(stream: &mut Stream, return_code: ConnectAckReason) -> Result<(), End> {
    let mut out = BytesMut::new();
    encode(Packet::ConnectAck(ConnectAck { session_present: false, return_code }), &mut out);
    write(stream, &mut out).await
}

async fn write(stream: &mut Stream, out: &mut BytesMut) -> Result<(), End> {
    if out.is_empty() {
        return Ok(());
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
    keep_alive: Duration,
) -> End {
    let mut out = BytesMut::new();
    let patience = keep_alive.mul_f64(1.5);
    let mut heard: Mono = clock::mono();
    let silence = tokio::time::sleep(patience);
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
        if let Err(end) = write(stream, &mut out).await {
            return end;
        }
        session.handle_written(service);
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
                Ok(_) => {}
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
                let quiet = clock::mono().since(heard);
                if quiet >= patience {
                    return End::Timeout("a packet within 1.5 times the keep-alive");
                }
                silence.as_mut().reset(tokio::time::Instant::now() + (patience - quiet));
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
