//! MQTT over WebSocket: a signed upgrade on the listener of the API, then the same sessions as over mutual TLS (PROTOCOL 12.4).

use super::http::{Body, Io, Refused, full};
use super::mqtt::{self, Carrier, MqttSettings};
use super::mutual::TlsStream;
use crate::identity::Presented;
use crate::service::Service;
use aws_signing::sigv4::AccessKey;
use aws_signing::websocket::{self, PATH, SUBPROTOCOLS};
use host::clock;
use host::websocket::FrameStream;
use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response};
use hyper::body::Incoming;
use iot_jobs::wire::control::REGION;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

/// From the answer to an upgrade to its first frame's being awaited.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// A day (PROTOCOL 12.6).
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);

/// Whether a request is for this.
pub(super) fn is_upgrade(path: &str) -> bool {
    path == PATH
}

/// Refuses, or agrees and goes on in a task of its own. `guard` lives as long as the connection.
pub(super) fn answer(
    mut request: Request<Incoming>,
    key: &AccessKey,
    service: &Arc<Service>,
    settings: MqttSettings,
    guard: impl Send + 'static,
) -> Response<Body> {
    let response = match agree(&request, key) {
        Ok(response) => response,
        Err(refused) => return refused.respond(),
    };
    let service = Arc::clone(service);
    tokio::spawn(async move {
        let _guard = guard;
        let upgraded = tokio::time::timeout(UPGRADE_TIMEOUT, hyper::upgrade::on(&mut request)).await;
        let Ok(Ok(upgraded)) = upgraded else { return };
        drop(request);
        let Ok(parts) = upgraded.downcast::<Io<TlsStream>>() else { return };
        let stream = parts.io.into_inner().into_inner();
        mqtt::run(Box::new(FrameStream::accepted(stream, parts.read_buf.to_vec()).await), service, settings).await;
    });
    response
}

fn agree(request: &Request<Incoming>, key: &AccessKey) -> Result<Response<Body>, Refused> {
    let now = UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs());
    websocket::verify(request.method().as_str(), request.uri(), request.headers(), key, REGION, now)
        .map_err(|refusal| Refused::new(403, refusal.error_type(), refusal.to_string()))?;
    let bad = |message: String| Refused::new(400, "InvalidRequestException", message);
    let subprotocol = offered(request.headers())
        .ok_or_else(|| bad(format!("Sec-WebSocket-Protocol must offer one of {}", SUBPROTOCOLS.join(", "))))?;
    let mut response = create_response_with_body(request, || full("")).map_err(|error| bad(error.to_string()))?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    Ok(response)
}

/// The first of ours that a client offers.
fn offered(headers: &HeaderMap) -> Option<&'static str> {
    let lists = || headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let is_offered = |name: &str| lists().flat_map(|list| list.split(',')).any(|offered| offered.trim() == name);
    SUBPROTOCOLS.into_iter().find(|name| is_offered(name))
}

impl Carrier for FrameStream<TlsStream> {
    const LIFETIME_MAX: Duration = LIFETIME_MAX;
    const SENDS_CLOSE_FRAME: bool = true;

    /// A signature was verified, and no certificate asked for.
    fn presented(&self) -> Option<Presented> {
        None
    }
}
