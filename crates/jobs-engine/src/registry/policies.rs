//! Policies with their versions, and what they are attached to. Documents are checked where they enter, and evaluated by whoever asks.

use super::certificates::Certificate;
use super::error::{ErrorKind, RegistryError, ResourceKind};
use super::names::{CertificateId, PolicyName};
use super::sorted_set::SortedSet;
use super::tags::Tagged;
use super::{Key, Registry};
use iot_jobs::GroupName;
use iot_jobs::instant::Now;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Versions of one policy.
const VERSIONS_MAX: usize = 5;
/// Policies of one certificate or group (PROTOCOL 14).
const POLICIES_PER_TARGET_MAX: usize = 10;

/// A policy of AWS IoT Core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// By number, from 1; without those that were deleted.
    pub versions: BTreeMap<u32, PolicyVersion>,
    /// Number of the version that counts.
    pub default_version: u32,
    /// Number of the newest version there ever was.
    pub last_version: u32,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// When a version was added, or the default version chosen, last; milliseconds since the epoch.
    pub updated_ms: i64,
}

/// One version; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// The policy's JSON, as it was given.
    pub document: Box<str>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

/// What a policy can be attached to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyTarget {
    /// A device's certificate.
    Certificate(CertificateId),
    /// A thing group.
    Group(GroupName),
}

fn conflict(message: String) -> RegistryError {
    RegistryError::new(ErrorKind::DeleteConflict, message)
}

impl Registry {
    /// The document must be a valid one.
    ///
    /// # Errors
    /// `ResourceAlreadyExists`, whatever the document.
    pub fn create_policy(&mut self, name: &PolicyName, document: &str, now: Now) -> Result<(), RegistryError> {
        if self.policies.contains_key(name) {
            return Err(RegistryError::already_exists(ResourceKind::Policy, name, name, ""));
        }
        let version = PolicyVersion { document: document.into(), created_ms: now.epoch_ms };
        let policy = Policy {
            versions: BTreeMap::from([(1, version)]),
            default_version: 1,
            last_version: 1,
            created_ms: now.epoch_ms,
            updated_ms: now.epoch_ms,
        };
        self.policies.insert(name.clone(), policy);
        self.dirty.insert(Key::Policy(name.clone()));
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn policy(&self, name: &PolicyName) -> Result<&Policy, RegistryError> {
        self.policies.get(name).ok_or_else(|| RegistryError::not_found(ResourceKind::Policy, name))
    }

    fn policy_mut(&mut self, name: &PolicyName) -> Result<&mut Policy, RegistryError> {
        self.dirty.insert(Key::Policy(name.clone()));
        self.policies.get_mut(name).ok_or_else(|| RegistryError::not_found(ResourceKind::Policy, name))
    }

    /// In the order of names.
    pub fn policies(&self) -> impl Iterator<Item = (&PolicyName, &Policy)> {
        self.policies.iter()
    }

    /// # Errors
    /// `ResourceNotFound` for the policy or its version.
    pub fn policy_version(&self, name: &PolicyName, version: u32) -> Result<(&Policy, &PolicyVersion), RegistryError> {
        let policy = self.policy(name)?;
        let missing = || RegistryError::new(ErrorKind::ResourceNotFound, format!("policy {name} has no version {version}"));
        Ok((policy, policy.versions.get(&version).ok_or_else(missing)?))
    }

    /// Returns the new version's number.
    ///
    /// # Errors
    /// `ResourceNotFound`; `VersionsLimitExceeded` for a sixth version.
    pub fn create_policy_version(
        &mut self,
        name: &PolicyName,
        document: &str,
        set_as_default: bool,
        now: Now,
    ) -> Result<u32, RegistryError> {
        if self.policy(name)?.versions.len() >= VERSIONS_MAX {
            let message = format!("policy {name} has {VERSIONS_MAX} versions already: delete one first");
            return Err(RegistryError::new(ErrorKind::VersionsLimitExceeded, message));
        }
        let policy = self.policy_mut(name)?;
        policy.last_version += 1;
        let version = policy.last_version;
        policy.versions.insert(version, PolicyVersion { document: document.into(), created_ms: now.epoch_ms });
        policy.updated_ms = now.epoch_ms;
        if set_as_default {
            policy.default_version = version;
        }
        Ok(version)
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn set_default_version(&mut self, name: &PolicyName, version: u32, now: Now) -> Result<(), RegistryError> {
        self.policy_version(name, version)?;
        let policy = self.policy_mut(name)?;
        policy.default_version = version;
        policy.updated_ms = now.epoch_ms;
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`; `DeleteConflict` for the default version.
    pub fn delete_policy_version(&mut self, name: &PolicyName, version: u32) -> Result<(), RegistryError> {
        let (policy, _) = self.policy_version(name, version)?;
        if policy.default_version == version {
            return Err(conflict(format!("version {version} is the default of policy {name}")));
        }
        self.policy_mut(name)?.versions.remove(&version);
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`; `DeleteConflict` while it is attached, or has versions besides the default.
    pub fn delete_policy(&mut self, name: &PolicyName) -> Result<(), RegistryError> {
        if self.policy(name)?.versions.len() > 1 {
            return Err(conflict(format!("policy {name} has versions other than the default one: delete them first")));
        }
        if self.targets.contains_key(name) {
            return Err(conflict(format!("policy {name} is attached to one or more targets: detach it first")));
        }
        self.policies.remove(name);
        self.forget_tags(&Tagged::Policy(name.clone()));
        self.dirty.insert(Key::Policy(name.clone()));
        Ok(())
    }

    /// The policies of a certificate or group itself.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn policies_of(&self, target: &PolicyTarget) -> Result<&SortedSet<PolicyName>, RegistryError> {
        match target {
            PolicyTarget::Certificate(id) => self.certificate(*id).map(|certificate| &certificate.policies),
            PolicyTarget::Group(name) => self.group(name).map(|group| &group.policies),
        }
    }

    /// The policies that concern a client with this certificate, which is a member of these groups: its own, and those of the groups and of
    /// all their ancestors (PROTOCOL-CORE 1.8).
    #[must_use]
    pub fn effective_policies(&self, certificate: &Certificate, groups: &[GroupName]) -> BTreeSet<PolicyName> {
        certificate.policies.iter().cloned().chain(self.policies_of_groups(groups)).collect()
    }

    /// The policies of these groups and of all their ancestors.
    pub fn policies_of_groups<'a>(&'a self, groups: &'a [GroupName]) -> impl Iterator<Item = PolicyName> + 'a {
        let with_ancestors = groups.iter().flat_map(|group| self.ancestors(group).into_iter().chain([group]));
        with_ancestors.filter_map(|group| self.groups.get(group)).flat_map(|group| &group.policies).cloned()
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn targets_of(&self, name: &PolicyName) -> Result<impl Iterator<Item = &PolicyTarget>, RegistryError> {
        self.policy(name)?;
        Ok(self.targets.get(name).into_iter().flatten())
    }

    fn policies_of_mut(&mut self, target: &PolicyTarget) -> Result<&mut SortedSet<PolicyName>, RegistryError> {
        match target {
            PolicyTarget::Certificate(id) => self.certificate_mut(*id).map(|certificate| &mut certificate.policies),
            PolicyTarget::Group(name) => {
                self.dirty.insert(Key::Group(name.clone()));
                let missing = || RegistryError::not_found(ResourceKind::ThingGroup, name);
                self.groups.get_mut(name).map(|group| &mut group.policies).ok_or_else(missing)
            }
        }
    }

    /// Attaching again is fine.
    ///
    /// # Errors
    /// `ResourceNotFound` for policy or target; `LimitExceeded` for an eleventh policy.
    pub fn attach_policy(&mut self, name: &PolicyName, target: &PolicyTarget) -> Result<(), RegistryError> {
        self.policy(name)?;
        let present = self.policies_of(target)?;
        if present.len() >= POLICIES_PER_TARGET_MAX && !present.contains(name) {
            let message = format!("at most {POLICIES_PER_TARGET_MAX} policies can be attached to one target");
            return Err(RegistryError::new(ErrorKind::LimitExceeded, message));
        }
        self.policies_of_mut(target)?.insert(name.clone());
        self.targets.entry(name.clone()).or_default().insert(target.clone());
        Ok(())
    }

    /// Detaching what is not attached is fine (inferred).
    ///
    /// # Errors
    /// `ResourceNotFound` for policy or target.
    pub fn detach_policy(&mut self, name: &PolicyName, target: &PolicyTarget) -> Result<(), RegistryError> {
        self.policy(name)?;
        self.policies_of(target)?;
        self.policies_of_mut(target)?.remove(name);
        self.forget_target(name, target);
        Ok(())
    }

    pub(super) fn forget_target(&mut self, name: &PolicyName, target: &PolicyTarget) {
        if let Some(targets) = self.targets.get_mut(name) {
            targets.remove(target);
            if targets.is_empty() {
                self.targets.remove(name);
            }
        }
    }
}
