//! What is to be made of a fleet, and what to be removed, given what its inventory has; and with which calls.

use super::calls::{ACTIVE, Call, INACTIVE};
use super::inventory::{FleetSpec, Inventory, KeySource, Kind, Resource, Step};
use super::policy;
use iot_jobs::wire::control::Account;
use iot_jobs::{GroupName, ThingName};
use sim_units::text::name_template;

/// An attribute of each thing, whose value is the id of its fleet.
pub const ATTRIBUTE: &str = "fleetsim";
/// A tag of what can be tagged, with the id of the fleet.
pub const TAG: &str = "fleetsim:fleet";

/// What all things of a fleet share, in the order in which it is made.
pub const SHARED: [Kind; 3] = [Kind::ThingType, Kind::ThingGroup, Kind::Policy];

/// Names of the things of a fleet.
///
/// # Errors
/// When the template is none, or makes names that no thing may have or that are all the same.
pub fn thing_names(fleet: &FleetSpec) -> Result<Vec<ThingName>, String> {
    name_template(&fleet.thing_name)?.things(0, fleet.things)
}

/// The thing group of a fleet, which its jobs are for.
///
/// # Panics
/// Never: ids are made of letters, digits and '-'.
#[must_use]
pub fn group_of(fleet: &FleetSpec) -> GroupName {
    GroupName::new(&fleet.id).expect("the id of a fleet is the name of a group")
}

/// What is still to be made.
#[derive(Debug, PartialEq, Eq)]
pub struct ToMake<'a> {
    pub shared: Vec<Kind>,
    pub things: Vec<&'a ThingName>,
}

impl<'a> ToMake<'a> {
    #[must_use]
    pub fn new(inventory: &Inventory, fleet: &FleetSpec, things: &'a [ThingName]) -> Self {
        let is_missing = |kind: &Kind| !inventory.is_made(*kind, &fleet.id);
        let shared = SHARED.into_iter().filter(is_missing).collect();
        Self { shared, things: things.iter().filter(|thing| !inventory.is_made(Kind::Thing, thing.as_str())).collect() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.things.is_empty()
    }
}

/// What is there, or may be, in the order in which it is removed.
#[derive(Debug, PartialEq, Eq)]
pub struct ToRemove<'a> {
    pub jobs: Vec<&'a str>,
    /// Thing groups that runs made for a part of the fleet.
    pub groups: Vec<&'a str>,
    pub things: Vec<(&'a str, &'a Resource)>,
    /// Certificates that no thing has.
    pub certificates: Vec<&'a str>,
    pub shared: Vec<Kind>,
}

impl<'a> ToRemove<'a> {
    #[must_use]
    pub fn new(inventory: &'a Inventory) -> Self {
        let id = inventory.fleet.as_ref().map_or("", |fleet| fleet.id.as_str());
        let names = |kind| inventory.present(kind).map(|(name, _)| name).filter(|name| *name != id).collect();
        let is_present = |kind: &Kind| inventory.present(*kind).any(|(name, _)| name == id);
        Self {
            jobs: names(Kind::Job),
            groups: names(Kind::ThingGroup),
            things: inventory.present(Kind::Thing).collect(),
            certificates: names(Kind::Certificate),
            shared: [Kind::ThingGroup, Kind::Policy, Kind::ThingType].into_iter().filter(is_present).collect(),
        }
    }
}

/// Names that calls have in common.
#[derive(Clone, Debug)]
pub struct Naming {
    pub fleet: FleetSpec,
    /// Where it is not known yet, as people read it.
    pub account: Account,
}

impl Naming {
    #[must_use]
    pub fn new(fleet: &FleetSpec, account: Option<&Account>) -> Self {
        let unknown = || Account { partition: "aws".into(), region: fleet.region.clone(), id: "ACCOUNT".into() };
        Self { fleet: fleet.clone(), account: account.cloned().unwrap_or_else(unknown) }
    }

    fn certificate_arn(&self, id: &str) -> String {
        let Account { partition, region, id: account } = &self.account;
        format!("arn:{partition}:iot:{region}:{account}:cert/{id}")
    }

    /// The call that makes what all things share.
    ///
    /// # Panics
    /// For a kind that is not one of [`SHARED`].
    #[must_use]
    pub fn make(&self, kind: Kind) -> Call {
        let id = self.fleet.id.as_str();
        let tags = [(TAG, id)];
        match kind {
            Kind::ThingType => Call::create_thing_type(id, &tags),
            Kind::ThingGroup => Call::create_thing_group(id, &tags),
            Kind::Policy => {
                let document = self.fleet.policy.clone().unwrap_or_else(|| policy::document(&self.account));
                Call::create_policy(id, &document, &tags)
            }
            Kind::Thing | Kind::Certificate | Kind::Job => unreachable!("{kind:?} is not shared"),
        }
    }

    /// The call that makes a certificate of a thing, or makes one known: `pem`, where the key is our own.
    #[must_use]
    pub fn make_certificate(&self, pem: &str) -> Call {
        match self.fleet.keys {
            KeySource::Own => Call::register_certificate(pem),
            KeySource::Aws => Call::create_keys_and_certificate(),
        }
    }

    /// The calls that make a thing whose certificate is there, each of which may be made again.
    #[must_use]
    pub fn make_thing(&self, thing: &ThingName, certificate: &str) -> Vec<Call> {
        let (id, arn) = (self.fleet.id.as_str(), self.certificate_arn(certificate));
        let activate = (self.fleet.keys == KeySource::Aws).then(|| Call::update_certificate(certificate, ACTIVE));
        let make = [
            Call::create_thing(thing, id, (ATTRIBUTE, id)),
            Call::attach_thing_principal(thing, &arn),
            Call::attach_policy(id, &arn),
            Call::add_thing_to_group(thing, &group_of(&self.fleet)),
        ];
        activate.into_iter().chain(make).collect()
    }

    /// The calls that take a certificate from a thing and remove it; from no thing, where it never had one.
    #[must_use]
    pub fn remove_certificate(&self, thing: Option<&ThingName>, certificate: &str) -> Vec<Call> {
        let arn = self.certificate_arn(certificate);
        let detach = thing.map(|thing| [Call::detach_thing_principal(thing, &arn), Call::detach_policy(&self.fleet.id, &arn)]);
        let mut calls = vec![Call::update_certificate(certificate, INACTIVE)];
        calls.extend(detach.into_iter().flatten());
        calls.push(Call::delete_certificate(certificate));
        calls
    }

    /// The call that removes what all things share.
    ///
    /// # Panics
    /// For a kind that is not one of [`SHARED`].
    #[must_use]
    pub fn remove(&self, kind: Kind) -> Call {
        let id = self.fleet.id.as_str();
        match kind {
            Kind::ThingType => Call::delete_thing_type(id),
            Kind::ThingGroup => Call::delete_thing_group(id),
            Kind::Policy => Call::delete_policy(id),
            Kind::Thing | Kind::Certificate | Kind::Job => unreachable!("{kind:?} is not shared"),
        }
    }

    /// Every call that makes what is missing.
    pub fn calls_to_make<'a>(&'a self, to_make: &'a ToMake<'a>) -> impl Iterator<Item = Call> + 'a {
        let of_thing = move |thing: &&ThingName| {
            let mut calls = vec![self.make_certificate(&format!("CERTIFICATE OF {thing}"))];
            calls.extend(self.make_thing(thing, &format!("CERTIFICATE-OF-{thing}")));
            calls
        };
        let shared = to_make.shared.iter().map(|kind| self.make(*kind));
        shared.chain(to_make.things.iter().flat_map(of_thing))
    }

    /// Every call that removes what is there, if no answer is a surprise; jobs apart.
    pub fn calls_to_remove<'a>(&'a self, to_remove: &'a ToRemove<'a>) -> impl Iterator<Item = Call> + 'a {
        let groups = to_remove.groups.iter().map(|group| Call::delete_thing_group(group));
        let is_begun = to_remove.shared.contains(&Kind::ThingType);
        let deprecation = is_begun.then(|| Call::deprecate_thing_type(&self.fleet.id));
        let of_thing = |(name, resource): &(&str, &Resource)| {
            let Ok(thing) = ThingName::new(name) else { return Vec::new() };
            let mut calls: Vec<Call> = (resource.step == Step::Begun).then(|| Call::describe_thing(&thing)).into_iter().collect();
            calls.extend(resource.certificates.iter().flat_map(|id| self.remove_certificate(Some(&thing), id)));
            calls.push(Call::delete_thing(&thing));
            calls
        };
        let alone = to_remove.certificates.iter().flat_map(|id| self.remove_certificate(None, id));
        let shared = to_remove.shared.iter().map(|kind| self.remove(*kind));
        groups.chain(deprecation).chain(to_remove.things.iter().flat_map(of_thing)).chain(alone).chain(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::super::inventory::{Change, Record};
    use super::*;

    fn fleet(things: u64) -> FleetSpec {
        FleetSpec {
            id: "fleetsim-1".into(),
            region: "eu-central-1".into(),
            endpoint: "e".into(),
            things,
            thing_name: "t-{index}".into(),
            keys: KeySource::Own,
            policy: None,
        }
    }

    fn change(inventory: &mut Inventory, kind: Kind, name: &str, step: Step) {
        let certificate = (kind == Kind::Thing).then(|| format!("c-{name}"));
        inventory.apply(Record::Resource(Change { kind, name: name.into(), step, certificate, at_ms: 1 }));
    }

    fn operations(calls: impl Iterator<Item = Call>) -> Vec<&'static str> {
        calls.map(|call| call.operation).collect()
    }

    #[test]
    fn what_is_made_already_is_not_made_again() {
        let (mut inventory, fleet) = (Inventory::default(), fleet(3));
        let things = thing_names(&fleet).unwrap();
        let naming = Naming::new(&fleet, None);
        let calls = operations(naming.calls_to_make(&ToMake::new(&inventory, &fleet, &things)));
        assert_eq!(calls.len(), 3 + 3 * 5);
        assert_eq!(calls[..4], ["CreateThingType", "CreateThingGroup", "CreatePolicy", "RegisterCertificateWithoutCA"]);
        for (kind, name, step) in [
            (Kind::ThingType, "fleetsim-1", Step::Made),
            (Kind::ThingGroup, "fleetsim-1", Step::Begun),
            (Kind::Policy, "fleetsim-1", Step::Made),
            (Kind::Thing, "t-0", Step::Made),
            (Kind::Thing, "t-1", Step::Begun),
        ] {
            change(&mut inventory, kind, name, step);
        }
        let to_make = ToMake::new(&inventory, &fleet, &things);
        assert_eq!((to_make.shared, to_make.things.len()), (vec![Kind::ThingGroup], 2));
    }

    #[test]
    fn exactly_what_the_inventory_names_is_removed_and_what_is_not_sure_is_looked_at() {
        let (mut inventory, fleet) = (Inventory::default(), fleet(3));
        inventory.apply(Record::Fleet(fleet.clone()));
        change(&mut inventory, Kind::Thing, "t-0", Step::Made);
        change(&mut inventory, Kind::Thing, "t-1", Step::Begun);
        change(&mut inventory, Kind::Thing, "t-2", Step::Removed);
        change(&mut inventory, Kind::Policy, "fleetsim-1", Step::Made);
        change(&mut inventory, Kind::ThingGroup, "targets-fw", Step::Begun);
        change(&mut inventory, Kind::Certificate, "lost", Step::Begun);
        let naming = Naming::new(&fleet, None);
        let calls: Vec<Call> = naming.calls_to_remove(&ToRemove::new(&inventory)).collect();
        let thing = ["UpdateCertificate", "DetachThingPrincipal", "DetachPolicy", "DeleteCertificate", "DeleteThing"];
        let last = ["UpdateCertificate", "DeleteCertificate", "DeletePolicy"];
        let expected = [&["DeleteThingGroup"], &thing[..], &["DescribeThing"], &thing, &last].concat();
        assert_eq!(operations(calls.iter().cloned()), expected);
        assert_eq!(calls[2].principal.as_deref(), Some("arn:aws:iot:eu-central-1:ACCOUNT:cert/c-t-0"));
    }

    #[test]
    fn names_that_no_fleet_can_have_are_refused() {
        let named = |thing_name: &str| thing_names(&FleetSpec { thing_name: thing_name.into(), ..fleet(2) });
        assert_eq!(named("sim-{index:03}").unwrap()[1].as_str(), "sim-001");
        assert!(named("sim").unwrap_err().contains("one name"));
        assert!(named("a b {index}").is_err() && named("{n}").is_err());
    }
}
