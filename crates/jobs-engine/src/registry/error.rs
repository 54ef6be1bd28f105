//! Why the registry refuses a call, in AWS's kinds.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    InvalidRequest,
    ResourceNotFound,
    ResourceAlreadyExists,
    VersionConflict,
    DeleteConflict,
    CertificateState,
    LimitExceeded,
    VersionsLimitExceeded,
}

/// What kinds of resources there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    Thing,
    ThingType,
    ThingGroup,
    Policy,
    Certificate,
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thing => "thing",
            Self::ThingType => "thing type",
            Self::ThingGroup => "thing group",
            Self::Policy => "policy",
            Self::Certificate => "certificate",
        })
    }
}

/// The resource that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub kind: ResourceKind,
    pub name: String,
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryError {
    pub kind: ErrorKind,
    pub message: String,
    /// Of `ResourceAlreadyExists`.
    pub resource: Option<Box<Resource>>,
}

impl RegistryError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), resource: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    pub(super) fn not_found(kind: ResourceKind, name: &dyn fmt::Display) -> Self {
        Self::new(ErrorKind::ResourceNotFound, format!("{kind} {name} does not exist"))
    }

    pub(super) fn already_exists(kind: ResourceKind, name: &dyn fmt::Display, id: &dyn fmt::Display, how: &str) -> Self {
        let resource = Resource { kind, name: name.to_string(), id: id.to_string() };
        let message = format!("{kind} {name} already exists{how}");
        Self { kind: ErrorKind::ResourceAlreadyExists, message, resource: Some(resource.into()) }
    }

    pub(super) fn version_conflict(kind: ResourceKind, name: &dyn fmt::Display, expected: i64, found: i64) -> Self {
        Self::new(ErrorKind::VersionConflict, format!("{kind} {name} has version {found}, not the expected {expected}"))
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
