//! `[target]`: of which kind it is, and what all kinds have in common.

mod remote;

use super::super::plan::{EmulatorPlan, FleetPlan, IpRange, LinkPlan, TargetPlan};
use config_text::{Code, Located, Reader};
use host::address::bare;
use iot_endpoint::config::EndpointConfig;
use std::net::IpAddr;

/// Addresses to connect from, in all.
const SOURCE_IPS_MAX: u128 = 4_096;
/// Keys of endpoints that are somebody else's.
const REMOTE_KEYS: [&str; 7] = ["host", "hosts", "port", "ports", "alpn", "server_name", "signer"];
const REMOTE_TLS_KEYS: [&str; 4] = ["ca", "cert", "key", "bundle"];
const AWS_KEYS: [&str; 2] = ["region", "profile"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Emulator,
    Mqtt,
    Aws,
}

pub(super) fn target(root: &Reader<'_>, fleet: &FleetPlan) -> TargetPlan {
    let Some(reader) = root.table(("target", "the endpoint that the things talk to")) else {
        listed_files_are_for_others(root, fleet);
        return TargetPlan::Emulator(EmulatorPlan::default());
    };
    let words = [("emulator", Kind::Emulator), ("mqtt", Kind::Mqtt), ("aws", Kind::Aws)];
    let kind = reader.word(("kind", "the local endpoint that the run starts; any broker or service that speaks the AWS IoT Jobs protocol; an AWS account"), &words).map_or(Kind::Emulator, |kind| kind.value);
    let tls = reader.table(("tls", "certificates; the local endpoint's are made by the run"));
    let link = link(&reader, tls.as_ref());
    if kind != Kind::Aws {
        refuse(&reader, "target", &AWS_KEYS, "targets of kind aws", "use kind = \"aws\", or leave it out");
    }
    let plan = match kind {
        Kind::Emulator => {
            let help = "with kind = \"emulator\" the endpoint is started by the run; for another one use kind = \"mqtt\"";
            refuse(&reader, "target", &REMOTE_KEYS, "targets of kind mqtt or aws", help);
            if let Some(tls) = &tls {
                let help = "with kind = \"emulator\" certificates are made by the run, and kept in certs/";
                refuse(tls, "target.tls", &REMOTE_TLS_KEYS, "targets of kind mqtt or aws", help);
            }
            listed_files_are_for_others(root, fleet);
            let endpoint = reader
                .table(("emulator", "the shape of the local endpoint; the same keys as a file of `fleetsim serve --config`"))
                .map(EndpointConfig::read)
                .unwrap_or_default();
            TargetPlan::Emulator(EmulatorPlan { link, endpoint })
        }
        Kind::Mqtt | Kind::Aws => {
            let help = "it shapes the local endpoint, which only runs with kind = \"emulator\"";
            refuse(&reader, "target", &["emulator"], "targets of kind emulator", help);
            match kind {
                Kind::Aws => TargetPlan::Aws(remote::aws(&reader, tls.as_ref(), fleet, link)),
                _ => TargetPlan::Mqtt(remote::mqtt(&reader, tls.as_ref(), fleet, link)),
            }
        }
    };
    tls.into_iter().for_each(Reader::finish);
    reader.finish();
    plan
}

/// Known keys that mean nothing for this kind of target.
fn refuse(reader: &Reader<'_>, path: &str, keys: &[&'static str], whose: &str, help: &str) {
    for key in keys {
        if reader.has(key) {
            reader.conflict(&reader.place_of(key), format!("{path}.{key} is for {whose}"), help);
        }
        reader.know(key);
    }
}

fn listed_files_are_for_others(root: &Reader<'_>, fleet: &FleetPlan) {
    if let Some(list) = fleet.list.as_ref().filter(|list| list.has_files()) {
        let message = format!("{} names certificates, which the emulator does not take", list.path);
        root.conflict(&root.place_of("fleet"), message, "leave the columns cert and key out: they are made by the run");
    }
}

fn link(target: &Reader<'_>, tls: Option<&Reader<'_>>) -> LinkPlan {
    let resumption = tls
        .and_then(|tls| {
            tls.boolean(("resumption", "whether a thing keeps a TLS ticket and resumes its session when it reconnects"))
        })
        .is_some_and(|resumption| resumption.value);
    let mut source_ips: Vec<IpRange> = Vec::new();
    for Located { value, place } in target
        .strings((
            "source_ips",
            "local addresses to connect from, in turn, as in `10.0.0.7-10.0.0.14`: each has about 28,000 ports",
        ))
        .unwrap_or_default()
    {
        match ip_range(&value) {
            Ok(range) if source_ips.first().is_some_and(|first| first.first.is_ipv4() != range.first.is_ipv4()) => {
                let message = "target.source_ips has addresses of IPv4 and of IPv6";
                target.conflict(&place, message, "connections to one endpoint are of one family: keep those of one");
            }
            Ok(range) => source_ips.push(range),
            Err(message) => target.gathered.push(Code::BadValue, &place, message, None),
        }
    }
    let count = source_ips.iter().fold(0, |sum: u128, range| sum.saturating_add(range.count()));
    if count > SOURCE_IPS_MAX {
        let message = format!("target.source_ips may have {SOURCE_IPS_MAX} addresses, these are {count}");
        target.gathered.push(Code::OutOfRange, &target.place_of("source_ips"), message, None);
    }
    LinkPlan { source_ips, resumption }
}

fn ip_range(text: &str) -> Result<IpRange, String> {
    let wrong =
        |why: &str| format!("{text:?} is no range of addresses: {why}; write it like \"127.0.0.1-127.0.0.8\" or \"10.0.0.7\"");
    let address = |text: &str| bare(text.trim()).parse::<IpAddr>().map_err(|_| wrong("an IP address is missing"));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    IpRange::new(address(first)?, address(last)?).ok_or_else(|| wrong("its end is below its beginning, or of another family"))
}
