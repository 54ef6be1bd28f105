//! The server side of one MQTT session, without IO: what each packet means, and what is answered (PROTOCOL 13).
//!
//! Packets, messages and the time come in by `handle_*`. What the client is told is written to `out`; what the session cannot do
//! itself is returned as an [`Effect`]. [`Session::poll_draw`] and [`Session::poll_timeout`] say what it waits for.

mod outbox;
mod publish;
mod subscribe;

pub(crate) use publish::{Answer, JobsRequest};
pub(crate) use subscribe::RetainedWanted;

use super::budget::Budget;
use super::message::{Message, Will};
use super::packet::{Accepted, Close, Connect, Inbound, Outbound, Reason, Version};
use super::stored::Drawn;
use super::subscriptions::Subscriptions;
use crate::authority::Permissions;
use crate::identity::ClientId;
use bytes::BytesMut;
use iot_jobs::instant::Mono;
use iot_jobs::{ThingName, limits};
use iot_policy::Action;
use jobs_engine::quotas::{ConnectionMeter, Meters};
use outbox::Outbox;
use publish::Aliases;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// From one message to the next while there are some from before the client came back.
const BACKLOG_PAUSE: Duration = Duration::from_millis(1_000 / limits::STORED_MESSAGES_PER_SECOND_MAX as u64);
/// A client that is silent for this many keep-alives is cut (PROTOCOL 2 fact 21).
const KEEP_ALIVES_MAX: f64 = 1.5;

/// How a client was let in.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) client_id: ClientId,
    /// Which thing it is, where it is one.
    pub(crate) thing: Option<ThingName>,
    pub(crate) permissions: Permissions,
    pub(crate) keep_alive: Duration,
    /// How long any session may outlive its connection.
    pub(crate) expiry_max: Duration,
    /// When the connection ends, whatever the client does.
    pub(crate) ends: Mono,
    /// Subscriptions of the session that goes on.
    pub(crate) resumed: Option<Subscriptions>,
    /// Messages for it are kept until they are acknowledged.
    pub(crate) is_stored: bool,
    /// For messages that wait for it.
    pub(crate) budget: Arc<Budget>,
}

/// What a packet asks of others.
#[derive(Debug)]
#[must_use]
pub(crate) enum Effect {
    None,
    /// The service is to be asked; its answer goes to [`Session::handle_answer`].
    Request(JobsRequest),
    /// A message for other clients; whether there was room for it goes to [`Session::handle_published`].
    Publish {
        message: Message,
        id: Option<NonZeroU16>,
    },
    /// [`Session::subscriptions`] are others than before; what is retained of these topics goes to [`Session::handle_retained`].
    Subscribe(Vec<RetainedWanted>),
    /// What is stored under this id needs to be kept no longer.
    Acknowledge(NonZeroU16),
}

/// One connection's session, from CONNECT to its end.
pub(crate) struct Session<'a> {
    client_id: ClientId,
    thing: Option<ThingName>,
    permissions: Permissions,
    version: Version,
    /// Of the account.
    meters: &'a Meters,
    /// Present where connections have quotas.
    meter: Option<Box<ConnectionMeter>>,
    subscriptions: Subscriptions,
    outbox: Outbox,
    /// MQTT 5: topics the client gave numbers to.
    aliases: Option<Box<Aliases>>,
    will: Option<Box<Will>>,
    /// How long the session outlives the connection.
    expiry: Duration,
    expiry_max: Duration,
    /// Its messages are kept until they are acknowledged, and outlive the connection.
    is_stored: bool,
    /// Something stored may not have gone out yet.
    may_draw: bool,
    /// When the next of the messages from before may leave.
    resume_at: Option<Mono>,
    /// A client that is silent for longer is cut.
    silence_max: Duration,
    /// When the client was heard last.
    heard: Mono,
    ends: Mono,
}

impl<'a> Session<'a> {
    /// A client was let in, and is told so. The session before goes on, or a new one begins.
    pub(crate) fn begin(connect: Connect, admission: Admission, meters: &'a Meters, now: Mono, out: &mut BytesMut) -> Self {
        let Admission { client_id, thing, permissions, keep_alive, expiry_max, ends, resumed, is_stored, budget } = admission;
        let expiry = connect.expiry(expiry_max);
        let accepted = Accepted {
            session_present: resumed.is_some(),
            session_expiry: u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX),
            keep_alive: u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX),
            assigned_client_id: connect.client_id.is_empty().then(|| client_id.as_str()),
        };
        connect.version.encode(&Outbound::Accepted(accepted), out);
        let window = connect.receive_max.min(limits::UNACKNOWLEDGED_MAX);
        Self {
            client_id,
            thing,
            permissions,
            version: connect.version,
            meters,
            meter: meters.connection(),
            subscriptions: resumed.unwrap_or_default(),
            outbox: Outbox::new(connect.version, window, connect.packet_bytes_max, &budget),
            aliases: None,
            will: connect.will,
            expiry,
            expiry_max,
            is_stored,
            may_draw: is_stored,
            resume_at: None,
            silence_max: keep_alive.mul_f64(KEEP_ALIVES_MAX),
            heard: now,
            ends,
        }
    }

    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// What the client may do.
    pub(crate) fn permissions(&mut self) -> &mut Permissions {
        &mut self.permissions
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// A packet has come.
    ///
    /// # Errors
    /// When the connection must end.
    pub(crate) fn handle_packet(&mut self, packet: Inbound, now: Mono, out: &mut BytesMut) -> Result<Effect, Close> {
        self.heard = now;
        match packet {
            Inbound::Publish(publish) => self.handle_publish(publish, now, out),
            Inbound::PublishAck(id) => {
                self.outbox.acknowledge(id, now, out);
                Ok(if self.is_stored { Effect::Acknowledge(id) } else { Effect::None })
            }
            Inbound::Subscribe(subscribe) => self.handle_subscribe(subscribe, now, out),
            Inbound::Unsubscribe { id, filters } => Ok(self.handle_unsubscribe(id, &filters, out)),
            Inbound::Ping => {
                self.version.encode(&Outbound::Pong, out);
                Ok(Effect::None)
            }
            Inbound::Disconnect { with_will, session_expiry } => Err(self.handle_disconnect(with_will, session_expiry)),
            Inbound::Unsupported => Err(Close::protocol("a packet that is not supported, or not a client's")),
        }
    }

    /// Every end of a connection publishes the will but an orderly DISCONNECT (PROTOCOL 13.8).
    fn handle_disconnect(&mut self, with_will: bool, session_expiry: Option<u32>) -> Close {
        if let Some(seconds) = session_expiry {
            if self.expiry.is_zero() && seconds > 0 {
                return Close::protocol("a session expiry in DISCONNECT after none in CONNECT");
            }
            self.expiry = Duration::from_secs(seconds.into()).min(self.expiry_max);
        }
        if !with_will {
            self.will = None;
        }
        Close::Disconnected
    }

    /// A message for a topic this session may be subscribed to.
    ///
    /// # Errors
    /// When the client is too far behind.
    pub(crate) fn handle_message(&mut self, message: Arc<Message>, now: Mono, out: &mut BytesMut) -> Result<(), Close> {
        // It may have been unsubscribed meanwhile.
        let Some(granted) = self.subscriptions.granted(&message.topic) else { return Ok(()) };
        if !self.permissions.may(Action::Receive, &message.topic) || !self.lets_out(now) {
            return Ok(());
        }
        let (qos, retain) = (granted.qos.less_value(message.qos), message.retain && granted.retain_as_published);
        self.outbox.offer(message, qos, retain, now, out)
    }

    /// A message over the connection's rate is discarded (PROTOCOL 13.5).
    fn lets_out(&mut self, now: Mono) -> bool {
        self.meters.outbound(self.meter.as_deref_mut(), now)
    }

    /// Whether anything of the connection is limited.
    pub(crate) fn is_metered(&self) -> bool {
        self.meter.is_some()
    }

    /// How long the connection has to rest, after `bytes` in and out.
    pub(crate) fn rest(&mut self, bytes: usize, now: Mono) -> Duration {
        self.meter.as_deref_mut().map_or(Duration::ZERO, |meter| self.meters.rest(meter, bytes, now))
    }

    /// Something may have been stored for the client.
    pub(crate) fn handle_waiting(&mut self) {
        self.may_draw = self.is_stored;
    }

    /// The id under which the next stored message may leave now (PROTOCOL 13.4). What there is goes to [`Self::handle_drawn`].
    pub(crate) fn poll_draw(&mut self, now: Mono) -> Option<NonZeroU16> {
        if self.resume_at.is_some_and(|at| at > now) {
            return None;
        }
        self.resume_at = None;
        (self.may_draw && self.outbox.has_room()).then(|| self.outbox.next_id())
    }

    /// The next stored message, if there is one, leaves under `id`.
    pub(crate) fn handle_drawn(&mut self, id: NonZeroU16, drawn: Option<Drawn>, now: Mono, out: &mut BytesMut) -> Effect {
        let Some(Drawn { message, is_backlog }) = drawn else {
            self.may_draw = false;
            return Effect::None;
        };
        let granted = self.subscriptions.granted(&message.topic);
        let is_let_out = self.permissions.may(Action::Receive, &message.topic) && self.lets_out(now);
        let is_sent = granted.filter(|_| is_let_out).is_some_and(|granted| {
            let retain = message.retain && granted.retain_as_published;
            self.outbox.send(&message, Some(id), retain, now, out)
        });
        if !is_sent {
            return Effect::Acknowledge(id);
        }
        if is_backlog {
            self.resume_at = Some(now + BACKLOG_PAUSE);
        }
        Effect::None
    }

    /// When [`Self::handle_timeout`] and [`Self::poll_draw`] are to be called though nothing comes in.
    pub(crate) fn poll_timeout(&self) -> Mono {
        let cut = (self.heard + self.silence_max).min(self.ends);
        self.resume_at.map_or(cut, |at| at.min(cut))
    }

    /// Time has reached [`Self::poll_timeout`].
    ///
    /// # Errors
    /// When the connection must end.
    pub(crate) fn handle_timeout(&self, now: Mono) -> Result<(), Close> {
        if now >= self.ends {
            return Err(Close::Lifetime);
        }
        if now >= self.heard + self.silence_max {
            return Err(Close::KeepAlive);
        }
        Ok(())
    }

    /// The connection has ended: how long the session outlives it, and what is to be published unless the client took leave.
    pub(crate) fn end(&mut self) -> (Duration, Option<Box<Will>>) {
        (self.expiry, self.will.take())
    }

    /// A policy denies what an MQTT 3.1.1 client asked for: its connection is closed (PROTOCOL-CORE 1.9).
    fn refuse_denied() -> Close {
        Close::Refused(Reason::NotAuthorized, "a policy denies it")
    }

    fn acknowledge(&self, id: Option<NonZeroU16>, reason: Reason, out: &mut BytesMut) {
        if let Some(id) = id {
            self.version.encode(&Outbound::PublishAck(id, reason), out);
        }
    }

    /// QoS 2 gets silence in MQTT 3.1.1, and a DISCONNECT in MQTT 5 (PROTOCOL 2 fact 22).
    fn refuse_qos_2(&self) -> Result<Effect, Close> {
        match self.version {
            Version::V3 => Ok(Effect::None),
            Version::V5 => Err(Close::Refused(Reason::Qos, "QoS 2")),
        }
    }
}

#[cfg(test)]
mod tests;
