//! Who a client is: what its certificate says, and what the registry says of its certificate. What it may do is its policies' to say.

use super::authority::{Asking, DEVICE_POLICY, attached};
use super::service::Service;
use dev_pki::{DeviceCertificate, MadeFor, Store};
use host::clock;
use iot_jobs::ThingName;
use jobs_engine::registry::{
    CertificateId, CertificateMode, CertificateStatus, NewCertificate, Pem, PolicyName, PolicyTarget, Registry, ResourceId,
    ThingSpec,
};
use rand::RngExt as _;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why a client may not connect, for the log.
pub(super) type Refusal = &'static str;

/// What a client calls itself. One session a client id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClientId(Arc<str>);

impl ClientId {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The thing of this name, where it can be one's.
    pub(super) fn thing(&self) -> Option<ThingName> {
        ThingName::new(&self.0).ok()
    }
}

/// So that a map of client ids is asked by their text.
impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a certificate in the registry.
pub(super) fn certificate_id(certificate: &CertificateDer<'_>) -> CertificateId {
    CertificateId(Sha256::digest(certificate).into())
}

/// What a client's certificate says.
pub(super) struct Presented {
    der: CertificateDer<'static>,
    id: CertificateId,
    source_ip: Option<IpAddr>,
    /// Of SNI.
    domain_name: Option<Box<str>>,
}

impl Presented {
    pub(super) fn new(der: CertificateDer<'static>, source_ip: Option<IpAddr>, domain_name: Option<&str>) -> Self {
        Self { id: certificate_id(&der), der, source_ip, domain_name: domain_name.map(Into::into) }
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(super) fn id(&self) -> CertificateId {
        self.id
    }

    /// The client as its policies see it; without a client id on HTTPS.
    pub(super) fn asking<'a>(&'a self, client_id: Option<&'a str>) -> Asking<'a> {
        let (source_ip, domain_name) = (self.source_ip, self.domain_name.as_deref());
        Asking { der: Some(&self.der), id: self.id, client_id, source_ip, domain_name }
    }

    /// The thing that the certificate itself names: one that was made here for that thing does. With `auto_register` so does one that
    /// somebody else made with the key of the CA. Says which.
    fn thing(&self, auto_register: bool) -> Result<(ThingName, Maker), Refusal> {
        let parsed = X509Certificate::from_der(&self.der).map(|(_, parsed)| parsed);
        let parsed = parsed.map_err(|_| "the certificate is no X.509 certificate")?;
        let maker = match MadeFor::of(&parsed) {
            Some(MadeFor::Thing) => Maker::Here,
            None if auto_register => Maker::SomebodyElse,
            None => {
                return Err("the certificate is not in the registry, and was not made by this endpoint for a thing \
                            (RegisterCertificateWithoutCA and AttachThingPrincipal let it in, or --auto-register)");
            }
            Some(MadeFor::Registry) => {
                return Err(
                    "the certificate was issued by a registry that is gone (--state keeps it): its common name says nothing",
                );
            }
        };
        let thing = common_name(&parsed).ok_or("the certificate is not in the registry, and its common name is no thing name")?;
        Ok((thing, maker))
    }
}

/// Who made a certificate that names its thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// Its file is in the endpoint's folder.
    Here,
    SomebodyElse,
}

/// A client that was found to be in order.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) client_id: ClientId,
    /// Which thing it is, where it is one.
    pub(super) thing: Option<ThingName>,
    /// What it has shown; absent: a signature of the account's key.
    pub(super) certificate: Option<CertificateId>,
}

impl Service {
    /// Who a client is that comes with what it `presented` and `client_id`. An empty client id gives it the name of the only thing that
    /// its certificate is attached to (inferred). The certificate must be `ACTIVE` in the registry, or become so now ([`Self::adopt`]).
    ///
    /// # Errors
    /// Why the client may not connect, whatever its policies say.
    pub(super) fn identify(&self, presented: &Presented, client_id: &str, auto_register: bool) -> Result<Identity, Refusal> {
        self.know(presented, auto_register)?;
        self.read(|registry, _| {
            let certificate = registry.standing(presented.id).ok_or("the certificate has just left the registry")??;
            let things = &certificate.things;
            let client_id = match client_id {
                "" if things.len() > 1 => {
                    return Err("the certificate is attached to several things: the client id must name one of them");
                }
                "" => things.iter().next().ok_or("there is no client id, and the certificate is attached to no thing")?.as_str(),
                client_id => client_id,
            };
            let thing = attached(certificate, client_id).ok().cloned();
            Ok(Identity { client_id: ClientId::new(client_id), thing, certificate: Some(presented.id) })
        })
    }

    /// Makes sure that a certificate is in the registry, and `ACTIVE`.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn know(&self, presented: &Presented, auto_register: bool) -> Result<(), Refusal> {
        let standing =
            self.read(|registry, _| registry.standing(presented.id).map(|standing| standing.map(|found| found.things.is_empty())));
        match standing {
            Some(Err(why)) => return Err(why),
            Some(Ok(is_detached)) => {
                if is_detached && auto_register {
                    self.register_again(presented);
                }
                return Ok(());
            }
            None => {}
        }
        let (thing, maker) = presented.thing(auto_register)?;
        if auto_register {
            self.register(std::slice::from_ref(&thing));
        }
        if !self.read(|registry, _| registry.thing(&thing).is_ok()) {
            return Err("the thing is not registered");
        }
        let certificate = DeviceCertificate::from_der(&presented.der).map_err(|_| "the certificate is no X.509 certificate")?;
        self.adopt(&thing, &certificate, maker);
        Ok(())
    }

    /// The thing that a certificate names, and that was deleted meanwhile, is there again, as with a certificate that is new.
    fn register_again(&self, presented: &Presented) {
        let Ok((thing, _)) = presented.thing(true) else { return };
        if self.read(|registry, _| registry.thing(&thing).is_err()) {
            self.register(std::slice::from_ref(&thing));
            self.call_registry(|registry, _, _| attach_all(registry, presented.id, &thing));
            self.authority.changed(clock::mono());
        }
    }

    /// Which client it is that connects with a signature and `client_id`. A signature says nothing of things, and an IAM policy may allow
    /// any client id: the client is the thing of its name, where there is one (inferred).
    ///
    /// # Errors
    /// When there is no client id.
    pub(super) fn identify_signed(&self, client_id: &str) -> Result<Identity, Refusal> {
        if client_id.is_empty() {
            return Err("there is no client id, and a signature names no thing");
        }
        let client_id = ClientId::new(client_id);
        let thing = client_id.thing().filter(|thing| self.read(|registry, _| registry.thing(thing).is_ok()));
        Ok(Identity { client_id, thing, certificate: None })
    }

    /// The session of `identity` has begun: it ends when its certificate loses its standing, or its thing is deleted. Says whether that
    /// has not happened already.
    pub(super) fn settle(&self, identity: &Identity) -> bool {
        self.read(|registry, _| {
            let is_attached = |things: &jobs_engine::registry::SortedSet<ThingName>| {
                identity.thing.as_ref().is_none_or(|thing| things.contains(thing.as_str()))
            };
            match identity.certificate {
                Some(id) => matches!(registry.standing(id), Some(Ok(certificate)) if is_attached(&certificate.things)),
                None => identity.thing.as_ref().is_none_or(|thing| registry.thing(thing).is_ok()),
            }
        })
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

    /// Registers the certificates that were made for these things in `dir`, as [`Self::adopt`] does.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn adopt_made(&self, dir: &Path, names: &[ThingName]) -> Result<(), dev_pki::PkiError> {
        for thing in names {
            self.adopt(thing, &Store::certificate(dir, thing)?, Maker::Here);
        }
        Ok(())
    }

    /// Takes a certificate that names its thing into the registry: `ACTIVE`, attached to that thing, and with the policy that such things
    /// have. One that is known already, or was deleted, stays what it is.
    fn adopt(&self, thing: &ThingName, certificate: &DeviceCertificate, maker: Maker) {
        let pem = match maker {
            Maker::Here => Pem::OfThing { thing: thing.clone() },
            Maker::SomebodyElse => Pem::Text(certificate.pem.as_str().into()),
        };
        let id = certificate_id(&certificate.der);
        let (not_before_ms, not_after_ms) = (certificate.not_before_ms, certificate.not_after_ms);
        let (status, mode) = (CertificateStatus::Active, CertificateMode::Default);
        let new = NewCertificate { id, pem, status, mode, not_before_ms, not_after_ms };
        self.call_registry(|registry, _, now| {
            if registry.standing(id).is_none() && registry.add_certificate(new, now).is_ok() {
                attach_all(registry, id, thing);
            }
        });
    }
}

/// What is attached to a certificate that was made here. Where the policy was deleted there is none to attach.
fn attach_all(registry: &mut Registry, id: CertificateId, thing: &ThingName) {
    let _ = registry.attach_thing(id, thing, false);
    if let Ok(policy) = PolicyName::new(DEVICE_POLICY) {
        let _ = registry.attach_policy(&policy, &PolicyTarget::Certificate(id));
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<ThingName> {
    ThingName::new(certificate.subject().iter_common_name().next()?.as_str().ok()?).ok()
}
