//! Sessions begin, change and end: their directory and the engine hear of it in one step.

use super::Service;
use crate::broker::filter::EVENTS_PREFIX;
use crate::broker::message::Will;
use crate::broker::packet::Connect;
use crate::broker::subscriptions::Subscriptions;
use crate::identity::Identity;
use crate::sessions::{After, Begun, Epoch};
use host::clock;
use iot_jobs::ThingName;
use jobs_engine::engine::Engine;
use std::time::Duration;

impl Service {
    /// A client was let in. The session before goes on, or ends, with its will published.
    pub(crate) fn begin_session(&self, identity: &Identity, connect: &Connect, expiry: Duration) -> Begun {
        let thing = &identity.thing;
        let (begun, will) = self.call(|engine, _| {
            let (mut begun, will) = self.sessions.begin(thing, connect.version, connect.clean, expiry);
            if let Some(subscriptions) = begun.resumed.as_mut().filter(|_| !identity.hears_events()) {
                // A client that signs may have left some.
                subscriptions.remove_below(EVENTS_PREFIX);
                self.sessions.set_subscriptions(thing, begun.epoch, subscriptions);
            }
            match &begun.resumed {
                Some(subscriptions) => follow(engine, thing, subscriptions),
                None => engine.handle_subscription(thing, false, false),
            }
            engine.handle_presence(thing, true);
            (begun, will)
        });
        if let Some(will) = will {
            self.sessions.publish(will.into_message(clock::mono()), Some(thing));
        }
        begun
    }

    /// What a session is subscribed to from now on.
    pub(crate) fn set_subscriptions(&self, thing: &ThingName, epoch: Epoch, subscriptions: &Subscriptions) {
        self.call(|engine, _| {
            // A session that was taken over has nothing to say any more.
            if self.sessions.is_current(thing, epoch) {
                self.sessions.set_subscriptions(thing, epoch, subscriptions);
                follow(engine, thing, subscriptions);
            }
        });
    }

    /// A connection has ended; `will` is published now or later.
    pub(crate) fn end_session(&self, thing: &ThingName, epoch: Epoch, expiry: Duration, will: Option<Box<Will>>) {
        let now = clock::mono();
        let will = self.call(|engine, _| {
            let (after, will) = self.sessions.end(thing, epoch, expiry, will, now);
            match after {
                After::Superseded => {}
                After::Kept => engine.handle_presence(thing, false),
                After::Gone => engine.handle_subscription(thing, false, false),
            }
            will
        });
        if let Some(will) = will {
            self.sessions.publish(will.into_message(now), Some(thing));
        }
    }

    /// Ends the sessions whose clients stay away for too long, and publishes wills that have waited long enough.
    pub(super) fn expire_sessions(&self) {
        let now = clock::mono();
        let wills = self.call(|engine, _| {
            let lapsed = self.sessions.lapse(now);
            lapsed.ended.iter().for_each(|thing| engine.handle_subscription(thing, false, false));
            lapsed.wills
        });
        for (thing, will) in wills {
            self.sessions.publish(will.into_message(now), Some(&thing));
        }
    }
}

/// What a thing's session is subscribed to.
fn follow(engine: &mut Engine, thing: &ThingName, subscriptions: &Subscriptions) {
    let wanted = subscriptions.notification_interest(thing);
    engine.handle_subscription(thing, wanted.notify, wanted.notify_next);
    engine.handle_namespaces(thing, subscriptions.namespace_interest(thing));
}
