//! Who a client is: what its certificate says, and what the registry says of its certificate, or of the name it gives itself.

use super::service::Service;
use super::sessions::CloseReason;
use dev_pki::MadeFor;
use iot_jobs::ThingName;
use jobs_engine::registry::{CertificateId, ResourceId, ThingSpec};
use rand::RngExt as _;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
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
    /// Of those that were made here.
    made_for: Option<MadeFor>,
}

impl Presented {
    pub(super) fn new(certificate: &CertificateDer<'_>) -> Self {
        let parsed = X509Certificate::from_der(certificate).map(|(_, parsed)| parsed).ok();
        Self {
            id: certificate_id(certificate),
            common_name: parsed.as_ref().and_then(common_name),
            made_for: parsed.as_ref().and_then(MadeFor::of),
        }
    }

    /// The thing that the certificate itself names: one that was made here for that thing does. With `auto_register` so does one that
    /// somebody else made with the key of the CA.
    fn thing(&self, auto_register: bool) -> Result<&ThingName, Refusal> {
        match self.made_for {
            Some(MadeFor::Thing) => {}
            None if auto_register => {}
            None => {
                return Err("the certificate is not in the registry, and was not made by this endpoint for a thing \
                            (RegisterCertificateWithoutCA and AttachThingPrincipal let it in, or --auto-register)");
            }
            Some(MadeFor::Registry) => {
                return Err(
                    "the certificate was issued by a registry that is gone (--state keeps it): its common name says nothing",
                );
            }
        }
        self.common_name.as_ref().ok_or("the certificate is not in the registry, and its common name is no thing name")
    }
}

/// A client that was found to be in order.
pub(super) struct Identity {
    pub(super) thing: ThingName,
    credential: Credential,
}

/// What a client has shown.
enum Credential {
    /// A certificate of the registry.
    Registered(CertificateId),
    /// A certificate that itself names its thing.
    Named,
    /// A signature of the account's key.
    Signature,
}

impl Identity {
    /// The service's events are for the owner of the fleet, who signs: they tell of all things. The policy that a thing usually has
    /// (PROTOCOL 14) does not let it hear them.
    pub(super) fn hears_events(&self) -> bool {
        matches!(self.credential, Credential::Signature)
    }
}

impl Service {
    /// Which thing a client is that comes with what it `presented` and `client_id`; the client id must be the thing's name, as the
    /// usual policy of PROTOCOL 14 wants, or be empty, which gives the client the name of its thing (inferred).
    ///
    /// A certificate of the registry must be `ACTIVE` and attached to that thing. Another one may name a registered thing itself
    /// ([`Presented::thing`]); with `auto_register` the thing is registered now.
    ///
    /// # Errors
    /// Why the client may not connect.
    pub(super) fn identify(&self, presented: &Presented, client_id: &str, auto_register: bool) -> Result<Identity, Refusal> {
        let id = presented.id;
        if let Some(admitted) = self.call_registry(|registry, _, _| registry.admit(id, client_id)) {
            return admitted.map(|thing| Identity { thing, credential: Credential::Registered(id) });
        }
        let thing = presented.thing(auto_register)?;
        if !client_id.is_empty() && thing.as_str() != client_id {
            return Err("the client id is not the name of the certificate's thing");
        }
        if auto_register {
            self.register(std::slice::from_ref(thing));
        }
        self.identify_registered(thing, Credential::Named)
    }

    /// Which thing a client is that connects with a signature and `client_id`. A signature says nothing of things, and an IAM policy may
    /// allow any client id: here it is the name of a registered thing (inferred).
    ///
    /// # Errors
    /// Why the client may not connect.
    pub(super) fn identify_signed(&self, client_id: &str) -> Result<Identity, Refusal> {
        let thing = ThingName::new(client_id).map_err(|_| "the client id is no name of a thing")?;
        self.identify_registered(&thing, Credential::Signature)
    }

    fn identify_registered(&self, thing: &ThingName, credential: Credential) -> Result<Identity, Refusal> {
        match self.call_registry(|registry, _, _| registry.thing(thing).is_ok()) {
            true => Ok(Identity { thing: thing.clone(), credential }),
            false => Err("the thing is not registered"),
        }
    }

    /// The session of `identity` has begun: it ends when its certificate loses its standing, or its thing is deleted. Says whether that
    /// has not happened already.
    pub(super) fn settle(&self, identity: &Identity) -> bool {
        self.with_principals(|principals, registry| match identity.credential {
            Credential::Registered(id) => {
                principals.insert(identity.thing.clone(), id);
                matches!(registry.admit(id, identity.thing.as_str()), Some(Ok(_)))
            }
            Credential::Named | Credential::Signature => {
                principals.remove(&identity.thing);
                registry.thing(&identity.thing).is_ok()
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

fn common_name(certificate: &X509Certificate<'_>) -> Option<ThingName> {
    ThingName::new(certificate.subject().iter_common_name().next()?.as_str().ok()?).ok()
}
