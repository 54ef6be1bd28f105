//! Which certificates complete a handshake: those that the endpoint's CA has issued, those that were registered, and those whose CA lets them
//! register themselves, of every kind that AWS IoT takes (PROTOCOL-CORE 1.13). webpki would take version 3 of X.509 only; what the developer guide's own commands make with
//! openssl is of version 1.

use super::authorities;
use super::identity::certificate_id;
use super::service::Service;
use host::tls::{self, Signed};
use iot_jobs::instant::Now;
use jobs_engine::registry::{CertificateMode, CertificateStatus, Registry};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The verifier of both listeners with mutual TLS.
pub(super) struct ClientCertificates {
    /// Subject and key of the CA, as they stand in its certificate.
    ca_subject: Vec<u8>,
    ca_key: Vec<u8>,
    service: Arc<Service>,
}

impl ClientCertificates {
    /// # Errors
    /// When the CA's certificate cannot be read.
    pub(super) fn new(ca: &CertificateDer<'_>, service: Arc<Service>) -> Result<Self, CertificateError> {
        let ca = parse(ca)?;
        Ok(Self { ca_subject: ca.subject().as_raw().to_vec(), ca_key: ca.public_key().raw.to_vec(), service })
    }

    /// The CA itself signs what it issues: there are no intermediates.
    fn check_issued(&self, der: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
        let certificate = parse(der)?;
        if certificate.issuer().as_raw() != self.ca_subject {
            return Err(CertificateError::UnknownIssuer);
        }
        let signed = Signed::parse(der).ok_or(CertificateError::BadEncoding)?;
        if !signed.is_signed_by(&self.ca_key) {
            return Err(CertificateError::BadSignature);
        }
        check_time(&certificate, i64::try_from(now.as_secs()).unwrap_or(i64::MAX))?;
        check_extensions(&certificate)
    }
}

/// It is valid at `now_s`, in seconds since the epoch.
pub(super) fn check_time(certificate: &X509Certificate<'_>, now_s: i64) -> Result<(), CertificateError> {
    let validity = certificate.validity();
    if now_s < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now_s > validity.not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, CertificateError> {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|_| CertificateError::BadEncoding)
}

/// One that names what its key is for has to name clients; what is critical has to be known.
pub(super) fn check_extensions(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::ExtendedKeyUsage(usage) if !usage.client_auth && !usage.any => {
                return Err(CertificateError::InvalidPurpose);
            }
            ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::ParseError { .. } if extension.critical => {
                return Err(CertificateError::UnhandledCriticalExtension);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a certificate that the endpoint's CA has not issued may complete a handshake. One that is not `ACTIVE` learns of it at CONNECT, as
/// does one that is registered then.
fn check_registered(registry: &Registry, der: &CertificateDer<'_>, now: Now) -> Result<(), CertificateError> {
    let id = certificate_id(der);
    let Ok(registered) = registry.certificate(id) else {
        let may = if registry.is_deleted(id) { Err(CertificateError::UnknownIssuer) } else { Ok(()) };
        return may.and_then(|()| authorities::may_register_itself(registry, der, now.epoch_ms.div_euclid(1000)));
    };
    let is_brought = registered.mode == CertificateMode::SniOnly || registered.authority.is_some();
    if !is_brought || registered.status == CertificateStatus::Revoked {
        return Err(CertificateError::UnknownIssuer);
    }
    if now.epoch_ms < registered.not_before_ms {
        return Err(CertificateError::NotValidYet);
    }
    if now.epoch_ms >= registered.not_after_ms {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

impl std::fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificates").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for ClientCertificates {
    /// None: a device may have a certificate of any issuer.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// The first error is told, but for an issuer that the registry may vouch for.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.check_issued(end_entity, now).or_else(|error| {
            let registered = self.service.call_registry(|registry, _, now| check_registered(registry, end_entity, now));
            registered.map_err(|of_registry| if error == CertificateError::UnknownIssuer { of_registry } else { error })
        });
        Ok(verified.map(|()| ClientCertVerified::assertion())?)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls::verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls::verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}
