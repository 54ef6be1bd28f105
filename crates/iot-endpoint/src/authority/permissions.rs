//! What one client may do. A decision is taken once for an action on a resource, and remembered until the policies change.

use super::Common;
use iot_policy::{Action, Client, ConnectAttributes, Policy, Request, evaluate, explain};
use smallvec::{Array, SmallVec};
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// Decisions that are remembered of one session.
const REMEMBERED_MAX: usize = 32;
/// Those that stand in the session itself, whose memory is at hand when a packet comes: about what a thing needs that works through a job.
const ALLOWED_INLINE: usize = 12;

/// What a client may do, and what is needed to decide of that.
#[derive(Debug)]
pub(crate) struct Permissions {
    common: Arc<Common>,
    pub(super) who: Who,
    /// Which of [`super::Authority::generation`] this is of.
    pub(super) generation: u64,
    pub(super) epoch_s: i64,
    /// Decisions change though nothing but the time does.
    depends_on_time: bool,
    allowed: Remembered<[u64; ALLOWED_INLINE]>,
    denied: Remembered<[u64; 0]>,
    denials: Vec<Denial>,
}

/// Whose permissions they are.
#[derive(Debug)]
pub(super) enum Who {
    /// An IAM identity, see [`Permissions::of_iam_identity`].
    Iam,
    /// A device with its certificate.
    Device(Box<Device>),
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) client: Client,
    pub(super) policies: Arc<[Arc<Policy>]>,
}

/// Something that a client was not allowed to do, the first time that it tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    /// What it wanted to do.
    pub(crate) action: Action,
    /// On which client id, topic, filter or thing.
    pub(crate) name: Box<str>,
}

/// The newest few of what was asked, by their hashes.
#[derive(Debug)]
struct Remembered<A: Array<Item = u64>> {
    hashes: SmallVec<A>,
    next: usize,
}

impl<A: Array<Item = u64>> Default for Remembered<A> {
    fn default() -> Self {
        Self { hashes: SmallVec::new(), next: 0 }
    }
}

impl<A: Array<Item = u64>> Remembered<A> {
    fn has(&self, hash: u64) -> bool {
        self.hashes.contains(&hash)
    }

    fn add(&mut self, hash: u64) {
        if self.hashes.len() < REMEMBERED_MAX {
            self.hashes.push(hash);
        } else {
            self.hashes[self.next] = hash;
            self.next = (self.next + 1) % REMEMBERED_MAX;
        }
    }
}

impl Who {
    fn depends_on_time(&self) -> bool {
        matches!(self, Self::Device(device) if device.policies.iter().any(|policy| policy.document.depends_on_time()))
    }
}

impl Permissions {
    pub(super) fn new(common: &Arc<Common>, who: Who, generation: u64) -> Self {
        Self {
            common: Arc::clone(common),
            depends_on_time: who.depends_on_time(),
            who,
            generation,
            epoch_s: 0,
            allowed: Remembered::default(),
            denied: Remembered::default(),
            denials: Vec::new(),
        }
    }

    /// Whoever signs with the account's key may do everything: on AWS an IAM policy would say what, and this endpoint has none of those
    /// (inferred; PROTOCOL-CORE 1.1 rule 7).
    pub(super) fn of_iam_identity(common: &Arc<Common>) -> Self {
        Self::new(common, Who::Iam, 0)
    }

    /// What was decided is worth nothing any more: the client, or its policies, are others.
    pub(super) fn replace(&mut self, who: Who, generation: u64) {
        (self.depends_on_time, self.who, self.generation) = (who.depends_on_time(), who, generation);
        (self.allowed, self.denied) = (Remembered::default(), Remembered::default());
    }

    pub(crate) fn depends_on_time(&self) -> bool {
        self.depends_on_time
    }

    /// Whether the client may do this. A denial goes to [`Self::take_denials`], once.
    pub(crate) fn may(&mut self, action: Action, name: &str) -> bool {
        self.may_with(action, name, None)
    }

    /// Whether it may connect, and ask for this.
    pub(crate) fn may_connect(&mut self, client_id: &str, asked: ConnectAttributes<'_>) -> bool {
        self.may_with(Action::Connect, client_id, Some(asked))
    }

    fn may_with(&mut self, action: Action, name: &str, connect: Option<ConnectAttributes<'_>>) -> bool {
        let Who::Device(device) = &self.who else { return true };
        let hash = self.common.hasher.hash_one((action, name));
        if self.allowed.has(hash) {
            return true;
        }
        let request = Request { action, name, home: &self.common.home, connect, epoch_s: self.epoch_s };
        if evaluate(&device.policies, &device.client, &request).is_allowed() {
            if !self.depends_on_time {
                self.allowed.add(hash);
            }
            return true;
        }
        if !self.denied.has(hash) {
            self.denied.add(hash);
            self.denials.push(Denial { action, name: name.into() });
        }
        false
    }

    /// What was denied since this was asked last, each action on each resource once.
    pub(crate) fn take_denials(&mut self) -> Vec<Denial> {
        std::mem::take(&mut self.denials)
    }

    /// Why it was denied, in words, and by which version of which policy where one statement stands out.
    pub(super) fn explain(&self, denial: &Denial, connect: Option<ConnectAttributes<'_>>) -> String {
        let Who::Device(device) = &self.who else { return String::new() };
        let request =
            Request { action: denial.action, name: &denial.name, home: &self.common.home, connect, epoch_s: self.epoch_s };
        explain(&device.policies, &device.client, &request)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::Authority;
    use super::*;
    use iot_policy::{Attachment, Document};
    use std::time::Duration;

    /// A client with this one policy, that is the thing of its name.
    pub(crate) fn permissions(id: &str, document: &str) -> Permissions {
        let document = Document::parse(document).unwrap();
        let thing = iot_policy::Thing { name: id.into(), ..iot_policy::Thing::default() };
        let client = Client { id: Some(id.into()), attachment: Attachment::Is(Box::new(thing)), ..Client::default() };
        let policies = [Arc::new(Policy { name: "p".into(), version: 1, document })];
        let device = Device { client, policies: Arc::new(policies) };
        Permissions::new(&Authority::new(Duration::ZERO).common, Who::Device(Box::new(device)), 0)
    }

    pub(crate) fn of_iam_identity() -> Permissions {
        Permissions::of_iam_identity(&Authority::new(Duration::ZERO).common)
    }

    #[test]
    fn a_denial_is_told_once_and_what_is_remembered_has_an_end() {
        let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:Publish","Resource":"arn:aws:iot:*:*:topic/ok/*"}}"#;
        let mut permissions = permissions("t", text);
        for n in 0..10 * REMEMBERED_MAX {
            assert!(permissions.may(Action::Publish, &format!("ok/{n}")));
            assert!(!permissions.may(Action::Receive, "ok/1") && !permissions.may(Action::Publish, "no"));
        }
        let told = [(Action::Receive, "ok/1"), (Action::Publish, "no")];
        assert_eq!(permissions.take_denials(), told.map(|(action, name)| Denial { action, name: name.into() }));
        assert!(permissions.take_denials().is_empty());
        assert!(permissions.allowed.hashes.len() == REMEMBERED_MAX && permissions.denied.hashes.len() == 2);
        let Who::Device(device) = std::mem::replace(&mut permissions.who, Who::Iam) else { panic!() };
        permissions.replace(Who::Device(device), 1);
        assert!(!permissions.may(Action::Publish, "no"));
        assert_eq!(permissions.take_denials().len(), 1);
    }

    #[test]
    fn what_depends_on_the_time_is_decided_anew() {
        let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",
            "Condition":{"NumericLessThan":{"aws:EpochTime":"100"}}}}"#;
        let mut permissions = permissions("t", text);
        assert!(permissions.depends_on_time() && permissions.may(Action::Publish, "a"));
        permissions.epoch_s = 100;
        assert!(!permissions.may(Action::Publish, "a"));
    }
}
