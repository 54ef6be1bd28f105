//! MQTT, whatever carries it: one task a connection.

mod admit;
mod connection;

use crate::identity::Presented;
use crate::listeners::mutual::{self, TlsStream};
use crate::service::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a session may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MqttSettings {
    pub(crate) auto_register: bool,
    pub(crate) keep_alive_min: Duration,
    pub(crate) keep_alive_max: Duration,
    /// How long a session outlives its connection at most (PROTOCOL 13.4).
    pub(crate) session_expiry_max: Duration,
}

/// What packets come and go by.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Unpin {
    /// How long one lasts, whatever happens.
    const LIFETIME_MAX: Duration;
    /// Whether its end is told by the carrier itself.
    const SENDS_CLOSE_FRAME: bool;

    /// What its client has shown, where that is a certificate.
    fn presented(&self) -> Option<Presented>;
}

impl Carrier for TlsStream {
    const LIFETIME_MAX: Duration = Duration::MAX;
    const SENDS_CLOSE_FRAME: bool = false;

    fn presented(&self) -> Option<Presented> {
        mutual::presented(self)
    }
}

/// Runs a connection to its end. `stream` is boxed: a future keeps room for each place that it was moved from.
pub(crate) async fn run(stream: Box<impl Carrier>, service: Arc<Service>, settings: MqttSettings) {
    let end = connection::run(stream, &service, settings).await;
    tracing::debug!(end = %end, "connection closed");
}
