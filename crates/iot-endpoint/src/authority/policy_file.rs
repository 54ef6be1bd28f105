//! The policy of the things whose certificates `serve` makes: an ordinary policy of the registry, from a file or built in.

use crate::service::Service;
use iot_jobs::instant::Now;
use iot_jobs::wire::control::{ACCOUNT, REGION};
use iot_policy::{Document, Home, Malformed};
use jobs_engine::registry::{ErrorKind, PolicyName, Registry, RegistryError};
use std::io;
use std::path::{Path, PathBuf};

/// Its name in the registry.
pub const DEVICE_POLICY: &str = "fleetsim-device";
/// What a device usually may (PROTOCOL-CORE 1.11), topics that are not reserved, and the jobs of its thing over HTTPS.
const BUILT_IN: &str = include_str!("device-policy.json");

/// Why a file is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// The file cannot be read.
    #[error("read the policy {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is read, and is no policy that AWS would take.
    #[error("read the policy {path}: {source}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where it is wrong.
        source: Malformed,
    },
}

/// A document that was found to be in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePolicy {
    /// Its text, for this endpoint's account and region.
    pub text: String,
    /// It.
    pub document: Document,
    /// The beginning of the ARNs in the file, where all of them are of one other account or region: they are read as this endpoint's.
    pub moved_from: Option<String>,
}

impl DevicePolicy {
    /// The one that is built in.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the built-in policy is one")
    }

    /// That which a configuration names or holds, or the one that is built in.
    ///
    /// # Errors
    /// When its file cannot be read, or it is no policy.
    pub fn load(choice: Option<&str>) -> Result<Self, PolicyFileError> {
        match choice {
            None => Ok(Self::built_in()),
            Some(text) if is_document(text) => {
                Self::parse(text).map_err(|source| PolicyFileError::Malformed { path: "in the configuration".into(), source })
            }
            Some(file) => Self::read(Path::new(file)),
        }
    }

    /// That of a file. One that was written for another account or region works here: where all its ARNs name the same one, it is taken for
    /// this endpoint's.
    ///
    /// # Errors
    /// When it cannot be read, or is no policy.
    pub fn read(path: &Path) -> Result<Self, PolicyFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| PolicyFileError::Read { path: path.into(), source })?;
        Self::parse(&text).map_err(|source| PolicyFileError::Malformed { path: path.into(), source })
    }

    /// A document as a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let here = Home::new(REGION, ACCOUNT);
        let moved_from = Document::parse(text)?.only_home().filter(|home| *home != here.prefix());
        let text = moved_from.as_ref().map_or_else(|| text.to_owned(), |there| text.replace(there, here.prefix()));
        Ok(Self { document: Document::parse(&text)?, text, moved_from })
    }
}

/// Whether it is no file's name.
#[must_use]
pub fn is_document(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

impl Service {
    /// Puts the policy of the certificates that are made here into the registry. Where a state has one already, that stays, unless another
    /// file `is_given`: then this becomes its default version.
    pub(crate) fn set_device_policy(&self, policy: &DevicePolicy, is_given: bool) {
        if let Some(there) = &policy.moved_from {
            tracing::warn!("the policy's ARNs begin with {there}: they are read as {}", self.authority.home().prefix());
        }
        let Ok(name) = PolicyName::new(DEVICE_POLICY) else { return };
        self.call_registry(|registry, _, now| {
            if registry.policy(&name).is_err() {
                // There is none of this name.
                let _ = registry.create_policy(&name, &policy.text, now);
            } else if is_given && let Err(error) = make_default(registry, &name, &policy.text, now) {
                tracing::error!(%error, "the policy of the state stays in force");
            }
        });
    }
}

/// Makes this document the default version of a policy; an older version makes room for it, if need be.
fn make_default(registry: &mut Registry, name: &PolicyName, text: &str, now: Now) -> Result<(), RegistryError> {
    let policy = registry.policy(name)?;
    if let Some(version) = policy.versions.iter().find(|(_, version)| *version.document == *text).map(|(number, _)| *number) {
        return registry.set_default_version(name, version, now);
    }
    let oldest = policy.versions.keys().copied().find(|number| *number != policy.default_version);
    match registry.create_policy_version(name, text, true, now) {
        Err(error) if error.kind == ErrorKind::VersionsLimitExceeded => {
            oldest.map_or(Err(error), |oldest| registry.delete_policy_version(name, oldest))?;
            registry.create_policy_version(name, text, true, now).map(drop)
        }
        created => created.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(resources: &str) -> DevicePolicy {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":[{resources}]}}}}"#);
        DevicePolicy::parse(&text).unwrap()
    }

    #[test]
    fn a_policy_of_another_account_is_read_as_this_ones_unless_its_arns_differ() {
        assert_eq!(DevicePolicy::built_in().moved_from, None);
        let moved = policy(r#""arn:aws:iot:eu-west-1:999988887777:topic/a","*","arn:aws:iot:eu-west-1:999988887777:client/b""#);
        assert_eq!(moved.moved_from.as_deref(), Some("arn:aws:iot:eu-west-1:999988887777:"));
        assert!(moved.text.contains("arn:aws:iot:us-east-1:111122223333:topic/a") && !moved.text.contains("eu-west-1"));
        let mixed = policy(r#""arn:aws:iot:eu-west-1:999988887777:topic/a","arn:aws:iot:us-east-1:111122223333:client/b""#);
        assert_eq!(mixed.moved_from, None, "one of them is a mistake, and is explained");
        assert_eq!(policy(r#""arn:aws:iot:*:*:topic/a""#).moved_from, None);
    }
}
