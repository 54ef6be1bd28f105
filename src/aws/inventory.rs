//! What a fleet in an account consists of, as its journal tells it: which resources were begun, made and removed. No more is known of the
//! account, and nothing else is ever removed.

use iot_jobs::wire::control::Account;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whose keys the things have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// Made here, registered with RegisterCertificateWithoutCA.
    Own,
    /// Made by CreateKeysAndCertificate.
    Aws,
}

/// What a fleet is to be; the first thing that its journal has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetSpec {
    /// Name of the thing type, the thing group and the policy, and value of an attribute of each thing: no other fleet has it.
    pub id: String,
    pub region: String,
    /// Host, and port where there is one, of the control plane.
    pub endpoint: String,
    pub things: u64,
    /// A template, as scenarios have it.
    pub thing_name: String,
    pub keys: KeySource,
    /// Document of the policy; `None`: that of [`super::policy`].
    pub policy: Option<String>,
}

/// What is made in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    ThingType,
    ThingGroup,
    Policy,
    /// With its certificates.
    Thing,
    /// One that no thing has: the answer that told whose it is was lost.
    Certificate,
    Job,
}

/// How far a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It may be there, or parts of it.
    Begun,
    Made,
    Removed,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A fleet is begun, or is to be larger.
    Fleet(FleetSpec),
    /// The ARN of one of its resources, which says whose they are.
    Arn(String),
    Resource(Change),
}

/// A resource has come a step further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub kind: Kind,
    pub name: String,
    pub step: Step,
    /// Id of a certificate that a thing has from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// A resource that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub step: Step,
    /// Of a thing: every id that it ever had.
    pub certificates: BTreeSet<String>,
    /// Of a thing: when certificates were asked for of which no answer is kept, in milliseconds since the epoch.
    pub unanswered_ms: Vec<i64>,
}

/// All that the journal tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub fleet: Option<FleetSpec>,
    pub account: Option<Account>,
    resources: BTreeMap<(Kind, String), Resource>,
}

impl Inventory {
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Fleet(fleet) => {
                // A new fleet begins where nothing of the old one is left.
                if self.fleet.as_ref().is_some_and(|known| known.id != fleet.id) {
                    *self = Self::default();
                }
                self.fleet = Some(fleet);
            }
            Record::Arn(arn) => self.account = Account::of_arn(&arn),
            Record::Resource(Change { kind, name, step, certificate, at_ms }) => {
                let begun = Resource { step, certificates: BTreeSet::new(), unanswered_ms: Vec::new() };
                let resource = self.resources.entry((kind, name)).or_insert(begun);
                resource.step = step;
                match &certificate {
                    None if step == Step::Begun => resource.unanswered_ms.push(at_ms),
                    None => {}
                    Some(_) => _ = resource.unanswered_ms.pop(),
                }
                resource.certificates.extend(certificate);
            }
        }
    }

    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Resource> {
        self.resources.get(&(kind, name.to_owned()))
    }

    #[must_use]
    pub fn is_made(&self, kind: Kind, name: &str) -> bool {
        self.get(kind, name).is_some_and(|resource| resource.step == Step::Made)
    }

    /// What is there, or may be, of a kind, in the order of names.
    pub fn present(&self, kind: Kind) -> impl Iterator<Item = (&str, &Resource)> {
        let of_kind = self.resources.range((kind, String::new())..).take_while(move |((found, _), _)| *found == kind);
        of_kind.filter(|(_, resource)| resource.step != Step::Removed).map(|((_, name), resource)| (name.as_str(), resource))
    }

    /// Whether nothing is there of any kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.values().all(|resource| resource.step == Step::Removed)
    }

    /// When certificates were asked for of which no answer is kept, in milliseconds since the epoch; the things may have others since.
    pub fn unanswered_ms(&self) -> impl Iterator<Item = i64> {
        let things = self.resources.iter().filter(|((kind, _), _)| *kind == Kind::Thing);
        things.flat_map(|(_, thing)| thing.unanswered_ms.iter().copied())
    }

    /// Ids of all certificates that were ever told.
    #[must_use]
    pub fn certificates(&self) -> BTreeSet<&str> {
        let of_things = self.resources.values().flat_map(|resource| resource.certificates.iter().map(String::as_str));
        let alone = self.resources.keys().filter(|(kind, _)| *kind == Kind::Certificate).map(|(_, name)| name.as_str());
        of_things.chain(alone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: Kind, name: &str, step: Step, certificate: Option<&str>, at_ms: i64) -> Record {
        Record::Resource(Change { kind, name: name.into(), step, certificate: certificate.map(str::to_owned), at_ms })
    }

    #[test]
    fn a_resource_is_as_far_as_its_last_step_and_keeps_every_certificate() {
        let mut inventory = Inventory::default();
        inventory.apply(change(Kind::Thing, "a", Step::Begun, None, 1));
        inventory.apply(change(Kind::Thing, "a", Step::Begun, None, 2));
        inventory.apply(change(Kind::Thing, "a", Step::Begun, Some("c1"), 3));
        inventory.apply(change(Kind::Thing, "a", Step::Begun, Some("c2"), 3));
        inventory.apply(change(Kind::Thing, "d", Step::Begun, None, 4));
        inventory.apply(change(Kind::Thing, "d", Step::Begun, Some("c4"), 5));
        inventory.apply(change(Kind::Thing, "b", Step::Made, None, 3));
        inventory.apply(change(Kind::Policy, "p", Step::Removed, None, 3));
        inventory.apply(change(Kind::Certificate, "c3", Step::Begun, None, 3));
        let a = inventory.get(Kind::Thing, "a").unwrap();
        assert_eq!((a.step, a.certificates.len()), (Step::Begun, 2));
        assert_eq!(inventory.present(Kind::Thing).map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "d"]);
        assert_eq!((inventory.present(Kind::Policy).count(), inventory.is_empty()), (0, false));
        assert_eq!(inventory.certificates().into_iter().collect::<Vec<_>>(), ["c1", "c2", "c3", "c4"]);
    }

    #[test]
    fn a_fleet_of_another_id_begins_anew() {
        let spec = |id: &str, things| FleetSpec {
            id: id.into(),
            region: "r".into(),
            endpoint: "e".into(),
            things,
            thing_name: "t-{index}".into(),
            keys: KeySource::Own,
            policy: None,
        };
        let mut inventory = Inventory::default();
        inventory.apply(Record::Fleet(spec("one", 1)));
        inventory.apply(change(Kind::Thing, "a", Step::Removed, None, 1));
        inventory.apply(Record::Fleet(spec("one", 2)));
        assert!(inventory.get(Kind::Thing, "a").is_some(), "the same one, larger");
        inventory.apply(Record::Fleet(spec("two", 1)));
        assert!(inventory.get(Kind::Thing, "a").is_none());
    }
}
