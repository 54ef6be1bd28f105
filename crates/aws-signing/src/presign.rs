//! Presigned URLs: Signature Version 4 in a query string, as S3 has it.

use super::scope::{CredentialScope, has_unsigned, only, signed_value};
use super::sigv4::{ALGORITHM, AccessKey, SKEW_MAX, Scope, SignError, compute, is_same, parse_date, signable};
use aws_sigv4::http_request::{PercentEncodingMode, SignableBody, SignatureLocation, SigningSettings, UriPathNormalizationMode};
use http::{HeaderMap, Request, Uri};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Signing name of S3.
const SERVICE: &str = "s3";
/// The longest life of a presigned URL.
const EXPIRES_S_MAX: u64 = 7 * 24 * 3600;
/// Parameters that `aws-sigv4` puts into the query by itself.
const SIGNING_PARAMETERS: [&str; 6] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"];

/// Why a presigned URL opens nothing, in the names of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `X-Amz-Signature` in the query.
    #[error("Access Denied")]
    Unsigned,
    /// A parameter of the signature is missing, malformed, there twice, or of another day, region or service.
    #[error("the query string needs X-Amz-Algorithm={ALGORITHM}, -Credential, -Date, -Expires, -SignedHeaders and -Signature")]
    Malformed,
    /// An `Authorization` header, too: which of the two counts nobody can say.
    #[error(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should be specified"
    )]
    TwoMechanisms,
    /// A header of AWS is there that the signature does not cover.
    #[error("There were headers present in the request which were not signed")]
    UnsignedHeader,
    /// The access key id is not the one that is known.
    #[error("The AWS Access Key Id you provided does not exist in our records.")]
    UnknownKey,
    /// `X-Amz-Date` plus `X-Amz-Expires` is over.
    #[error("Request has expired")]
    Expired,
    /// `X-Amz-Date` is more than 5 minutes ahead.
    #[error("Request is not valid yet")]
    NotYetValid,
    /// The signature is not that of this method, URL and headers.
    #[error("The request signature we calculated does not match the signature you provided. Check your key and signing method.")]
    SignatureDoesNotMatch,
}

impl Refusal {
    /// Status and `Code`.
    #[must_use]
    pub fn code(self) -> (u16, &'static str) {
        match self {
            Self::Unsigned | Self::UnsignedHeader | Self::Expired | Self::NotYetValid => (403, "AccessDenied"),
            Self::TwoMechanisms => (400, "InvalidArgument"),
            Self::Malformed => (400, "AuthorizationQueryParametersError"),
            Self::UnknownKey => (403, "InvalidAccessKeyId"),
            Self::SignatureDoesNotMatch => (403, "SignatureDoesNotMatch"),
        }
    }
}

fn settings(expires_in: Duration) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.expires_in = Some(expires_in);
    settings.excluded_headers = None;
    settings
}

/// `url`, an absolute one that is percent-encoded, with a signature for `method` that lasts from `at` for `expires_in`.
///
/// # Errors
/// When the URL cannot be signed.
pub fn presign(
    method: &str,
    url: &str,
    key: &AccessKey,
    region: &str,
    at: SystemTime,
    expires_in: Duration,
) -> Result<String, SignError> {
    let mut request = Request::builder().method(method).uri(url).body(()).map_err(|error| SignError::new(&error))?;
    let body = SignableBody::UnsignedPayload;
    let scope = Scope { region, service: SERVICE, at };
    let (instructions, _) = compute(signable(method, url, std::iter::empty(), body)?, key, &scope, settings(expires_in))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

/// Verifies the presigned URL of a received request.
///
/// # Errors
/// With the reason.
pub fn verify(method: &str, uri: &Uri, headers: &HeaderMap, key: &AccessKey, region: &str, now: SystemTime) -> Result<(), Refusal> {
    let mut signing = BTreeMap::new();
    let mut others = Vec::new();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match SIGNING_PARAMETERS.iter().find(|known| **known == name) {
            Some(name) if signing.contains_key(name) => return Err(Refusal::Malformed),
            Some(name) => drop(signing.insert(*name, percent_decode_str(value).decode_utf8_lossy())),
            None => others.push(pair),
        }
    }
    let signature = signing.get("X-Amz-Signature").ok_or(Refusal::Unsigned)?;
    let parameter = |name: &str| signing.get(name).map(AsRef::as_ref).ok_or(Refusal::Malformed);
    if headers.contains_key("authorization") {
        return Err(Refusal::TwoMechanisms);
    }
    let credential = CredentialScope::parse(parameter("X-Amz-Credential")?).ok_or(Refusal::Malformed)?;
    let expires = parameter("X-Amz-Expires")?.parse().ok().filter(|seconds| (1..=EXPIRES_S_MAX).contains(seconds));
    let expires_in = expires.map(Duration::from_secs).ok_or(Refusal::Malformed)?;
    let date = parameter("X-Amz-Date")?;
    let at = parse_date(date).ok_or(Refusal::Malformed)?;
    if parameter("X-Amz-Algorithm")? != ALGORITHM || credential.service != SERVICE || !credential.fits(date, region) {
        return Err(Refusal::Malformed);
    }
    if credential.key_id != key.id {
        return Err(Refusal::UnknownKey);
    }
    if now > at + expires_in {
        return Err(Refusal::Expired);
    }
    if at > now + SKEW_MAX {
        return Err(Refusal::NotYetValid);
    }
    let signed_headers = parameter("X-Amz-SignedHeaders")?;
    if !signed_headers.split(';').any(|name| name == "host") {
        return Err(Refusal::Malformed);
    }
    if has_unsigned(headers, signed_headers) {
        return Err(Refusal::UnsignedHeader);
    }
    let mut signed = Vec::new();
    for name in signed_headers.split(';') {
        signed.push((name, signed_value(headers, name).ok_or(Refusal::SignatureDoesNotMatch)?));
    }
    let host = only(headers, "host").ok().flatten().ok_or(Refusal::SignatureDoesNotMatch)?;
    let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    let url = format!("https://{host}{}{query}", uri.path());
    let body = SignableBody::UnsignedPayload;
    let scope = Scope { region, service: SERVICE, at };
    let (_, expected) = signable(method, &url, signed.iter().map(|(name, value)| (*name, value.as_str())), body)
        .and_then(|signable| compute(signable, key, &scope, settings(expires_in)))
        .map_err(|_unsignable| Refusal::SignatureDoesNotMatch)?;
    if is_same(&expected, signature) { Ok(()) } else { Err(Refusal::SignatureDoesNotMatch) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const REGION: &str = "us-east-1";

    fn key() -> AccessKey {
        AccessKey::lasting("AKIAEXAMPLE", "secret")
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_772_000_000 + seconds)
    }

    fn check(method: &str, url: &str, key: &AccessKey, now: SystemTime) -> Result<(), Refusal> {
        let uri: Uri = url.parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("host", uri.authority().unwrap().as_str().parse().unwrap());
        verify(method, &uri, &headers, key, REGION, now)
    }

    #[test]
    fn a_url_opens_what_it_was_signed_for_while_it_lasts() {
        for path in ["/objects/b/fw.bin", "/objects/b/a%20b/%C3%BC.bin", "/objects/b/k?versionId=1"] {
            let url =
                presign("GET", &format!("https://127.0.0.1:4443{path}"), &key(), REGION, at(0), Duration::from_secs(60)).unwrap();
            assert_eq!(check("GET", &url, &key(), at(60)), Ok(()), "{url}");
            assert_eq!(check("GET", &url, &key(), at(61)), Err(Refusal::Expired));
            assert_eq!(check("PUT", &url, &key(), at(1)), Err(Refusal::SignatureDoesNotMatch));
            assert_eq!(check("GET", &url.replacen("/b/", "/c/", 1), &key(), at(1)), Err(Refusal::SignatureDoesNotMatch));
            assert_eq!(check("GET", &url.replace("Expires=60", "Expires=600"), &key(), at(1)), Err(Refusal::SignatureDoesNotMatch));
            let other = AccessKey { secret: "other".into(), ..key() };
            assert_eq!(check("GET", &url, &other, at(1)), Err(Refusal::SignatureDoesNotMatch));
            let other = AccessKey { id: "AKIAOTHER".into(), ..key() };
            assert_eq!(check("GET", &url, &other, at(1)), Err(Refusal::UnknownKey));
        }
        assert_eq!(check("GET", "https://127.0.0.1:4443/objects/b/k", &key(), at(1)), Err(Refusal::Unsigned));
        assert_eq!(check("GET", "https://127.0.0.1:4443/objects/b/k?X-Amz-Signature=1", &key(), at(1)), Err(Refusal::Malformed));
    }

    #[test]
    fn what_the_signature_does_not_cover_is_refused() {
        let url = "https://127.0.0.1:4443/objects/b/k";
        let url = presign("GET", url, &key(), REGION, at(0), Duration::from_secs(60)).unwrap();
        for other_day in ["%2F20260224%2F", "%2F2026%2F", "%2F%2F"] {
            let url = url.replace("%2F20260225%2F", other_day);
            assert_eq!(check("GET", &url, &key(), at(1)), Err(Refusal::Malformed), "{url}");
        }
        assert_eq!(check("GET", &format!("{url}&X-Amz-Expires=60"), &key(), at(1)), Err(Refusal::Malformed), "twice");
        let with = |name: &'static str, value: &str| {
            let uri: Uri = url.parse().unwrap();
            let mut headers = HeaderMap::from_iter([(http::header::HOST, uri.authority().unwrap().as_str().parse().unwrap())]);
            headers.append(name, value.parse().unwrap());
            verify("GET", &uri, &headers, &key(), REGION, at(1))
        };
        assert_eq!(with("authorization", "AWS4-HMAC-SHA256 x"), Err(Refusal::TwoMechanisms));
        assert_eq!(with("x-amz-acl", "public-read"), Err(Refusal::UnsignedHeader));
        assert_eq!(with("host", "example.com"), Err(Refusal::SignatureDoesNotMatch));
        assert_eq!(with("range", "bytes=0-1"), Ok(()));
    }
}
