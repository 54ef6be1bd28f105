//! Certificates: issued here, or brought by their owners.

use super::{PAGE_MAX, arn};
use crate::identity::certificate_id;
use crate::listeners::api::{Answer, Call, Refused, empty, invalid};
use dev_pki::{DeviceCertificate, Store};
use host::clock;
use iot_jobs::wire::control::ACCOUNT;
use iot_jobs::wire::registry::{
    CertificateFromCsrBody, CreatedCertificate, DescribeCertificateAnswer, DescribedCertificate, KeyPairBody, ListedCertificate,
    RegisterWithoutCaBody, Validity, encode, encode_page, parse, seconds,
};
use jobs_engine::registry::{Certificate, CertificateId, CertificateMode, CertificateStatus, NewCertificate, Pem, ResourceKind};

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("POST", ["keys-and-certificate"]) => create_keys(call),
        ("POST", ["certificates"]) => create_from_csr(call),
        ("POST", ["certificate", "register-no-ca"]) => register_without_ca(call),
        ("GET", ["certificates"]) => list_certificates(call),
        ("GET", ["certificates", id]) => describe_certificate(call, id),
        ("PUT", ["certificates", id]) => update_certificate(call, id),
        ("DELETE", ["certificates", id]) => delete_certificate(call, id),
        _ => return None,
    })
}

fn first_status(call: &Call<'_>) -> CertificateStatus {
    if call.query.flag("setAsActive") { CertificateStatus::Active } else { CertificateStatus::Inactive }
}

pub(super) fn mode_text(mode: CertificateMode) -> &'static str {
    match mode {
        CertificateMode::Default => "DEFAULT",
        CertificateMode::SniOnly => "SNI_ONLY",
    }
}

/// `certificateMode` of a call.
pub(super) fn certificate_mode(text: &str) -> Result<CertificateMode, Refused> {
    let known = [CertificateMode::Default, CertificateMode::SniOnly];
    let found = known.into_iter().find(|mode| mode_text(*mode) == text);
    found.ok_or_else(|| invalid(format!("certificateMode must be DEFAULT or SNI_ONLY, not {text:?}")).into())
}

fn certificate_arn(id: CertificateId) -> String {
    arn(ResourceKind::Certificate, &id.to_string())
}

/// Puts a certificate into the registry.
fn add(
    call: &Call<'_>,
    certificate: &DeviceCertificate,
    status: CertificateStatus,
    mode: CertificateMode,
) -> Result<CertificateId, Refused> {
    add_of(call, None, certificate, status, mode)
}

/// Likewise one that a CA of the account has signed.
pub(super) fn add_of(
    call: &Call<'_>,
    authority: Option<CertificateId>,
    certificate: &DeviceCertificate,
    status: CertificateStatus,
    mode: CertificateMode,
) -> Result<CertificateId, Refused> {
    let id = certificate_id(&certificate.der);
    let (not_before_ms, not_after_ms) = (certificate.not_before_ms, certificate.not_after_ms);
    let new = NewCertificate { id, pem: Pem::Text(certificate.pem.as_str().into()), status, mode, not_before_ms, not_after_ms };
    call.service.call_registry(|registry, _, now| registry.add_certificate_of(authority, new, now))?;
    Ok(id)
}

pub(super) fn created<'a>(id: CertificateId, pem: Option<&'a str>, key_pair: Option<KeyPairBody<'a>>) -> Answer {
    let (certificate_arn, certificate_id) = (certificate_arn(id), id.to_string());
    encode(&CreatedCertificate { certificate_arn, certificate_id, certificate_pem: pem, key_pair })
}

/// The private key leaves with this answer, and is kept nowhere. To find one takes its time, which nobody else is to wait for.
fn create_keys(call: &Call<'_>) -> Result<Answer, Refused> {
    let issued = tokio::task::block_in_place(|| call.settings.authority.issue());
    let (certificate, keys) = issued.map_err(Refused::internal)?;
    let id = add(call, &certificate, first_status(call), CertificateMode::Default)?;
    let key_pair = KeyPairBody { public_key: &keys.public_pem, private_key: &keys.private_pem };
    Ok(created(id, Some(&certificate.pem), Some(key_pair)))
}

fn create_from_csr(call: &Call<'_>) -> Result<Answer, Refused> {
    let body: CertificateFromCsrBody = parse("CreateCertificateFromCsr", call.body)?;
    let signed = call.settings.authority.sign(&body.certificate_signing_request);
    let certificate = signed.map_err(|why| invalid(format!("certificateSigningRequest: {why}")))?;
    let id = add(call, &certificate, first_status(call), CertificateMode::Default)?;
    Ok(created(id, Some(&certificate.pem), None))
}

fn register_without_ca(call: &Call<'_>) -> Result<Answer, Refused> {
    let body: RegisterWithoutCaBody = parse("RegisterCertificateWithoutCA", call.body)?;
    let status = body.status.as_deref().map_or(Ok(CertificateStatus::Inactive), parse_status)?;
    let certificate = DeviceCertificate::from_pem(&body.certificate_pem)
        .map_err(|why| Refused::new(400, "CertificateValidationException", format!("certificatePem: {why}")))?;
    if certificate.not_after_ms < clock::epoch_ms() {
        return Err(Refused::new(400, "CertificateValidationException", "certificatePem: the certificate has expired"));
    }
    let id = add(call, &certificate, status, CertificateMode::SniOnly)?;
    Ok(created(id, None, None))
}

/// The text of a certificate, without its key.
pub(super) fn text_of(call: &Call<'_>, id: CertificateId) -> Result<String, Refused> {
    match call.service.read(|registry, _| registry.certificate(id).map(|found| found.pem.clone()))? {
        Pem::Text(text) => Ok(text.into()),
        Pem::OfThing { thing } => {
            let made = Store::certificate(&call.settings.dir, &thing).ok().filter(|made| certificate_id(&made.der) == id);
            let missing = || Refused::new(404, "ResourceNotFoundException", format!("the file of certificate {id} is gone"));
            made.map(|made| made.pem).ok_or_else(missing)
        }
    }
}

fn describe_certificate(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id: CertificateId = id.parse()?;
    let pem = text_of(call, id)?;
    call.service.call_registry(|registry, _, _| {
        let found = registry.certificate(id)?;
        let certificate_description = DescribedCertificate {
            certificate_arn: certificate_arn(id),
            certificate_id: id.to_string(),
            ca_certificate_id: found.authority.map(|id| id.to_string()),
            status: found.status.as_str(),
            certificate_pem: &pem,
            owned_by: ACCOUNT,
            creation_date: seconds(found.created_ms),
            last_modified_date: seconds(found.updated_ms),
            customer_version: 1,
            validity: Validity { not_before: seconds(found.not_before_ms), not_after: seconds(found.not_after_ms) },
            certificate_mode: mode_text(found.mode),
        };
        Ok(encode(&DescribeCertificateAnswer { certificate_description }))
    })
}

fn list_certificates(call: &Call<'_>) -> Result<Answer, Refused> {
    listed(call, |_| true)
}

/// By date of creation, the newest first unless `isAscendingOrder`.
pub(super) fn listed(call: &Call<'_>, is_wanted: impl Fn(&Certificate) -> bool) -> Result<Answer, Refused> {
    let page = call.query.page_of("pageSize", "marker", PAGE_MAX)?;
    let is_ascending = call.query.flag("isAscendingOrder");
    call.service.call_registry(|registry, _, _| {
        let place = |id: CertificateId, found: &Certificate| format!("{:020}{id}", found.created_ms);
        let mut found: Vec<_> = registry
            .certificates()
            .filter(|(_, found)| is_wanted(found))
            .map(|(id, found)| (place(id, found), id, found))
            .collect();
        found.sort_by(|(a, ..), (b, ..)| if is_ascending { a.cmp(b) } else { b.cmp(a) });
        let (found, marker) = page.cut_ordered(found, is_ascending, |(place, ..)| place);
        let listed = found.into_iter().map(|(_, id, found)| ListedCertificate {
            certificate_arn: certificate_arn(id),
            certificate_id: id.to_string(),
            status: found.status.as_str(),
            certificate_mode: mode_text(found.mode),
            creation_date: seconds(found.created_ms),
        });
        Ok(encode_page("certificates", listed, "nextMarker", marker))
    })
}

pub(super) fn parse_status(text: &str) -> Result<CertificateStatus, Refused> {
    let settable = text.parse().ok().filter(|status| *status != CertificateStatus::PendingActivation);
    settable
        .ok_or_else(|| invalid(format!("a certificate can be given the status ACTIVE, INACTIVE or REVOKED, not {text:?}")).into())
}

/// A certificate that is no longer `ACTIVE` ends the sessions that came in with it: at once, where AWS takes some minutes (inferred).
fn update_certificate(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id: CertificateId = id.parse()?;
    let status = parse_status(call.query.get("newStatus").ok_or_else(|| invalid("newStatus is required"))?)?;
    call.service.call_registry(|registry, _, now| registry.update_certificate(id, status, now))?;
    if status != CertificateStatus::Active {
        call.service.sessions.dismiss(|_, certificate| certificate == id);
    }
    Ok(empty())
}

fn delete_certificate(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, force) = (id.parse::<CertificateId>()?, call.query.flag("forceDelete"));
    call.service.call_registry(|registry, _, _| registry.delete_certificate(id, force))?;
    Ok(empty())
}
