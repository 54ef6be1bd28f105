//! What the registry says of a client, which its policies are judged by.

use super::permissions::{Denial, Device, Permissions, Who};
use super::{Authority, parts};
use crate::identity::Presented;
use crate::refusals::RefusedAt;
use crate::service::Service;
use host::clock;
use iot_jobs::ThingName;
use iot_policy::{Attachment, Certificate, Client, ConnectAttributes, Policy, Thing, attach};
use jobs_engine::engine::Engine;
use jobs_engine::registry::{Certificate as Shown, CertificateId, PolicyName, Registry};
use rustls::pki_types::CertificateDer;
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A device that asks, as its connection knows it.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Absent where it is not at hand: what it says has no value then.
    pub(crate) der: Option<&'a CertificateDer<'a>>,
    pub(crate) id: CertificateId,
    /// Absent on HTTPS.
    pub(crate) client_id: Option<&'a str>,
    pub(crate) source_ip: Option<IpAddr>,
    /// Of SNI.
    pub(crate) domain_name: Option<&'a str>,
}

impl Authority {
    /// The policies of these names in their default versions.
    pub(crate) fn policies(&self, registry: &Registry, names: &BTreeSet<PolicyName>) -> Arc<[Arc<Policy>]> {
        let policy = |name: &PolicyName| {
            let version = registry.policy(name).ok()?.default_version;
            let (_, found) = registry.policy_version(name, version).ok()?;
            self.policy(name, version, &found.document)
        };
        names.iter().filter_map(policy).collect()
    }

    /// A client, but for what its certificate says ([`Asking::certificate`]), and its policies: those that are attached to the certificate
    /// that it shows, and to the groups of the thing that it then is, as `change` leaves them; none, where the certificate has lost its
    /// standing.
    pub(crate) fn client(
        &self,
        registry: &Registry,
        engine: &Engine,
        asking: Asking<'_>,
        change: impl FnOnce(&mut BTreeSet<PolicyName>),
    ) -> (Client, Arc<[Arc<Policy>]>) {
        let shown = registry.standing(asking.id).and_then(Result::ok);
        let attached = shown.zip(asking.client_id).map(|(shown, client_id)| attached(shown, client_id));
        let is = attached.and_then(Result::ok);
        let mut names = shown.map(|shown| effective(registry, engine, shown, is)).unwrap_or_default();
        change(&mut names);
        let policies = self.policies(registry, &names);
        let attachment = match attached {
            Some(Ok(name)) => Attachment::Is(Box::new(thing(registry, name, &policies))),
            Some(Err(Some(attached))) => Attachment::OtherName { attached: attached.into() },
            None if asking.client_id.is_none() => Attachment::Https,
            Some(Err(None)) | None => Attachment::Unattached,
        };
        let client = Client {
            id: asking.client_id.map(Into::into),
            attachment,
            certificate: None,
            source_ip: asking.source_ip,
            domain_name: asking.domain_name.map(Into::into),
        };
        (client, policies)
    }
}

/// Which of the things that a certificate is attached to a client with this id is.
///
/// # Errors
/// One of the things, where the client is none of them; `None` where there is none.
pub(crate) fn attached<'a>(certificate: &'a Shown, client_id: &str) -> Result<&'a ThingName, Option<&'a str>> {
    let name = attach(certificate.things.iter().map(ThingName::as_str), certificate.exclusive, client_id)?;
    certificate.things.get(name).ok_or(None)
}

/// Those of the certificate, and of the groups of the thing that the client is.
fn effective(registry: &Registry, engine: &Engine, certificate: &Shown, thing: Option<&ThingName>) -> BTreeSet<PolicyName> {
    let groups = thing.and_then(|thing| engine.groups_of(thing).ok()).unwrap_or_default();
    registry.effective_policies(certificate, &groups)
}

/// What is known of a thing, as far as policies name it.
fn thing(registry: &Registry, name: &ThingName, policies: &[Arc<Policy>]) -> Thing {
    let found = registry.thing(name).ok();
    let named: BTreeSet<&str> = policies.iter().flat_map(|policy| policy.document.attributes()).collect();
    let value = |attribute: &str| found.and_then(|thing| thing.attributes.get(attribute));
    Thing {
        name: name.as_str().into(),
        type_name: found.and_then(|thing| thing.thing_type.as_ref()).map(|name| name.as_str().into()),
        attributes: named.into_iter().filter_map(|name| Some((name.into(), value(name)?.into()))).collect(),
    }
}

impl Asking<'_> {
    /// What its certificate says, as far as policies name it. To be asked without the lock: a certificate takes a while to read.
    pub(crate) fn certificate(&self, policies: &[Arc<Policy>]) -> Option<Arc<Certificate>> {
        let der = self.der?;
        let named: BTreeSet<&str> = policies.iter().flat_map(|policy| policy.document.certificate_parts()).collect();
        let parsed = if named.is_empty() { None } else { X509Certificate::from_der(der).ok() };
        let parts = parsed.map(|(_, parsed)| parts::parts(&parsed, |part| named.contains(part)));
        Some(Arc::new(Certificate { id: self.id.0, parts: parts.unwrap_or_default() }))
    }
}

impl Service {
    /// What a device may do.
    pub(crate) fn permissions(&self, asking: Asking<'_>) -> Permissions {
        // Before the registry is asked: what changes meanwhile is felt.
        let generation = self.authority.generation(clock::mono);
        let device = self.device(asking);
        let mut permissions = Permissions::new(&self.authority.common, Who::Device(Box::new(device)), generation);
        permissions.epoch_s = clock::epoch_ms() / 1_000;
        permissions
    }

    /// What whoever signs may do.
    pub(crate) fn iam_permissions(&self) -> Permissions {
        Permissions::of_iam_identity(&self.authority.common)
    }

    fn device(&self, asking: Asking<'_>) -> Device {
        let (client, policies) = self.read(|registry, engine| self.authority.client(registry, engine, asking, |_| ()));
        Device { client: Client { certificate: asking.certificate(&policies), ..client }, policies }
    }

    /// Lets a client feel what has changed since it was judged last; `presented` is what it has shown.
    pub(crate) fn refresh<P: Borrow<Presented>>(
        &self,
        permissions: &mut Permissions,
        presented: impl FnOnce() -> Option<P>,
        client_id: Option<&str>,
    ) {
        let generation = self.authority.generation(clock::mono);
        if permissions.depends_on_time() {
            permissions.epoch_s = clock::epoch_ms() / 1_000;
        }
        if permissions.generation == generation || matches!(permissions.who, Who::Iam) {
            return;
        }
        if let Some(presented) = presented() {
            let device = self.device(presented.borrow().asking(client_id));
            permissions.replace(Who::Device(Box::new(device)), generation);
        }
    }

    /// Tells of what was denied: each in the log, and in the log of decisions where there is one. Returns the last explanation.
    pub(crate) fn note_denials(
        &self,
        permissions: &mut Permissions,
        at: RefusedAt,
        connect: Option<ConnectAttributes<'_>>,
    ) -> Option<String> {
        let mut last = None;
        for denial in permissions.take_denials() {
            let why = permissions.explain(&denial, connect);
            if let Who::Device(device) = &permissions.who {
                self.refusals.note(at, device.client.id.as_deref().unwrap_or(&denial.name), &why);
                self.log_denial(&device.client, &denial, &why);
            }
            last = Some(why);
        }
        last
    }

    fn log_denial(&self, client: &Client, denial: &Denial, why: &str) {
        if let Some(log) = self.decisions()
            && let Err(error) = log.write(client, denial, why, clock::now())
        {
            self.failures().fail(&error);
        }
    }
}
