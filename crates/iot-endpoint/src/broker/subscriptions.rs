//! What one session is subscribed to.

use super::filter::{self, Filter};
use iot_jobs::NamespaceId;
use iot_jobs::wire::topic::{Topic, TopicKind};
use jobs_engine::engine::NamespaceInterest;
use rmqtt_codec::types::QoS;

/// Topics of things: what the service has for them goes straight to the sessions that name them.
const THINGS_PREFIX: &str = "$aws/things/";

#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// Valid, as the client wrote it.
    pub(crate) filter: Box<str>,
    form: Form,
    pub(crate) qos: QoS,
    /// MQTT 5: not what the client itself published.
    pub(crate) no_local: bool,
    /// MQTT 5: the RETAIN flag as the publisher set it.
    pub(crate) retain_as_published: bool,
}

/// What most topics that do not match a filter are told apart by, before its text is looked at: that is rarely in a processor's cache.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// One topic: it has the filter's length.
    Exact,
    /// Topics with this many slashes, since there is no `#`.
    Slashes(u8),
    Open,
}

impl Form {
    fn new(filter: Filter<'_>) -> Self {
        match u8::try_from(filter::slashes(filter.topics)) {
            _ if filter.is_exact() => Self::Exact,
            Ok(slashes) if !filter.topics.contains('#') => Self::Slashes(slashes),
            _ => Self::Open,
        }
    }
}

impl Subscription {
    /// `filter` must be valid.
    pub(crate) fn new(filter: &str, qos: QoS) -> Self {
        let form = Form::new(Filter::of_valid(filter));
        Self { filter: filter.into(), form, qos, no_local: false, retain_as_published: false }
    }

    /// `slashes` are those of the topic.
    fn matches(&self, topic: &str, slashes: usize) -> bool {
        match self.form {
            Form::Exact => *self.filter == *topic,
            Form::Slashes(wanted) if usize::from(wanted) != slashes => false,
            Form::Slashes(_) | Form::Open => filter::matches(Filter::of_valid(&self.filter).topics, topic),
        }
    }
}

/// How a topic is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
}

/// Which notifications are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WantedNotifications {
    pub(crate) notify: bool,
    pub(crate) notify_next: bool,
}

impl WantedNotifications {
    /// What one or the other wants.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { notify: self.notify || other.notify, notify_next: self.notify_next || other.notify_next }
    }
}

/// Few, so a list will do: AWS allows 50 (PROTOCOL 15.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    /// Adds one, or replaces the one with the same filter. Says whether it is new; `None` when there is no room for it.
    pub(crate) fn set(&mut self, subscription: Subscription, max: usize) -> Option<bool> {
        if let Some(known) = self.0.iter_mut().find(|known| known.filter == subscription.filter) {
            *known = subscription;
            return Some(false);
        }
        let has_room = self.0.len() < max;
        has_room.then(|| {
            self.0.push(subscription);
            true
        })
    }

    pub(crate) fn remove(&mut self, filter: &str) {
        self.0.retain(|subscription| &*subscription.filter != filter);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that match a topic, with their shares.
    pub(crate) fn matching<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (&'a Subscription, Filter<'a>)> {
        self.hearing(topic).map(|subscription| (subscription, Filter::of_valid(&subscription.filter)))
    }

    fn hearing<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Subscription> {
        let slashes = filter::slashes(topic);
        self.0.iter().filter(move |subscription| subscription.matches(topic, slashes))
    }

    /// How a topic is heard: one copy, at the highest QoS of those that match.
    pub(crate) fn granted(&self, topic: &str) -> Option<Granted> {
        self.hearing(topic).fold(None, |so_far: Option<Granted>, subscription| {
            let before = so_far.unwrap_or(Granted { qos: QoS::AtMostOnce, retain_as_published: false });
            Some(Granted {
                qos: before.qos.max(subscription.qos),
                retain_as_published: before.retain_as_published || subscription.retain_as_published,
            })
        })
    }

    /// Which notifications of a thing are heard.
    pub(crate) fn notification_interest(&self, thing: &str) -> WantedNotifications {
        let is_heard = |kind| self.granted(&Topic { thing, namespace: None, kind }.to_string()).is_some();
        WantedNotifications { notify: is_heard(TopicKind::Notify), notify_next: is_heard(TopicKind::NotifyNext) }
    }

    /// Namespaces whose notifications are heard: those that filters name, and every one where a wildcard stands in their place.
    pub(crate) fn namespace_interest(&self, thing: &str) -> Vec<NamespaceInterest> {
        let filters = self.0.iter().map(|subscription| Filter::of_valid(&subscription.filter).topics);
        let heard = |namespace, kind| NamespaceInterest {
            namespace,
            notify: kind != TopicKind::NotifyNext,
            notify_next: kind != TopicKind::Notify,
        };
        let mut named: Vec<NamespaceInterest> = filters
            .filter_map(|filter| Topic::parse(filter).ok())
            .filter(|topic| {
                matches!(topic.kind, TopicKind::Notify | TopicKind::NotifyNext) && (topic.thing == thing || topic.thing == "+")
            })
            .filter_map(|topic| Some(heard(Some(NamespaceId::new(topic.namespace?).ok()?), topic.kind)))
            .collect();
        // No filter has this last level, so that only wildcards match it.
        if self.granted(&format!("{THINGS_PREFIX}{thing}/jobs/+")).is_some() {
            named.push(NamespaceInterest { namespace: None, notify: true, notify_next: true });
        }
        named
    }

    /// Those for topics that others publish to, or that are of things of other names than the client's.
    pub(crate) fn routed(&self, client: &str) -> Self {
        let is_routed = |subscription: &&Subscription| named_thing(&subscription.filter) != Some(client);
        Self(self.0.iter().filter(is_routed).cloned().collect())
    }

    /// The things whose topics are named, each by its name.
    pub(crate) fn things(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|subscription| named_thing(&subscription.filter))
    }
}

/// The thing whose topics a filter is for, unless it has a wildcard in its place.
fn named_thing(filter: &str) -> Option<&str> {
    let (thing, _) = Filter::of_valid(filter).topics.strip_prefix(THINGS_PREFIX)?.split_once('/')?;
    (!matches!(thing, "+" | "#")).then_some(thing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_told_apart_by_its_form_would_not_have_matched(
            share in "(\\$share/g/)?",
            filter in "(ab?|\\+)(/(ab?|\\+|)){0,3}(/#)?",
            topic in "(ab?|)(/(ab?|)){0,4}",
        ) {
            let text = format!("{share}{filter}");
            let subscription = Subscription::new(&text, QoS::AtMostOnce);
            let is_heard = subscription.matches(&topic, filter::slashes(&topic));
            prop_assert_eq!(is_heard, filter::matches(Filter::of_valid(&text).topics, &topic), "{} {}", text, topic);
        }
    }
}
