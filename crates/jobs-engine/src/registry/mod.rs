//! The registry of AWS IoT Core as a pure machine: things, thing types, thing groups, certificates, policies, and what is attached
//! to what (shapes and rules as in botocore's `iot/2015-05-28` model). Who is a member of which group is the engine's to know,
//! since jobs follow from it.
//!
//! Policies are stored and told; what they mean is evaluated by whoever lets devices in.

mod attributes;
mod authorities;
mod certificates;
mod error;
mod groups;
mod names;
mod policies;
mod sorted_set;
mod tags;
mod templates;
mod things;

pub use attributes::{AttributePayload, Attributes};
pub use authorities::{Authority, RegistrationCode, UpdateAuthority};
pub use certificates::{Certificate, CertificateMode, CertificateStatus, NewCertificate, Pem};
pub use error::{ErrorKind, RegistryError, Resource, ResourceKind};
pub use groups::{Group, GroupProperties};
pub use names::{CertificateId, PolicyName, ResourceId, TypeName};
pub use policies::{Policy, PolicyTarget, PolicyVersion};
pub use sorted_set::SortedSet;
pub use tags::Tagged;
pub use templates::KeptTemplate;
pub use things::{Thing, ThingSpec, ThingType, TypeProperties, UpdateThing};

use iot_jobs::{GroupName, Tags, TemplateId, ThingName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everything that is registered. After any change, [`Self::poll_dirty`] until `None` tells what is to be kept.
pub struct Registry {
    /// Length of a minute, for every minute-unit.
    minute: Duration,
    things: BTreeMap<ThingName, Thing>,
    types: BTreeMap<TypeName, ThingType>,
    groups: BTreeMap<GroupName, Group>,
    policies: BTreeMap<PolicyName, Policy>,
    certificates: BTreeMap<CertificateId, Certificate>,
    /// Certificates that are never to be taken for anything again, though their issuer is trusted.
    deleted: BTreeSet<CertificateId>,
    /// What [`Certificate::things`] says, from the other side.
    principals: BTreeMap<ThingName, SortedSet<CertificateId>>,
    /// What the policies of certificates and groups say, from the other side.
    targets: BTreeMap<PolicyName, BTreeSet<PolicyTarget>>,
    authorities: BTreeMap<CertificateId, Authority>,
    registration_code: Option<RegistrationCode>,
    templates: BTreeMap<TemplateId, KeptTemplate>,
    templates_max: Option<u32>,
    tags: BTreeMap<Tagged, Tags>,
    dirty: BTreeSet<Key>,
}

/// The name of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    /// Of a thing.
    Thing(ThingName),
    /// Of a thing type.
    Type(TypeName),
    /// Of a thing group.
    Group(GroupName),
    /// Of a policy with its versions.
    Policy(PolicyName),
    /// Of a certificate that is registered.
    Certificate(CertificateId),
    /// Of a certificate that was deleted, and is never to be accepted again.
    DeletedCertificate(CertificateId),
    /// Of a CA certificate.
    Authority(CertificateId),
    /// Of the code that proves who owns a CA; there is one at most.
    RegistrationCode,
    /// Of a job template.
    Template(TemplateId),
    /// Of the tags of a resource.
    Tags(Tagged),
}

/// What is kept of one thing, type and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Of [`Key::Thing`].
    Thing(Thing),
    /// Of [`Key::Type`].
    Type(ThingType),
    /// Of [`Key::Group`].
    Group(Group),
    /// Of [`Key::Policy`].
    Policy(Policy),
    /// Of [`Key::Certificate`].
    Certificate(Box<Certificate>),
    /// Of [`Key::DeletedCertificate`]; there is nothing but its id.
    DeletedCertificate,
    /// Of [`Key::Authority`].
    Authority(Box<Authority>),
    /// Of [`Key::RegistrationCode`].
    RegistrationCode(RegistrationCode),
    /// Of [`Key::Template`].
    Template(Box<KeptTemplate>),
    /// Of [`Key::Tags`].
    Tags(Tags),
}

impl Registry {
    /// Nothing is registered; `minute` is the length of a minute, for the wait before a type can be deleted.
    #[must_use]
    pub fn new(minute: Duration) -> Self {
        Self {
            minute,
            things: BTreeMap::new(),
            types: BTreeMap::new(),
            groups: BTreeMap::new(),
            policies: BTreeMap::new(),
            certificates: BTreeMap::new(),
            deleted: BTreeSet::new(),
            principals: BTreeMap::new(),
            targets: BTreeMap::new(),
            authorities: BTreeMap::new(),
            registration_code: None,
            templates: BTreeMap::new(),
            templates_max: None,
            tags: BTreeMap::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// A record that has changed since it was last told: what it is now, or `None` when it is gone.
    pub fn poll_dirty(&mut self) -> Option<(Key, Option<Record>)> {
        let key = self.dirty.pop_first()?;
        let record = match &key {
            Key::Thing(name) => self.things.get(name).cloned().map(Record::Thing),
            Key::Type(name) => self.types.get(name).cloned().map(Record::Type),
            Key::Group(name) => self.groups.get(name).cloned().map(Record::Group),
            Key::Policy(name) => self.policies.get(name).cloned().map(Record::Policy),
            Key::Certificate(id) => self.certificates.get(id).cloned().map(|certificate| Record::Certificate(certificate.into())),
            Key::DeletedCertificate(id) => self.deleted.contains(id).then_some(Record::DeletedCertificate),
            Key::Authority(id) => self.authorities.get(id).cloned().map(|authority| Record::Authority(authority.into())),
            Key::RegistrationCode => self.registration_code.map(Record::RegistrationCode),
            Key::Template(id) => self.templates.get(id).cloned().map(|template| Record::Template(template.into())),
            Key::Tags(resource) => self.tags.get(resource).cloned().map(Record::Tags),
        };
        Some((key, record))
    }

    /// For whoever keeps nothing.
    pub fn forget_dirty(&mut self) {
        self.dirty.clear();
    }

    /// Puts back what [`Self::poll_dirty`] told, in any order. Says whether key and record belong together; if not, nothing happens.
    pub fn restore(&mut self, key: Key, record: Record) -> bool {
        match (key, record) {
            (Key::Thing(name), Record::Thing(thing)) => drop(self.things.insert(name, thing)),
            (Key::Type(name), Record::Type(thing_type)) => drop(self.types.insert(name, thing_type)),
            (Key::Policy(name), Record::Policy(policy)) => drop(self.policies.insert(name, policy)),
            (Key::Group(name), Record::Group(group)) => {
                for policy in &group.policies {
                    self.targets.entry(policy.clone()).or_default().insert(PolicyTarget::Group(name.clone()));
                }
                self.groups.insert(name, group);
            }
            (Key::Certificate(id), Record::Certificate(certificate)) => {
                for policy in &certificate.policies {
                    self.targets.entry(policy.clone()).or_default().insert(PolicyTarget::Certificate(id));
                }
                for thing in &certificate.things {
                    self.principals.entry(thing.clone()).or_default().insert(id);
                }
                self.certificates.insert(id, *certificate);
            }
            (Key::DeletedCertificate(id), Record::DeletedCertificate) => drop(self.deleted.insert(id)),
            (Key::Authority(id), Record::Authority(authority)) => drop(self.authorities.insert(id, *authority)),
            (Key::RegistrationCode, Record::RegistrationCode(code)) => self.registration_code = Some(code),
            (Key::Template(id), Record::Template(template)) => drop(self.templates.insert(id, *template)),
            (Key::Tags(resource), Record::Tags(tags)) => drop(self.tags.insert(resource, tags)),
            _ => return false,
        }
        true
    }
}
