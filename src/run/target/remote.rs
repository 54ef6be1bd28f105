//! The way to an endpoint of somebody else: names resolved once, and all that its connections share.

use super::certificates::Files;
use super::{TargetError, sources};
use crate::scenario::plan::RemotePlan;
use crate::transport::endpoint::{Destination, Endpoint};
use crate::wire::tls;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the account says its endpoint is.
pub(super) struct Told {
    pub host: String,
    /// Where it says that, too.
    pub port: Option<u16>,
}

/// Every address of every host is a destination: things are spread over all of them.
///
/// # Errors
/// With the host that cannot be resolved.
pub(super) async fn reach(remote: &RemotePlan, files: &Files, told: Option<Told>) -> Result<Endpoint, TargetError> {
    let told_port = told.as_ref().and_then(|told| told.port);
    let port = remote.port.or(told_port).unwrap_or(RemotePlan::PORT);
    let hosts: Vec<&str> = remote.hosts.iter().map(String::as_str).chain(told.as_ref().map(|told| &*told.host)).collect();
    let sources: Vec<_> = sources(&remote.link).collect();
    let is_ipv4 = sources.first().map(IpAddr::is_ipv4);
    let mut destinations = Vec::new();
    for host in hosts {
        let name = remote.server_name.as_deref().unwrap_or(host);
        let server_name = server_name(name)?;
        let addresses = resolve(host, port, is_ipv4).await?;
        destinations.extend(addresses.into_iter().map(|address| Destination { address, server_name: server_name.clone() }));
    }
    let tls = Arc::new(tls::client_config(files.roots.clone(), remote.alpn.as_deref())?);
    let nowhere = || TargetError::Resolve { host: "the endpoint".into(), why: "no host is given".into() };
    Endpoint::new(destinations, sources, tls, remote.link.resumption).ok_or_else(nowhere)
}

pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, TargetError> {
    ServerName::try_from(name.to_owned())
        .map_err(|error| TargetError::Resolve { host: name.into(), why: format!("it cannot be in a certificate: {error}") })
}

/// The addresses of a host, of one family: the one that is wanted, else IPv4 where there is one.
pub(super) async fn resolve(host: &str, port: u16, is_ipv4: Option<bool>) -> Result<Vec<SocketAddr>, TargetError> {
    let unresolved = |why: String| TargetError::Resolve { host: host.into(), why };
    let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_elapsed| unresolved(format!("no answer within {} s", RESOLVE_TIMEOUT.as_secs())))?;
    let mut addresses: Vec<SocketAddr> = found.map_err(|error| unresolved(error.to_string()))?.collect();
    let is_ipv4 = is_ipv4.unwrap_or_else(|| addresses.iter().any(SocketAddr::is_ipv4));
    addresses.retain(|address| address.is_ipv4() == is_ipv4);
    // The same things at the same addresses in every run, whatever order the resolver has.
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(unresolved(format!("it has no address of IPv{}", if is_ipv4 { 4 } else { 6 })));
    }
    Ok(addresses)
}
