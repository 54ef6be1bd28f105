//! Sessions begin, change and end: their directory and the engine hear of it in one step.

use super::Service;
use crate::broker::message::Will;
use crate::broker::packet::Connect;
use crate::broker::subscriptions::Subscriptions;
use crate::identity::{ClientId, Identity};
use crate::sessions::{After, Begun, Epoch};
use host::clock;
use iot_jobs::ThingName;
use jobs_engine::engine::Engine;
use std::time::Duration;

impl Service {
    /// A client was let in. The session before goes on, or ends, with its will published.
    pub(crate) fn begin_session(&self, identity: &Identity, connect: &Connect, expiry: Duration) -> Begun {
        let client = &identity.client_id;
        let (begun, will) = self.call(|engine, _| {
            let begins = self.sessions.begin(identity, connect.version, connect.clean, expiry);
            self.told(engine, &begins.concerned);
            if let Some(thing) = &identity.thing {
                engine.handle_presence(thing, true);
            }
            (begins.begun, begins.will)
        });
        if let Some(will) = will {
            self.sessions.publish(will.into_message(clock::mono()), Some(client));
        }
        begun
    }

    /// What a session is subscribed to from now on.
    pub(crate) fn set_subscriptions(&self, client: &ClientId, epoch: Epoch, subscriptions: &Subscriptions) {
        self.call(|engine, _| {
            let concerned = self.sessions.set_subscriptions(client, epoch, subscriptions);
            self.told(engine, &concerned);
        });
    }

    /// Who hears of these things is another than before.
    fn told(&self, engine: &mut Engine, concerned: &[ThingName]) {
        for thing in concerned {
            let interest = self.sessions.interest(thing);
            engine.handle_subscription(thing, interest.notify, interest.notify_next);
            engine.handle_namespaces(thing, self.sessions.namespace_interest(thing));
        }
        let (observed, namespaces) = self.sessions.observed();
        engine.handle_observers(observed.notify, observed.notify_next, namespaces);
    }

    /// A connection has ended; `will` is published now or later.
    pub(crate) fn end_session(&self, identity: &Identity, epoch: Epoch, expiry: Duration, will: Option<Box<Will>>) {
        let (now, client) = (clock::mono(), &identity.client_id);
        let will = self.call(|engine, _| {
            let (after, will) = self.sessions.end(client, epoch, expiry, will, now);
            match after {
                After::Superseded => {}
                After::Kept => {
                    if let Some(thing) = &identity.thing {
                        engine.handle_presence(thing, false);
                    }
                }
                After::Gone(concerned) => self.told(engine, &concerned),
            }
            will
        });
        if let Some(will) = will {
            self.sessions.publish(will.into_message(now), Some(client));
        }
    }

    /// Ends the sessions whose clients stay away for too long, and publishes wills that have waited long enough.
    pub(super) fn expire_sessions(&self) {
        let now = clock::mono();
        let wills = self.call(|engine, _| {
            let lapsed = self.sessions.lapse(now);
            self.told(engine, &lapsed.concerned);
            lapsed.wills
        });
        for (client, will) in wills {
            self.sessions.publish(will.into_message(now), Some(&client));
        }
    }
}
