//! An endpoint that lets everybody in, asks for nothing, and remembers who came how.

use crate::bench::Bench;
use host::tls;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A connection that came as far as CONNECT.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Visit {
    pub(crate) client_id: String,
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) resumed: bool,
}

/// What happens to a connection after its CONNECT.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    Keep,
    /// Dropped once it is subscribed.
    DropSoon,
    /// Closed instead of a CONNACK.
    Close,
}

pub(crate) struct Fake {
    pub(crate) port: String,
    visits: Arc<Mutex<Vec<Visit>>>,
}

impl Fake {
    /// On the same port of these addresses.
    pub(crate) fn start(bench: &Bench, addresses: &[&str], manner: Manner) -> Self {
        let mut roots = RootCertStore::empty();
        let pem = |file: &str| bench.path("pki").join(file);
        roots.add(CertificateDer::from_pem_file(pem("ca.cert.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().unwrap();
        let builder = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
        let chain = vec![CertificateDer::from_pem_file(pem("server.cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(pem("server.key.pem")).unwrap();
        let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
        config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
        let (config, visits) = (Arc::new(config), Arc::new(Mutex::new(Vec::new())));
        let mut port = 0;
        for address in addresses {
            let listener = TcpListener::bind((*address, port)).unwrap();
            port = listener.local_addr().unwrap().port();
            let (config, visits) = (Arc::clone(&config), Arc::clone(&visits));
            std::thread::spawn(move || {
                for tcp in listener.incoming().flatten() {
                    let (config, visits) = (Arc::clone(&config), Arc::clone(&visits));
                    std::thread::spawn(move || meet(tcp, config, &visits, manner));
                }
            });
        }
        Self { port: port.to_string(), visits }
    }

    /// Sorted.
    pub(crate) fn visits(&self) -> Vec<Visit> {
        let mut visits = self.visits.lock().unwrap().clone();
        visits.sort();
        visits
    }
}

fn meet(tcp: TcpStream, config: Arc<ServerConfig>, visits: &Mutex<Vec<Visit>>, manner: Manner) -> Option<()> {
    tcp.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let (from, to) = (tcp.peer_addr().ok()?.ip(), tcp.local_addr().ok()?.ip());
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
    let connect = packet(&mut stream)?;
    let length = usize::from(u16::from_be_bytes([connect[10], connect[11]]));
    let client_id = String::from_utf8(connect[12..12 + length].to_vec()).unwrap();
    let resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
    visits.lock().unwrap().push(Visit { client_id, from, to, resumed });
    if matches!(manner, Manner::Close) {
        return None;
    }
    send(&mut stream, &[0x20, 2, 0, 0])?;
    packet(&mut stream)?;
    send(&mut stream, &[0x90, 6, 0, 1, 1, 1, 1, 1])?;
    if matches!(manner, Manner::DropSoon) {
        return None;
    }
    while packet(&mut stream).is_some() {}
    None
}

/// The body of the next packet.
fn packet(stream: &mut Tls) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let mut length = usize::from(head[1] & 0x7f);
    if head[1] & 0x80 != 0 {
        let mut more = [0];
        stream.read_exact(&mut more).ok()?;
        length |= usize::from(more[0]) << 7;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn send(stream: &mut Tls, bytes: &[u8]) -> Option<()> {
    stream.write_all(bytes).and_then(|()| stream.flush()).ok()
}
