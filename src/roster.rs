//! Who is in a run: what the things are called, who is in which cohort, whom each rollout and each event is for. A function of seed and
//! plan, computed once, in a pass over the things for each of them; everybody borrows it.

use crate::scenario::plan::{Affected, Plan, RolloutPlan, RolloutTargets};
use iot_jobs::{NameError, ThingName};
use sim_units::seed::{self, Purpose};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use thing_faults::{Fault, Unit};

/// Place of a cohort in the plan.
pub type CohortIndex = u16;

/// The things of a fleet, by place.
#[derive(Clone, Debug)]
pub struct Things {
    pub names: Arc<[ThingName]>,
    /// The cohort of each, a place in `cohort_names`.
    pub cohorts: Vec<CohortIndex>,
    pub cohort_names: Vec<Arc<str>>,
}

impl Things {
    /// What the cohort of the thing at `place` is called; `None` where there is no such thing.
    #[must_use]
    pub fn cohort_name(&self, place: usize) -> Option<&Arc<str>> {
        self.cohort_names.get(usize::from(*self.cohorts.get(place)?))
    }
}

/// See the [module](self). Lists of places ascend.
#[derive(Clone, Debug)]
pub struct Roster {
    things: Arc<Things>,
    /// By rollout. Those for the same part of the fleet share a list, as do events.
    targets: Vec<Arc<[u32]>>,
    /// By event.
    affected: Vec<Arc<[u32]>>,
}

impl Roster {
    /// # Errors
    /// When the template of names makes one that no thing can have.
    pub fn new(plan: &Plan) -> Result<Self, NameError> {
        let things = Things {
            names: (0..plan.fleet.things).map(|place| plan.fleet.name_of(place)).collect::<Result<_, _>>()?,
            cohorts: cohorts(plan),
            cohort_names: plan.cohorts.iter().map(|cohort| cohort.name.as_str().into()).collect(),
        };
        let mut parts = Parts { things: &things, known: BTreeMap::new() };
        let targets = plan.rollouts.iter().map(|rollout| parts.targets(plan.seed, rollout)).collect();
        let events = plan.events.iter().enumerate();
        let affected = events.map(|(n, event)| parts.affected(plan.seed, n, event.kind.who())).collect();
        Ok(Self { things: Arc::new(things), targets, affected })
    }

    #[must_use]
    pub fn things(&self) -> &Arc<Things> {
        &self.things
    }

    #[must_use]
    pub fn names(&self) -> &Arc<[ThingName]> {
        &self.things.names
    }

    /// Of each thing.
    #[must_use]
    pub fn cohorts(&self) -> &[CohortIndex] {
        &self.things.cohorts
    }

    /// Places of the things that the rollout with this number is for.
    #[must_use]
    pub fn targets_of(&self, rollout: usize) -> &Arc<[u32]> {
        &self.targets[rollout]
    }

    /// Places of the things that the event with this number is for; none, where it happens to the endpoint.
    #[must_use]
    pub fn affected_by(&self, event: usize) -> &[u32] {
        &self.affected[event]
    }

    /// Of each thing of `plan`, whose roster this is: whether it proves by a certificate who it is, rather than sign.
    #[must_use]
    pub fn shows_certificate(&self, plan: &Plan) -> Vec<bool> {
        self.by_cohort(plan.cohorts.iter().map(|cohort| !cohort.session.transport.is_signed()))
    }

    /// How many things of `plan`, whose roster this is, work by this behavior: those of its cohorts, and the targets of its rollouts.
    #[must_use]
    pub fn things_with(&self, plan: &Plan, behavior: &str) -> u64 {
        let mut have_it = self.by_cohort(plan.cohorts.iter().map(|cohort| cohort.behavior == behavior));
        for (rollout, targets) in plan.rollouts.iter().zip(&self.targets) {
            if rollout.behavior.as_deref() == Some(behavior) {
                targets.iter().for_each(|place| have_it[*place as usize] = true);
            }
        }
        have_it.into_iter().filter(|has_it| *has_it).count() as u64
    }

    /// Places of the things of `plan`, whose roster this is, whose certificate is to have expired.
    #[must_use]
    pub fn expired(&self, plan: &Plan) -> Vec<u32> {
        let specs: Vec<_> = plan
            .cohorts
            .iter()
            .map(|cohort| plan.behaviors[&cohort.behavior].faults.iter().find(|spec| spec.fault == Fault::ExpiredCertificate))
            .collect();
        let is_expired = |(place, cohort): &(u32, &CohortIndex)| {
            let index = plan.fleet.first_index + u64::from(*place);
            specs[usize::from(**cohort)].is_some_and(|spec| spec.draw(plan.seed, index, Unit::THING).is_some())
        };
        (0..).zip(self.cohorts()).filter(is_expired).map(|(place, _)| place).collect()
    }

    /// What is said of each cohort, said of each thing.
    fn by_cohort(&self, of_cohorts: impl Iterator<Item = bool>) -> Vec<bool> {
        let of_cohorts: Vec<bool> = of_cohorts.collect();
        self.cohorts().iter().map(|cohort| of_cohorts[usize::from(*cohort)]).collect()
    }
}

/// Of each thing: what its row in the list says, else exact shares, spread by the seed, the same for any number of shards.
fn cohorts(plan: &Plan) -> Vec<CohortIndex> {
    let index = |n: usize| CohortIndex::try_from(n).expect("a scenario has no more cohorts than an index can name");
    let by_name: HashMap<&str, CohortIndex> =
        plan.cohorts.iter().enumerate().map(|(n, cohort)| (cohort.name.as_str(), index(n))).collect();
    let bounds: Vec<f64> = plan
        .cohorts
        .iter()
        .scan(0.0, |sum, cohort| {
            *sum += cohort.share;
            Some(*sum)
        })
        .collect();
    let (count, last) = (plan.fleet.things, plan.cohorts.len() - 1);
    let drawn = |place: u64| match last {
        0 => 0,
        _ => {
            let point = share_below(seed::shuffled_place(plan.seed, Purpose::Cohort, 0, place, count), count);
            index(bounds.partition_point(|bound| *bound <= point).min(last))
        }
    };
    let listed = |place: u64| plan.fleet.list.as_ref()?.things[place as usize].cohort.as_deref();
    (0..count).map(|place| listed(place).map_or_else(|| drawn(place), |name| by_name[name])).collect()
}

/// The part of `count` places that lies below the middle of this one: exact counts for any share.
fn share_below(place: u64, count: u64) -> f64 {
    (place as f64 + 0.5) / count as f64
}

/// Parts of the fleet, each made once.
struct Parts<'a> {
    things: &'a Things,
    /// The whole fleet, or a whole cohort.
    known: BTreeMap<Option<&'a str>, Arc<[u32]>>,
}

impl<'a> Parts<'a> {
    fn targets(&mut self, seed: u64, rollout: &'a RolloutPlan) -> Arc<[u32]> {
        match &rollout.targets {
            RolloutTargets::Share(share) => share_of(&self.whole(None), *share, seed, Purpose::Target, seed::digest(&rollout.name)),
            RolloutTargets::Cohort(name) => self.whole(Some(name)),
        }
    }

    fn affected(&mut self, seed: u64, event: usize, who: Option<&'a Affected>) -> Arc<[u32]> {
        let Some(Affected { share, cohort }) = who else { return Arc::default() };
        share_of(&self.whole(cohort.as_deref()), *share, seed, Purpose::Event, event as u64)
    }

    /// All things, or those of one cohort.
    fn whole(&mut self, cohort: Option<&'a str>) -> Arc<[u32]> {
        let things = self.things;
        let is_in =
            |(_, index): &(u32, &CohortIndex)| cohort.is_none_or(|name| *things.cohort_names[usize::from(**index)] == *name);
        let places = || (0..).zip(&things.cohorts).filter(is_in).map(|(place, _)| place).collect();
        Arc::clone(self.known.entry(cohort).or_insert_with(places))
    }
}

/// An exact share of these places, spread by the seed.
fn share_of(places: &Arc<[u32]>, share: f64, seed: u64, purpose: Purpose, salt: u64) -> Arc<[u32]> {
    if share >= 1.0 {
        return Arc::clone(places);
    }
    let count = places.len() as u64;
    let is_hit = |(_, rank): &(&u32, u64)| share_below(seed::shuffled_place(seed, purpose, salt, *rank, count), count) < share;
    places.iter().zip(0..).filter(is_hit).map(|(place, _)| *place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::{FleetList, ListedThing};

    const COHORTS: &str = "
        cohort = [
            { name = 'a', share = 0.5, behavior = 'even' },
            { name = 'b', share = 0.3, behavior = 'odd' },
            { name = 'c', share = 0.2, behavior = 'even' },
        ]
    ";
    const PARTS: &str = "
        rollout = [
            { job = 'all' },
            { job = 'half-{n}', count = 2, every = '1s', targets = { share = 0.5 }, behavior = 'late' },
            { job = 'few', targets = { share = 0.03 } },
            { job = 'b', targets = { cohort = 'b' } },
        ]
        event = [
            { at = '1s', kind = 'disconnect' },
            { at = '2s', kind = 'outage', share = 0.2, for = '1s' },
            { at = '3s', kind = 'reconnect-storm', cohort = 'c', share = 0.5 },
            { at = '4s', kind = 'endpoint-freeze', for = '1s' },
        ]
    ";

    const BEHAVIORS: &str = "
        behavior.even.updates = 2
        behavior.late.updates = 1
        behavior.odd.faults.expired_certificate = { share = 0.4 }
    ";

    fn plan(things: u64, rest: &str) -> Plan {
        let text = format!(
            "name = 'x'\nseed = 7\nfleet = {{ things = {things}, first_index = 5 }}\nend.duration = '60s'\n{rest}{BEHAVIORS}"
        );
        crate::scenario::load("x.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The things of a list, the first third of them in the last cohort.
    fn listed(mut plan: Plan) -> Plan {
        let (count, cohorts) = (plan.fleet.things, &plan.cohorts);
        let thing = |row: u64| {
            let cohort = if row * 3 < count { cohorts.last() } else { cohorts.first() };
            let name = ThingName::new(&format!("listed-{row}")).unwrap();
            ListedThing { row, name, files: None, cohort: cohort.map(|cohort| cohort.name.as_str().into()) }
        };
        plan.fleet.list = Some(FleetList { path: "list.csv".into(), things: (0..count).map(thing).collect() });
        plan
    }

    /// The cohort of a single thing, by the definition.
    fn cohort_of(plan: &Plan, place: u64) -> usize {
        let listed = plan.fleet.list.as_ref().and_then(|list| list.things[place as usize].cohort.as_deref());
        if let Some(name) = listed {
            return plan.cohorts.iter().position(|cohort| cohort.name == name).unwrap();
        }
        let point = share_below(seed::shuffled_place(plan.seed, Purpose::Cohort, 0, place, plan.fleet.things), plan.fleet.things);
        let mut sum = 0.0;
        let found = plan.cohorts.iter().position(|cohort| {
            sum += cohort.share;
            point < sum
        });
        found.unwrap_or(plan.cohorts.len() - 1)
    }

    fn targets_of(plan: &Plan, rollout: &RolloutPlan) -> Vec<u32> {
        let is_target = |place: &u64| match &rollout.targets {
            RolloutTargets::Share(share) => {
                let salt = seed::digest(&rollout.name);
                let shuffled = seed::shuffled_place(plan.seed, Purpose::Target, salt, *place, plan.fleet.things);
                (shuffled as f64 + 0.5) / (plan.fleet.things as f64) < *share
            }
            RolloutTargets::Cohort(name) => plan.cohorts[cohort_of(plan, *place)].name == *name,
        };
        (0..plan.fleet.things).filter(is_target).map(|place| place as u32).collect()
    }

    fn affected_by(plan: &Plan, event: usize) -> Vec<u32> {
        let Some(Affected { share, cohort }) = plan.events[event].kind.who() else { return Vec::new() };
        let is_candidate = |place: &u64| cohort.as_ref().is_none_or(|name| plan.cohorts[cohort_of(plan, *place)].name == *name);
        let candidates: Vec<u64> = (0..plan.fleet.things).filter(is_candidate).collect();
        let count = candidates.len() as u64;
        let is_hit = |rank: u64| {
            let place = seed::shuffled_place(plan.seed, Purpose::Event, event as u64, rank, count);
            (place as f64 + 0.5) / (count as f64) < *share
        };
        candidates.into_iter().zip(0..).filter(|(_, rank)| is_hit(*rank)).map(|(place, _)| place as u32).collect()
    }

    #[test]
    fn everybody_is_where_seed_and_plan_put_them() {
        let in_one_cohort = PARTS.replace("cohort = 'b'", "cohort = 'a'").replace("cohort = 'c'", "cohort = 'a'");
        let in_one_cohort = format!("cohort = [{{ name = 'a', share = 1.0, behavior = 'odd' }}]{in_one_cohort}");
        let in_three = format!("{COHORTS}{PARTS}");
        for (things, seed) in [(1, 7), (7, 7), (100, 8), (1_000, 9)] {
            let seeded = |rest: &str| Plan { seed, ..plan(things, rest) };
            for plan in [seeded(&in_one_cohort), seeded(&in_three), listed(seeded(&in_three)), seeded(COHORTS)] {
                let roster = Roster::new(&plan).unwrap();
                let cohorts: Vec<usize> = roster.cohorts().iter().map(|cohort| usize::from(*cohort)).collect();
                assert_eq!(cohorts, (0..things).map(|place| cohort_of(&plan, place)).collect::<Vec<_>>());
                for (n, rollout) in plan.rollouts.iter().enumerate() {
                    assert_eq!(roster.targets_of(n)[..], targets_of(&plan, rollout), "{}", rollout.name);
                }
                for n in 0..plan.events.len() {
                    assert_eq!(roster.affected_by(n), affected_by(&plan, n), "event {n}");
                }
                for (place, name) in roster.names().iter().enumerate() {
                    assert_eq!(*name, plan.fleet.name_of(place as u64).unwrap());
                    assert_eq!(**roster.things().cohort_name(place).unwrap(), *plan.cohorts[cohorts[place]].name);
                }
            }
        }
    }

    #[test]
    fn things_with_a_behavior_have_it_from_their_cohort_or_from_a_rollout() {
        let plan = plan(100, &format!("{COHORTS}{PARTS}"));
        let roster = Roster::new(&plan).unwrap();
        let is_odd = |place: &u32| plan.cohorts[usize::from(roster.cohorts()[*place as usize])].behavior == "odd";
        assert_eq!((roster.things_with(&plan, "odd"), roster.things_with(&plan, "late")), (30, 50));
        let mut both = plan.clone();
        both.rollouts[1].behavior = Some("odd".into());
        let with = (0..100u32).filter(|place| is_odd(place) || roster.targets_of(1).contains(place)).count();
        assert_eq!(roster.things_with(&both, "odd"), with as u64);
        let expired = roster.expired(&plan);
        assert!(!expired.is_empty() && expired.is_sorted() && expired.iter().all(is_odd), "{expired:?}");
        assert!(roster.shows_certificate(&plan).into_iter().all(|shows| shows));
    }

    #[test]
    fn parts_of_the_fleet_that_are_the_same_are_one_list() {
        let plan = plan(100, &format!("{COHORTS}{PARTS}"));
        let roster = Roster::new(&plan).unwrap();
        assert!(Arc::ptr_eq(roster.targets_of(0), &roster.affected[0]), "the whole fleet");
        assert_eq!(roster.affected_by(3), [0; 0], "it happens to the endpoint");
    }
}
