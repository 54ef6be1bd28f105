//! Requests of AWS's HTTP APIs, as they leave on a connection of HTTP/1.1.

use crate::keyring::{KeyError, Keyring};
use crate::sigv4::{self, AccessKey, SignError};
use host::clock;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use iot_jobs::wire::data_plane::HttpRequest;
use iot_jobs::wire::registry::PRINCIPAL_HEADER;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names a principal in the calls that attach certificates to things.
pub const PRINCIPAL: HeaderName = HeaderName::from_static(PRINCIPAL_HEADER);

/// How requests are signed, in place of a certificate's being shown.
pub struct Signing {
    /// Who gives the key of each request.
    pub keyring: Arc<Keyring>,
    /// The region of the signature's scope.
    pub region: String,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// There was no key to sign with.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// There was a key, and the request cannot be signed.
    #[error("{0}")]
    Sign(#[from] SignError),
}

/// The request for the host `authority`.
///
/// # Errors
/// When host or path cannot be in a request.
pub fn plain(authority: &str, request: HttpRequest) -> Result<Request<Full<Bytes>>, SignError> {
    absolute(authority, request).and_then(relative)
}

/// The same, signed with `key` for `service` in `region`.
///
/// # Errors
/// When it cannot be signed.
pub fn signed(
    authority: &str,
    request: HttpRequest,
    key: &AccessKey,
    region: &str,
    service: &str,
) -> Result<Request<Full<Bytes>>, SignError> {
    signed_with(authority, request, &HeaderMap::new(), key, region, service)
}

/// The same with headers of its own, which are signed as well.
///
/// # Errors
/// When it cannot be signed.
pub fn signed_with(
    authority: &str,
    request: HttpRequest,
    headers: &HeaderMap,
    key: &AccessKey,
    region: &str,
    service: &str,
) -> Result<Request<Full<Bytes>>, SignError> {
    let mut request = absolute(authority, request)?;
    request.headers_mut().extend(headers.clone());
    sigv4::sign_request(&mut request, key, region, service, now())?;
    relative(request)
}

/// The same with the key that is good now.
///
/// # Errors
/// When there is no key, or the request cannot be signed.
pub async fn signed_by(
    signing: &Signing,
    authority: &str,
    request: HttpRequest,
    service: &str,
) -> Result<Request<Full<Bytes>>, SigningError> {
    let key = signing.keyring.key().await?;
    Ok(signed(authority, request, &key, &signing.region, service)?)
}

/// What signatures are dated.
#[must_use]
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs())
}

/// The URI is signed with its host.
fn absolute(authority: &str, request: HttpRequest) -> Result<Request<Vec<u8>>, SignError> {
    let HttpRequest { method, path, body } = request;
    Request::builder()
        .method(method)
        .uri(format!("https://{authority}{path}"))
        .header(HOST, authority)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(body)
        .map_err(|error| SignError::new(&error))
}

/// And sent without.
fn relative(mut request: Request<Vec<u8>>) -> Result<Request<Full<Bytes>>, SignError> {
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    *request.uri_mut() = path.parse().map_err(|error: http::uri::InvalidUri| SignError::new(&error))?;
    Ok(request.map(|body| Full::new(Bytes::from(body))))
}
