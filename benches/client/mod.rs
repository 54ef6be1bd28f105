//! The bare client: as little as it takes to speak MQTT over mutual TLS, with the TLS settings of our own generator.

use bytes::BytesMut;
use host::tls;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, Subscribe, SubscribeFilter, SubscribeReasonCode};
use rumqttc::mqttbytes::{self, QoS};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use thing_transport::credentials::Credentials;
use thing_transport::endpoint::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const KEEP_ALIVE_S: u16 = 300;
/// The longest packet there is, and some room.
const PACKET_BYTES_MAX: usize = 200_000;

pub(crate) type Stream = TlsStream<TcpStream>;

/// The folder that `fleetsim serve --dir` keeps certificates in.
#[derive(Clone)]
pub(crate) struct Store(pub(crate) PathBuf);

impl Store {
    /// As `fleetsim serve` names its things, unless told otherwise.
    pub(crate) fn thing_name(n: usize) -> String {
        format!("sim-{n:06}")
    }

    pub(crate) fn endpoint(&self, address: SocketAddr) -> Endpoint {
        let ca = CertificateDer::from_pem_file(self.0.join("ca.cert.pem")).expect("the CA of the store");
        let tls = Arc::new(tls::client_config(tls::roots([ca]).expect("a CA"), None).expect("a client configuration"));
        Endpoint::single(address, ServerName::try_from("localhost").unwrap(), tls)
    }

    pub(crate) fn credentials(&self, thing: &str) -> Credentials {
        let path = |kind: &str| self.0.join("things").join(format!("{thing}.{kind}.pem"));
        let chain = vec![CertificateDer::from_pem_file(path("cert")).expect("a certificate of the store")];
        Credentials::new(chain, PrivateKeyDer::from_pem_file(path("key")).expect("a key of the store")).expect("a pair")
    }
}

/// Connects with a clean session and subscribes with QoS 1 to these topics of the thing below `jobs/`.
pub(crate) async fn connect(thing: &str, config: Arc<ClientConfig>, endpoint: &Endpoint, filters: &[&str]) -> io::Result<Stream> {
    let route = endpoint.route(0);
    let tcp = route.dial().await.map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(config).connect(route.destination.server_name.clone(), tcp).await?;
    let mut out = BytesMut::new();
    let mut connect = Connect::new(thing);
    connect.keep_alive = KEEP_ALIVE_S;
    connect.write(&mut out).unwrap();
    stream.write_all(&out).await?;
    match read_packet(&mut stream, &mut BytesMut::new()).await? {
        Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success => {}
        packet => return Err(io::Error::other(format!("not connected: {packet:?}"))),
    }
    out.clear();
    let filters = filters.iter().map(|last| SubscribeFilter::new(format!("$aws/things/{thing}/jobs/{last}"), QoS::AtLeastOnce));
    let mut subscribe = Subscribe::new_many(filters);
    subscribe.pkid = 1;
    subscribe.write(&mut out).unwrap();
    stream.write_all(&out).await?;
    match read_packet(&mut stream, &mut BytesMut::new()).await? {
        Packet::SubAck(ack) if !ack.return_codes.contains(&SubscribeReasonCode::Failure) => Ok(stream),
        packet => Err(io::Error::other(format!("not subscribed: {packet:?}"))),
    }
}

pub(crate) async fn read_packet(stream: &mut Stream, bytes: &mut BytesMut) -> io::Result<Packet> {
    loop {
        match Packet::read(bytes, PACKET_BYTES_MAX) {
            Ok(packet) => return Ok(packet),
            Err(mqttbytes::Error::InsufficientBytes(_)) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
