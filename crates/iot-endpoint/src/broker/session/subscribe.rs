//! SUBSCRIBE and UNSUBSCRIBE (PROTOCOL 13.3).

use super::super::packet::{Close, Outbound, Reason, RetainHandling, Subscribe, Wanted};
use super::Session;
use crate::broker::filter::{self, Filter};
use crate::broker::message::Message;
use crate::service::Service;
use bytes::BytesMut;
use host::clock;
use iot_jobs::limits;
use rmqtt_codec::types::QoS;
use std::num::NonZeroU16;
use std::sync::Arc;

/// Topics of the service's own events: for every client, as a policy for a fleet's owner would have it.
const EVENTS_PREFIX: &str = "$aws/events/";

impl Session {
    /// A SUBSCRIBE came in.
    pub(super) fn handle_subscribe(&mut self, subscribe: Subscribe, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
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
        let mut retained = Vec::new();
        // Those over the account's rate are refused, one by one.
        let within_rate = service.shape.subscribe(wanted.len());
        let mut codes = vec![Reason::Quota; wanted.len()];
        for (code, wanted) in codes.iter_mut().zip(wanted).take(within_rate) {
            *code = self.subscribe(wanted, service, &mut retained);
        }
        self.tell_subscriptions(service);
        self.version.encode(&Outbound::SubscribeAck(id, &codes), out);
        for (message, qos) in retained {
            let qos = message.qos.less_value(qos);
            if !self.lets_out(service) {
                break;
            }
            self.outbox.offer(message, qos, true, out)?;
        }
        Ok(())
    }

    /// One filter: another thing's topics, a malformed filter or the 51st subscription get a failure code, and the connection stays
    /// (inferred).
    fn subscribe(&mut self, wanted: Wanted, service: &Service, retained: &mut Vec<(Arc<Message>, QoS)>) -> Reason {
        let Wanted { subscription, retained: handling } = wanted;
        let Some(filter) = Filter::parse(&subscription.filter) else { return Reason::FilterInvalid };
        if !self.may_subscribe(filter) {
            return Reason::NotAuthorized;
        }
        let qos = subscription.qos;
        let exact = filter.is_exact().then(|| subscription.filter.clone());
        let Some(is_new) = self.subscriptions.set(subscription, service.shape.subscriptions()) else { return Reason::Quota };
        let wants_retained = match handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => is_new,
            RetainHandling::Never => false,
        };
        if let Some(topic) = exact.filter(|_| wants_retained) {
            retained.extend(service.sessions.retained(&topic, clock::mono()).map(|message| (message, qos)));
        }
        if qos == QoS::AtMostOnce { Reason::Success } else { Reason::GrantedQos1 }
    }

    /// What the usual policy of PROTOCOL 14 allows: the thing's own job topics, and topics that are not reserved. Besides, the
    /// service's events.
    fn may_subscribe(&self, filter: Filter<'_>) -> bool {
        match filter.topics.strip_prefix("$aws/things/").and_then(|rest| rest.split_once('/')) {
            Some((thing, rest)) => thing == self.thing.as_str() && rest.starts_with("jobs/"),
            None => !filter::is_reserved(filter.topics) || filter.topics.starts_with(EVENTS_PREFIX),
        }
    }

    /// An UNSUBSCRIBE came in. A filter that was not subscribed to is fine: AWS has no code for it (PROTOCOL 13.6).
    pub(super) fn handle_unsubscribe(&mut self, id: NonZeroU16, filters: &[Box<str>], service: &Service, out: &mut BytesMut) {
        filters.iter().for_each(|filter| self.subscriptions.remove(filter));
        self.tell_subscriptions(service);
        let is_filter = filters.iter().map(|filter| Filter::parse(filter).is_some());
        let codes: Vec<Reason> = is_filter.map(|is| if is { Reason::Success } else { Reason::FilterInvalid }).collect();
        self.version.encode(&Outbound::UnsubscribeAck(id, &codes), out);
    }

    fn tell_subscriptions(&self, service: &Service) {
        let hears = self.subscriptions.hears(&self.thing);
        service.call(|engine, _| {
            // A session that was taken over has nothing to say any more.
            if service.sessions.is_current(&self.thing, self.epoch) {
                service.sessions.set_subscriptions(&self.thing, self.epoch, &self.subscriptions);
                engine.handle_subscription(&self.thing, hears.notify, hears.notify_next);
            }
        });
    }
}
