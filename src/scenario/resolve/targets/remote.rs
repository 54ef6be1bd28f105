//! `[target]` of the kinds mqtt and aws.

use super::super::super::plan::{AwsPlan, CertificatesPlan, FleetList, FleetPlan, LinkPlan, RemotePlan};
use config_text::{Code, Key, Located, Reader};

const HOSTS_MAX: usize = 256;
/// On this port AWS wants to be told that it is MQTT (PROTOCOL 12.2).
const ALPN_PORT: u16 = 443;
const ALPN_MQTT: &str = "x-amzn-mqtt-ca";

/// A broker or service of somebody.
pub(super) fn mqtt(target: &Reader<'_>, tls: Option<&Reader<'_>>, fleet: &FleetPlan, link: LinkPlan) -> RemotePlan {
    let mut plan = remote(target, tls, fleet, link);
    if plan.hosts.is_empty() && !target.has("host") && !target.has("hosts") {
        target.missing("host", "say where the endpoint is: host = \"127.0.0.1\" or --host 127.0.0.1");
    }
    plan.port = plan.port.or(Some(RemotePlan::PORT));
    plan
}

pub(super) fn aws(target: &Reader<'_>, tls: Option<&Reader<'_>>, fleet: &FleetPlan, link: LinkPlan) -> AwsPlan {
    let region = target.with(
        ("region", "the AWS region; by default that of the environment, or of the profile"),
        "a region such as \"eu-central-1\"",
        |text| {
            let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            fits.then(|| text.to_owned()).ok_or_else(|| format!("{text:?} is no region; write it like \"eu-central-1\""))
        },
    );
    let profile = target.string(("profile", "a profile of the AWS configuration files")).map(|profile| profile.value);
    let mut remote = remote(target, tls, fleet, link);
    if remote.alpn.is_none() && remote.port == Some(ALPN_PORT) {
        remote.alpn = Some(ALPN_MQTT.into());
    }
    AwsPlan { region: region.map(|region| region.value), profile, remote }
}

fn remote(target: &Reader<'_>, tls: Option<&Reader<'_>>, fleet: &FleetPlan, link: LinkPlan) -> RemotePlan {
    let Ports { mqtt, https, api } = ports(target);
    RemotePlan {
        hosts: hosts(target),
        port: mqtt,
        https_port: https.unwrap_or(RemotePlan::HTTPS_PORT),
        api_port: api.unwrap_or(RemotePlan::API_PORT),
        server_name: target.string(("server_name", "the name that TLS asks for; by default the host")).map(|name| name.value),
        alpn: target
            .string(("alpn", "the ALPN protocol; for `aws` on port 443 `x-amzn-mqtt-ca` by default"))
            .map(|alpn| alpn.value),
        ca: tls.and_then(|tls| path(tls, ("ca", "a PEM file with the CA to trust; by default the Amazon roots").into(), &[])),
        certificates: certificates(target, tls, fleet),
        signer: target
            .string((
                "signer",
                "a PEM file with the certificate or public key whose signatures cohorts with `verify_signature` accept",
            ))
            .map(|signer| signer.value),
        link,
    }
}

fn hosts(target: &Reader<'_>) -> Vec<String> {
    let host = target.string(("host", "name or address of the endpoint; required for `mqtt`, asked of the account for `aws`"));
    let Some(hosts) = target.strings(("hosts", "several of them: things are spread over all")) else {
        return host.map(|host| host.value).into_iter().collect();
    };
    if host.is_some() {
        target.conflict(&target.place_of("hosts"), "the endpoint is given as host and as hosts", "keep one of the two");
    }
    let place = target.place_of("hosts");
    if hosts.is_empty() || hosts.len() > HOSTS_MAX {
        let message = format!("target.hosts must have 1 to {HOSTS_MAX} names, not {}", hosts.len());
        target.gathered.push(Code::OutOfRange, &place, message, None);
    }
    hosts.into_iter().map(|host| host.value).collect()
}

#[derive(Default)]
struct Ports {
    mqtt: Option<u16>,
    https: Option<u16>,
    api: Option<u16>,
}

fn ports(target: &Reader<'_>) -> Ports {
    let port = |reader: &Reader<'_>, key: Key| reader.integer(key, 1..=65_535).map(|port| port.value as u16);
    let whole = port(target, ("port", "short for `ports.mqtt`").into());
    let table = target.table(("ports", "ports by protocol")).map(|reader| {
        let ports = Ports {
            mqtt: port(&reader, ("mqtt", "MQTT over TLS").into()),
            https: port(&reader, ("https", "HTTPS with certificates").into()),
            api: port(&reader, ("api", "what is signed: HTTPS and WebSocket").into()),
        };
        reader.finish();
        ports
    });
    let ports = table.unwrap_or_default();
    if whole.is_some() && ports.mqtt.is_some() {
        target.conflict(&target.place_of("ports"), "the port is given as port and as ports.mqtt", "keep one of the two");
    }
    Ports { mqtt: whole.or(ports.mqtt), ..ports }
}

fn certificates(target: &Reader<'_>, tls: Option<&Reader<'_>>, fleet: &FleetPlan) -> CertificatesPlan {
    let read =
        |key: Key| tls.and_then(|tls| path(tls, key, if key.name == "bundle" { &["{slice}"] } else { &["{thing}", "{index}"] }));
    let cert = read(("cert", "the certificate: a PEM file for each thing, with `{thing}` or `{index}`, or one for all").into());
    let key = read(("key", "its private key, a file or template").into());
    let bundle = read(
        ("bundle", "all certificates and keys in one file, from `fleetsim certs pack`; with `{slice}`, one for each slice").into(),
    );
    let has = |key: &str| tls.is_some_and(|tls| tls.has(key));
    let is_listed = fleet.list.as_ref().is_some_and(FleetList::has_files);
    let ways = [has("cert") || has("key"), has("bundle"), is_listed];
    if ways.into_iter().filter(|is_given| *is_given).count() > 1 {
        let place = tls.map_or_else(|| target.place.clone(), |tls| tls.place.clone());
        let help = "keep one of: cert and key, bundle, columns cert and key in the file of fleet.things_from";
        target.conflict(&place, "the certificates of the things are given in two ways", help);
    }
    match ways {
        [_, _, true] => CertificatesPlan::Listed,
        [_, true, _] => CertificatesPlan::Bundle(bundle.unwrap_or_default()),
        [true, ..] => {
            for key in ["cert", "key"] {
                if let Some(tls) = tls.filter(|tls| !tls.has(key)) {
                    tls.missing(key, "a path of a PEM file; cert and key may have {thing} or {index}, or be one shared file");
                }
            }
            CertificatesPlan::Files { cert: cert.unwrap_or_default(), key: key.unwrap_or_default() }
        }
        [false, false, false] => CertificatesPlan::None,
    }
}

fn path(tls: &Reader<'_>, key: Key, fields: &[&str]) -> Option<String> {
    let Located { value, place } = tls.string(key)?;
    let key = key.name;
    let rest = fields.iter().fold(value.clone(), |text, field| text.replace(field, ""));
    if rest.contains(['{', '}']) {
        let allowed = if fields.is_empty() { "no field".to_owned() } else { fields.join(" and ") };
        let message = format!("target.tls.{key} = {value:?} has a field that is not known");
        tls.gathered.push(Code::BadValue, &place, message, Some(format!("a path of {key} may have {allowed}")));
    }
    Some(value)
}
