//! CA certificates of the account: who may sign certificates of devices (PROTOCOL-CORE 1.13 and 4.4). Signatures are not checked here.

use super::certificates::CertificateMode;
use super::error::{ErrorKind, RegistryError, ResourceKind};
use super::names::CertificateId;
use super::tags::Tagged;
use super::{Key, Registry};
use iot_jobs::instant::Now;
use serde::{Deserialize, Serialize};
use std::fmt;

/// CA certificates with one subject, at most (PROTOCOL-CORE 1.13).
const SAME_SUBJECT_MAX: usize = 10;

/// A CA certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// `certificatePem`.
    pub pem: Box<str>,
    /// Its subject in DER.
    pub subject: Box<[u8]>,
    /// Its public key, a SubjectPublicKeyInfo in DER.
    pub key: Box<[u8]>,
    /// `certificateMode`.
    pub mode: CertificateMode,
    /// `status`: `ACTIVE`, or `INACTIVE`, in which nothing new is registered with it.
    pub is_active: bool,
    /// `autoRegistrationStatus`: what it has signed is registered when a device connects with it.
    pub registers_itself: bool,
    /// Milliseconds since the epoch, as all times here.
    pub created_ms: i64,
    /// When it was changed last.
    pub updated_ms: i64,
    /// From when it is valid.
    pub not_before_ms: i64,
    /// Until when it is valid.
    pub not_after_ms: i64,
}

/// What UpdateCACertificate changes: members that are absent stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateAuthority {
    /// `newStatus`.
    pub is_active: Option<bool>,
    /// `newAutoRegistrationStatus`.
    pub registers_itself: Option<bool>,
}

/// The common name of a certificate that proves who has the key of a CA: 64 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationCode([u8; 32]);

impl fmt::Display for RegistrationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Registry {
    /// # Errors
    /// `ResourceAlreadyExists`; `LimitExceeded` for the eleventh of one subject.
    pub fn add_authority(&mut self, id: CertificateId, authority: Authority) -> Result<(), RegistryError> {
        if self.authorities.contains_key(&id) {
            return Err(RegistryError::already_exists(ResourceKind::CaCertificate, &id, &id, ""));
        }
        if self.authorities_of(&authority.subject).count() >= SAME_SUBJECT_MAX {
            let message = format!("there are {SAME_SUBJECT_MAX} CA certificates with this subject already");
            return Err(RegistryError::new(ErrorKind::LimitExceeded, message));
        }
        self.authorities.insert(id, authority);
        self.dirty.insert(Key::Authority(id));
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn authority(&self, id: CertificateId) -> Result<&Authority, RegistryError> {
        self.authorities.get(&id).ok_or_else(|| RegistryError::not_found(ResourceKind::CaCertificate, &id))
    }

    /// In the order of ids.
    pub fn authorities(&self) -> impl Iterator<Item = (CertificateId, &Authority)> {
        self.authorities.iter().map(|(id, authority)| (*id, authority))
    }

    /// Those with a subject.
    pub fn authorities_of(&self, subject: &[u8]) -> impl Iterator<Item = (CertificateId, &Authority)> {
        self.authorities().filter(move |(_, authority)| *authority.subject == *subject)
    }

    /// One that is no longer `ACTIVE` leaves the certificates of devices as they are.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn update_authority(&mut self, id: CertificateId, update: UpdateAuthority, now: Now) -> Result<(), RegistryError> {
        self.authority(id)?;
        if let Some(authority) = self.authorities.get_mut(&id) {
            authority.is_active = update.is_active.unwrap_or(authority.is_active);
            authority.registers_itself = update.registers_itself.unwrap_or(authority.registers_itself);
            authority.updated_ms = now.epoch_ms;
        }
        self.dirty.insert(Key::Authority(id));
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`; `CertificateState` while it is `ACTIVE`.
    pub fn delete_authority(&mut self, id: CertificateId) -> Result<(), RegistryError> {
        if self.authority(id)?.is_active {
            let message = format!("CA certificate {id} must be INACTIVE before deletion");
            return Err(RegistryError::new(ErrorKind::CertificateState, message));
        }
        self.authorities.remove(&id);
        self.forget_tags(&Tagged::Authority(id));
        self.dirty.insert(Key::Authority(id));
        Ok(())
    }

    /// The code that proves who owns a CA: the one there is, or `new` from now on.
    pub fn registration_code(&mut self, new: impl FnOnce() -> [u8; 32]) -> RegistrationCode {
        if self.registration_code.is_none() {
            self.dirty.insert(Key::RegistrationCode);
        }
        *self.registration_code.get_or_insert_with(|| RegistrationCode(new()))
    }

    /// The code that there is.
    #[must_use]
    pub fn known_registration_code(&self) -> Option<RegistrationCode> {
        self.registration_code
    }

    /// Verification certificates with the code are worth nothing from now on.
    ///
    /// # Errors
    /// `ResourceNotFound` when there is none.
    pub fn delete_registration_code(&mut self) -> Result<(), RegistryError> {
        self.dirty.insert(Key::RegistrationCode);
        match self.registration_code.take() {
            Some(_) => Ok(()),
            None => Err(RegistryError::new(ErrorKind::ResourceNotFound, "there is no registration code")),
        }
    }
}
