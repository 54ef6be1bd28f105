//! Things and groups, as far as jobs care: who is there, who is a member, and what that means for continuous jobs.

use super::Engine;
use super::record::RecordKey;
use super::store::{Group, JobKey, Thing, ThingKey};
use iot_jobs::instant::Now;
use iot_jobs::{ControlError, GroupName, JobStatus, JobTarget, ThingName};

impl Engine {
    /// Creating a thing again, with nothing different, is fine.
    pub fn create_thing(&mut self, name: &ThingName) {
        if !self.store.thing_keys.contains_key(name) {
            let key = self.store.things.len() as ThingKey;
            self.store.things.push(Thing::new(name.clone()));
            self.store.thing_keys.insert(name.clone(), key);
            self.mark(RecordKey::Thing(key));
        }
    }

    /// Whether the thing is registered.
    #[must_use]
    pub fn has_thing(&self, name: &ThingName) -> bool {
        self.store.thing_keys.contains_key(name)
    }

    /// Deletes a thing: it leaves its groups, and what is open of its executions is `REMOVED` (PROTOCOL 9.1).
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn delete_thing(&mut self, name: &ThingName, now: Now) -> Result<(), ControlError> {
        let key = self.thing_key(name)?;
        for group in self.groups_of(name)? {
            self.remove_thing_from_group(name, &group, now)?;
        }
        let jobs: Vec<JobKey> =
            (0..self.store.jobs.len() as JobKey).filter(|job| self.store.jobs[*job as usize].target_set.contains(&key)).collect();
        for job in jobs {
            self.remove_target(job, key, now);
        }
        let holder = &mut self.store.things[key as usize];
        holder.pending.clear();
        holder.scheduled = 0;
        let gone = std::mem::take(&mut holder.executions);
        self.store.thing_keys.remove(name);
        for id in gone.into_keys() {
            self.store.jobs[id.job as usize].holders.remove(&key);
            self.mark(RecordKey::Execution(key, id));
        }
        self.mark(RecordKey::Thing(key));
        Ok(())
    }

    /// Creating a group again is fine.
    pub fn create_group(&mut self, name: &GroupName) {
        if !self.store.groups.contains_key(name) {
            self.store.groups.insert(name.clone(), Group::default());
            self.mark(RecordKey::Group(name.clone()));
        }
    }

    /// Its members leave it first.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn delete_group(&mut self, name: &GroupName, now: Now) -> Result<(), ControlError> {
        for thing in self.members(name)? {
            self.remove_thing_from_group(&thing, name, now)?;
        }
        self.store.groups.remove(name);
        self.mark(RecordKey::Group(name.clone()));
        Ok(())
    }

    /// The members of a group, in the order in which they joined.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn members(&self, group: &GroupName) -> Result<Vec<ThingName>, ControlError> {
        Ok(self.group(group)?.members().map(|key| self.store.things[key as usize].name.clone()).collect())
    }

    /// The groups a thing is in, by name.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn groups_of(&self, thing: &ThingName) -> Result<Vec<GroupName>, ControlError> {
        let key = self.thing_key(thing)?;
        Ok(self.store.groups.iter().filter(|(_, group)| group.place(key).is_some()).map(|(name, _)| name.clone()).collect())
    }

    /// A new member of the target of a continuous job gets its execution at once (PROTOCOL 11.2).
    ///
    /// # Errors
    /// `ResourceNotFound` when there is no such thing or group.
    pub fn add_thing_to_group(&mut self, thing: &ThingName, group: &GroupName, now: Now) -> Result<(), ControlError> {
        let key = self.thing_key(thing)?;
        let members = self.store.groups.get_mut(group).ok_or_else(|| not_found("thing group", group.as_str()))?;
        if !members.add(key) {
            return Ok(());
        }
        let continuous = members.continuous.clone();
        self.mark(RecordKey::Member(group.clone(), key));
        for job in continuous {
            let state = &mut self.store.jobs[job as usize];
            if !state.status.is_active() || state.is_stopped || !state.target_set.insert(key) {
                continue;
            }
            self.mark(RecordKey::Job(job));
            let state = &mut self.store.jobs[job as usize];
            if state.status == JobStatus::InProgress && state.is_open {
                // Not slowed by the rollout rate: it takes its place among those that have theirs.
                state.targets.insert(state.rolled_out, key);
                state.rolled_out += 1;
                self.mark(RecordKey::JobState(job));
                self.queue(key, job, now);
            } else {
                // At the start of the job, or when its next window opens (the latter is inferred).
                state.targets.push(key);
            }
        }
        Ok(())
    }

    /// A thing that leaves the target of a continuous job loses what is open of it. Leaving a group it is not in is fine.
    ///
    /// # Errors
    /// `ResourceNotFound` when there is no such thing or group.
    pub fn remove_thing_from_group(&mut self, thing: &ThingName, group: &GroupName, now: Now) -> Result<(), ControlError> {
        let key = self.thing_key(thing)?;
        let members = self.store.groups.get_mut(group).ok_or_else(|| not_found("thing group", group.as_str()))?;
        if !members.remove(key) {
            return Ok(());
        }
        let continuous = members.continuous.clone();
        self.mark(RecordKey::Member(group.clone(), key));
        for job in continuous {
            if !self.is_target(job, key) {
                self.remove_target(job, key, now);
            }
        }
        Ok(())
    }

    /// Whether the thing is named by a job's targets as things stand, itself or through a group.
    fn is_target(&self, job: JobKey, thing: ThingKey) -> bool {
        let name = &self.store.things[thing as usize].name;
        self.store.jobs[job as usize].create.targets.iter().any(|target| match target {
            JobTarget::Thing(target) => target == name,
            JobTarget::Group(group) => self.store.groups.get(group).is_some_and(|group| group.place(thing).is_some()),
        })
    }

    pub(super) fn thing_key(&self, name: &ThingName) -> Result<ThingKey, ControlError> {
        self.store.thing_keys.get(name).copied().ok_or_else(|| not_found("thing", name.as_str()))
    }

    pub(super) fn group(&self, name: &GroupName) -> Result<&Group, ControlError> {
        self.store.groups.get(name).ok_or_else(|| not_found("thing group", name.as_str()))
    }
}

pub(super) fn not_found(what: &str, name: &str) -> ControlError {
    ControlError::ResourceNotFound(format!("{what} {name} does not exist"))
}
