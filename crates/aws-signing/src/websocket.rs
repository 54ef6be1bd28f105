//! MQTT over WebSocket: its URL, signed by Signature Version 4 in the query, both ways (PROTOCOL 12.4).
//!
//! Unlike presigned URLs of S3 it may have no expiry, and a session token is no part of what is signed. `aws-sigv4` signs no such query,
//! so the canonical request is written here.

use super::scope::{CredentialScope, has_unsigned, signed_value};
use super::sigv4::{ALGORITHM, AccessKey, Refusal, SKEW_MAX, format_date, is_same, parse_date};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::{HeaderMap, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, SystemTime};

/// Path of the WebSocket (PROTOCOL 12.4).
pub const PATH: &str = "/mqtt";
/// `Sec-WebSocket-Protocol`: the standard's name, and what the device SDK v1 for Python says (its `cores.py`).
pub const SUBPROTOCOLS: [&str; 2] = [SUBPROTOCOL, "mqttv3.1"];
/// What this project's clients ask for as `Sec-WebSocket-Protocol` (PROTOCOL 12.4).
pub const SUBPROTOCOL: &str = "mqtt";
/// Signing name of MQTT over WebSocket (PROTOCOL 12.3).
pub const SIGNING_NAME: &str = "iotdevicegateway";
/// What that SDK signs for.
const SIGNING_NAME_V1: &str = "iotdata";

const SIGNATURE: &str = "X-Amz-Signature";
/// Comes after the signature: a verifier that takes it for a part of what was signed refuses real clients.
const TOKEN: &str = "X-Amz-Security-Token";
/// The longest life of a URL that says when it expires.
const EXPIRES_S_MAX: u64 = 7 * 24 * 3600;
/// What a query is encoded with: all but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Path and query of the URL by which a client of `host` (with its port, unless that is 443) opens a connection at `at`.
#[must_use]
pub fn presign(host: &str, key: &AccessKey, session_token: Option<&str>, region: &str, at: SystemTime) -> String {
    let date = format_date(at);
    let credential = format!("{}/{}/{region}/{SIGNING_NAME}/aws4_request", key.id, &date[..8]);
    let parameters =
        [("X-Amz-Algorithm", ALGORITHM), ("X-Amz-Credential", &credential), ("X-Amz-Date", &date), ("X-Amz-SignedHeaders", "host")];
    let query = canonical_query(parameters.into_iter());
    let signature = sign("GET", &query, ("host", &format!("host:{host}\n")), key, (region, SIGNING_NAME), at);
    let token = session_token.map(|token| format!("&{TOKEN}={}", encode(token))).unwrap_or_default();
    format!("{PATH}?{query}&{SIGNATURE}={signature}{token}")
}

fn canonical_query<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<(String, String)> = parameters.map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The signature of a request without a body, in hexadecimal digits; `headers` are the names of those that are signed, and their lines.
fn sign(
    method: &str,
    query: &str,
    headers: (&str, &str),
    key: &AccessKey,
    (region, service): (&str, &str),
    at: SystemTime,
) -> String {
    let hash = |text: &str| hex::encode(Sha256::digest(text));
    let request = format!("{method}\n{PATH}\n{query}\n{}\n{}\n{}", headers.1, headers.0, hash(""));
    let date = format_date(at);
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hash(&request));
    calculate_signature(generate_signing_key(&key.secret, at, region, service), text.as_bytes())
}

/// Verifies the query of a received request for [`PATH`].
///
/// # Errors
/// With the reason, in AWS's names.
pub fn verify(method: &str, uri: &Uri, headers: &HeaderMap, key: &AccessKey, region: &str, now: SystemTime) -> Result<(), Refusal> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    let parameters: Vec<_> =
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decode(name), decode(value))).collect();
    let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
    let parameter = |name: &str| get(name).ok_or(Refusal::IncompleteSignature);
    let signature = get(SIGNATURE).ok_or(Refusal::MissingAuthenticationToken)?;
    let scope = CredentialScope::parse(parameter("X-Amz-Credential")?).ok_or(Refusal::IncompleteSignature)?;
    let date = parameter("X-Amz-Date")?;
    let at = parse_date(date).ok_or(Refusal::IncompleteSignature)?;
    if parameter("X-Amz-Algorithm")? != ALGORITHM {
        return Err(Refusal::IncompleteSignature);
    }
    if scope.key_id != key.id {
        return Err(Refusal::UnrecognizedClient);
    }
    if !scope.fits(date, region) || ![SIGNING_NAME, SIGNING_NAME_V1].contains(&scope.service) {
        return Err(Refusal::WrongScope);
    }
    let life = match get("X-Amz-Expires") {
        Some(text) => text.parse().ok().filter(|seconds| (1..=EXPIRES_S_MAX).contains(seconds)).map(Duration::from_secs),
        None => Some(SKEW_MAX),
    };
    if now > at + life.ok_or(Refusal::IncompleteSignature)? || at > now + SKEW_MAX {
        return Err(Refusal::SignatureExpired);
    }
    let signed_headers = parameter("X-Amz-SignedHeaders")?;
    let mut lines = String::new();
    for name in signed_headers.split(';') {
        let value = signed_value(headers, name).ok_or(Refusal::SignatureDoesNotMatch)?;
        lines.push_str(&format!("{name}:{value}\n"));
    }
    if !signed_headers.split(';').any(|name| name == "host") {
        return Err(Refusal::IncompleteSignature);
    }
    if has_unsigned(headers, signed_headers) {
        return Err(Refusal::UnsignedHeader);
    }
    let signed = parameters.iter().filter(|(name, _)| name != SIGNATURE && name != TOKEN);
    let query = canonical_query(signed.map(|(name, value)| (&**name, &**value)));
    let expected = sign(method, &query, (signed_headers, &lines), key, (region, scope.service), at);
    if is_same(&expected, signature) { Ok(()) } else { Err(Refusal::SignatureDoesNotMatch) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    const REGION: &str = "us-east-1";
    const HOST: &str = "127.0.0.1:4443";

    fn key() -> AccessKey {
        AccessKey::lasting("AKIAEXAMPLE", "secret")
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_772_000_000 + seconds)
    }

    fn check(url: &str, host: &str, key: &AccessKey, now: SystemTime) -> Result<(), Refusal> {
        let headers = HeaderMap::from_iter([(http::header::HOST, host.parse().unwrap())]);
        verify("GET", &url.parse().unwrap(), &headers, key, REGION, now)
    }

    #[test]
    fn a_url_opens_a_connection_for_a_while_with_and_without_a_token_after_the_signature() {
        for token in [None, Some("token/with+characters=")] {
            let url = presign(HOST, &key(), token, REGION, at(0));
            assert_eq!(url.contains("&X-Amz-Security-Token=token%2Fwith%2Bcharacters%3D"), token.is_some(), "{url}");
            assert_eq!(check(&url, HOST, &key(), at(299)), Ok(()), "{url}");
            assert_eq!(check(&url, HOST, &key(), at(301)), Err(Refusal::SignatureExpired));
        }
    }

    /// As `aws-sigv4` computes it, where it can: with an expiry. And for either service.
    #[test]
    fn another_implementation_signs_the_same() {
        for service in [SIGNING_NAME, SIGNING_NAME_V1] {
            signed_by_another_implementation(service);
        }
    }

    fn signed_by_another_implementation(service: &str) {
        use crate::sigv4::{Scope, compute, signable};
        use aws_sigv4::http_request::{SignableBody, SignatureLocation, SigningSettings};
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(60));
        let url = format!("https://{HOST}{PATH}?x=a%20b");
        let signable = signable("GET", &url, std::iter::empty(), SignableBody::Bytes(b"")).unwrap();
        let (instructions, _) = compute(signable, &key(), &Scope { region: REGION, service, at: at(0) }, settings).unwrap();
        let mut request = http::Request::get(&url).body(()).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        let url = request.uri().to_string();
        assert_eq!(check(&url, HOST, &key(), at(60)), Ok(()), "{url}");
        assert_eq!(check(&url, HOST, &key(), at(61)), Err(Refusal::SignatureExpired));
    }

    #[test]
    fn anything_changed_is_refused() {
        let url = presign(HOST, &key(), None, REGION, at(0));
        let refused = |url: &str| check(url, HOST, &key(), at(1)).unwrap_err();
        assert_eq!(check(&url, "127.0.0.1", &key(), at(1)), Err(Refusal::SignatureDoesNotMatch), "the port is a part of the host");
        assert_eq!(refused(&url.replace("X-Amz-Signature=", "X-Amz-Signature=0")), Refusal::SignatureDoesNotMatch);
        assert_eq!(refused(&format!("{url}&more=1")), Refusal::SignatureDoesNotMatch);
        assert_eq!(refused(&url.replace(SIGNING_NAME, "iot-jobs-data")), Refusal::WrongScope);
        assert_eq!(refused(&url.replace("us-east-1", "eu-west-1")), Refusal::WrongScope);
        for other_day in ["%2F20260224%2F", "%2F2026%2F", "%2F%2F"] {
            assert_eq!(refused(&url.replace("%2F20260225%2F", other_day)), Refusal::WrongScope);
        }
        assert_eq!(refused(PATH), Refusal::MissingAuthenticationToken);
        assert_eq!(refused("/mqtt?X-Amz-Signature=1"), Refusal::IncompleteSignature);
        assert_eq!(check(&url, HOST, &AccessKey { secret: "other".into(), ..key() }, at(1)), Err(Refusal::SignatureDoesNotMatch));
        assert_eq!(check(&url, HOST, &AccessKey { id: "AKIAOTHER".into(), ..key() }, at(1)), Err(Refusal::UnrecognizedClient));
        assert_eq!(check(&presign(HOST, &key(), None, REGION, at(301)), HOST, &key(), at(0)), Err(Refusal::SignatureExpired));
    }
}
