//! MQTT, whatever carries it: one task a connection.

mod admit;
mod connection;

use crate::identity::{Identity, Presented, Refusal};
use crate::listeners::mutual::TlsStream;
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

    /// Which thing its client is.
    ///
    /// # Errors
    /// Why the client may not connect.
    fn identify(&self, client_id: &str, service: &Service, settings: MqttSettings) -> Result<Identity, Refusal>;
}

impl Carrier for TlsStream {
    const LIFETIME_MAX: Duration = Duration::MAX;
    const SENDS_CLOSE_FRAME: bool = false;

    fn identify(&self, client_id: &str, service: &Service, settings: MqttSettings) -> Result<Identity, Refusal> {
        let certificate = self.get_ref().1.peer_certificates().and_then(<[_]>::first).ok_or("there is no certificate")?;
        match service.register_just_in_time(certificate) {
            Some(refusal) => Err(refusal),
            None => service.identify(&Presented::new(certificate), client_id, settings.auto_register),
        }
    }
}

/// Runs a connection to its end.
pub(crate) async fn run(stream: impl Carrier, service: Arc<Service>, settings: MqttSettings) {
    let end = connection::run(stream, &service, settings).await;
    tracing::debug!(end = %end, "connection closed");
}
