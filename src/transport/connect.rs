//! Dialling: TCP, TLS, CONNECT, each timed apart, all under one deadline.

use super::error::{Failure, Stage};
use super::mqtt::{ConnAck, Connect, MqttSettings, Packet, Version};
use super::thing::{ShardContext, ThingId};
use super::{Observer, SessionEvent};
use crate::clock;
use crate::instant::Mono;
use bytes::BytesMut;
use rustls::ClientConfig;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
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

/// Brings up one connection to the point where the CONNACK said yes. Cuts of the thing at the slot `cut` end the attempt.
///
/// # Errors
/// With the first stage that failed or was not done at `deadline`.
pub async fn connect<O: Observer>(
    shard: &ShardContext<O>,
    tls: Arc<ClientConfig>,
    thing: &ThingId,
    settings: &MqttSettings,
    deadline: Mono,
    cut: Option<usize>,
) -> Result<Connection, Failure> {
    let dial = Dial { shard, thing, deadline, cut: cut.filter(|_| shard.cuts.is_planned()) };
    let route = shard.endpoint.route(thing.position);
    let tcp = async { if dial.is_unreachable() { Err(Failure::Outage) } else { route.dial().await } };
    let tcp = dial.staged(Stage::Tcp, tcp).await?;
    let tls = async { Ok(TlsConnector::from(tls).connect(route.destination.server_name.clone(), tcp).await?) };
    let mut stream = dial.staged(Stage::Tls, tls).await?;
    let mqtt = async {
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
    };
    let (ack, read_ahead) = dial.staged(Stage::Mqtt, mqtt).await?;
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

/// One attempt to connect.
struct Dial<'a, O> {
    shard: &'a ShardContext<O>,
    thing: &'a ThingId,
    deadline: Mono,
    /// The slot whose cuts end it, where there will be any.
    cut: Option<usize>,
}

impl<O: Observer> Dial<'_, O> {
    async fn staged<T>(&self, stage: Stage, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let Self { shard, thing, deadline, cut } = *self;
        let started = clock::mono();
        shard.observer.session(thing, SessionEvent::StageStarted(stage));
        let timely = tokio::time::timeout(deadline.since(started), work);
        let work = async { timely.await.unwrap_or(Err(Failure::Timeout(stage.as_str()))) };
        let result = match cut {
            Some(slot) => self.unless_cut(slot, work).await,
            None => work.await,
        };
        let failure = result.as_ref().err();
        shard.observer.session(thing, SessionEvent::StageEnded { stage, started, at: clock::mono(), failure });
        result
    }

    /// The work, until an event of the scenario cuts the connection it is for.
    async fn unless_cut<T>(&self, slot: usize, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            if let Some(event) = self.shard.cuts.struck(slot) {
                return Poll::Ready(Err(Failure::Cut { event }));
            }
            self.shard.pacer.wake_at(slot, self.deadline, cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Whether there is no way to the endpoint.
    fn is_unreachable(&self) -> bool {
        self.cut.is_some_and(|slot| self.shard.cuts.is_unreachable(slot, clock::mono()))
    }
}
