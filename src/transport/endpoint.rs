//! Where things connect to: the same to everyone, whether AWS, the emulator or a broker.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;

/// An address resolved once, the name the endpoint must prove, and what all sessions' TLS has in common.
#[derive(Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// Sent as SNI, verified in the certificate.
    pub server_name: ServerName<'static>,
    /// Without a client certificate; see [`super::credentials::Credentials::config`].
    pub tls: Arc<ClientConfig>,
}
