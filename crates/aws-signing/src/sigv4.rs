//! AWS Signature Version 4, both ways: signing a request, and telling whether a request was signed as it should be.
//!
//! The signature itself is computed by `aws-sigv4`; verifying means computing it again for the same time, scope and headers.

use super::scope::{CredentialScope, has_unsigned, only, signed_value};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::Request;
use http::request::Parts;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use time::macros::format_description;

/// How far the clocks of client and service may be apart.
pub(super) const SKEW_MAX: Duration = Duration::from_secs(5 * 60);
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Headers that `aws-sigv4` puts into the canonical request by itself.
const IMPLIED_HEADERS: [&str; 1] = ["x-amz-date"];

/// An access key with its secret.
#[derive(Clone)]
pub struct AccessKey {
    /// Access key id, which a signed request shows.
    pub id: String,
    /// Secret access key, which it does not.
    pub secret: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
}

impl AccessKey {
    /// One that does not expire.
    #[must_use]
    pub fn lasting(id: &str, secret: &str) -> Self {
        Self { id: id.into(), secret: secret.into(), session_token: None }
    }
}

/// A request that cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("sign the request: {0}")]
pub struct SignError(String);

impl SignError {
    /// For what could not even be made a request.
    #[must_use]
    pub fn new(why: &dyn std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// Why a signature is not accepted, in AWS's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `Authorization` header, or in a URL no `X-Amz-Signature`.
    #[error("Missing Authentication Token")]
    MissingAuthenticationToken,
    /// A part of the signature, its date or a header that must be signed is missing, malformed or there twice.
    #[error("the request is not signed by {ALGORITHM} with Credential, SignedHeaders and Signature")]
    IncompleteSignature,
    /// The access key id is not the one that is known.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The date is more than 5 minutes from the service's, or the URL has expired.
    #[error("Signature expired: the request's date is more than 5 minutes from the service's")]
    SignatureExpired,
    /// The credential's scope is of another day, region or service.
    #[error("the credential is scoped to another day, region or service")]
    WrongScope,
    /// A header of AWS is there that the signature does not cover.
    #[error("There were headers present in the request which were not signed: every x-amz header must be one of SignedHeaders")]
    UnsignedHeader,
    /// The signature is not that of this request.
    #[error("The request signature we calculated does not match the signature you provided.")]
    SignatureDoesNotMatch,
}

impl Refusal {
    /// The value of `x-amzn-ErrorType`; that of a header which is not signed is (inferred).
    #[must_use]
    pub fn error_type(self) -> &'static str {
        match self {
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::SignatureExpired | Self::WrongScope | Self::UnsignedHeader | Self::SignatureDoesNotMatch => {
                "InvalidSignatureException"
            }
        }
    }
}

/// Signs `request` (whose URI is absolute) in place, for `service` in `region` at `at`.
///
/// # Errors
/// When a header or the URI cannot be signed.
pub fn sign_request(
    request: &mut Request<Vec<u8>>,
    key: &AccessKey,
    region: &str,
    service: &str,
    at: SystemTime,
) -> Result<(), SignError> {
    let headers: Vec<(String, String)> =
        request.headers().iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let uri = request.uri().to_string();
    let signable = signable(request.method().as_str(), &uri, headers, SignableBody::Bytes(request.body()))?;
    let (instructions, _) = compute(signable, key, &Scope { region, service, at }, SigningSettings::default())?;
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// What a signature is good for.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) at: SystemTime,
}

/// What of a request is signed.
pub(super) fn signable<'a>(
    method: &'a str,
    uri: &'a str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: SignableBody<'a>,
) -> Result<SignableRequest<'a>, SignError> {
    SignableRequest::new(method, uri, headers, body).map_err(|error| SignError::new(&error))
}

/// The signature, and how a request gets it.
pub(super) fn compute(
    signable: SignableRequest<'_>,
    key: &AccessKey,
    scope: &Scope<'_>,
    settings: SigningSettings,
) -> Result<(aws_sigv4::http_request::SigningInstructions, String), SignError> {
    let failed = SignError::new;
    let identity = Credentials::new(key.id.clone(), key.secret.clone(), key.session_token.clone(), None, "fleetsim").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.at)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    Ok(sign(signable, &params).map_err(|error| failed(&error))?.into_parts())
}

/// What an `Authorization` header says.
struct Authorization<'a> {
    scope: CredentialScope<'a>,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let fields = text.strip_prefix(ALGORITHM)?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for (name, value) in fields.split(',').filter_map(|field| field.trim().split_once('=')) {
            let field = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if field.replace(value).is_some() {
                return None;
            }
        }
        Some(Self { scope: CredentialScope::parse(credential?)?, signed_headers: signed_headers?, signature: signature? })
    }
}

/// The only field of that name.
fn field<'a>(head: &'a Parts, name: &str) -> Result<Option<&'a str>, Refusal> {
    only(&head.headers, name).map_err(|()| Refusal::IncompleteSignature)
}

fn needed<'a>(head: &'a Parts, name: &str) -> Result<&'a str, Refusal> {
    field(head, name)?.ok_or(Refusal::IncompleteSignature)
}

/// The head of a received request, with a signature that says it is of the right key and region, and of about now.
pub struct SignedHead<'a> {
    head: &'a Parts,
    authorization: Authorization<'a>,
    at: SystemTime,
}

impl<'a> SignedHead<'a> {
    /// Holds against `key`, `region` and `now` what can be told without the body.
    ///
    /// # Errors
    /// With the reason, in AWS's names.
    pub fn read(head: &'a Parts, key: &AccessKey, region: &str, now: SystemTime) -> Result<Self, Refusal> {
        let authorization = field(head, "authorization")?.ok_or(Refusal::MissingAuthenticationToken)?;
        let authorization = Authorization::parse(authorization).ok_or(Refusal::IncompleteSignature)?;
        let date = needed(head, "x-amz-date")?;
        let at = parse_date(date).ok_or(Refusal::IncompleteSignature)?;
        if authorization.scope.key_id != key.id {
            return Err(Refusal::UnrecognizedClient);
        }
        check_age(at, now)?;
        if !authorization.scope.fits(date, region) {
            return Err(Refusal::WrongScope);
        }
        Ok(Self { head, authorization, at })
    }

    /// Verifies the signature, now that the body has come, and returns the signing name of its scope, such as `iot`.
    ///
    /// # Errors
    /// With the reason, in AWS's names.
    pub fn verify(&self, body: &[u8], key: &AccessKey, now: SystemTime) -> Result<&'a str, Refusal> {
        let Self { head, authorization: Authorization { scope, signed_headers, signature }, at } = self;
        check_age(*at, now)?;
        let host = needed(head, "host")?;
        let absolute = format!("https://{host}{}", head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str));
        let names: Vec<&str> = signed_headers.split(';').collect();
        if !names.contains(&"host") || !names.contains(&"x-amz-date") {
            return Err(Refusal::IncompleteSignature);
        }
        if has_unsigned(&head.headers, signed_headers) {
            return Err(Refusal::UnsignedHeader);
        }
        let mut signed = Vec::with_capacity(names.len());
        for name in names.into_iter().filter(|name| !IMPLIED_HEADERS.contains(name)) {
            signed.push((name, signed_value(&head.headers, name).ok_or(Refusal::SignatureDoesNotMatch)?));
        }
        let signed = signed.iter().map(|(name, value)| (*name, value.as_str()));
        let mut settings = SigningSettings::default();
        // The client decided which headers count.
        settings.excluded_headers = None;
        let CredentialScope { region, service, .. } = *scope;
        let (_, expected) = signable(head.method.as_str(), &absolute, signed, SignableBody::Bytes(body))
            .and_then(|signable| compute(signable, key, &Scope { region, service, at: *at }, settings))
            .map_err(|_unsignable| Refusal::SignatureDoesNotMatch)?;
        if is_same(&expected, signature) { Ok(service) } else { Err(Refusal::SignatureDoesNotMatch) }
    }
}

fn check_age(at: SystemTime, now: SystemTime) -> Result<(), Refusal> {
    let age = now.duration_since(at).unwrap_or_else(|error| error.duration());
    if age <= SKEW_MAX { Ok(()) } else { Err(Refusal::SignatureExpired) }
}

/// Whether the signature of a request is the one expected, in a time that does not tell how much of it is right.
pub(super) fn is_same(expected: &str, signature: &str) -> bool {
    expected.as_bytes().ct_eq(signature.as_bytes()).into()
}

const DATE: &[time::format_description::BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

pub(super) fn format_date(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(DATE).expect("a date of four-digit years can be written")
}

pub(super) fn parse_date(text: &str) -> Option<SystemTime> {
    let date = time::PrimitiveDateTime::parse(text, DATE).ok()?.assume_utc();
    let since = date - OffsetDateTime::UNIX_EPOCH;
    UNIX_EPOCH.checked_add(since.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "us-east-1";

    fn key() -> AccessKey {
        AccessKey::lasting("AKIAEXAMPLE", "secret")
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_772_000_000)
    }

    fn signed(path: &str, body: &str) -> Request<Vec<u8>> {
        let mut request = Request::put(format!("https://127.0.0.1:4443{path}"))
            .header("host", "127.0.0.1:4443")
            .header("content-type", "application/json")
            .body(body.as_bytes().to_vec())
            .unwrap();
        sign_request(&mut request, &key(), REGION, "iot", now()).unwrap();
        request
    }

    fn check(request: &Request<Vec<u8>>, key: &AccessKey, now: SystemTime) -> Result<String, Refusal> {
        let (head, body) = request.clone().into_parts();
        SignedHead::read(&head, key, REGION, now)?.verify(&body, key, now).map(str::to_owned)
    }

    #[test]
    fn what_was_signed_is_accepted_whatever_stands_in_the_path() {
        for path in ["/jobs/fw-1", "/jobs/fw-1?force=true&b=a%20b", "/things/t:1/jobs/$next", "/things/t/jobs/%24next"] {
            assert_eq!(check(&signed(path, "{}"), &key(), now()), Ok("iot".into()), "{path}");
        }
    }

    #[test]
    fn anything_changed_is_refused() {
        let mut changed_body = signed("/jobs/fw-1", "{}");
        *changed_body.body_mut() = b"{ }".to_vec();
        assert_eq!(check(&changed_body, &key(), now()), Err(Refusal::SignatureDoesNotMatch));
        let mut changed_path = signed("/jobs/fw-1", "{}");
        *changed_path.uri_mut() = "https://127.0.0.1:4443/jobs/fw-2".parse().unwrap();
        assert_eq!(check(&changed_path, &key(), now()), Err(Refusal::SignatureDoesNotMatch));
        let mut changed_header = signed("/jobs/fw-1", "{}");
        changed_header.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        assert_eq!(check(&changed_header, &key(), now()), Err(Refusal::SignatureDoesNotMatch));
        let other_secret = AccessKey { secret: "other".into(), ..key() };
        assert_eq!(check(&signed("/jobs/fw-1", "{}"), &other_secret, now()), Err(Refusal::SignatureDoesNotMatch));
        let other_id = AccessKey { id: "AKIAOTHER".into(), ..key() };
        assert_eq!(check(&signed("/jobs/fw-1", "{}"), &other_id, now()), Err(Refusal::UnrecognizedClient));
    }

    #[test]
    fn a_stale_date_another_region_and_no_signature_are_refused() {
        let request = signed("/jobs/fw-1", "{}");
        for skew in [301, 3600] {
            assert_eq!(check(&request, &key(), now() + Duration::from_secs(skew)), Err(Refusal::SignatureExpired));
            assert_eq!(check(&request, &key(), now() - Duration::from_secs(skew)), Err(Refusal::SignatureExpired));
        }
        assert_eq!(check(&request, &key(), now() + Duration::from_secs(299)), Ok("iot".into()));
        let (head, body) = request.clone().into_parts();
        let late = now() + SKEW_MAX + Duration::from_secs(1);
        let slow = SignedHead::read(&head, &key(), REGION, now()).and_then(|signed| signed.verify(&body, &key(), late));
        assert_eq!(slow, Err(Refusal::SignatureExpired), "its body came too late");
        let other_region = SignedHead::read(&head, &key(), "eu-west-1", now()).map(drop);
        assert_eq!(other_region, Err(Refusal::WrongScope));
        let mut other_day = signed("/jobs/fw-1", "{}");
        let authorization = other_day.headers()["authorization"].to_str().unwrap().replace("/20260225/", "/20260224/");
        other_day.headers_mut().insert("authorization", authorization.parse().unwrap());
        assert_eq!(check(&other_day, &key(), now()), Err(Refusal::WrongScope), "{authorization}");
        let mut unsigned = signed("/jobs/fw-1", "{}");
        unsigned.headers_mut().remove("authorization");
        assert_eq!(check(&unsigned, &key(), now()), Err(Refusal::MissingAuthenticationToken));
        let mut garbled = signed("/jobs/fw-1", "{}");
        garbled.headers_mut().insert("authorization", "AWS4-HMAC-SHA256 Credential=x".parse().unwrap());
        assert_eq!(check(&garbled, &key(), now()), Err(Refusal::IncompleteSignature));
    }

    /// A change of a signed request, and what it is refused as.
    type Forgery = (&'static str, fn(&mut Request<Vec<u8>>), Refusal);

    #[test]
    fn what_the_signature_does_not_cover_is_refused() {
        fn add(request: &mut Request<Vec<u8>>, name: &'static str, value: &str) {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        fn edit(request: &mut Request<Vec<u8>>, edit: impl Fn(&str) -> String) {
            let edited = edit(request.headers()["authorization"].to_str().unwrap());
            request.headers_mut().insert("authorization", edited.parse().unwrap());
        }
        let forgeries: [Forgery; 9] = [
            ("a second Authorization", |r| add(r, "authorization", "AWS4-HMAC-SHA256 x"), Refusal::IncompleteSignature),
            ("a second date", |r| add(r, "x-amz-date", "20260225T060000Z"), Refusal::IncompleteSignature),
            ("a second host", |r| add(r, "host", "example.com"), Refusal::IncompleteSignature),
            ("a second value of a signed header", |r| add(r, "content-type", "text/plain"), Refusal::SignatureDoesNotMatch),
            ("a principal", |r| add(r, "x-amzn-principal", "arn"), Refusal::UnsignedHeader),
            ("an older principal", |r| add(r, "x-amzn-iot-principal", "arn"), Refusal::UnsignedHeader),
            ("a policy", |r| add(r, "x-amzn-iot-policy", "p"), Refusal::UnsignedHeader),
            ("no day", |r| edit(r, |text| text.replace("/20260225/", "//")), Refusal::WrongScope),
            ("two credentials", |r| edit(r, |text| format!("{text}, Credential=AKIAEXAMPLE/x")), Refusal::IncompleteSignature),
        ];
        for (what, forge, refusal) in forgeries {
            let mut request = signed("/jobs/fw-1", "{}");
            forge(&mut request);
            assert_eq!(check(&request, &key(), now()), Err(refusal), "{what}");
        }
        let mut passed_on = signed("/jobs/fw-1", "{}");
        add(&mut passed_on, "x-amzn-trace-id", "Root=1");
        add(&mut passed_on, "x-amz-security-token", "t");
        assert_eq!(check(&passed_on, &key(), now()), Ok("iot".into()), "what proxies and temporary credentials add");
    }

    #[test]
    fn a_signed_header_may_have_several_values() {
        let mut request = Request::get("https://127.0.0.1:4443/jobs").header("host", "127.0.0.1:4443").body(Vec::new()).unwrap();
        request.headers_mut().insert("x-amzn-principal", "a,b".parse().unwrap());
        sign_request(&mut request, &key(), REGION, "iot", now()).unwrap();
        request.headers_mut().insert("x-amzn-principal", "a".parse().unwrap());
        request.headers_mut().append("x-amzn-principal", "b".parse().unwrap());
        assert_eq!(check(&request, &key(), now()), Ok("iot".into()));
    }
}
