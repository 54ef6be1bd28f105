//! Tags of resources (PROTOCOL-CORE 2.5). Things and device certificates have none.

use super::error::{ErrorKind, RegistryError};
use super::names::{CertificateId, PolicyName, TypeName};
use super::{Key, Registry};
use iot_jobs::{ControlError, GroupName, JobId, Tags, TemplateId};
use serde::{Deserialize, Serialize};

/// What can have tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tagged {
    /// A job, which the engine knows.
    Job(JobId),
    /// A job template.
    Template(TemplateId),
    /// A policy.
    Policy(PolicyName),
    /// A thing group.
    Group(GroupName),
    /// A thing type.
    Type(TypeName),
    /// A CA certificate.
    Authority(CertificateId),
}

impl Registry {
    /// The resource is there. Whether a job is, its caller has asked the engine.
    fn check_tagged(&self, resource: &Tagged) -> Result<(), RegistryError> {
        match resource {
            Tagged::Job(_) => Ok(()),
            Tagged::Template(id) => self.template(id).map(drop),
            Tagged::Policy(name) => self.policy(name).map(drop),
            Tagged::Group(name) => self.group(name).map(drop),
            Tagged::Type(name) => self.thing_type(name).map(drop),
            Tagged::Authority(id) => self.authority(*id).map(drop),
        }
    }

    /// The tags of a resource.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn tags(&self, resource: &Tagged) -> Result<Tags, RegistryError> {
        self.check_tagged(resource)?;
        Ok(self.tags.get(resource).cloned().unwrap_or_default())
    }

    /// Adds tags, or changes their values.
    ///
    /// # Errors
    /// `ResourceNotFound`; `LimitExceeded` for more than a resource may have.
    pub fn tag(&mut self, resource: &Tagged, tags: Tags) -> Result<(), RegistryError> {
        let tags = self.tags(resource)?.with(tags).map_err(|error| match error {
            ControlError::LimitExceeded(message) => RegistryError::new(ErrorKind::LimitExceeded, message),
            other => RegistryError::invalid(other.message()),
        })?;
        self.set_tags(resource, tags);
        Ok(())
    }

    /// Takes tags away; keys that are not there are fine.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn untag(&mut self, resource: &Tagged, keys: &[String]) -> Result<(), RegistryError> {
        let tags = self.tags(resource)?.without(keys);
        self.set_tags(resource, tags);
        Ok(())
    }

    /// The resource is gone, and its tags with it.
    pub fn forget_tags(&mut self, resource: &Tagged) {
        self.set_tags(resource, Tags::default());
    }

    fn set_tags(&mut self, resource: &Tagged, tags: Tags) {
        let before = if tags.is_empty() { self.tags.remove(resource) } else { self.tags.insert(resource.clone(), tags.clone()) };
        if before.unwrap_or_default() != tags {
            self.dirty.insert(Key::Tags(resource.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::instant::{Mono, Now};
    use std::time::Duration;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        Tags::new(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into()))).unwrap()
    }

    #[test]
    fn tags_go_with_their_resource() {
        let (mut registry, now) = (Registry::new(Duration::from_secs(60)), Now { mono: Mono(0), epoch_ms: 0 });
        let policy = PolicyName::new("p").unwrap();
        let tagged = Tagged::Policy(policy.clone());
        assert_eq!(registry.tag(&tagged, tags(&[("a", "1")])).unwrap_err().kind, ErrorKind::ResourceNotFound);
        registry.create_policy(&policy, "{}", now).unwrap();
        registry.tag(&tagged, tags(&[("a", "1"), ("b", "2")])).unwrap();
        registry.untag(&tagged, &["a".into()]).unwrap();
        assert_eq!(registry.tags(&tagged).unwrap(), tags(&[("b", "2")]));
        registry.delete_policy(&policy).unwrap();
        registry.create_policy(&policy, "{}", now).unwrap();
        assert!(registry.tags(&tagged).unwrap().is_empty(), "another policy of that name");
    }
}
