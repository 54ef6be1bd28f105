//! `[target]`.

use super::super::plan::{EmulatorPlan, FaultsPlan, MqttPlan, NotificationsPlan, QuotasPlan, RejectPlan, ServerPlan, TargetPlan};
use super::super::problem::{Code, nearest};
use super::super::reader::{Located, Reader};
use crate::distribution::Distribution;
use crate::jobs::{ErrorCode, Spread};
use std::time::Duration;

const SERVER_WORKERS_MAX: i64 = 1_024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Emulator,
    Mqtt,
}

pub(super) fn target(root: &Reader<'_>) -> TargetPlan {
    let plain = EmulatorPlan {
        minute: Duration::from_secs(60),
        spread: Spread::Smooth,
        quotas: QuotasPlan::None,
        faults: FaultsPlan::default(),
    };
    let Some(reader) = root.table("target") else { return TargetPlan::Emulator(plain) };
    let kind = reader.word("kind", &[("emulator", Kind::Emulator), ("mqtt", Kind::Mqtt)], &["aws"]);
    let kind = kind.map_or(Kind::Emulator, |kind| kind.value);
    let plan = match kind {
        Kind::Emulator => {
            for key in ["host", "port", "ports", "alpn", "server_name", "tls"] {
                if reader.has(key) {
                    let help = "with kind = \"emulator\" the endpoint is started by the run; for another one use kind = \"mqtt\"";
                    reader.conflict(&reader.place_of(key), format!("target.{key} is for targets of kind mqtt"), help);
                }
            }
            // Asked for, so that they are not unknown as well.
            for key in ["host", "alpn", "server_name"] {
                reader.string(key);
            }
            reader.integer("port", 0..=i64::MAX);
            reader.table("ports");
            reader.table("tls");
            TargetPlan::Emulator(emulator(&reader, plain))
        }
        Kind::Mqtt => {
            if reader.has("emulator") {
                let help = "it shapes the local endpoint, which only runs with kind = \"emulator\"";
                reader.conflict(&reader.place_of("emulator"), "target.emulator is for targets of kind emulator", help);
            }
            reader.table("emulator");
            TargetPlan::Mqtt(mqtt(&reader))
        }
    };
    reader.later(&["source_ips", "hosts", "region", "profile", "signer"]);
    reader.finish();
    plan
}

fn emulator(target: &Reader<'_>, plain: EmulatorPlan) -> EmulatorPlan {
    let Some(reader) = target.table("emulator") else { return plain };
    let minute = reader.duration("minute", Duration::from_millis(100)..=Duration::from_secs(3600));
    let spread = reader.word("rollout", &Spread::ALL.map(|spread| (spread.as_str(), spread)), &[]);
    let spread = spread.map_or(plain.spread, |spread| spread.value);
    let quotas = reader.string("quotas").map_or(QuotasPlan::None, |quotas| quotas_plan(&reader, quotas));
    let faults = FaultsPlan {
        latency: reader.distribution("latency").map(|latency| latency.value),
        server: reader.table("server").and_then(server),
        reject: reader.table("reject").and_then(reject),
        drop: reader.table("drop").and_then(drop_share),
        disconnect: reader.table("disconnect").and_then(disconnect),
        notifications: reader.table("notifications").and_then(notifications),
    };
    reader.finish();
    EmulatorPlan { minute: minute.map_or(plain.minute, |minute| minute.value), spread, quotas, faults }
}

/// "none", "aws", or a file; a word that looks like neither is more likely a typing error than a file's name.
fn quotas_plan(reader: &Reader<'_>, Located { value, place }: Located<String>) -> QuotasPlan {
    match value.as_str() {
        "none" => QuotasPlan::None,
        "aws" => QuotasPlan::Aws,
        path if path.contains(['.', '/']) => QuotasPlan::File(value),
        _ => {
            let message = format!("target.emulator.quotas must be \"none\", \"aws\" or the path of a TOML file, not {value:?}");
            let help = "`fleetsim serve --print-quotas > quotas.toml` writes AWS's, to be changed".to_owned();
            reader.gathered.push(Code::BadValue, &place, message, Some(help));
            QuotasPlan::None
        }
    }
}

fn server(reader: Reader<'_>) -> Option<ServerPlan> {
    let workers = reader.integer("workers", 1..=SERVER_WORKERS_MAX).map_or(1, |workers| workers.value as u32);
    let service = reader.distribution("service");
    if service.is_none() && !reader.has("service") {
        reader.missing("service", "how long a worker is busy with a request, as in service = \"exp(20ms)\"");
    }
    reader.finish();
    Some(ServerPlan { workers, service: service?.value })
}

fn drop_share(reader: Reader<'_>) -> Option<f64> {
    let share = reader.share("share");
    if share.is_none() && !reader.has("share") {
        reader.missing("share", "the part of all requests that is never answered, as in share = 0.01");
    }
    reader.finish();
    share.map(|share| share.value)
}

fn disconnect(reader: Reader<'_>) -> Option<Distribution> {
    let every = reader.distribution("every");
    if every.is_none() && !reader.has("every") {
        reader.missing("every", "how long a connection lives until the server ends it, as in every = \"exp(10m)\"");
    }
    if let Some(Located { value, place }) = &every
        && value.mean().is_zero()
    {
        let message = "target.emulator.disconnect.every must be longer than 0s";
        reader.gathered.push(Code::OutOfRange, place, message, None);
    }
    reader.finish();
    every.map(|every| every.value)
}

fn notifications(reader: Reader<'_>) -> Option<NotificationsPlan> {
    let shuffle = reader.boolean("shuffle").is_some_and(|shuffle| shuffle.value);
    let delay = reader.distribution("delay");
    if delay.is_none() && !reader.has("delay") {
        reader.missing("delay", "how late notifications are, as in delay = \"uniform(0s, 1s)\"");
    }
    let plan = delay.and_then(|Located { value, place }| {
        let told = |why| reader.gathered.push(Code::Conflict, &place, "every message would be equally late", Some(why));
        NotificationsPlan::new(value, shuffle).map_err(|why| told(why.to_owned())).ok()
    });
    reader.finish();
    plan
}

fn reject(reader: Reader<'_>) -> Option<RejectPlan> {
    let share = reader.share("share");
    if share.is_none() && !reader.has("share") {
        reader.missing("share", "the part of all requests that is refused, as in share = 0.01");
    }
    let codes = reader.strings("codes").map(|codes| {
        let known = |code: Located<String>| match ErrorCode::parse(&code.value) {
            Some(known) => Some(known),
            None => {
                let all = ErrorCode::ALL.map(ErrorCode::as_str);
                let near = nearest(&code.value, all).map(|near| format!("did you mean {near:?}? ")).unwrap_or_default();
                let help = Some(format!("{near}known: {}", all.join(", ")));
                reader.gathered.push(Code::UnknownName, &code.place, format!("unknown error code {:?}", code.value), help);
                None
            }
        };
        codes.into_iter().filter_map(known).collect::<Vec<_>>()
    });
    if codes.as_ref().is_some_and(Vec::is_empty) {
        let message = "reject.codes must name at least one error code";
        reader.gathered.push(Code::BadValue, &reader.place_of("codes"), message, None);
    }
    reader.finish();
    let codes = codes.unwrap_or_else(|| vec![ErrorCode::RequestThrottled]);
    Some(RejectPlan { share: share?.value, codes })
}

fn mqtt(target: &Reader<'_>) -> MqttPlan {
    let host = target.string("host").map(|host| host.value);
    if host.is_none() && !target.has("host") {
        target.missing("host", "say where the endpoint is: host = \"127.0.0.1\" or --host 127.0.0.1");
    }
    let host = host.unwrap_or_default();
    let port = target.integer("port", 1..=65_535).map(|port| port.value as u16);
    let ports = target.table("ports").and_then(|ports| {
        let mqtt = ports.integer("mqtt", 1..=65_535).map(|port| port.value as u16);
        ports.later(&["https", "api"]);
        ports.finish();
        mqtt
    });
    let server_name = target.string("server_name").map_or_else(|| host.clone(), |name| name.value);
    let alpn = target.string("alpn").map(|alpn| alpn.value);
    let mut plan = MqttPlan {
        host,
        port: port.or(ports).unwrap_or(8883),
        server_name,
        alpn,
        ca: String::new(),
        cert: String::new(),
        key: String::new(),
    };
    let Some(tls) = target.table("tls") else {
        target
            .missing("tls", "say which certificates to use: [target.tls] ca = ..., cert = ..., key = ... (or --ca, --cert, --key)");
        return plan;
    };
    let path = |key: &'static str, into: &mut String, templated: bool| match tls.string(key) {
        Some(Located { value, place }) => {
            let fields = value.replace("{thing}", "").replace("{index}", "");
            if fields.contains(['{', '}']) || (!templated && fields != value) {
                let allowed = if templated { "{thing} and {index}" } else { "no field" };
                let help = Some(format!("a path of {key} may have {allowed}"));
                tls.gathered.push(
                    Code::BadValue,
                    &place,
                    format!("target.tls.{key} = {value:?} has a field that is not known"),
                    help,
                );
            }
            *into = value;
        }
        None if !tls.has(key) => {
            tls.missing(key, "a path of a PEM file; cert and key may have {thing} or {index}, or be one shared file");
        }
        None => {}
    };
    path("ca", &mut plan.ca, false);
    path("cert", &mut plan.cert, true);
    path("key", &mut plan.key, true);
    tls.flag("resumption", false);
    tls.finish();
    plan
}
