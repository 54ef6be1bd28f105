//! The way to an endpoint of somebody else: names resolved once, and all that its connections share.

use super::certificates::Files;
use super::{TargetError, sources};
use crate::aws::account::Account;
use crate::aws::locate::{AdvertisedEndpoint, lookup};
use crate::scenario::plan::{IpRange, Plan, RemotePlan, TargetPlan, Transport};
use aws_signing::request::Signing;
use host::address::{bare, bracketed, by_family, without_zone};
use host::tls;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use thing_transport::endpoint::{Destination, Endpoint};

/// The scheme's own: no host header names it.
const HTTPS_PORT: u16 = 443;
const ALPN_HTTP: &str = "x-amzn-http-ca";

/// Of each transport of the plan. Every address of every host is a destination: things are spread over all of them. Where a host has
/// addresses of both families, those of one are the destinations, and those of the other stand behind them.
///
/// # Errors
/// With the host that cannot be resolved.
pub(super) async fn reach(
    plan: &Plan,
    remote: &RemotePlan,
    files: &Files,
    told: Option<AdvertisedEndpoint>,
    account: Option<&Account>,
) -> Result<Vec<Endpoint>, TargetError> {
    let told_port = told.as_ref().and_then(|told| told.port);
    let hosts: Vec<&str> = remote.hosts.iter().map(String::as_str).chain(told.as_ref().map(|told| &*told.host)).collect();
    let mut endpoints = Vec::new();
    for transport in plan.transports() {
        let (port, alpn) = match transport {
            Transport::Mqtt | Transport::Mqtt5 => (remote.port.or(told_port).unwrap_or(RemotePlan::PORT), remote.alpn.as_deref()),
            Transport::HttpsMtls => (remote.https_port, alpn_of_https(plan, remote.https_port)),
            Transport::MqttWs | Transport::HttpsSigv4 => (remote.api_port, None),
        };
        let tls = Arc::new(tls::client_config(files.roots.clone(), alpn)?);
        let nowhere = || TargetError::Resolve { host: "the endpoint".into(), why: "no host is given".into() };
        let destinations = destinations(remote, &hosts, port).await?;
        let endpoint =
            Endpoint::new(destinations, sources(&remote.link).collect(), tls, remote.link.resumption).ok_or_else(nowhere)?;
        endpoints.push(match account.filter(|_| transport.is_signed()) {
            Some(Account { keyring, region, .. }) => {
                // Who has no key is told before the first connection.
                keyring.key().await.map_err(|error| TargetError::Account(error.to_string()))?;
                endpoint.signed(Signing { keyring: Arc::clone(keyring), region: region.clone() })
            }
            None => endpoint,
        });
    }
    Ok(endpoints)
}

async fn destinations(remote: &RemotePlan, hosts: &[&str], port: u16) -> Result<Vec<Destination>, TargetError> {
    let mut destinations = Vec::new();
    for host in hosts {
        // Whoever proves to be that name is asked by it, wherever the connection leads.
        let name = remote.server_name.as_deref().unwrap_or(host);
        let server_name = server_name(name)?;
        let name = bracketed(name);
        let authority: Arc<str> = if port == HTTPS_PORT { name.into() } else { format!("{name}:{port}").into() };
        let (first, second) = resolve(host, port, &remote.link.source_ips).await?;
        let others: Arc<[SocketAddr]> = second.into();
        destinations.extend(
            first
                .into_iter()
                .map(|address| Destination::new(address, Arc::clone(&others), server_name.clone(), Arc::clone(&authority))),
        );
    }
    Ok(destinations)
}

/// On its common port AWS wants to be told that certificates are shown for HTTP (PROTOCOL 10.3).
fn alpn_of_https(plan: &Plan, port: u16) -> Option<&'static str> {
    (matches!(plan.target, TargetPlan::Aws(_)) && port == HTTPS_PORT).then_some(ALPN_HTTP)
}

fn server_name(name: &str) -> Result<ServerName<'static>, TargetError> {
    ServerName::try_from(without_zone(bare(name)).to_owned())
        .map_err(|error| TargetError::Resolve { host: name.into(), why: format!("it cannot be in a certificate: {error}") })
}

/// The addresses of a host by family, as [`by_family`] has them, of the families that connections may leave by.
///
/// # Errors
/// When there are none.
async fn resolve(host: &str, port: u16, sources: &[IpRange]) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>), TargetError> {
    let unresolved = |why: String| TargetError::Resolve { host: host.into(), why };
    let found = lookup(host, port).await.map_err(unresolved)?;
    let has_source = |address: &SocketAddr| sources.iter().any(|range| range.first.is_ipv4() == address.is_ipv4());
    let addresses = found.into_iter().filter(|address| sources.is_empty() || has_source(address));
    let (mut first, mut second) = by_family(addresses.collect());
    if first.is_empty() {
        return Err(unresolved("it has no address of the family of target.source_ips".into()));
    }
    // The same things at the same addresses in every run, whatever order the resolver has.
    for family in [&mut first, &mut second] {
        family.sort_unstable();
        family.dedup();
    }
    Ok((first, second))
}
