//! Why the registry refuses a call, in AWS's kinds.

use std::fmt;

/// Why a call is refused, as botocore's `iot/2015-05-28` model names it, there with `Exception` behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Status 400: something in the call is missing, malformed or against a rule.
    InvalidRequest,
    /// Status 404: there is no resource of that name.
    ResourceNotFound,
    /// Status 409: there is one of that name, and it differs.
    ResourceAlreadyExists,
    /// Status 409: `expectedVersion` is not the version there is.
    VersionConflict,
    /// Status 409: what is to be deleted is still in use.
    DeleteConflict,
    /// Status 409: the id of a job template is used.
    Conflict,
    /// Status 406: the certificate is `ACTIVE`.
    CertificateState,
    /// Status 410: more would be attached than one resource may have.
    LimitExceeded,
    /// Status 409: the policy has all the versions that it may have.
    VersionsLimitExceeded,
}

/// What kinds of resources there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// A device.
    Thing,
    /// A kind of devices.
    ThingType,
    /// A static thing group.
    ThingGroup,
    /// A policy of AWS IoT Core.
    Policy,
    /// A device's certificate.
    Certificate,
    /// A certificate that signs those of devices.
    CaCertificate,
    /// A job template of the account.
    JobTemplate,
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thing => "thing",
            Self::ThingType => "thing type",
            Self::ThingGroup => "thing group",
            Self::Policy => "policy",
            Self::Certificate => "certificate",
            Self::CaCertificate => "CA certificate",
            Self::JobTemplate => "job template",
        })
    }
}

/// The resource that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Of which kind it is.
    pub kind: ResourceKind,
    /// What its ARN ends in.
    pub name: String,
    /// `resourceId`.
    pub id: String,
}

/// Why a call of the registry is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryError {
    /// In which of AWS's ways.
    pub kind: ErrorKind,
    /// `message`: a sentence for people.
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
