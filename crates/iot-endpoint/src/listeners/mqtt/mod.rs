//! MQTT, whatever carries it: one task a connection.

mod admit;
mod connection;

use crate::authority::Permissions;
use crate::identity::{Identity, Presented, Refusal};
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

    /// Who its client is, with what it has shown.
    ///
    /// # Errors
    /// Why the client may not connect, whatever policies say.
    fn identify(&self, client_id: &str, service: &Service, settings: MqttSettings) -> Result<Identity, Refusal> {
        match self.presented() {
            Some(presented) => match service.register_just_in_time(presented.certificate()) {
                Some(refusal) => Err(refusal),
                None => service.identify(&presented, client_id, settings.auto_register),
            },
            None => service.identify_signed(client_id),
        }
    }

    /// What a client that was identified may do.
    fn permissions(&self, identity: &Identity, service: &Service) -> Permissions {
        match self.presented() {
            Some(presented) => service.permissions(presented.asking(Some(identity.client_id.as_str()))),
            None => service.iam_permissions(),
        }
    }
}

impl Carrier for TlsStream {
    const LIFETIME_MAX: Duration = Duration::MAX;
    const SENDS_CLOSE_FRAME: bool = false;

    fn presented(&self) -> Option<Presented> {
        mutual::presented(self)
    }
}

/// Runs a connection to its end.
pub(crate) async fn run(stream: impl Carrier, service: Arc<Service>, settings: MqttSettings) {
    let end = connection::run(stream, &service, settings).await;
    tracing::debug!(end = %end, "connection closed");
}
