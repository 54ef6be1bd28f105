//! CA certificates of the account, and what they have signed: read, verified, and registered as a device comes with it (PROTOCOL-CORE 1.13
//! and 4.4).

use super::client_certificates::{check_extensions, check_time};
use super::identity::{Presented, Refusal, certificate_id};
use super::service::Service;
use dev_pki::DeviceCertificate;
use host::clock;
use host::tls::Signed;
use iot_jobs::instant::Now;
use iot_jobs::wire::authority::{Registered, encode_registered};
use jobs_engine::registry::{
    Authority, CertificateId, CertificateMode, CertificateStatus, NewCertificate, Pem, RegistrationCode, Registry,
};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A CA certificate as its owner brings it.
pub(super) struct GivenAuthority {
    given: DeviceCertificate,
    subject: Box<[u8]>,
    key: Box<[u8]>,
}

/// Why a certificate proves nothing of its owner.
pub(super) enum VerificationError {
    /// It is no certificate that the CA has signed.
    Certificate(String),
    /// Its common name is not the account's code.
    Code(String),
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(der).map(|(_, parsed)| parsed).map_err(|error| format!("it is no X.509 certificate: {error}"))
}

impl GivenAuthority {
    /// # Errors
    /// What is wrong with the certificate.
    pub(super) fn from_pem(pem: &str) -> Result<Self, String> {
        let given = DeviceCertificate::from_pem(pem)?;
        let parsed = parse(&given.der)?;
        if !parsed.is_ca() {
            return Err("it is no CA's: its basic constraints do not say CA:TRUE (openssl req -x509 -extensions v3_ca)".into());
        }
        if given.not_after_ms < clock::epoch_ms() {
            return Err("the certificate has expired".into());
        }
        let (subject, key) = (parsed.subject().as_raw().into(), parsed.public_key().raw.into());
        Ok(Self { given, subject, key })
    }

    pub(super) fn id(&self) -> CertificateId {
        certificate_id(&self.given.der)
    }

    /// Holds the certificate that proves who has the CA's key against the account's code.
    pub(super) fn check_verification(&self, pem: &str, code: Option<RegistrationCode>) -> Result<(), VerificationError> {
        let der = DeviceCertificate::from_pem(pem).map_err(VerificationError::Certificate)?.der;
        if !Signed::parse(&der).is_some_and(|signed| signed.is_signed_by(&self.key)) {
            return Err(VerificationError::Certificate("it is not signed with the key of caCertificate".into()));
        }
        let parsed = parse(&der).map_err(VerificationError::Certificate)?;
        let found = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        match code {
            Some(code) if found == Some(code.to_string().as_str()) => Ok(()),
            Some(_) => Err(VerificationError::Code(format!("its common name is {found:?}, not the code of GetRegistrationCode"))),
            None => Err(VerificationError::Code("nobody has asked for a code: call GetRegistrationCode first".into())),
        }
    }

    /// As it is kept.
    pub(super) fn into_authority(self, mode: CertificateMode, is_active: bool, registers_itself: bool, now_ms: i64) -> Authority {
        let Self { given, subject, key } = self;
        Authority {
            pem: given.pem.into(),
            subject,
            key,
            mode,
            is_active,
            registers_itself,
            created_ms: now_ms,
            updated_ms: now_ms,
            not_before_ms: given.not_before_ms,
            not_after_ms: given.not_after_ms,
        }
    }
}

/// The CAs of the account that have signed a certificate.
pub(super) fn issuers<'a>(registry: &'a Registry, certificate: &CertificateDer<'_>) -> Vec<(CertificateId, &'a Authority)> {
    let (Ok(parsed), Some(signed)) = (parse(certificate), Signed::parse(certificate)) else { return Vec::new() };
    let of_subject = registry.authorities_of(parsed.issuer().as_raw());
    of_subject.filter(|(_, authority)| signed.is_signed_by(&authority.key)).collect()
}

/// The CA that lets what it has signed register itself.
fn open_issuer(registry: &Registry, certificate: &CertificateDer<'_>) -> Option<CertificateId> {
    let issuers = issuers(registry, certificate);
    issuers.into_iter().find(|(_, authority)| authority.is_active && authority.registers_itself).map(|(id, _)| id)
}

/// Whether a certificate that nobody has registered may complete a handshake, since its CA lets it register itself at CONNECT.
pub(super) fn may_register_itself(
    registry: &Registry,
    certificate: &CertificateDer<'_>,
    now_s: i64,
) -> Result<(), rustls::CertificateError> {
    open_issuer(registry, certificate).ok_or(rustls::CertificateError::UnknownIssuer)?;
    let parsed = parse(certificate).map_err(|_| rustls::CertificateError::BadEncoding)?;
    check_time(&parsed, now_s)?;
    check_extensions(&parsed)
}

impl Service {
    /// A CONNECT has come with a certificate: if nobody has registered it and its CA lets it, it is registered now; while nobody has decided
    /// on it, each CONNECT is told of. `None`: it is not about that.
    pub(super) fn register_just_in_time(&self, presented: &Presented) -> Option<Refusal> {
        let (id, certificate) = (presented.id(), presented.certificate());
        let registered = self.call_registry(|registry, _, now| {
            if registry.certificate(id).is_err() {
                add(registry, id, certificate, now)?;
            }
            let found = registry.certificate(id).ok().filter(|found| found.status == CertificateStatus::PendingActivation)?;
            Some(Registered {
                certificate: id.to_string(),
                authority: found.authority?.to_string(),
                registered_ms: found.created_ms,
                now_ms: now.epoch_ms,
            })
        })?;
        let (topic, payload) = encode_registered(&registered);
        self.sessions.route(topic, payload);
        Some("the certificate is PENDING_ACTIVATION: its CA let it register itself, and nobody has made it ACTIVE yet")
    }
}

/// Registers what may register itself.
fn add(registry: &mut Registry, id: CertificateId, certificate: &CertificateDer<'_>, now: Now) -> Option<()> {
    let authority = open_issuer(registry, certificate).filter(|_| !registry.is_deleted(id))?;
    let mode = registry.authority(authority).ok()?.mode;
    let DeviceCertificate { pem, not_before_ms, not_after_ms, .. } = DeviceCertificate::from_der(certificate).ok()?;
    let pem = Pem::Text(pem.into());
    let new = NewCertificate { id, pem, status: CertificateStatus::PendingActivation, mode, not_before_ms, not_after_ms };
    registry.add_certificate_of(Some(authority), new, now).ok()
}
