//! Dialling: TCP, TLS, CONNECT, each timed apart, all under one deadline.

use super::endpoint::Endpoint;
use super::error::{Failure, Stage};
use super::mqtt::{ConnAck, Connect, MqttSettings, Packet, Version};
use super::thing::ThingId;
use super::{Observer, SessionEvent};
use crate::clock;
use crate::instant::Mono;
use bytes::BytesMut;
use rustls::ClientConfig;
use std::future::Future;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A CONNACK is 4 bytes; what follows it in the same read belongs to the session.
const FIRST_READ_BYTES: usize = 256;

/// An accepted connection, its CONNACK, and what was read behind that.
pub struct Connection {
    pub stream: TlsStream<TcpStream>,
    pub ack: ConnAck,
    pub read_ahead: BytesMut,
}

/// Brings up one connection to the point where the CONNACK said yes.
///
/// # Errors
/// With the first stage that failed or was not done at `deadline`.
pub async fn connect(
    endpoint: &Endpoint,
    tls: Arc<ClientConfig>,
    thing: &ThingId,
    settings: &MqttSettings,
    deadline: Mono,
    observer: &impl Observer,
) -> Result<Connection, Failure> {
    let route = endpoint.route(thing.position);
    let tcp = staged(Stage::Tcp, thing, deadline, observer, route.dial()).await?;
    let mut stream = staged(Stage::Tls, thing, deadline, observer, async {
        Ok(TlsConnector::from(tls).connect(route.destination.server_name.clone(), tcp).await?)
    })
    .await?;
    let (ack, read_ahead) = staged(Stage::Mqtt, thing, deadline, observer, async {
        let mut out = BytesMut::new();
        let MqttSettings { keep_alive, clean, .. } = *settings;
        let connect = Connect { client_id: thing.name.as_str(), keep_alive, clean };
        settings.version.write_connect(&connect, &mut out);
        stream.write_all(&out).await?;
        stream.flush().await?;
        let (ack, read_ahead) = read_connack(&mut stream, settings.version).await?;
        if clean && ack.session_present {
            return Err(Failure::Protocol("a CONNACK with an old session, though a clean one was asked for".into()));
        }
        Ok((ack, read_ahead))
    })
    .await?;
    Ok(Connection { stream, ack, read_ahead })
}

async fn read_connack(stream: &mut TlsStream<TcpStream>, version: Version) -> Result<(ConnAck, BytesMut), Failure> {
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

async fn staged<T>(
    stage: Stage,
    thing: &ThingId,
    deadline: Mono,
    observer: &impl Observer,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let started = clock::mono();
    observer.session(thing, SessionEvent::StageStarted(stage));
    let result = match tokio::time::timeout(deadline.since(started), work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Failure::Timeout(stage.as_str())),
    };
    observer.session(thing, SessionEvent::StageEnded { stage, started, at: clock::mono(), failure: result.as_ref().err() });
    result
}
