//! Client certificates: one shared by all, or one per thing; and the ticket a thing may keep of its last connection.

use host::tls::{PairError, certified_key};
use rustls::client::{ClientSessionStore, ResolvesClientCert, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, NamedGroup, SignatureScheme};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A certificate chain and its key, parsed once.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Identity>);

#[derive(Debug)]
struct Identity(Arc<CertifiedKey>);

impl Credentials {
    /// # Errors
    /// When the key is of no kind that can be used, or does not belong to the certificate.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, PairError> {
        Ok(Self(Arc::new(Identity(Arc::new(certified_key(chain, key)?)))))
    }

    /// `base` with this identity: roots and verifier stay shared, which keeps a thing's own share near 1.3 KB.
    #[must_use]
    pub fn config(&self, base: &ClientConfig) -> Arc<ClientConfig> {
        Arc::new(self.own(base))
    }

    /// The same, with room for a ticket.
    #[must_use]
    pub fn resuming_config(&self, base: &ClientConfig) -> Arc<ClientConfig> {
        resuming(self.own(base))
    }

    fn own(&self, base: &ClientConfig) -> ClientConfig {
        let mut config = base.clone();
        config.client_auth_cert_resolver = Arc::clone(&self.0) as Arc<dyn ResolvesClientCert>;
        config
    }
}

/// The same, with room for the ticket of one thing.
#[must_use]
pub fn resuming(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::store(Arc::new(OneTicket::default()));
    Arc::new(config)
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _sigschemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The newest ticket of one thing: it has one endpoint, and needs no more.
#[derive(Debug, Default)]
struct OneTicket(Mutex<StoredTicket>);

#[derive(Debug, Default)]
struct StoredTicket {
    group: Option<NamedGroup>,
    ticket: Option<Ticket>,
}

#[derive(Debug)]
enum Ticket {
    Tls12(Tls12ClientSessionValue),
    Tls13(Box<Tls13ClientSessionValue>),
}

impl OneTicket {
    /// Whoever panicked has left a ticket, or none.
    fn kept(&self) -> MutexGuard<'_, StoredTicket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for OneTicket {
    fn set_kx_hint(&self, _server: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _server: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept().ticket = Some(Ticket::Tls12(value));
    }

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        match &self.kept().ticket {
            Some(Ticket::Tls12(value)) => Some(value.clone()),
            _ => None,
        }
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {
        let mut kept = self.kept();
        if matches!(kept.ticket, Some(Ticket::Tls12(_))) {
            kept.ticket = None;
        }
    }

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.kept().ticket = Some(Ticket::Tls13(Box::new(value)));
    }

    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut kept = self.kept();
        match kept.ticket.take() {
            Some(Ticket::Tls13(value)) => Some(*value),
            other => {
                kept.ticket = other;
                None
            }
        }
    }
}
