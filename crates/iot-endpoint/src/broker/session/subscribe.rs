//! SUBSCRIBE and UNSUBSCRIBE (PROTOCOL 13.3).

use super::super::filter::Filter;
use super::super::message::Message;
use super::super::packet::{Close, Outbound, Reason, RetainHandling, Subscribe, Version, Wanted};
use super::{Effect, Session};
use bytes::BytesMut;
use iot_jobs::instant::Mono;
use iot_jobs::limits;
use iot_policy::Action;
use rmqtt_codec::types::QoS;
use std::num::NonZeroU16;
use std::sync::Arc;

/// A topic of whose retained message a new subscription wants a copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RetainedWanted {
    pub(crate) topic: Box<str>,
    /// As granted.
    pub(crate) qos: QoS,
}

impl Session<'_> {
    /// A SUBSCRIBE came in.
    pub(super) fn handle_subscribe(&mut self, subscribe: Subscribe, now: Mono, out: &mut BytesMut) -> Result<Effect, Close> {
        let Subscribe { id, has_identifier, wanted } = subscribe;
        if has_identifier {
            return Err(Close::Refused(Reason::SubscriptionIds, "a subscription identifier"));
        }
        if wanted.len() > limits::FILTERS_PER_SUBSCRIBE_MAX {
            // The code is inferred.
            return Err(Close::Refused(Reason::Quota, "more than 8 filters in a SUBSCRIBE"));
        }
        if wanted.iter().any(|wanted| wanted.subscription.qos == QoS::ExactlyOnce) {
            return self.refuse_qos_2();
        }
        let is_own_share =
            |Wanted { subscription, .. }: &Wanted| subscription.no_local && Filter::of_valid(&subscription.filter).share.is_some();
        if wanted.iter().any(is_own_share) {
            return Err(Close::protocol("no-local on a shared subscription"));
        }
        let is_denied: Vec<bool> = wanted.iter().map(|wanted| !self.may_subscribe(&wanted.subscription.filter)).collect();
        if self.version == Version::V3 && is_denied.contains(&true) {
            // No SUBACK, and none of the filters is granted (PROTOCOL-CORE 1.9; that one denied filter is enough is inferred, choice P2).
            return Err(Self::refuse_denied());
        }
        let mut retained = Vec::new();
        // Those over the account's rate are refused, one by one.
        let within_rate = self.meters.subscribe(wanted.len(), now);
        let mut codes = vec![Reason::Quota; wanted.len()];
        for ((code, wanted), is_denied) in codes.iter_mut().zip(wanted).zip(is_denied).take(within_rate) {
            *code = if is_denied { Reason::NotAuthorized } else { self.subscribe(wanted, &mut retained) };
        }
        self.version.encode(&Outbound::SubscribeAck(id, &codes), out);
        Ok(Effect::Subscribe(retained))
    }

    /// One filter: a malformed one or the 51st subscription get a failure code, and the connection stays (inferred).
    fn subscribe(&mut self, wanted: Wanted, retained: &mut Vec<RetainedWanted>) -> Reason {
        let Wanted { subscription, retained: handling } = wanted;
        let Some(filter) = Filter::parse(&subscription.filter) else { return Reason::FilterInvalid };
        let qos = subscription.qos;
        let exact = filter.is_exact().then(|| subscription.filter.clone());
        let Some(is_new) = self.subscriptions.set(subscription, self.meters.subscriptions()) else { return Reason::Quota };
        let wants_retained = match handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => is_new,
            RetainHandling::Never => false,
        };
        retained.extend(exact.filter(|_| wants_retained).map(|topic| RetainedWanted { topic, qos }));
        if qos == QoS::AtMostOnce { Reason::Success } else { Reason::GrantedQos1 }
    }

    /// A malformed filter is denied nothing: it gets a code of its own.
    fn may_subscribe(&mut self, filter: &str) -> bool {
        Filter::parse(filter).is_none() || self.permissions.may(Action::Subscribe, filter)
    }

    /// What is retained of a topic that was subscribed to, at the QoS that was granted.
    ///
    /// # Errors
    /// When the client is too far behind.
    pub(crate) fn handle_retained(
        &mut self,
        message: Arc<Message>,
        granted: QoS,
        now: Mono,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        if !self.permissions.may(Action::Receive, &message.topic) || !self.lets_out(now) {
            return Ok(());
        }
        let qos = message.qos.less_value(granted);
        self.outbox.offer(message, qos, true, now, out)
    }

    /// An UNSUBSCRIBE came in. A filter that was not subscribed to is fine: AWS has no code for it (PROTOCOL 13.6).
    pub(super) fn handle_unsubscribe(&mut self, id: NonZeroU16, filters: &[Box<str>], out: &mut BytesMut) -> Effect {
        filters.iter().for_each(|filter| self.subscriptions.remove(filter));
        let is_filter = filters.iter().map(|filter| Filter::parse(filter).is_some());
        let codes: Vec<Reason> = is_filter.map(|is| if is { Reason::Success } else { Reason::FilterInvalid }).collect();
        self.version.encode(&Outbound::UnsubscribeAck(id, &codes), out);
        Effect::Subscribe(Vec::new())
    }
}
