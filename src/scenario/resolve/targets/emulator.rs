//! `[target.emulator]`.

use super::super::super::plan::{EmulatorPlan, LinkPlan, QuotasPlan};
use config_text::{Code, Located, Reader, nearest};
use iot_jobs::{ErrorCode, Spread};
use jobs_engine::faults::{FaultConfig, NotificationConfig, RejectConfig, ServerConfig};
use sim_units::distribution::Distribution;
use std::time::Duration;

const SERVER_WORKERS_MAX: i64 = 1_024;

/// As it is where nothing is said.
pub(super) fn plain(link: LinkPlan) -> EmulatorPlan {
    EmulatorPlan {
        link,
        minute: Duration::from_secs(60),
        spread: Spread::Smooth,
        quotas: QuotasPlan::None,
        faults: FaultConfig::default(),
    }
}

pub(super) fn emulator(target: &Reader<'_>, link: LinkPlan) -> EmulatorPlan {
    let plain = plain(link);
    let Some(reader) = target.table("emulator") else { return plain };
    let minute = reader.duration("minute", Duration::from_millis(100)..=Duration::from_secs(3600));
    let spread = reader.word("rollout", &Spread::ALL.map(|spread| (spread.as_str(), spread)));
    let spread = spread.map_or(plain.spread, |spread| spread.value);
    let quotas = reader.string("quotas").map_or(QuotasPlan::None, |quotas| quotas_plan(&reader, quotas));
    let faults = FaultConfig {
        latency: reader.distribution("latency").map(|latency| latency.value),
        server: reader.table("server").and_then(server),
        reject: reader.table("reject").and_then(reject),
        drop: reader.table("drop").and_then(drop_share),
        disconnect: reader.table("disconnect").and_then(disconnect),
        notifications: reader.table("notifications").and_then(notifications),
    };
    reader.finish();
    EmulatorPlan { link: plain.link, minute: minute.map_or(plain.minute, |minute| minute.value), spread, quotas, faults }
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

fn server(reader: Reader<'_>) -> Option<ServerConfig> {
    let workers = reader.integer("workers", 1..=SERVER_WORKERS_MAX).map_or(1, |workers| workers.value as u32);
    let service = reader.distribution("service");
    if service.is_none() && !reader.has("service") {
        reader.missing("service", "how long a worker is busy with a request, as in service = \"exp(20ms)\"");
    }
    reader.finish();
    Some(ServerConfig { workers, service: service?.value })
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

fn notifications(reader: Reader<'_>) -> Option<NotificationConfig> {
    let shuffle = reader.boolean("shuffle").is_some_and(|shuffle| shuffle.value);
    let delay = reader.distribution("delay");
    if delay.is_none() && !reader.has("delay") {
        reader.missing("delay", "how late notifications are, as in delay = \"uniform(0s, 1s)\"");
    }
    let plan = delay.and_then(|Located { value, place }| {
        let told = |why| reader.gathered.push(Code::Conflict, &place, "every message would be equally late", Some(why));
        NotificationConfig::new(value, shuffle).map_err(|why| told(why.to_owned())).ok()
    });
    reader.finish();
    plan
}

fn reject(reader: Reader<'_>) -> Option<RejectConfig> {
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
    Some(RejectConfig { share: share?.value, codes })
}
