//! What a session wants done: the service is asked, messages are routed, what is stored is drawn.

use super::super::Carrier;
use super::{Connection, OUT_BYTES_PER_TURN};
use crate::broker::packet::Close;
use crate::broker::session::{Effect, JobsRequest};
use crate::request_log::Answered;
use crate::service::{Asked, Outcome, refused};
use crate::sessions::{Delayed, Delivery, LateAnswer};
use crate::shape::Disposition;
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::wire::payload;
use iot_jobs::{ErrorCode, Rejection, Reply};
use std::sync::Arc;

impl<C: Carrier> Connection<'_, C> {
    /// What has come for this session meanwhile, up to a turn's worth: what follows from a request leaves with its answer, behind it, in
    /// one write.
    pub(super) fn deliver_waiting(&mut self) -> Result<(), Close> {
        while self.out.len() < OUT_BYTES_PER_TURN
            && !self.deliveries.is_empty()
            && let Ok(delivery) = self.deliveries.try_recv()
        {
            self.deliver(delivery)?;
        }
        Ok(())
    }

    /// What others have for this session.
    pub(super) fn deliver(&mut self, delivery: Delivery) -> Result<(), Close> {
        self.refresh_permissions();
        let now = clock::mono();
        match delivery {
            Delivery::Message(message) => self.session.handle_message(message, now, &mut self.out)?,
            Delivery::Stored => {}
            Delivery::Request(delayed) => self.answer(*delayed)?,
            Delivery::Answer(late) => self.send_answer(*late)?,
        }
        // Whatever came: where there was no room for more deliveries, nobody said that something was stored.
        self.session.handle_waiting();
        self.draw(now)?;
        self.note_denials();
        Ok(())
    }

    /// Sends of what is stored as much as may leave now.
    pub(super) fn draw(&mut self, now: Mono) -> Result<(), Close> {
        loop {
            self.is_behind = self.out.len() >= OUT_BYTES_PER_TURN;
            if self.is_behind {
                return Ok(());
            }
            let Some(id) = self.session.poll_draw(now) else { return Ok(()) };
            let drawn = self.service.sessions.draw(self.session.client_id(), self.epoch, id, now);
            let effect = self.session.handle_drawn(id, drawn, now, &mut self.out);
            self.carry_out(effect, now)?;
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect, now: Mono) -> Result<(), Close> {
        let (sessions, client) = (&self.service.sessions, self.session.client_id());
        match effect {
            Effect::None => {}
            Effect::Request(request) => self.request(request)?,
            Effect::Publish { message, id } => {
                let is_routed = sessions.publish(message, Some(client));
                self.session.handle_published(id, is_routed, &mut self.out);
            }
            Effect::Subscribe(retained) => {
                self.service.set_subscriptions(client, self.epoch, self.session.subscriptions());
                for wanted in retained {
                    if let Some(message) = sessions.retained(&wanted.topic, now) {
                        self.session.handle_retained(message, wanted.qos, now, &mut self.out)?;
                    }
                }
            }
            Effect::Acknowledge(id) => sessions.acknowledge(client, self.epoch, id),
        }
        Ok(())
    }

    /// A request is answered now or later, or never.
    fn request(&mut self, request: JobsRequest) -> Result<(), Close> {
        match self.service.shape.request(&request.thing, request.kind, request.received) {
            Disposition::Handle { due: None, refusal } => self.answer(Delayed { request, refusal })?,
            Disposition::Handle { due: Some(due), refusal } => {
                self.service.shape.later(due, &self.later, Delivery::Request(Box::new(Delayed { request, refusal })));
            }
            Disposition::Drop => {}
        }
        Ok(())
    }

    /// Asks the engine, and answers straight to this connection.
    fn answer(&mut self, Delayed { request, refusal }: Delayed) -> Result<(), Close> {
        let service = self.service;
        let outcome = match request.topic() {
            Some((topic, namespace)) => {
                let asked = Asked { namespace, parsed: payload::parse_request(topic, request.payload()) };
                service.reply(&request.thing, asked, refusal)
            }
            None => Outcome::Reply(invalid_topic()),
        };
        let is_logged = service.logs_requests();
        let reply = match outcome {
            Outcome::Reply(reply) => reply,
            Outcome::Unfilled(unfilled) => {
                let (name, shape, later) = (request.thing.clone(), Arc::clone(&service.shape), self.later.clone());
                service.fill(&name.clone(), unfilled, move |reply| {
                    let due = shape.answer(&name).unwrap_or_else(clock::mono);
                    shape.later(due, &later, Delivery::Answer(Box::new(encode(&request, &reply, is_logged))));
                });
                return Ok(());
            }
        };
        let late = encode(&request, &reply, is_logged);
        match service.shape.answer(&request.thing) {
            Some(due) => service.shape.later(due, &self.later, Delivery::Answer(Box::new(late))),
            None => self.send_answer(late)?,
        }
        Ok(())
    }

    fn send_answer(&mut self, LateAnswer { answer, answered }: LateAnswer) -> Result<(), Close> {
        self.answered.extend(answered);
        self.session.handle_answer(answer, clock::mono(), &mut self.out)
    }
}

fn encode(request: &JobsRequest, reply: &Reply, is_logged: bool) -> LateAnswer {
    let answered = is_logged.then(|| Answered::new(&request.thing, request.received, request.kind, reply));
    LateAnswer { answer: request.answer(reply.result.is_ok(), payload::encode_reply(reply)), answered }
}

fn invalid_topic() -> Reply {
    refused(None, Rejection::new(ErrorCode::InvalidTopic, "no operation of AWS IoT Jobs has this topic"))
}
