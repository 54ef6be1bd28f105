//! Who hears what, besides the notifications of the thing whose name is the client's id: those go straight to its session.

use crate::broker::message::Message;
use crate::broker::subscriptions::{Subscriptions, WantedNotifications};
use crate::identity::ClientId;
use iot_jobs::ThingName;
use jobs_engine::engine::NamespaceInterest;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Stands for any thing: no thing has this name, so that only filters with a wildcard in its place match.
const ANY_THING: &str = "*";

#[derive(Default)]
pub(super) struct Subscribers {
    /// Subscriptions of the few clients that have any to topics that others publish to, or to those of things of other names.
    routed: BTreeMap<ClientId, Subscriptions>,
    /// Who subscribed to topics of a thing of another name.
    by_thing: HashMap<ThingName, BTreeSet<ClientId>>,
    /// Whose filters have a wildcard in the place of a thing's name.
    observers: BTreeSet<ClientId>,
    /// Which of those who share a subscription is next.
    turn: usize,
}

impl Subscribers {
    /// What a client is subscribed to from now on. Returns the things of other names that it heard or hears.
    pub(super) fn set(&mut self, client: &ClientId, subscriptions: &Subscriptions) -> Vec<ThingName> {
        let mut concerned = self.remove(client);
        let routed = subscriptions.routed(client.as_str());
        if routed.is_empty() {
            return concerned;
        }
        for thing in routed.things().filter_map(|name| ThingName::new(name).ok()) {
            self.by_thing.entry(thing.clone()).or_default().insert(client.clone());
            concerned.push(thing);
        }
        if routed.notification_interest(ANY_THING) != WantedNotifications::default()
            || !routed.namespace_interest(ANY_THING).is_empty()
        {
            self.observers.insert(client.clone());
        }
        self.routed.insert(client.clone(), routed);
        concerned
    }

    /// A client hears nothing any more. Returns the things of other names that it heard.
    pub(super) fn remove(&mut self, client: &ClientId) -> Vec<ThingName> {
        let Some(routed) = self.routed.remove(client) else { return Vec::new() };
        self.observers.remove(client);
        let things: Vec<ThingName> = routed.things().filter_map(|name| ThingName::new(name).ok()).collect();
        for thing in &things {
            if let Some(clients) = self.by_thing.get_mut(thing) {
                clients.remove(client);
                if clients.is_empty() {
                    self.by_thing.remove(thing);
                }
            }
        }
        things
    }

    /// Whose sessions may hear of a thing of another name than theirs.
    pub(super) fn of_thing(&self, thing: &ThingName) -> Vec<ClientId> {
        let named = self.by_thing.get(thing).into_iter().flatten();
        let observing = self.observers.iter().filter(|client| client.as_str() != thing.as_str());
        named.chain(observing).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What those who named a thing of another name want to hear of it.
    pub(super) fn interest(&self, thing: &ThingName) -> WantedNotifications {
        let named = self.by_thing.get(thing).into_iter().flatten().filter_map(|client| self.routed.get(client));
        named
            .map(|subscriptions| subscriptions.notification_interest(thing.as_str()))
            .fold(WantedNotifications::default(), WantedNotifications::or)
    }

    /// The namespaces of which those who named a thing of another name want to hear.
    pub(super) fn namespace_interest(&self, thing: &ThingName) -> Vec<NamespaceInterest> {
        let named = self.by_thing.get(thing).into_iter().flatten().filter_map(|client| self.routed.get(client));
        named.flat_map(|subscriptions| subscriptions.namespace_interest(thing.as_str())).collect()
    }

    /// What is to be heard of every thing.
    pub(super) fn observed(&self) -> (WantedNotifications, Vec<NamespaceInterest>) {
        let observers = || self.observers.iter().filter_map(|client| self.routed.get(client));
        let wanted = observers().map(|subscriptions| subscriptions.notification_interest(ANY_THING));
        let namespaces = observers().flat_map(|subscriptions| subscriptions.namespace_interest(ANY_THING));
        (wanted.fold(WantedNotifications::default(), WantedNotifications::or), namespaces.collect())
    }

    /// Who gets a message: each session that matches, and of those who share a subscription one, that `is_up` if there is any.
    pub(super) fn takers(
        &mut self,
        message: &Message,
        from: Option<&ClientId>,
        is_up: impl Fn(&ClientId) -> bool,
    ) -> Vec<ClientId> {
        let mut takers: Vec<ClientId> = Vec::new();
        let mut shares: BTreeMap<(&str, &str), Vec<&ClientId>> = BTreeMap::new();
        for (client, subscriptions) in &self.routed {
            let mut takes = false;
            for (subscription, filter) in subscriptions.matching(&message.topic) {
                match filter.share {
                    None => takes |= !(subscription.no_local && from == Some(client)),
                    Some(share) => shares.entry((share, filter.topics)).or_default().push(client),
                }
            }
            if takes {
                takers.push(client.clone());
            }
        }
        for members in shares.values() {
            let present: Vec<&ClientId> = members.iter().copied().filter(|client| is_up(client)).collect();
            let choice = if present.is_empty() { members } else { &present };
            takers.push(choice[self.turn % choice.len()].clone());
        }
        self.turn = self.turn.wrapping_add(1);
        takers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::subscriptions::Subscription;
    use rmqtt_codec::types::QoS;

    fn subscribed(filters: &[&str]) -> Subscriptions {
        let mut subscriptions = Subscriptions::default();
        for filter in filters {
            subscriptions.set(Subscription::new(filter, QoS::AtLeastOnce), 50);
        }
        subscriptions
    }

    #[test]
    fn a_client_hears_things_of_other_names_by_their_names_or_by_a_wildcard() {
        let mut subscribers = Subscribers::default();
        let [gateway, watcher] = ["gateway", "watcher"].map(ClientId::new);
        let things = ["a", "b"].map(|name| ThingName::new(name).unwrap());
        let concerned =
            subscribers.set(&gateway, &subscribed(&["$aws/things/a/jobs/notify-next", "$aws/things/gateway/jobs/#", "x/y"]));
        assert_eq!(concerned, [things[0].clone()], "its own go another way");
        assert_eq!(subscribers.of_thing(&things[0]), std::slice::from_ref(&gateway));
        assert!(subscribers.of_thing(&things[1]).is_empty());
        let interest = subscribers.interest(&things[0]);
        assert!(interest.notify_next && !interest.notify && subscribers.observed().0 == WantedNotifications::default());
        subscribers.set(&watcher, &subscribed(&["$aws/things/+/jobs/notify"]));
        assert_eq!(subscribers.of_thing(&things[1]), std::slice::from_ref(&watcher));
        assert!(subscribers.observed().0.notify && !subscribers.observed().0.notify_next);
        assert_eq!(subscribers.set(&gateway, &subscribed(&[])), [things[0].clone()]);
        assert_eq!(subscribers.of_thing(&things[0]), std::slice::from_ref(&watcher));
        subscribers.remove(&watcher);
        assert!(subscribers.routed.is_empty() && subscribers.by_thing.is_empty() && subscribers.observers.is_empty());
    }
}
