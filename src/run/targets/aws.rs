//! An AWS account: its endpoint, and its control plane for the rollouts. The things are there already.

use super::super::jobs::groups::TargetGroups;
use super::super::timestamp::stamp;
use super::super::ui::Ui;
use super::account::{self, Account};
use super::certificates::Files;
use super::control::{ControlPlane, Register, register};
use super::remote::{AdvertisedEndpoint, reach, resolve, server_name};
use super::{Target, TargetError};
use crate::aws::control::{ControlClient, ControlEndpoint};
use crate::roster::Roster;
use crate::scenario::plan::{AwsPlan, Plan, Transport};
use crate::slice::Slice;
use dev_pki::given;
use host::address::{bare, interleaved};
use host::tls;
use http::Uri;
use http::uri::Scheme;
use std::path::Path;
use std::sync::Arc;

/// Connections to the control plane are HTTP/1.1.
const ALPN: &str = "http/1.1";

/// An account is only asked for what is not said, and what is to be created there.
pub(super) async fn bring_up(
    plan: &Plan,
    aws: &AwsPlan,
    files: Files,
    roster: &Roster,
    slice: Slice,
    ui: &Ui,
) -> Result<Target, TargetError> {
    let signs = plan.transports().into_iter().any(Transport::is_signed);
    let account = match aws.remote.hosts.is_empty() || !plan.rollouts.is_empty() || signs {
        true => Some(account::find(aws.region.as_deref(), aws.profile.as_deref()).await.map_err(TargetError::Account)?),
        false => None,
    };
    let client = match &account {
        Some(account) if aws.remote.hosts.is_empty() || !plan.rollouts.is_empty() => Some(client(account, ui).await?),
        _ => None,
    };
    let told = match &client {
        Some(client) if aws.remote.hosts.is_empty() => {
            let address = client.describe_endpoint().await.map_err(TargetError::Describe)?;
            ui.tell(&format!("endpoint: {address}"));
            Some(told(&address)?)
        }
        _ => None,
    };
    let endpoints = reach(plan, &aws.remote, &files, told, account.as_ref()).await?;
    let control = match client.filter(|_| !plan.rollouts.is_empty()) {
        // Groups stay behind: those of an earlier run have other things in them.
        Some(client) => {
            let groups = TargetGroups::of(plan, roster, &format!("-{}", stamp()))?;
            Some(match slice.index() {
                0 => ControlPlane { slice, ..register(roster.names(), groups, client, Register::GroupsOnly, ui).await? },
                _ => ControlPlane::new(client, groups, slice),
            })
        }
        None => None,
    };
    Ok(files.into_target(endpoints, control)?)
}

async fn client(account: &Account, ui: &Ui) -> Result<ControlClient, TargetError> {
    let Account { region, keyring, endpoint_url, ca_bundle } = account;
    let url = endpoint_url.clone().unwrap_or_else(|| control_url(region));
    ui.tell(&format!("control plane: {url}, region {region}"));
    let control_plane = control_endpoint(&url, region.clone(), ca_bundle.as_deref()).await?;
    Ok(ControlClient::new(control_plane, Arc::clone(keyring)))
}

/// AWS's own control plane of a region.
fn control_url(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://iot.{region}.{suffix}")
}

async fn control_endpoint(url: &str, region: String, ca_bundle: Option<&str>) -> Result<ControlEndpoint, TargetError> {
    let wrong = |why: &str| TargetError::Account(format!("the endpoint URL {url} {why}"));
    let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
    if !matches!(uri.path(), "" | "/") {
        return Err(wrong("has a path, which the control plane has not"));
    }
    let is_plain = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => false,
        Some(scheme) if *scheme == Scheme::HTTP => true,
        _ => return Err(wrong("must start with https:// or http://")),
    };
    let host = authority.host();
    let port = authority.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
    let addresses = interleaved(resolve(host, port, &[]).await?);
    let tls = match is_plain {
        true => None,
        false => {
            let roots = match ca_bundle {
                None => tls::amazon_roots(),
                Some(path) => tls::roots(
                    given::certificates(Path::new(path)).map_err(|why| TargetError::Account(format!("AWS_CA_BUNDLE: {why}")))?,
                )?,
            };
            Some((Arc::new(tls::client_config(roots, Some(ALPN))?), server_name(host)?))
        }
    };
    Ok(ControlEndpoint { addresses, authority: authority.to_string(), region, tls })
}

/// AWS answers a host; the local endpoint, whose ports are any, answers `host:port`.
fn told(address: &str) -> Result<AdvertisedEndpoint, TargetError> {
    let unreadable = || TargetError::Account(format!("its endpoint {address:?} is no host, and no host with a port"));
    let authority: http::uri::Authority = address.parse().map_err(|_| unreadable())?;
    let host = bare(authority.host());
    if host.is_empty() {
        return Err(unreadable());
    }
    Ok(AdvertisedEndpoint { host: host.into(), port: authority.port_u16() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_have_a_port() {
        let read = |address| told(address).map(|told| (told.host, told.port)).ok();
        assert_eq!(read("abc-ats.iot.eu-central-1.amazonaws.com"), Some(("abc-ats.iot.eu-central-1.amazonaws.com".into(), None)));
        assert_eq!(read("127.0.0.1:8883"), Some(("127.0.0.1".into(), Some(8883))));
        assert_eq!(read("[::1]:8883"), Some(("::1".into(), Some(8883))));
        assert!(read("a b").is_none() && read("").is_none());
    }

    #[test]
    fn each_partition_has_its_names() {
        assert_eq!(control_url("eu-central-1"), "https://iot.eu-central-1.amazonaws.com");
        assert_eq!(control_url("cn-north-1"), "https://iot.cn-north-1.amazonaws.com.cn");
    }
}
