//! Which fleet a command means: a new one, or the one that is in its folder.

use super::account::Identity;
use super::inventory::{FleetSpec, Inventory, KeySource};

/// What somebody asked for; `None`: as it is, or else by default.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub things: Option<u64>,
    pub thing_name: Option<String>,
    pub keys: Option<KeySource>,
    pub policy: Option<String>,
}

/// Where the account is that the environment leads to.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub region: &'a str,
    /// URL of the control plane.
    pub endpoint: &'a str,
}

impl Place<'_> {
    /// Whether a fleet is in this account and region.
    ///
    /// # Errors
    /// When it is elsewhere, with what would lead there.
    pub fn check(&self, fleet: &FleetSpec) -> Result<(), String> {
        let differs = |what: &str, there: &str, here: &str, remedy: &str| {
            Err(format!("the fleet {} is in {what} {there}, not {here}: {remedy}", fleet.id))
        };
        if fleet.region != self.region {
            return differs("region", &fleet.region, self.region, "say --region, or use another --dir");
        }
        if fleet.endpoint != self.endpoint {
            return differs("the account of", &fleet.endpoint, self.endpoint, "set AWS_ENDPOINT_URL_IOT, or use another --dir");
        }
        Ok(())
    }
}

/// Whether what is left of a fleet is in the account of whoever is calling: in another one everything would seem to be gone.
///
/// # Errors
/// When it is elsewhere, for people.
pub fn check_account(inventory: &Inventory, identity: &Identity) -> Result<(), String> {
    match (&inventory.fleet, &inventory.account, identity) {
        (Some(fleet), Some(there), Identity::Known { account, .. }) if there.id != *account && !inventory.is_empty() => {
            Err(format!(
                "the fleet {} is in account {}, and the credentials are of {account}: say --profile, or use another --dir",
                fleet.id, there.id
            ))
        }
        _ => Ok(()),
    }
}

/// The template of names by default.
pub const THING_NAME: &str = "sim-{index:06}";

impl Selection {
    /// The fleet that is to be; `new_id` is for one that is not yet.
    ///
    /// # Errors
    /// When the fleet that is there cannot become that, with the reason.
    pub fn fleet(&self, inventory: &Inventory, place: Place<'_>, new_id: impl FnOnce() -> String) -> Result<FleetSpec, String> {
        let Some(known) = inventory.fleet.as_ref().filter(|_| !inventory.is_empty()) else {
            let things = self.things.ok_or("say how many things: --things N")?;
            return Ok(FleetSpec {
                id: new_id(),
                region: place.region.into(),
                endpoint: place.endpoint.into(),
                things,
                thing_name: self.thing_name.clone().unwrap_or_else(|| THING_NAME.into()),
                keys: self.keys.unwrap_or(KeySource::Own),
                policy: self.policy.clone(),
            });
        };
        place.check(known)?;
        let other = |what: &str| {
            Err(format!("the fleet {} was begun with another {what}: deprovision it first, or use another --dir", known.id))
        };
        if self.thing_name.as_ref().is_some_and(|wanted| *wanted != known.thing_name) {
            return other("--thing-name");
        }
        if self.keys.is_some_and(|wanted| wanted != known.keys) {
            return other("kind of keys (--aws-keys)");
        }
        if self.policy.is_some() && self.policy != known.policy {
            return other("--policy");
        }
        let things = self.things.unwrap_or(known.things);
        if things < known.things {
            return Err(format!(
                "the fleet {} has {} things: it can grow, not shrink; deprovision it first",
                known.id, known.things
            ));
        }
        Ok(FleetSpec { things, ..known.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::inventory::{Change, Kind, Record, Step};
    use super::*;

    const HERE: Place<'_> = Place { region: "eu-central-1", endpoint: "https://here" };

    fn of(things: u64) -> Selection {
        Selection { things: Some(things), ..Selection::default() }
    }

    #[test]
    fn a_fleet_that_is_there_goes_on_and_may_grow() {
        let mut inventory = Inventory::default();
        assert!(Selection::default().fleet(&inventory, HERE, String::new).unwrap_err().contains("--things"));
        let fleet = of(2).fleet(&inventory, HERE, || "one".into()).unwrap();
        assert_eq!((&*fleet.id, &*fleet.thing_name, fleet.things), ("one", THING_NAME, 2));
        inventory.apply(Record::Fleet(fleet.clone()));
        let change = |step| Record::Resource(Change { kind: Kind::Policy, name: "one".into(), step, certificate: None, at_ms: 1 });
        inventory.apply(change(Step::Begun));
        assert_eq!(Selection::default().fleet(&inventory, HERE, String::new), Ok(fleet.clone()));
        assert_eq!(of(5).fleet(&inventory, HERE, String::new).unwrap().things, 5);
        for (selection, why) in [
            (of(1), "not shrink"),
            (Selection { thing_name: Some("x-{index}".into()), ..Selection::default() }, "--thing-name"),
            (Selection { keys: Some(KeySource::Aws), ..Selection::default() }, "--aws-keys"),
            (Selection { policy: Some("{}".into()), ..Selection::default() }, "--policy"),
        ] {
            let error = selection.fleet(&inventory, HERE, String::new).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        for place in [Place { region: "us-east-1", ..HERE }, Place { endpoint: "https://there", ..HERE }] {
            assert!(of(2).fleet(&inventory, place, String::new).unwrap_err().contains("another --dir"));
        }
        inventory.apply(Record::Arn("arn:aws:iot:eu-central-1:111122223333:policy/one".into()));
        let caller = |account: &str| Identity::Known { account: account.into(), arn: "a".into() };
        assert_eq!(check_account(&inventory, &caller("111122223333")), Ok(()));
        assert!(check_account(&inventory, &caller("444455556666")).unwrap_err().contains("is in account 111122223333"));
        inventory.apply(change(Step::Removed));
        assert_eq!(check_account(&inventory, &caller("444455556666")), Ok(()), "there is nothing anywhere");
        assert_eq!(of(1).fleet(&inventory, HERE, || "two".into()).unwrap().id, "two", "nothing is left of the old one");
    }
}
