//! CA certificates, the code that proves who owns one, and the certificates that they have signed.

use super::certificates::{add_of, certificate_mode, created, listed, mode_text, parse_status};
use super::{PAGE_MAX, arn};
use crate::authorities::{GivenAuthority, VerificationError, issuers};
use crate::identity::certificate_id;
use crate::listeners::api::tags::tag_new;
use crate::listeners::api::{Answer, Call, Refused, empty, invalid};
use dev_pki::DeviceCertificate;
use host::clock;
use iot_jobs::wire::authority::{
    DescribedAuthority, ListedAuthority, RegisterAuthorityBody, RegisterCertificateBody, UpdateAuthorityBody, encode_authority,
    encode_code,
};
use iot_jobs::wire::control::ACCOUNT;
use iot_jobs::wire::registry::{Validity, encode_page, parse, seconds};
use iot_jobs::wire::tags::parse_tags;
use jobs_engine::registry::{
    Authority, Certificate, CertificateId, CertificateMode, CertificateStatus, ResourceKind, Tagged, UpdateAuthority,
};
use rand::RngExt as _;

const ENABLE: &str = "ENABLE";
const DISABLE: &str = "DISABLE";

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("GET", ["registrationcode"]) => registration_code(call),
        ("DELETE", ["registrationcode"]) => delete_registration_code(call),
        ("POST", ["cacertificate"]) => register_authority(call),
        ("GET", ["cacertificates"]) => list_authorities(call),
        ("GET", ["cacertificate", id]) => describe_authority(call, id),
        ("PUT", ["cacertificate", id]) => update_authority(call, id),
        ("DELETE", ["cacertificate", id]) => delete_authority(call, id),
        ("GET", ["certificates-by-ca", id]) => list_certificates(call, id),
        ("POST", ["certificate", "register"]) => register_certificate(call),
        _ => return None,
    })
}

fn unfit(member: &str, why: &str) -> Refused {
    Refused::new(400, "CertificateValidationException", format!("{member}: {why}"))
}

fn registration_code(call: &Call<'_>) -> Result<Answer, Refused> {
    let code = call.service.call_registry(|registry, _, _| registry.registration_code(|| rand::rng().random()));
    Ok(encode_code(&code.to_string()))
}

fn delete_registration_code(call: &Call<'_>) -> Result<Answer, Refused> {
    call.service.call_registry(|registry, _, _| registry.delete_registration_code())?;
    Ok(empty())
}

/// One of one account (`DEFAULT`) has to prove who has its key; one of several (`SNI_ONLY`) has not.
fn register_authority(call: &Call<'_>) -> Result<Answer, Refused> {
    let body: RegisterAuthorityBody = parse("RegisterCACertificate", call.body)?;
    let mode = body.certificate_mode.as_deref().map_or(Ok(CertificateMode::Default), certificate_mode)?;
    let tags = parse_tags(body.tags)?;
    let given = GivenAuthority::from_pem(&body.ca_certificate).map_err(|why| unfit("caCertificate", &why))?;
    let id = given.id();
    let (is_active, registers_itself) = (call.query.flag("setAsActive"), call.query.flag("allowAutoRegistration"));
    call.service.call_registry(|registry, _, now| {
        match (mode, &body.verification_certificate) {
            (CertificateMode::Default, Some(pem)) => {
                given.check_verification(pem, registry.known_registration_code()).map_err(|error| match error {
                    VerificationError::Certificate(why) => unfit("verificationCertificate", &why),
                    VerificationError::Code(why) => {
                        Refused::new(400, "RegistrationCodeValidationException", format!("verificationCertificate: {why}"))
                    }
                })?;
            }
            (CertificateMode::Default, None) => {
                let why = "verificationCertificate is required for a CA whose certificateMode is DEFAULT (SNI_ONLY needs none)";
                return Err(invalid(why).into());
            }
            (CertificateMode::SniOnly, None) => {}
            (CertificateMode::SniOnly, Some(_)) => {
                return Err(invalid("verificationCertificate is for a CA whose certificateMode is DEFAULT").into());
            }
        }
        registry.add_authority(id, given.into_authority(mode, is_active, registers_itself, now.epoch_ms))?;
        tag_new(registry, &Tagged::Authority(id), tags)?;
        Ok::<_, Refused>(())
    })?;
    Ok(encode_authority(arn(ResourceKind::CaCertificate, &id.to_string()), &id.to_string()))
}

fn status_text(authority: &Authority) -> &'static str {
    if authority.is_active { "ACTIVE" } else { "INACTIVE" }
}

fn describe_authority(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id: CertificateId = id.parse()?;
    call.service.call_registry(|registry, _, _| {
        let found = registry.authority(id)?;
        let described = DescribedAuthority {
            certificate_arn: arn(ResourceKind::CaCertificate, &id.to_string()),
            certificate_id: id.to_string(),
            status: status_text(found),
            certificate_pem: &found.pem,
            owned_by: ACCOUNT,
            creation_date: seconds(found.created_ms),
            auto_registration_status: if found.registers_itself { ENABLE } else { DISABLE },
            last_modified_date: seconds(found.updated_ms),
            customer_version: 1,
            validity: Validity { not_before: seconds(found.not_before_ms), not_after: seconds(found.not_after_ms) },
            certificate_mode: mode_text(found.mode),
        };
        Ok(described.encode())
    })
}

/// By date of creation, the newest first unless `isAscendingOrder`. There are no provisioning templates, so that none is for one.
fn list_authorities(call: &Call<'_>) -> Result<Answer, Refused> {
    let page = call.query.page_of("pageSize", "marker", PAGE_MAX)?;
    let (is_ascending, is_of_template) = (call.query.flag("isAscendingOrder"), call.query.get("templateName").is_some());
    call.service.call_registry(|registry, _, _| {
        let place = |id: CertificateId, found: &Authority| format!("{:020}{id}", found.created_ms);
        let found = registry.authorities().filter(|_| !is_of_template);
        let mut found: Vec<_> = found.map(|(id, found)| (place(id, found), id, found)).collect();
        found.sort_by(|(a, ..), (b, ..)| if is_ascending { a.cmp(b) } else { b.cmp(a) });
        let (found, marker) = page.cut_ordered(found, is_ascending, |(place, ..)| place);
        let listed = found.into_iter().map(|(_, id, found)| ListedAuthority {
            certificate_arn: arn(ResourceKind::CaCertificate, &id.to_string()),
            certificate_id: id.to_string(),
            status: status_text(found),
            creation_date: seconds(found.created_ms),
        });
        Ok(encode_page("certificates", listed, "nextMarker", marker))
    })
}

fn update_authority(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id: CertificateId = id.parse()?;
    let body: UpdateAuthorityBody = parse("UpdateCACertificate", call.body)?;
    let word = |name: &str, yes: &str, no: &str| match call.query.get(name) {
        None => Ok(None),
        Some(text) if text == yes => Ok(Some(true)),
        Some(text) if text == no => Ok(Some(false)),
        Some(other) => Err(invalid(format!("{name} must be {yes} or {no}, not {other:?}"))),
    };
    let registers_itself = word("newAutoRegistrationStatus", ENABLE, DISABLE)?;
    let update = UpdateAuthority {
        is_active: word("newStatus", "ACTIVE", "INACTIVE")?,
        registers_itself: if body.remove_auto_registration { Some(false) } else { registers_itself },
    };
    call.service.call_registry(|registry, _, now| registry.update_authority(id, update, now))?;
    Ok(empty())
}

fn delete_authority(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id: CertificateId = id.parse()?;
    call.service.call_registry(|registry, _, _| registry.delete_authority(id))?;
    Ok(empty())
}

/// Certificates of devices that a CA has signed; of one that is gone there may still be some.
fn list_certificates(call: &Call<'_>, id: &str) -> Result<Answer, Refused> {
    let id: CertificateId = id.parse()?;
    listed(call, |certificate: &Certificate| certificate.authority == Some(id))
}

fn register_certificate(call: &Call<'_>) -> Result<Answer, Refused> {
    let body: RegisterCertificateBody = parse("RegisterCertificate", call.body)?;
    let status = match body.status.as_deref() {
        Some(status) => parse_status(status)?,
        None if call.query.flag("setAsActive") => CertificateStatus::Active,
        None => CertificateStatus::Inactive,
    };
    let certificate = DeviceCertificate::from_pem(&body.certificate_pem).map_err(|why| unfit("certificatePem", &why))?;
    if certificate.not_after_ms < clock::epoch_ms() {
        return Err(unfit("certificatePem", "the certificate has expired"));
    }
    let wanted = body.ca_certificate_pem.as_deref().map(DeviceCertificate::from_pem).transpose();
    let wanted = wanted.map_err(|why| unfit("caCertificatePem", &why))?.map(|wanted| certificate_id(&wanted.der));
    let (authority, mode) = call.service.call_registry(|registry, _, _| {
        let mut issuers = issuers(registry, &certificate.der);
        issuers.retain(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
        match issuers[..] {
            [] => Err(unfit(
                "certificatePem",
                "no CA certificate that is registered has signed it, or not the one of caCertificatePem",
            )),
            [(id, authority)] if authority.is_active => Ok((id, authority.mode)),
            [(id, _)] => {
                let message = format!("CA certificate {id} is INACTIVE (UpdateCACertificate makes it ACTIVE)");
                Err(Refused::new(406, "CertificateStateException", message))
            }
            [..] => {
                let message = "several CA certificates with this subject and key are registered: name one in caCertificatePem";
                Err(Refused::new(409, "CertificateConflictException", message))
            }
        }
    })?;
    Ok(created(add_of(call, Some(authority), &certificate, status, mode)?, None, None))
}
