//! The server side of an MQTT session, without IO: what each packet means, and what is answered (PROTOCOL 13).

mod outbox;
mod publish;
mod subscribe;

use super::packet::{Close, Connect, Inbound, Outbound, Reason, Version};
use crate::broker::message::{Message, Will};
use crate::broker::subscriptions::Subscriptions;
use crate::request_log::Answered;
use crate::service::Service;
use crate::sessions::{After, Begun, Delivery, Dismissal, Epoch};
use bytes::BytesMut;
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::{ThingName, limits};
use jobs_engine::quotas::ConnectionMeter;
use outbox::Outbox;
use publish::Aliases;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, WeakSender};

/// From one message to the next while there are some from before the client came back.
const BACKLOG_PAUSE: Duration = Duration::from_millis(1_000 / limits::STORED_MESSAGES_PER_SECOND_MAX as u64);

/// One connection's session, from CONNECT to its end.
pub(crate) struct Session {
    thing: ThingName,
    epoch: Epoch,
    version: Version,
    /// Where requests that have to wait come back.
    later: WeakSender<Delivery>,
    subscriptions: Subscriptions,
    outbox: Outbox,
    /// Its messages are kept until they are acknowledged, and outlive the connection.
    is_stored: bool,
    /// How long the session outlives the connection.
    expiry: Duration,
    expiry_max: Duration,
    /// When the next of the messages from before may leave.
    draw_at: Option<Mono>,
    will: Option<Box<Will>>,
    /// MQTT 5: topics the client gave numbers to.
    aliases: Option<Box<Aliases>>,
    /// Present where connections have quotas.
    meter: Option<Box<ConnectionMeter>>,
    /// Requests whose answers are about to leave, where a log wants to know.
    answered: Vec<Answered>,
}

impl Session {
    /// A client was let in. The session before goes on, or ends; the flag says which.
    pub(crate) fn begin(
        thing: ThingName,
        version: Version,
        connect: Connect,
        expiry_max: Duration,
        service: &Service,
    ) -> (Self, Receiver<Delivery>, bool) {
        let expiry = Duration::from_secs(connect.session_expiry.into()).min(expiry_max);
        let Begun { epoch, deliveries, later, resumed, is_stored, will } = service.call(|engine, _| {
            let begun = service.sessions.begin(&thing, version, connect.clean, expiry);
            let hears = begun.resumed.as_ref().map(|subscriptions| subscriptions.hears(&thing)).unwrap_or_default();
            engine.handle_subscription(&thing, hears.notify, hears.notify_next);
            engine.handle_presence(&thing, true);
            begun
        });
        if let Some(will) = will {
            service.sessions.publish(will.into_message(clock::mono()), Some(&thing));
        }
        let is_resumed = resumed.is_some();
        let window = connect.receive_max.min(limits::UNACKNOWLEDGED_MAX);
        let session = Self {
            thing,
            epoch,
            version,
            later,
            subscriptions: resumed.unwrap_or_default(),
            outbox: Outbox::new(version, window, connect.packet_bytes_max),
            is_stored,
            expiry,
            expiry_max,
            draw_at: None,
            will: connect.will,
            aliases: None,
            meter: service.shape.meter(),
            answered: Vec::new(),
        };
        (session, deliveries, is_resumed)
    }

    pub(crate) fn thing(&self) -> &ThingName {
        &self.thing
    }

    /// How long the session outlives the connection.
    pub(crate) fn expiry(&self) -> Duration {
        self.expiry
    }

    /// Handles one packet; what is to be answered is written to `out`.
    ///
    /// # Errors
    /// When the connection must end.
    pub(crate) fn handle(&mut self, packet: Inbound, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        match packet {
            Inbound::Publish(publish) => self.handle_publish(publish, service, out),
            Inbound::PublishAck(id) => {
                self.outbox.acknowledge(id, out);
                if self.is_stored {
                    service.sessions.acknowledge(&self.thing, self.epoch, id);
                    self.draw(service, out);
                }
                Ok(())
            }
            Inbound::Subscribe(subscribe) => self.handle_subscribe(subscribe, service, out),
            Inbound::Unsubscribe { id, filters } => {
                self.handle_unsubscribe(id, &filters, service, out);
                Ok(())
            }
            Inbound::Ping => {
                self.version.encode(&Outbound::Pong, out);
                Ok(())
            }
            Inbound::Disconnect { with_will, session_expiry } => Err(self.handle_disconnect(with_will, session_expiry)),
            Inbound::Unsupported => Err(Close::protocol("a packet that is not supported, or not a client's")),
        }
    }

    fn handle_disconnect(&mut self, with_will: bool, session_expiry: Option<u32>) -> Close {
        if let Some(seconds) = session_expiry {
            if self.expiry.is_zero() && seconds > 0 {
                return Close::protocol("a session expiry in DISCONNECT after none in CONNECT");
            }
            self.expiry = Duration::from_secs(seconds.into()).min(self.expiry_max);
        }
        Close::Disconnected { with_will }
    }

    /// What others have for this session.
    ///
    /// # Errors
    /// When the client is too far behind.
    pub(crate) fn deliver(&mut self, delivery: Delivery, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        match delivery {
            Delivery::Message(message) => self.send(message, service, out)?,
            Delivery::Stored => {}
            Delivery::Request(delayed) => self.answer(*delayed, service, out)?,
            Delivery::Answer(answer) => self.send_answer(*answer, service, out)?,
        }
        self.draw(service, out);
        Ok(())
    }

    /// A message for a topic this session may be subscribed to.
    fn send(&mut self, message: Arc<Message>, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        // It may have been unsubscribed meanwhile.
        let Some(granted) = self.subscriptions.granted(&message.topic) else { return Ok(()) };
        if !self.lets_out(service) {
            return Ok(());
        }
        let (qos, retain) = (granted.qos.less_value(message.qos), message.retain && granted.retain_as_published);
        self.outbox.offer(message, qos, retain, out)
    }

    /// A message over the connection's rate is discarded (PROTOCOL 13.5).
    fn lets_out(&mut self, service: &Service) -> bool {
        service.shape.lets_out(self.meter.as_deref_mut())
    }

    /// How long the connection has to rest, after `bytes` in and out.
    pub(crate) fn rest(&mut self, bytes: usize, service: &Service) -> Duration {
        self.meter.as_deref_mut().map_or(Duration::ZERO, |meter| service.shape.rest(meter, bytes))
    }

    /// Sends of what is stored as much as the client takes, and as may leave by now (PROTOCOL 13.4).
    pub(crate) fn draw(&mut self, service: &Service, out: &mut BytesMut) {
        if !self.is_stored {
            return;
        }
        let now = clock::mono();
        if self.draw_at.is_some_and(|at| at > now) {
            return;
        }
        self.draw_at = None;
        while self.outbox.has_room() {
            let id = self.outbox.next_id();
            let Some(drawn) = service.sessions.draw(&self.thing, self.epoch, id, now) else { return };
            let granted = self.subscriptions.granted(&drawn.message.topic);
            let is_let_out = self.lets_out(service);
            let is_sent = granted.filter(|_| is_let_out).is_some_and(|granted| {
                self.outbox.send(&drawn.message, Some(id), drawn.message.retain && granted.retain_as_published, out)
            });
            if !is_sent {
                service.sessions.acknowledge(&self.thing, self.epoch, id);
            } else if drawn.is_backlog {
                self.draw_at = Some(now + BACKLOG_PAUSE);
                return;
            }
        }
    }

    /// When [`Self::draw`] has something to do again.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        self.draw_at
    }

    /// What was written to `out` has left.
    pub(crate) fn handle_written(&mut self, service: &Service) {
        if !self.answered.is_empty() {
            service.log_requests(&self.thing, &std::mem::take(&mut self.answered));
        }
    }

    /// Why its deliveries have ended.
    pub(crate) fn dismissal(&self, service: &Service) -> Dismissal {
        service.sessions.dismissal(&self.thing, self.epoch)
    }

    /// The connection has ended. Its will is published unless the client took leave.
    pub(crate) fn end(&mut self, with_will: bool, service: &Service) {
        let will = self.will.take().filter(|_| with_will);
        let now = clock::mono();
        let will = service.call(|engine, _| {
            let (after, will) = service.sessions.end(&self.thing, self.epoch, self.expiry, will, now);
            match after {
                After::Superseded => {}
                After::Kept => engine.handle_presence(&self.thing, false),
                After::Gone => engine.handle_subscription(&self.thing, false, false),
            }
            will
        });
        if let Some(will) = will {
            service.sessions.publish(will.into_message(now), Some(&self.thing));
        }
    }

    /// QoS 2 gets silence in MQTT 3.1.1, and a DISCONNECT in MQTT 5 (PROTOCOL 2 fact 22).
    fn refuse_qos_2(&self) -> Result<(), Close> {
        match self.version {
            Version::V3 => Ok(()),
            Version::V5 => Err(Close::Refused(Reason::Qos, "QoS 2")),
        }
    }
}
