//! Who a client is: what its certificate says, and what the registry says of its certificate, or of the name it gives itself.

use super::service::Service;
use super::sessions::CloseReason;
use iot_jobs::ThingName;
use iot_jobs::instant::Now;
use jobs_engine::registry::{CertificateId, CertificateMode, CertificateStatus, Registry, ResourceId, ThingSpec};
use rand::RngExt as _;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why a client may not connect, for the log.
pub(super) type Refusal = &'static str;

/// The id of a certificate in the registry.
pub(super) fn certificate_id(certificate: &CertificateDer<'_>) -> CertificateId {
    CertificateId(Sha256::digest(certificate).into())
}

/// What a client's certificate says.
pub(super) struct Presented {
    id: CertificateId,
    /// Its common name, where that can be a thing's.
    common_name: Option<ThingName>,
}

impl Presented {
    pub(super) fn new(certificate: &CertificateDer<'_>) -> Self {
        Self { id: certificate_id(certificate), common_name: common_name(certificate) }
    }
}

/// A client that was found to be in order.
pub(super) struct Identity {
    pub(super) thing: ThingName,
    /// Of the registry; none when the certificate itself names its thing, or there is none.
    certificate: Option<CertificateId>,
}

impl Service {
    /// Which thing a client is that comes with what it `presented` and `client_id`; the client id must be the thing's name, as the
    /// usual policy of PROTOCOL 14 wants, or be empty, which gives the client the name of its thing (inferred).
    ///
    /// A certificate of the registry must be `ACTIVE` and attached to that thing. Any other certificate (its issuer is trusted, or
    /// there would be no connection) names a registered thing itself, by its common name; with `auto_register` the thing is
    /// registered now.
    ///
    /// # Errors
    /// Why the client may not connect.
    pub(super) fn identify(&self, presented: &Presented, client_id: &str, auto_register: bool) -> Result<Identity, Refusal> {
        let id = presented.id;
        if let Some(admitted) = self.call_registry(|registry, _, _| registry.admit(id, client_id)) {
            return admitted.map(|thing| Identity { thing, certificate: Some(id) });
        }
        let thing =
            presented.common_name.as_ref().ok_or("the certificate is not in the registry, and its common name is no thing name")?;
        if !client_id.is_empty() && thing.as_str() != client_id {
            return Err("the client id is not the name of the certificate's thing");
        }
        if auto_register {
            self.register(std::slice::from_ref(thing));
        }
        self.identify_registered(thing)
    }

    /// Which thing a client is that connects with a signature and `client_id`. A signature says nothing of things, and an IAM policy may
    /// allow any client id: here it is the name of a registered thing (inferred).
    ///
    /// # Errors
    /// Why the client may not connect.
    pub(super) fn identify_signed(&self, client_id: &str) -> Result<Identity, Refusal> {
        let thing = ThingName::new(client_id).map_err(|_| "the client id is no name of a thing")?;
        self.identify_registered(&thing)
    }

    fn identify_registered(&self, thing: &ThingName) -> Result<Identity, Refusal> {
        match self.call_registry(|registry, _, _| registry.thing(thing).is_ok()) {
            true => Ok(Identity { thing: thing.clone(), certificate: None }),
            false => Err("the thing is not registered"),
        }
    }

    /// The session of `identity` has begun: it ends when its certificate loses its standing. Says whether it has not lost it already.
    pub(super) fn settle(&self, identity: &Identity) -> bool {
        self.with_principals(|principals, registry| match identity.certificate {
            Some(id) => {
                principals.insert(identity.thing.clone(), id);
                matches!(registry.admit(id, identity.thing.as_str()), Some(Ok(_)))
            }
            None => {
                principals.remove(&identity.thing);
                true
            }
        })
    }

    /// Ends the sessions of things that came in with certificates of the registry, where `is_meant`.
    pub(super) fn end_sessions(&self, is_meant: impl Fn(&ThingName, CertificateId) -> bool) {
        let ended: Vec<ThingName> = self.with_principals(|principals, _| {
            principals.extract_if(.., |thing, id| is_meant(thing, *id)).map(|(thing, _)| thing).collect()
        });
        for thing in ended {
            tracing::info!(%thing, "its certificate has lost its standing: the session ends");
            self.sessions.close(&thing, CloseReason::NotAuthorized);
        }
    }

    /// Registers what is not registered yet.
    pub(super) fn register(&self, names: &[ThingName]) {
        self.call_registry(|registry, engine, _| {
            for name in names {
                // A thing that is in the registry already is what was wanted.
                let _ = registry.create_thing(name, ThingSpec::default(), ResourceId::from_random(rand::rng().random()));
                engine.create_thing(name);
            }
        });
    }
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<ThingName> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    ThingName::new(parsed.subject().iter_common_name().next()?.as_str().ok()?).ok()
}

/// Lets in what the CA has issued, and what was registered without a CA.
pub(super) struct Verifier {
    issued: Arc<dyn ClientCertVerifier>,
    service: Arc<Service>,
}

impl Verifier {
    pub(super) fn new(issued: Arc<dyn ClientCertVerifier>, service: Arc<Service>) -> Self {
        Self { issued, service }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("issued", &self.issued).finish_non_exhaustive()
    }
}

/// Whether a certificate that no trusted CA has issued may complete a handshake. One that is not `ACTIVE` learns of it at CONNECT.
fn is_registered(registry: &Registry, id: CertificateId, now: Now) -> bool {
    registry.certificate(id).is_ok_and(|certificate| {
        certificate.mode == CertificateMode::SniOnly
            && certificate.status != CertificateStatus::Revoked
            && (certificate.not_before_ms..certificate.not_after_ms).contains(&now.epoch_ms)
    })
}

impl ClientCertVerifier for Verifier {
    /// None: a device may have a certificate of any issuer.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.issued.verify_client_cert(end_entity, intermediates, now).or_else(|error| {
            let id = certificate_id(end_entity);
            match self.service.call_registry(|registry, _, now| is_registered(registry, id, now)) {
                true => Ok(ClientCertVerified::assertion()),
                false => Err(error),
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issued.supported_verify_schemes()
    }
}
