//! Certificates, and the things and policies they are attached to.

use super::error::{ErrorKind, RegistryError, ResourceKind};
use super::names::{CertificateId, PolicyName};
use super::policies::PolicyTarget;
use super::sorted_set::SortedSet;
use super::{Key, Registry};
use iot_jobs::ThingName;
use iot_jobs::instant::Now;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

/// Statuses that a caller can set; those of transfers do not occur here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum CertificateStatus {
    /// `ACTIVE`: the only one with which devices may connect.
    Active,
    /// `INACTIVE`: a device that shows it is refused at CONNECT.
    Inactive,
    /// `REVOKED`: the same; the handshake fails already where it was registered without a CA.
    Revoked,
    /// `PENDING_ACTIVATION`: it was registered as a device came with it, and nobody has decided on it (PROTOCOL-CORE 4.4). No caller sets it.
    PendingActivation,
}

impl CertificateStatus {
    /// `status` on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether an issuer vouches for the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateMode {
    /// It was issued here.
    Default,
    /// It was registered without a CA.
    SniOnly,
}

/// Where the text of a certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pem {
    /// Here.
    Text(Box<str>),
    /// In the file of the thing that it was made for: a large fleet's would take more room than all else that is known of it.
    OfThing {
        /// That thing.
        thing: ThingName,
    },
}

/// The key of a certificate is never here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// `certificatePem`: the certificate, without its key.
    pub pem: Pem,
    /// `status`.
    pub status: CertificateStatus,
    /// `certificateMode`.
    pub mode: CertificateMode,
    /// Milliseconds since the epoch, as all times here.
    pub created_ms: i64,
    /// When its status was set last.
    pub updated_ms: i64,
    /// From when it is valid.
    pub not_before_ms: i64,
    /// Until when it is valid.
    pub not_after_ms: i64,
    /// The CA certificate that it was registered with, where that was one of the account.
    #[serde(default)]
    pub authority: Option<CertificateId>,
    /// Things it is a principal of.
    pub things: SortedSet<ThingName>,
    /// Its one thing has it for itself (`EXCLUSIVE_THING`).
    pub exclusive: bool,
    /// Policies that are attached to it.
    pub policies: SortedSet<PolicyName>,
}

/// A certificate that is to be known from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCertificate {
    /// SHA-256 of its DER.
    pub id: CertificateId,
    /// The certificate, without its key.
    pub pem: Pem,
    /// Its first status.
    pub status: CertificateStatus,
    /// Whether it was issued here.
    pub mode: CertificateMode,
    /// From when it is valid, in milliseconds since the epoch.
    pub not_before_ms: i64,
    /// Until when it is valid, in milliseconds since the epoch.
    pub not_after_ms: i64,
}

impl Registry {
    /// # Errors
    /// `ResourceAlreadyExists`.
    pub fn add_certificate(&mut self, new: NewCertificate, now: Now) -> Result<(), RegistryError> {
        self.add_certificate_of(None, new, now)
    }

    /// As [`Self::add_certificate`], of one that a CA of the account has signed.
    ///
    /// # Errors
    /// `ResourceAlreadyExists`.
    pub fn add_certificate_of(
        &mut self,
        authority: Option<CertificateId>,
        new: NewCertificate,
        now: Now,
    ) -> Result<(), RegistryError> {
        if self.certificates.contains_key(&new.id) {
            return Err(RegistryError::already_exists(ResourceKind::Certificate, &new.id, &new.id, ""));
        }
        let certificate = Certificate {
            pem: new.pem,
            status: new.status,
            mode: new.mode,
            created_ms: now.epoch_ms,
            updated_ms: now.epoch_ms,
            not_before_ms: new.not_before_ms,
            not_after_ms: new.not_after_ms,
            authority,
            things: SortedSet::default(),
            exclusive: false,
            policies: SortedSet::default(),
        };
        if self.deleted.remove(&new.id) {
            self.dirty.insert(Key::DeletedCertificate(new.id));
        }
        self.certificates.insert(new.id, certificate);
        self.dirty.insert(Key::Certificate(new.id));
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn certificate(&self, id: CertificateId) -> Result<&Certificate, RegistryError> {
        self.certificates.get(&id).ok_or_else(|| RegistryError::not_found(ResourceKind::Certificate, &id))
    }

    pub(super) fn certificate_mut(&mut self, id: CertificateId) -> Result<&mut Certificate, RegistryError> {
        self.dirty.insert(Key::Certificate(id));
        self.certificates.get_mut(&id).ok_or_else(|| RegistryError::not_found(ResourceKind::Certificate, &id))
    }

    /// Whether it was deleted, and not registered since.
    #[must_use]
    pub fn is_deleted(&self, id: CertificateId) -> bool {
        self.deleted.contains(&id)
    }

    /// In the order of ids.
    pub fn certificates(&self) -> impl Iterator<Item = (CertificateId, &Certificate)> {
        self.certificates.iter().map(|(id, certificate)| (*id, certificate))
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn update_certificate(&mut self, id: CertificateId, status: CertificateStatus, now: Now) -> Result<(), RegistryError> {
        let certificate = self.certificate_mut(id)?;
        certificate.status = status;
        certificate.updated_ms = now.epoch_ms;
        Ok(())
    }

    /// A certificate that is deleted admits nobody any more, even if its issuer is trusted. With `force` policies may be attached.
    ///
    /// # Errors
    /// `ResourceNotFound`; `CertificateState` while it is `ACTIVE`; `DeleteConflict` while things or policies are attached to it.
    pub fn delete_certificate(&mut self, id: CertificateId, force: bool) -> Result<(), RegistryError> {
        let certificate = self.certificate(id)?;
        if certificate.status == CertificateStatus::Active {
            let message = format!("certificate {id} must be deactivated (not ACTIVE) before deletion");
            return Err(RegistryError::new(ErrorKind::CertificateState, message));
        }
        let conflict = |what: &str| {
            Err(RegistryError::new(
                ErrorKind::DeleteConflict,
                format!("{what} must be detached from certificate {id} before deletion"),
            ))
        };
        if !certificate.things.is_empty() {
            return conflict("things");
        }
        if !certificate.policies.is_empty() && !force {
            return conflict("policies");
        }
        for policy in &certificate.policies.clone() {
            self.forget_target(policy, &PolicyTarget::Certificate(id));
        }
        self.certificates.remove(&id);
        self.deleted.insert(id);
        self.dirty.insert(Key::Certificate(id));
        self.dirty.insert(Key::DeletedCertificate(id));
        Ok(())
    }

    /// Attaching again is fine.
    ///
    /// # Errors
    /// `ResourceNotFound` for thing or certificate; `InvalidRequest` when one thing is to have, or has, the certificate for itself.
    pub fn attach_thing(&mut self, id: CertificateId, thing: &ThingName, exclusive: bool) -> Result<(), RegistryError> {
        self.thing(thing)?;
        let certificate = self.certificate(id)?;
        let others = certificate.things.iter().any(|other| other != thing);
        if others && (exclusive || certificate.exclusive) {
            return Err(RegistryError::invalid(format!(
                "certificate {id} is attached to another thing, and one of both wants it for itself"
            )));
        }
        let certificate = self.certificate_mut(id)?;
        certificate.exclusive = exclusive;
        certificate.things.insert(thing.clone());
        self.principals.entry(thing.clone()).or_default().insert(id);
        Ok(())
    }

    /// Detaching what is not attached is fine (inferred).
    ///
    /// # Errors
    /// `ResourceNotFound` for thing or certificate.
    pub fn detach_thing(&mut self, id: CertificateId, thing: &ThingName) -> Result<(), RegistryError> {
        self.thing(thing)?;
        self.certificate(id)?;
        let certificate = self.certificate_mut(id)?;
        certificate.things.remove(thing);
        certificate.exclusive &= !certificate.things.is_empty();
        if let Some(principals) = self.principals.get_mut(thing) {
            principals.remove(&id);
            if principals.is_empty() {
                self.principals.remove(thing);
            }
        }
        Ok(())
    }

    /// The certificate, if a client may show it: it is known and `ACTIVE`. `None`: the registry knows nothing of it.
    #[must_use]
    pub fn standing(&self, id: CertificateId) -> Option<Result<&Certificate, &'static str>> {
        if self.deleted.contains(&id) {
            return Some(Err("the certificate was deleted from the registry"));
        }
        let certificate = self.certificates.get(&id)?;
        Some(match certificate.status {
            CertificateStatus::Inactive => Err("the certificate is INACTIVE (UpdateCertificate makes it ACTIVE)"),
            CertificateStatus::Revoked => Err("the certificate is REVOKED"),
            CertificateStatus::PendingActivation => Err(
                "the certificate is PENDING_ACTIVATION (UpdateCertificate makes it ACTIVE, AttachThingPrincipal gives it its thing)",
            ),
            CertificateStatus::Active => Ok(certificate),
        })
    }
}
