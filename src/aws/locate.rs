//! Where a control plane is: the URL of a region, its addresses, and how it proves itself.

use super::account::Account;
use super::client::ControlEndpoint;
use super::server::Server;
use dev_pki::given;
use host::address::{bare, by_family, interleaved, without_zone};
use host::tls;
use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Connections to the control plane are HTTP/1.1.
const ALPN: &str = "http/1.1";
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a control plane cannot be reached, before a connection was tried.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error("the endpoint URL {url} {why}")]
    Url { url: String, why: &'static str },
    #[error("resolve {host}: {why}")]
    Resolve { host: String, why: String },
    #[error("AWS_CA_BUNDLE: {0}")]
    CaBundle(String),
    #[error("set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A name and a port, as DescribeEndpoint has it: AWS answers a host; the local endpoint, whose ports are any, answers `host:port`.
#[derive(Debug, PartialEq, Eq)]
pub struct AdvertisedEndpoint {
    pub host: String,
    /// Where it says that, too.
    pub port: Option<u16>,
}

impl AdvertisedEndpoint {
    /// # Errors
    /// When it is neither, for people.
    pub fn parse(address: &str) -> Result<Self, String> {
        let unreadable = || format!("its endpoint {address:?} is no host, and no host with a port");
        let authority: Authority = address.parse().map_err(|_| unreadable())?;
        let host = bare(authority.host());
        if host.is_empty() {
            return Err(unreadable());
        }
        Ok(Self { host: host.into(), port: authority.port_u16() })
    }
}

/// The URL of the account's control plane.
#[must_use]
pub fn url_of(account: &Account) -> String {
    account.endpoint_url.clone().unwrap_or_else(|| url_of_region(&account.region))
}

/// AWS's own control plane of a region.
fn url_of_region(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://iot.{region}.{suffix}")
}

/// The control plane of an account, its host resolved.
///
/// # Errors
/// When its URL is none, its host has no address, or its roots cannot be read.
pub async fn locate(account: &Account) -> Result<ControlEndpoint, LocateError> {
    let url = url_of(account);
    let wrong = |why| LocateError::Url { url: url.clone(), why };
    let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    if !matches!(uri.path(), "" | "/") {
        return Err(wrong("has a path, which the control plane has not"));
    }
    let roots = || account.ca_bundle.as_deref().map_or_else(|| Ok(tls::amazon_roots()), bundled);
    Ok(ControlEndpoint { server: server(&uri, roots).await?, region: account.region.clone() })
}

/// Where a URL leads, its host resolved; its path counts for nothing. Roots are asked for where it is HTTPS.
///
/// # Errors
/// When it is no URL of HTTP, its host has no address, or the roots cannot be read.
pub(super) async fn server(uri: &Uri, roots: impl FnOnce() -> Result<RootCertStore, LocateError>) -> Result<Server, LocateError> {
    let wrong = |why| LocateError::Url { url: uri.to_string(), why };
    let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
    let is_plain = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => false,
        Some(scheme) if *scheme == Scheme::HTTP => true,
        _ => return Err(wrong("must start with https:// or http://")),
    };
    let host = authority.host();
    let port = authority.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
    let unresolved = |why| LocateError::Resolve { host: host.into(), why };
    let addresses = interleaved(by_family(lookup(host, port).await.map_err(unresolved)?));
    if addresses.is_empty() {
        return Err(unresolved("it has no address".into()));
    }
    let tls = if is_plain { None } else { Some(trust(host, roots()?)?) };
    Ok(Server { addresses, authority: authority.to_string(), tls })
}

fn trust(host: &str, roots: RootCertStore) -> Result<(Arc<rustls::ClientConfig>, ServerName<'static>), LocateError> {
    let name = ServerName::try_from(without_zone(bare(host)).to_owned())
        .map_err(|error| LocateError::Resolve { host: host.into(), why: format!("it cannot be in a certificate: {error}") })?;
    Ok((Arc::new(tls::client_config(roots, Some(ALPN))?), name))
}

/// Those of a PEM file.
fn bundled(path: &str) -> Result<RootCertStore, LocateError> {
    Ok(tls::roots(given::certificates(Path::new(path)).map_err(LocateError::CaBundle)?)?)
}

/// Those that Mozilla trusts, and those of a PEM file.
///
/// # Errors
/// When the file cannot be read.
#[cfg(feature = "aws")]
pub(super) fn roots_of_all(ca_bundle: Option<&str>) -> Result<RootCertStore, LocateError> {
    let mut roots = tls::mozilla_roots();
    roots.extend(ca_bundle.map_or_else(|| Ok(RootCertStore::empty()), bundled)?.roots);
    Ok(roots)
}

/// All addresses of a host.
///
/// # Errors
/// With what the resolver says, for people.
pub async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((bare(host), port))).await;
    let found = found.map_err(|_elapsed| format!("no answer within {} s", RESOLVE_TIMEOUT.as_secs()))?;
    Ok(found.map_err(|error| error.to_string())?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_have_a_port() {
        let read = |address| AdvertisedEndpoint::parse(address).map(|told| (told.host, told.port)).ok();
        assert_eq!(read("abc-ats.iot.eu-central-1.amazonaws.com"), Some(("abc-ats.iot.eu-central-1.amazonaws.com".into(), None)));
        assert_eq!(read("127.0.0.1:8883"), Some(("127.0.0.1".into(), Some(8883))));
        assert_eq!(read("[::1]:8883"), Some(("::1".into(), Some(8883))));
        assert!(read("a b").is_none() && read("").is_none());
    }

    #[test]
    fn each_partition_has_its_names() {
        assert_eq!(url_of_region("eu-central-1"), "https://iot.eu-central-1.amazonaws.com");
        assert_eq!(url_of_region("cn-north-1"), "https://iot.cn-north-1.amazonaws.com.cn");
    }
}
