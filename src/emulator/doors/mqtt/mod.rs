//! The MQTT door: accept, TLS, identity from the certificate, then one task a connection.

mod admit;
mod connection;
mod packet;
mod session;
mod v3;
mod v5;

use crate::emulator::service::Service;
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// TLS handshakes in progress at once; the others wait in the listen queue.
const HANDSHAKES_MAX: usize = 1024;
/// From accept to the end of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a session may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MqttSettings {
    pub(crate) auto_register: bool,
    pub(crate) keep_alive_min: Duration,
    pub(crate) keep_alive_max: Duration,
    /// How long a session outlives its connection at most (spec section 13.4).
    pub(crate) session_expiry_max: Duration,
}

/// Accepts for ever.
pub(crate) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, service: Arc<Service>, settings: MqttSettings) {
    let acceptor = TlsAcceptor::from(tls);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
        let stream = super::accept(&listener).await;
        let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
        tokio::spawn(async move {
            let Some(stream) = Box::pin(handshake(acceptor, stream)).await else { return };
            drop(permit);
            let end = connection::run(stream, &service, settings).await;
            tracing::debug!(end = %end, "connection closed");
        });
    }
}

async fn handshake(acceptor: TlsAcceptor, stream: TcpStream) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake");
            None
        }
        Err(_elapsed) => {
            tracing::debug!("TLS handshake did not complete in time");
            None
        }
    }
}
