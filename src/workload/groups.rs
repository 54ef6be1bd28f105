//! The thing groups that a run's jobs are for: one for each set of things, whichever rollouts share it.

use crate::roster::Roster;
use crate::scenario::plan::Plan;
use crate::slice::Slice;
use iot_jobs::limits::GROUPS_PER_THING_MAX;
use iot_jobs::{GroupName, NameError, ThingName};
use std::sync::Arc;

/// Why the targets of a plan cannot be thing groups.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupsError {
    #[error("name a thing group: {0}")]
    Name(#[from] NameError),
    #[error(
        "target {thing}: a thing can be in {GROUPS_PER_THING_MAX} thing groups, and its rollouts have {count} different sets of \
         targets; rollouts share a set when they are for all things, for the same cohort, or jobs of one series"
    )]
    TooMany { thing: ThingName, count: usize },
}

struct TargetGroup {
    name: GroupName,
    is_given: bool,
    /// Ascending.
    positions: Arc<[u32]>,
}

pub(crate) struct TargetGroups {
    groups: Vec<TargetGroup>,
    /// Place of its group, by rollout.
    of_rollout: Vec<usize>,
}

impl TargetGroups {
    /// Each is called by the first job that is for it, whose id has the run's where an account keeps both. `whole` has all things already.
    ///
    /// # Errors
    /// When a thing would be in more groups than it can be in.
    pub(crate) fn of(plan: &Plan, roster: &Roster, whole: Option<&GroupName>) -> Result<Self, GroupsError> {
        let mut groups: Vec<TargetGroup> = Vec::new();
        let mut of_rollout = Vec::with_capacity(plan.rollouts.len());
        let mut memberships = vec![0; roster.names().len()];
        for (n, rollout) in plan.rollouts.iter().enumerate() {
            let positions = Arc::clone(roster.targets_of(n));
            let known = groups.iter().position(|group| group.positions == positions);
            of_rollout.push(known.unwrap_or(groups.len()));
            if known.is_none() {
                positions.iter().for_each(|position| memberships[*position as usize] += 1);
                let given = whole.filter(|_| positions.len() == roster.names().len());
                let name = match given {
                    Some(group) => group.clone(),
                    None => GroupName::new(&format!("targets-{}", rollout.jobs[0]))?,
                };
                groups.push(TargetGroup { name, is_given: given.is_some(), positions });
            }
        }
        match memberships.iter().position(|count| *count > GROUPS_PER_THING_MAX) {
            Some(place) => Err(GroupsError::TooMany { thing: roster.names()[place].clone(), count: memberships[place] }),
            None => Ok(Self { groups, of_rollout }),
        }
    }

    /// The groups that are to be made, with their members.
    pub(crate) fn members(&self, things: &[ThingName]) -> Vec<(GroupName, Vec<ThingName>)> {
        let names = |group: &TargetGroup| group.positions.iter().map(|position| things[*position as usize].clone()).collect();
        self.groups.iter().filter(|group| !group.is_given).map(|group| (group.name.clone(), names(group))).collect()
    }

    /// The groups that are to be made.
    pub(crate) fn made(&self) -> impl Iterator<Item = &GroupName> {
        self.groups.iter().filter(|group| !group.is_given).map(|group| &group.name)
    }

    /// The groups with the places of their members.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&GroupName, &Arc<[u32]>)> {
        self.groups.iter().map(|group| (&group.name, &group.positions))
    }

    /// How many of a rollout's targets are in this slice of the fleet.
    pub(crate) fn targets_in(&self, rollout: usize, slice: Slice) -> u64 {
        let positions = &self.groups[self.of_rollout[rollout]].positions;
        positions.iter().filter(|position| slice.has(**position)).count() as u64
    }

    /// The group of a rollout's targets, and how many they are.
    pub(crate) fn of_rollout(&self, rollout: usize) -> (&GroupName, u64) {
        let group = &self.groups[self.of_rollout[rollout]];
        (&group.name, group.positions.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn groups(things: u64, rollouts: &str) -> Result<TargetGroups, GroupsError> {
        let cohorts = "[[cohort]]\nname = 'a'\nshare = 0.5\n[[cohort]]\nname = 'b'\nshare = 0.5\n";
        let text = format!("name = 'x'\n[fleet]\nthings = {things}\n{cohorts}{rollouts}");
        let plan = crate::scenario::load("x", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        TargetGroups::of(&plan, &Roster::new(&plan).unwrap(), None)
    }

    #[test]
    fn rollouts_of_the_same_things_share_a_group() {
        let groups = groups(
            10,
            "[[rollout]]\njob = 'all-{n}'\ncount = 20\nevery = '1s'\n[[rollout]]\njob = 'more'\ntargets = { share = 1.0 }\n\
             [[rollout]]\njob = 'a-1'\ntargets = { cohort = 'a' }\n[[rollout]]\njob = 'a-2'\ntargets = { cohort = 'a' }\n",
        )
        .unwrap();
        assert_eq!(groups.of_rollout, [0, 0, 1, 1]);
        assert_eq!(groups.of_rollout(1).0.as_str(), "targets-all-1");
        assert_eq!((groups.of_rollout(0).1, groups.of_rollout(3).1), (10, 5));
        let in_slices = |rollout| ["0/3", "1/3", "2/3"].map(|slice| groups.targets_in(rollout, slice.parse().unwrap()));
        assert_eq!((in_slices(0), in_slices(3).iter().sum::<u64>()), ([4, 3, 3], 5));
    }

    #[test]
    fn a_group_that_has_all_things_is_used_by_whoever_is_for_all() {
        let text =
            "name = 'x'\n[fleet]\nthings = 4\n[[rollout]]\njob = 'all'\n[[rollout]]\njob = 'half'\ntargets = { share = 0.5 }";
        let plan = crate::scenario::load("x", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        let (roster, fleet) = (Roster::new(&plan).unwrap(), GroupName::new("fleet").unwrap());
        let groups = TargetGroups::of(&plan, &roster, Some(&fleet)).unwrap();
        assert_eq!([0, 1].map(|rollout| groups.of_rollout(rollout).0.as_str()), ["fleet", "targets-half"]);
        assert_eq!(groups.made().map(GroupName::as_str).collect::<Vec<_>>(), ["targets-half"]);
        assert_eq!(groups.members(roster.names()).len(), 1);
    }

    #[test]
    fn more_sets_than_a_thing_has_room_for_are_refused() {
        let mut rollouts = String::new();
        for n in 0..11 {
            write!(rollouts, "[[rollout]]\njob = 'j-{n}'\ntargets = {{ share = 0.9{n:02} }}\n").unwrap();
        }
        let error = groups(200, &rollouts).err().unwrap().to_string();
        assert!(error.contains("11 different sets"), "{error}");
    }
}
