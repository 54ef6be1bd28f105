//! Thing groups and their hierarchy.

use super::attributes::{AttributePayload, Attributes};
use super::error::{RegistryError, ResourceKind};
use super::names::{PolicyName, ResourceId};
use super::policies::PolicyTarget;
use super::sorted_set::SortedSet;
use super::tags::Tagged;
use super::things::{check_description, check_version};
use super::{Key, Registry};
use iot_jobs::instant::Now;
use iot_jobs::limits::GROUPS_PER_THING_MAX;
use iot_jobs::{GroupName, ThingName};
use serde::{Deserialize, Serialize};

const ATTRIBUTES_MAX: usize = 50;
/// Levels of a hierarchy, its root included.
const DEPTH_MAX: usize = 7;

/// A static thing group; its members are the engine's to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// `thingGroupId`.
    pub id: ResourceId,
    /// The group above; absent at the root of a hierarchy.
    pub parent: Option<GroupName>,
    /// `thingGroupDescription`.
    pub description: Option<String>,
    /// Attributes of the group itself, not of its members.
    pub attributes: Attributes,
    /// 1 at first, one more with each update.
    pub version: i64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Policies that are attached to it.
    pub policies: SortedSet<PolicyName>,
}

/// `thingGroupProperties` of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupProperties {
    /// `thingGroupDescription`; absent in an update: it stays as it is.
    pub description: Option<String>,
    /// `attributePayload`; absent in an update: they stay as they are.
    pub attributes: Option<AttributePayload>,
}

impl Registry {
    /// Creating a group again as it is, is fine.
    ///
    /// # Errors
    /// `ResourceAlreadyExists` for a group that differs; `InvalidRequest` for an unknown parent (inferred: the model has no other
    /// error for it), a hierarchy that is too deep, and properties out of their limits.
    pub fn create_group(
        &mut self,
        name: &GroupName,
        parent: Option<GroupName>,
        properties: GroupProperties,
        id: ResourceId,
        now: Now,
    ) -> Result<ResourceId, RegistryError> {
        check_description(properties.description.as_deref())?;
        let attributes = Attributes::default().changed_by(&properties.attributes.unwrap_or_default(), ATTRIBUTES_MAX)?;
        let description = properties.description;
        if let Some(found) = self.groups.get(name) {
            let is_same = (&found.parent, &found.description, &found.attributes) == (&parent, &description, &attributes);
            let differs = || RegistryError::already_exists(ResourceKind::ThingGroup, name, &found.id, " with different properties");
            return if is_same { Ok(found.id) } else { Err(differs()) };
        }
        if let Some(parent) = &parent {
            if !self.groups.contains_key(parent) {
                return Err(RegistryError::invalid(format!("the parent thing group {parent} does not exist")));
            }
            if self.ancestors(parent).len() + 2 > DEPTH_MAX {
                return Err(RegistryError::invalid(format!("a hierarchy of thing groups has at most {DEPTH_MAX} levels")));
            }
        }
        let policies = SortedSet::default();
        let group = Group { id, parent, description, attributes, version: 1, created_ms: now.epoch_ms, policies };
        self.groups.insert(name.clone(), group);
        self.dirty.insert(Key::Group(name.clone()));
        Ok(id)
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn group(&self, name: &GroupName) -> Result<&Group, RegistryError> {
        self.groups.get(name).ok_or_else(|| RegistryError::not_found(ResourceKind::ThingGroup, name))
    }

    /// In the order of names.
    pub fn groups(&self) -> impl Iterator<Item = (&GroupName, &Group)> {
        self.groups.iter()
    }

    /// From the root of the hierarchy down to the parent.
    #[must_use]
    pub fn ancestors(&self, name: &GroupName) -> Vec<&GroupName> {
        let parent = |name: &GroupName| self.groups.get(name).and_then(|group| group.parent.as_ref());
        let mut found: Vec<&GroupName> = std::iter::successors(parent(name), |name| parent(name)).collect();
        found.reverse();
        found
    }

    /// The group itself and all below it.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn descendants(&self, name: &GroupName) -> Result<Vec<GroupName>, RegistryError> {
        self.group(name)?;
        let mut found = vec![name.clone()];
        let mut next = 0;
        while let Some(parent) = found.get(next).cloned() {
            found.extend(
                self.groups.iter().filter(|(_, group)| group.parent.as_ref() == Some(&parent)).map(|(name, _)| name.clone()),
            );
            next += 1;
        }
        Ok(found)
    }

    /// Returns the new version. Properties that are absent stay (inferred).
    ///
    /// # Errors
    /// `ResourceNotFound`, `VersionConflict`, `InvalidRequest` as in [`Self::create_group`].
    pub fn update_group(
        &mut self,
        name: &GroupName,
        properties: GroupProperties,
        expected_version: Option<i64>,
    ) -> Result<i64, RegistryError> {
        check_description(properties.description.as_deref())?;
        let group = self.group(name)?;
        check_version(ResourceKind::ThingGroup, name, expected_version, group.version)?;
        let mut changed = group.clone();
        if let Some(payload) = &properties.attributes {
            changed.attributes = group.attributes.changed_by(payload, ATTRIBUTES_MAX)?;
        }
        changed.description = properties.description.or(changed.description);
        changed.version += 1;
        let version = changed.version;
        self.groups.insert(name.clone(), changed);
        self.dirty.insert(Key::Group(name.clone()));
        Ok(version)
    }

    /// Deletes a group; one that does not exist is fine. Policies that are attached to it are detached.
    ///
    /// # Errors
    /// `VersionConflict`; `InvalidRequest` while it has child groups.
    pub fn delete_group(&mut self, name: &GroupName, expected_version: Option<i64>) -> Result<(), RegistryError> {
        let Some(group) = self.groups.get(name) else { return Ok(()) };
        check_version(ResourceKind::ThingGroup, name, expected_version, group.version)?;
        if let Some((child, _)) = self.groups.iter().find(|(_, group)| group.parent.as_ref() == Some(name)) {
            return Err(RegistryError::invalid(format!("thing group {name} has child groups, such as {child}: delete them first")));
        }
        for policy in &group.policies.clone() {
            self.forget_target(policy, &PolicyTarget::Group(name.clone()));
        }
        self.groups.remove(name);
        self.forget_tags(&Tagged::Group(name.clone()));
        self.dirty.insert(Key::Group(name.clone()));
        Ok(())
    }

    /// Whether a thing that is in the groups `present` may join another: at most ten, and one of a hierarchy.
    ///
    /// # Errors
    /// `ResourceNotFound` for thing or group; `InvalidRequest`.
    pub fn check_membership(&self, thing: &ThingName, present: &[GroupName], joins: &GroupName) -> Result<(), RegistryError> {
        self.thing(thing)?;
        self.group(joins)?;
        if present.contains(joins) {
            return Ok(());
        }
        if present.len() >= GROUPS_PER_THING_MAX {
            return Err(RegistryError::invalid(format!("thing {thing} is in {GROUPS_PER_THING_MAX} thing groups already")));
        }
        match present.iter().find(|other| self.root(other) == self.root(joins)) {
            Some(other) => {
                Err(RegistryError::invalid(format!("thing {thing} is in thing group {other} of the same hierarchy already")))
            }
            None => Ok(()),
        }
    }

    fn root<'a>(&'a self, name: &'a GroupName) -> &'a GroupName {
        self.ancestors(name).first().copied().unwrap_or(name)
    }
}
