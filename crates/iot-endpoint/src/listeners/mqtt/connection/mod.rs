//! One connection: CONNECT, then packets in and packets out until somebody ends it. All waits have a deadline.
//!
//! It reads, hands packets, messages and the time to the session, carries out what that wants done ([`effects`]), and writes.

mod effects;

use super::admit::{Admitted, admit, keep_alive};
use super::{Carrier, MqttSettings};
use crate::broker::packet::{self, BadConnect, Close, Connect, Reason};
use crate::broker::session::{Admission, Session};
use crate::broker::v3;
use crate::identity::Identity;
use crate::listeners::http::new_request_id;
use crate::listeners::linger::linger;
use crate::refusals::RefusedAt;
use crate::request_log::Answered;
use crate::service::Service;
use crate::sessions::{Begun, CloseReason, Delivery, Epoch};
use bytes::BytesMut;
use host::clock;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc::{Receiver, WeakSender};
use tokio::time::timeout;

/// From the end of the TLS handshake to a complete CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take nothing before it is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// What a CONNECT is read into, to begin with.
const CONNECT_BYTES: usize = 512;
/// What packets are kept in when some have come; most are smaller, and the decoder wants room for as much again.
const INBOUND_BYTES: usize = 256;
/// Read at once: a TLS record.
const READ_BYTES: usize = 16 * 1024;
/// Packets handled before other connections get their turn. Their PUBACKs leave together, so no client can have more of its messages
/// unacknowledged than this, and never the 100 that it may have.
const PACKETS_PER_TURN: usize = 64;
/// Written at once, and a packet more.
const OUT_BYTES_PER_TURN: usize = 512 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("{0}")]
    Closed(#[from] Close),
    #[error("the client went away")]
    Gone,
    #[error("IO: {0}")]
    Io(#[from] std::io::Error),
    #[error("no {0} in time")]
    Timeout(&'static str),
    #[error("refused: {0}")]
    Refused(String),
    #[error("dismissed: {0:?}")]
    Dismissed(CloseReason),
}

impl End {
    /// Nothing can be said on it any more.
    fn is_of_a_broken_connection(&self) -> bool {
        matches!(self, Self::Io(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
    }

    /// What an MQTT 5 client is told before the connection closes (PROTOCOL 13.6).
    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Closed(close) => close.reason(),
            Self::Dismissed(CloseReason::TakenOver) => Some(Reason::TakenOver),
            Self::Dismissed(CloseReason::Stopping) => Some(Reason::ShuttingDown),
            Self::Dismissed(CloseReason::Slow) => Some(Reason::Quota),
            Self::Dismissed(CloseReason::NotAuthorized) => Some(Reason::NotAuthorized),
            Self::Gone | Self::Io(_) | Self::Timeout(_) | Self::Refused(_) => None,
        }
    }
}

/// Runs a connection to its end.
pub(super) async fn run<C: Carrier>(mut stream: Box<C>, service: &Service, settings: MqttSettings) -> End {
    let mut inbound = BytesMut::new();
    let mut out = BytesMut::new();
    let connect = match timeout(CONNECT_TIMEOUT, read_connect(&mut stream, &mut inbound)).await {
        Ok(Ok(connect)) => connect,
        Ok(Err(bad)) => return refuse(&mut stream, bad, &mut out, service).await,
        Err(_elapsed) => return End::Timeout("CONNECT"),
    };
    // Counted before anything else is looked at: a refused CONNECT is one, too (inferred).
    let Ok(_connected) = service.shape.connect(&connect.client_id) else {
        connect.version.encode_refusal(Reason::Quota, None, &mut out);
        dismiss(&mut stream, &mut out, service).await;
        return End::Refused("over a quota of connections".into());
    };
    let Admitted { identity, permissions } = match admit(&*stream, &connect, service, settings) {
        Ok(admitted) => admitted,
        Err(refused) => {
            if let Some(reason) = refused.reason {
                let words = words("CONNACK", reason, connect.wants_reasons);
                connect.version.encode_refusal(reason, words.as_deref(), &mut out);
            }
            dismiss(&mut stream, &mut out, service).await;
            return End::Refused(refused.why);
        }
    };
    let expiry = connect.expiry(settings.session_expiry_max);
    let Begun { epoch, deliveries, later, resumed, is_stored } = service.begin_session(&identity, &connect, expiry);
    if !service.settle(&identity) {
        service.end_session(&identity, epoch, expiry, None);
        return End::Refused("the certificate has just become invalid, or the thing was deleted".into());
    }
    let now = clock::mono();
    let admission = Admission {
        ends: service.shape.end_of_life(identity.thing.as_ref()).min(now + C::LIFETIME_MAX),
        client_id: identity.client_id.clone(),
        thing: identity.thing.clone(),
        permissions,
        keep_alive: keep_alive(connect.keep_alive, settings),
        expiry_max: settings.session_expiry_max,
        resumed,
        is_stored,
        budget: Arc::clone(service.sessions.budget()),
    };
    let wants_reasons = connect.wants_reasons;
    let session = Session::begin(connect, admission, service.shape.meters(), now, &mut out);
    let (answered, is_behind) = (Vec::new(), false);
    let mut connection = Connection {
        stream,
        inbound,
        out,
        session,
        identity,
        wants_reasons,
        epoch,
        deliveries,
        later,
        answered,
        is_behind,
        service,
    };
    let end = connection.serve().await;
    connection.end_session();
    connection.close(&end).await;
    end
}

/// A reason in words, as AWS has them where something is not authorized (PROTOCOL-CORE 1.9).
fn words(packet: &str, reason: Reason, is_wanted: bool) -> Option<String> {
    let is_told = is_wanted && reason == Reason::NotAuthorized;
    is_told.then(|| format!("{packet}:Client is not authenticated/authorized to send the message:{}", new_request_id()))
}

/// Why there is no CONNECT to serve.
enum NoConnect {
    Bad(BadConnect),
    End(End),
}

/// Reads a CONNECT with nothing behind it: before CONNACK a client must send nothing else (PROTOCOL 13.1).
async fn read_connect(stream: &mut (impl AsyncRead + Unpin), inbound: &mut BytesMut) -> Result<Connect, NoConnect> {
    loop {
        match packet::decode_connect(inbound).map_err(NoConnect::Bad)? {
            Some(_) if !inbound.is_empty() => {
                return Err(NoConnect::End(Close::protocol("a packet before CONNACK").into()));
            }
            Some(connect) => return Ok(connect),
            None => {}
        }
        inbound.reserve(CONNECT_BYTES);
        match stream.read_buf(inbound).await {
            Ok(0) => return Err(NoConnect::End(End::Gone)),
            Ok(_) => {}
            Err(error) => return Err(NoConnect::End(error.into())),
        }
    }
}

async fn refuse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), no: NoConnect, out: &mut BytesMut, service: &Service) -> End {
    let end = match no {
        NoConnect::End(end) => return end,
        NoConnect::Bad(BadConnect::Close(close)) => return close.into(),
        NoConnect::Bad(BadConnect::Version) => {
            v3::encode_bad_version(out);
            End::Refused("another version of MQTT".into())
        }
        NoConnect::Bad(BadConnect::ClientId) => {
            v3::encode_refusal(Reason::ClientId, out);
            End::Refused("no client id, and no clean session".into())
        }
    };
    dismiss(stream, out, service).await;
    end
}

/// The last words to a client that was not let in.
async fn dismiss(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), out: &mut BytesMut, service: &Service) {
    let has_word = !out.is_empty();
    if write(stream, out, service).await.is_ok() {
        let _ = timeout(WRITE_TIMEOUT, stream.shutdown()).await;
        if has_word {
            Box::pin(linger(stream)).await;
        }
    }
}

/// The only way to the socket. Nothing leaves that tells of a change which is not on disk yet.
async fn write(stream: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut, service: &Service) -> Result<(), End> {
    if out.is_empty() {
        return Ok(());
    }
    if !service.durable().await {
        return Err(End::Timeout("answer of the disk"));
    }
    let mut writing = pin!(async {
        stream.write_all(out).await?;
        stream.flush().await
    });
    // Nearly always there is room at once, and no need for a timer.
    match poll_fn(|cx| Poll::Ready(writing.as_mut().poll(cx))).await {
        Poll::Ready(written) => written?,
        Poll::Pending => timeout(WRITE_TIMEOUT, writing).await.map_err(|_elapsed| End::Timeout("reading by the client"))??,
    }
    // Ten thousand idle connections keep no buffers.
    *out = BytesMut::new();
    Ok(())
}

/// A connection whose client was let in.
struct Connection<'a, C> {
    stream: Box<C>,
    inbound: BytesMut,
    out: BytesMut,
    session: Session<'a>,
    identity: Identity,
    /// Its client wants to be told reasons in words.
    wants_reasons: bool,
    epoch: Epoch,
    deliveries: Receiver<Delivery>,
    /// Where requests and answers that have to wait come back.
    later: WeakSender<Delivery>,
    /// Requests whose answers are about to leave, where a log wants to know.
    answered: Vec<Answered>,
    /// More is stored than was written at once.
    is_behind: bool,
    service: &'a Service,
}

impl<C: Carrier> Connection<'_, C> {
    /// Serves until somebody ends it.
    async fn serve(&mut self) -> End {
        let service = self.service;
        let mut moved = 0;
        let mut alarm_at = self.session.poll_timeout();
        let alarm = tokio::time::sleep(alarm_at.since(clock::mono()));
        tokio::pin!(alarm);
        if let Err(close) = self.draw(clock::mono()) {
            return close.into();
        }
        loop {
            let mut turn = self.handle_inbound();
            if turn.close.is_none() {
                turn.close = self.deliver_waiting().err();
            }
            moved += self.out.len();
            if let Err(end) = write(&mut self.stream, &mut self.out, service).await {
                return end;
            }
            self.handle_written();
            if self.session.is_metered() {
                let rest = self.session.rest(std::mem::take(&mut moved), clock::mono());
                if !rest.is_zero() {
                    Box::pin(tokio::time::sleep(rest)).await;
                }
            }
            if let Some(close) = turn.close {
                return close.into();
            }
            if turn.is_full || self.is_behind {
                tokio::task::yield_now().await;
                if self.is_behind
                    && let Err(close) = self.draw(clock::mono())
                {
                    return close.into();
                }
                continue;
            }
            if self.inbound.is_empty() {
                self.inbound = BytesMut::new();
            }
            // A later deadline is found when the alarm goes off.
            let at = self.session.poll_timeout();
            if at < alarm_at {
                alarm_at = at;
                alarm.as_mut().reset(tokio::time::Instant::now() + at.since(clock::mono()));
            }
            tokio::select! {
                read = read(&mut self.stream, &mut self.inbound) => match read {
                    Ok(0) => return End::Gone,
                    Ok(count) => moved += count,
                    Err(error) => return error.into(),
                },
                delivery = self.deliveries.recv() => {
                    let Some(delivery) = delivery else {
                        return End::Dismissed(service.sessions.close_reason(self.session.client_id(), self.epoch));
                    };
                    if let Err(close) = self.deliver(delivery) {
                        return close.into();
                    }
                }
                () = &mut alarm => {
                    let now = clock::mono();
                    if let Err(close) = self.session.handle_timeout(now).and_then(|()| self.draw(now)) {
                        return close.into();
                    }
                    alarm_at = self.session.poll_timeout();
                    alarm.as_mut().reset(tokio::time::Instant::now() + alarm_at.since(now));
                }
            }
        }
    }

    /// Handles what has been read, up to a turn's worth.
    fn handle_inbound(&mut self) -> Turn {
        self.refresh_permissions();
        let mut turn = Turn { is_full: false, close: None };
        for _ in 0..PACKETS_PER_TURN {
            if self.out.len() >= OUT_BYTES_PER_TURN {
                break;
            }
            let handled = match self.session.version().decode(&mut self.inbound) {
                Ok(Some(packet)) => {
                    let now = clock::mono();
                    let effect = self.session.handle_packet(packet, now, &mut self.out);
                    self.note_denials();
                    effect.and_then(|effect| self.carry_out(effect, now)).and_then(|()| self.draw(now))
                }
                Ok(None) => return turn,
                Err(close) => Err(close),
            };
            if let Err(close) = handled {
                turn.close = Some(close);
                return turn;
            }
        }
        turn.is_full = true;
        turn
    }

    /// Lets the client feel changes of policies.
    fn refresh_permissions(&mut self) {
        let (client_id, stream) = (self.identity.client_id.as_str(), &self.stream);
        self.service.refresh(self.session.permissions(), || stream.presented(), Some(client_id));
    }

    fn note_denials(&mut self) {
        self.service.note_denials(self.session.permissions(), RefusedAt::Mqtt, None);
    }

    /// What was written to `out` has left.
    fn handle_written(&mut self) {
        if !self.answered.is_empty() {
            self.service.log_requests(&std::mem::take(&mut self.answered));
        }
    }

    fn end_session(&mut self) {
        let (expiry, will) = self.session.end();
        self.service.end_session(&self.identity, self.epoch, expiry, will);
    }

    /// Says why, where the protocol has a way to, and closes.
    async fn close(&mut self, end: &End) {
        if end.is_of_a_broken_connection() {
            return;
        }
        if let Some(reason) = end.reason() {
            let words = words("DISCONNECT", reason, self.wants_reasons);
            self.session.version().encode_disconnect(reason, words.as_deref(), &mut self.out);
        }
        let has_word = C::SENDS_CLOSE_FRAME || !self.out.is_empty();
        if write(&mut self.stream, &mut self.out, self.service).await.is_err() {
            return;
        }
        let _ = timeout(WRITE_TIMEOUT, self.stream.shutdown()).await;
        if has_word {
            Box::pin(linger(&mut self.stream)).await;
        }
    }
}

/// What came of the packets that had arrived.
struct Turn {
    /// There may be more.
    is_full: bool,
    close: Option<Close>,
}

thread_local! {
    /// Where bytes are read to, until it is known how many they are: ten thousand connections that wait for some have no buffers.
    static ARRIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// Reads what there is.
async fn read(stream: &mut (impl AsyncRead + Unpin), inbound: &mut BytesMut) -> std::io::Result<usize> {
    poll_fn(|cx| {
        ARRIVED.with_borrow_mut(|room| {
            let mut arrived = ReadBuf::new(room);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut arrived))?;
            if inbound.capacity() == 0 {
                inbound.reserve(INBOUND_BYTES.max(arrived.filled().len()));
            }
            inbound.extend_from_slice(arrived.filled());
            Poll::Ready(Ok(arrived.filled().len()))
        })
    })
    .await
}
