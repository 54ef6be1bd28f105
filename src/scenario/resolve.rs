//! What was meant: defaults, cross-checks, sections into the plan. Every section is read to its end whatever is wrong with it.

use super::plan::{
    CohortPlan, ConnectPlan, EmulatorPlan, EndPlan, EndWhen, EventKind, EventPlan, FaultsPlan, FleetPlan, MqttPlan,
    NotificationsPlan, Plan, QuotasPlan, RejectPlan, RolloutPlan, RolloutStart, RolloutTargets, ServerPlan, SessionPlan,
    TargetPlan,
};
use super::problem::{Code, Place, nearest};
use super::reader::{Gathered, Located, Reader};
use super::thresholds::thresholds;
use super::tree::Table;
use super::units;
use crate::device::backoff::{Backoff, BackoffPolicy};
use crate::device::behavior::{Behavior, OutcomeShares};
use crate::device::workflow::{Poll, Workflow};
use crate::distribution::Distribution;
use crate::jobs::{ErrorCode, JobDocument, JobId, Spread, TargetSelection, ThingName, limits};
use crate::schedule::ArrivalKind;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Limits of a scenario that are this program's own.
const THINGS_MAX: i64 = 1_000_000;
const INDEX_MAX: i64 = 1_000_000_000;
const CONNECTS_IN_PROGRESS_MAX: i64 = 10_000;
const REPORTS_MAX: i64 = 1_000;
const SERVER_WORKERS_MAX: i64 = 1_024;
const NAME_CHARS_MAX: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 3600);
const ANY_DURATION: RangeInclusive<Duration> = Duration::ZERO..=DAY;
const SOME_DURATION: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;
/// More often than that is no poll.
const POLL_MIN: Duration = Duration::from_millis(10);
/// Where nothing is said.
const POLL: Poll = Poll { every: Duration::from_secs(60), jitter: 0.2 };
/// How far shares may be from their sum.
const SUM_TOLERANCE: f64 = 1e-9;
const DEFAULT_BEHAVIOR: &str = "default";

pub(super) fn resolve(table: &Table, gathered: &Gathered) -> Plan {
    let root_place = Place { source: 0, span: 0..0 };
    let root = Reader::new(table, root_place, "", gathered);
    let name = scenario_name(&root);
    let seed = root.integer("seed", 0..=i64::MAX).map_or(0, |seed| seed.value as u64);
    let target = target(&root);
    let fleet = fleet(&root);
    let behaviors = behaviors(&root);
    let cohorts = cohorts(&root, &fleet, &behaviors);
    let rollouts = rollouts(&root, &target, &cohorts, &behaviors);
    let end = end(&root, &target, &rollouts);
    let thresholds = thresholds(&root, &cohorts);
    let events = events(&root, &target);
    root.later(&["telemetry"]);
    root.finish();
    Plan { name, seed, target, fleet, cohorts, behaviors, rollouts, events, end, thresholds }
}

/// The name is part of paths.
fn scenario_name(root: &Reader<'_>) -> String {
    let Some(Located { value, place }) = root.string("name") else {
        if !root.has("name") {
            root.missing("name", "give the scenario a name, as in name = \"10k\"; results and certificates are kept under it");
        }
        return String::new();
    };
    let fits = !value.is_empty()
        && value.len() <= NAME_CHARS_MAX
        && !value.starts_with('.')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits {
        let help = format!(
            "use 1 to {NAME_CHARS_MAX} letters, digits, '-', '_' and '.', not starting with '.': the name is part of paths"
        );
        root.gathered.push(Code::BadValue, &place, format!("name {value:?} cannot be part of a path"), Some(help));
    }
    value
}

// ---------------------------------------------------------------------------------------------------------------- target

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Emulator,
    Mqtt,
}

fn target(root: &Reader<'_>) -> TargetPlan {
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

// ----------------------------------------------------------------------------------------------------------------- fleet

const POLICIES: [(&str, BackoffPolicy); 3] =
    [("full-jitter", BackoffPolicy::FullJitter), ("exponential", BackoffPolicy::Exponential), ("fixed", BackoffPolicy::Fixed)];

fn default_session() -> SessionPlan {
    let seconds = Duration::from_secs;
    SessionPlan {
        keep_alive: seconds(300),
        reconnect: Backoff { policy: BackoffPolicy::FullJitter, base: seconds(1), cap: seconds(60) },
        connect_timeout: seconds(30),
        answer_timeout: seconds(10),
        retry: Backoff { policy: BackoffPolicy::FullJitter, base: seconds(1), cap: seconds(30) },
    }
}

fn fleet(root: &Reader<'_>) -> FleetPlan {
    let default_template = || units::name_template("sim-{index:06}").expect("the default is a name template");
    let mut plan = FleetPlan {
        things: 1,
        thing_name: default_template(),
        first_index: 0,
        connect: ConnectPlan { rate_per_s: 500.0, arrival: ArrivalKind::Constant, in_progress: 64 },
        session: default_session(),
    };
    let Some(reader) = root.table("fleet") else {
        if !root.has("fleet") {
            root.missing("fleet", "say how many things there are: [fleet] things = 1_000");
        }
        return plan;
    };
    match reader.integer("things", 1..=THINGS_MAX) {
        Some(things) => plan.things = things.value as u64,
        None if !reader.has("things") => reader.missing("things", "say how many things there are, as in things = 1_000"),
        None => {}
    }
    plan.first_index = reader.integer("first_index", 0..=INDEX_MAX).map_or(0, |index| index.value as u64);
    if let Some(template) = reader.with("thing_name", "a name template such as \"sim-{index:06}\"", units::name_template) {
        plan.thing_name = template.value;
    }
    check_names(&reader, &plan);
    reader.word("transport", &[("mqtt", ())], &["mqtt5", "mqtt-ws", "https-mtls", "https-sigv4"]);
    reader.flag("clean_session", true);
    if let Some(connect) = reader.table("connect") {
        let default = plan.connect;
        plan.connect = ConnectPlan {
            rate_per_s: connect.rate("rate").map_or(default.rate_per_s, |rate| rate.value),
            arrival: connect
                .word("arrival", &[("constant", ArrivalKind::Constant), ("poisson", ArrivalKind::Poisson)], &["ramp", "burst"])
                .map_or(default.arrival, |arrival| arrival.value),
            in_progress: connect
                .integer("in_progress", 1..=CONNECTS_IN_PROGRESS_MAX)
                .map_or(default.in_progress, |n| n.value as u32),
        };
        connect.finish();
    }
    plan.session = session(&reader, plan.session);
    reader.later(&["things_from"]);
    reader.finish();
    plan
}

fn check_names(reader: &Reader<'_>, plan: &FleetPlan) {
    let place = reader.place_of("thing_name");
    if plan.thing_name.index.is_none() && plan.things > 1 {
        let help = Some("put {index} or {index:06} into the name".to_owned());
        reader.gathered.push(Code::BadValue, &place, format!("{} things would have one name", plan.things), help);
    }
    if let Err(error) = ThingName::new(&plan.thing_name.name(plan.first_index + plan.things - 1)) {
        reader.gathered.push(Code::BadValue, &place, format!("fleet.thing_name makes no thing names: {error}"), None);
    }
}

/// What a cohort may override.
fn session(reader: &Reader<'_>, default: SessionPlan) -> SessionPlan {
    let mut plan = default;
    if let Some(keep_alive) = reader.duration("keep_alive", limits::KEEP_ALIVE_MIN..=limits::KEEP_ALIVE_MAX) {
        plan.keep_alive = keep_alive.value;
        if plan.keep_alive.subsec_nanos() != 0 {
            reader.gathered.push(Code::BadValue, &keep_alive.place, "keep_alive must be whole seconds", None);
        }
    }
    plan.reconnect = backoff(reader, "reconnect", default.reconnect);
    plan.retry = backoff(reader, "retry", default.retry);
    if let Some(timeouts) = reader.table("timeouts") {
        plan.connect_timeout = timeouts.duration("connect", SOME_DURATION).map_or(default.connect_timeout, |timeout| timeout.value);
        plan.answer_timeout = timeouts.duration("answer", SOME_DURATION).map_or(default.answer_timeout, |timeout| timeout.value);
        timeouts.finish();
    }
    plan
}

fn backoff(reader: &Reader<'_>, key: &'static str, default: Backoff) -> Backoff {
    let Some(table) = reader.table(key) else { return default };
    let plan = Backoff {
        policy: table.word("policy", &POLICIES, &[]).map_or(default.policy, |policy| policy.value),
        base: table.duration("base", SOME_DURATION).map_or(default.base, |base| base.value),
        cap: table.duration("cap", SOME_DURATION).map_or(default.cap, |cap| cap.value),
    };
    if plan.cap < plan.base {
        table.conflict(&table.place_of("cap"), format!("{key}.cap is below {key}.base"), "the cap bounds what the base grows to");
    }
    table.finish();
    plan
}

// -------------------------------------------------------------------------------------------------- behaviors and cohorts

fn default_behavior() -> Behavior {
    Behavior {
        reaction: Distribution::Uniform(Duration::ZERO, Duration::from_secs(2)),
        updates: 3,
        step: Distribution::Exp(Duration::from_secs(4)),
        outcome: OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 },
    }
}

fn behaviors(root: &Reader<'_>) -> BTreeMap<String, Behavior> {
    let mut behaviors = BTreeMap::new();
    for (name, reader) in root.named_tables("behavior") {
        let default = default_behavior();
        let behavior = Behavior {
            reaction: reader.distribution("reaction").map_or(default.reaction, |reaction| reaction.value),
            updates: reader.integer("updates", 0..=REPORTS_MAX).map_or(default.updates, |updates| updates.value as u32),
            step: reader.distribution("step").map_or(default.step, |step| step.value),
            outcome: outcome(&reader),
        };
        if let Some(faults) = reader.table("faults")
            && !faults.is_empty()
        {
            let message = format!("behavior.{name}.faults is known, but not built yet");
            reader.gathered.push(Code::NotBuilt, &faults.place, message, Some("leave it out, or empty: faults = {}".into()));
        }
        reader.finish();
        behaviors.insert(name, behavior);
    }
    if behaviors.is_empty() {
        behaviors.insert(DEFAULT_BEHAVIOR.into(), default_behavior());
    }
    behaviors
}

/// Shares that are left out: the rest goes to `succeeded`.
fn outcome(behavior: &Reader<'_>) -> OutcomeShares {
    let all = OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 };
    let Some(reader) = behavior.table("outcome") else { return all };
    let share = |key| reader.share(key).map(|share| share.value);
    let (succeeded, failed, rejected) = (share("succeeded"), share("failed").unwrap_or(0.0), share("rejected").unwrap_or(0.0));
    let shares = OutcomeShares { succeeded: succeeded.unwrap_or(1.0 - failed - rejected), failed, rejected };
    let sum = shares.succeeded + failed + rejected;
    if (sum - 1.0).abs() > SUM_TOLERANCE || shares.succeeded < 0.0 {
        let message = format!(
            "the shares of an outcome must sum to 1, these sum to {}",
            if succeeded.is_some() { sum } else { failed + rejected }
        );
        reader.gathered.push(Code::OutOfRange, &reader.place, message, Some("leave succeeded out, and it takes the rest".into()));
    }
    reader.finish();
    shares
}

fn cohorts(root: &Reader<'_>, fleet: &FleetPlan, behaviors: &BTreeMap<String, Behavior>) -> Vec<CohortPlan> {
    let readers = root.tables("cohort");
    let only_behavior = || behaviors.keys().next().cloned().unwrap_or_default();
    if readers.is_empty() {
        if behaviors.len() > 1 {
            let help = "add a [[cohort]] that says which one its things have";
            root.conflict(&root.place_of("behavior"), "there are several behaviors and no cohort", help);
        }
        let (name, workflow) = ("all".into(), Workflow::StartNext);
        return vec![CohortPlan { name, share: 1.0, workflow, behavior: only_behavior(), session: fleet.session }];
    }
    let mut cohorts: Vec<CohortPlan> = Vec::new();
    let mut shares_are_read = true;
    for reader in &readers {
        let name = reader.string("name");
        if name.is_none() && !reader.has("name") {
            reader.missing("name", "cohorts are told apart by name");
        }
        let share = match reader.share("share") {
            Some(share) => share.value,
            None if readers.len() == 1 && !reader.has("share") => 1.0,
            None => {
                shares_are_read = false;
                if !reader.has("share") {
                    reader.missing("share", "the part of the fleet that belongs to the cohort, as in share = 0.97");
                }
                0.0
            }
        };
        let workflow = workflow(reader);
        reader.word("transport", &[("mqtt", ())], &["mqtt5", "mqtt-ws", "https-mtls", "https-sigv4"]);
        reader.flag("verify_signature", false);
        reader.flag("clean_session", true);
        reader.later(&["connect"]);
        let behavior = match reader.string("behavior") {
            Some(behavior) => known_behavior(reader, behavior, behaviors),
            None if behaviors.len() > 1 && !reader.has("behavior") => {
                reader.missing("behavior", &format!("say which one its things have: {}", names(behaviors.keys())));
                String::new()
            }
            None => only_behavior(),
        };
        if let Some(Located { value, place }) = &name
            && cohorts.iter().any(|cohort| cohort.name == *value)
        {
            reader.gathered.push(Code::Duplicate, place, format!("there are two cohorts {value:?}"), None);
        }
        let name = name.map_or_else(String::new, |name| name.value);
        cohorts.push(CohortPlan { name, share, workflow, behavior, session: session(reader, fleet.session) });
    }
    let sum: f64 = cohorts.iter().map(|cohort| cohort.share).sum();
    if shares_are_read && (sum - 1.0).abs() > SUM_TOLERANCE {
        let message = format!("the shares of all cohorts must sum to 1, these sum to {sum}");
        root.gathered.push(Code::OutOfRange, &readers[0].place_of("share"), message, None);
    }
    readers.into_iter().for_each(Reader::finish);
    cohorts
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Learns {
    Told,
    Polls,
}

fn workflow(cohort: &Reader<'_>) -> Workflow {
    let words = [("start-next", Learns::Told), ("poll", Learns::Polls)];
    let learns = cohort.word("workflow", &words, &["describe-update", "list"]).map_or(Learns::Told, |word| word.value);
    let poll = cohort.table("poll").map(|reader| {
        let every = reader.duration("every", POLL_MIN..=DAY).map_or(POLL.every, |every| every.value);
        let jitter = reader.share("jitter").map_or(POLL.jitter, |jitter| jitter.value);
        reader.finish();
        Poll { every, jitter }
    });
    match (learns, poll) {
        (Learns::Told, None) => Workflow::StartNext,
        (Learns::Told, Some(_)) => {
            let help = "add workflow = \"poll\", or leave poll out";
            cohort.conflict(&cohort.place_of("poll"), "poll is for workflow = \"poll\"", help);
            Workflow::StartNext
        }
        (Learns::Polls, poll) => Workflow::Poll(poll.unwrap_or(POLL)),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn known_behavior(reader: &Reader<'_>, behavior: Located<String>, behaviors: &BTreeMap<String, Behavior>) -> String {
    if !behaviors.contains_key(&behavior.value) {
        let known = format!("known here: {}", names(behaviors.keys()));
        let help = nearest(&behavior.value, behaviors.keys().map(String::as_str))
            .map_or(known.clone(), |near| format!("did you mean {near:?}? {known}"));
        reader.gathered.push(Code::UnknownName, &behavior.place, format!("unknown behavior {:?}", behavior.value), Some(help));
    }
    behavior.value
}

// -------------------------------------------------------------------------------------------------------------- rollouts

fn rollouts(
    root: &Reader<'_>,
    target: &TargetPlan,
    cohorts: &[CohortPlan],
    behaviors: &BTreeMap<String, Behavior>,
) -> Vec<RolloutPlan> {
    let mut plans: Vec<RolloutPlan> = Vec::new();
    for reader in root.tables("rollout") {
        if matches!(target, TargetPlan::Mqtt(_)) {
            let help = "jobs of such a target are created by others; say in [end] what to wait for: expect = N or idle = \"30s\"";
            reader.conflict(&reader.place, "a [[rollout]] needs a control plane, which a target of kind mqtt does not have", help);
        }
        let job = job(&reader);
        if let Some(Located { value, place }) = &job
            && plans.iter().any(|plan| plan.job == *value)
        {
            reader.gathered.push(Code::Duplicate, place, format!("there are two rollouts of job {value}"), None);
        }
        let start = rollout_start(&reader);
        let delay = reader.duration("delay", ANY_DURATION).map_or(Duration::ZERO, |delay| delay.value);
        let targets = rollout_targets(&reader, cohorts);
        let rate_per_minute = rollout_rate(&reader);
        let selection = [("SNAPSHOT", TargetSelection::Snapshot), ("CONTINUOUS", TargetSelection::Continuous)];
        let target_selection =
            reader.word("targetSelection", &selection, &[]).map_or(TargetSelection::Snapshot, |selection| selection.value);
        let in_progress_timeout_minutes = reader.table("timeoutConfig").and_then(|timeout| {
            let minutes = timeout.integer("inProgressTimeoutInMinutes", 1..=limits::TIMEOUT_MINUTES_MAX);
            timeout.finish();
            minutes.map(|minutes| minutes.value as u32)
        });
        let behavior = reader.string("behavior").map(|behavior| known_behavior(&reader, behavior, behaviors));
        let document = document(&reader);
        let unbuilt =
            ["count", "every", "artifact", "abortConfig", "jobExecutionsRetryConfig", "schedulingConfig", "presignedUrlConfig"];
        reader.later(&unbuilt);
        if let Some(job) = job {
            plans.push(RolloutPlan {
                job: job.value,
                start,
                delay,
                targets,
                rate_per_minute,
                target_selection,
                in_progress_timeout_minutes,
                document,
                behavior,
            });
        }
        reader.finish();
    }
    plans
}

fn job(reader: &Reader<'_>) -> Option<Located<JobId>> {
    if !reader.has("job") {
        reader.missing("job", "give the job an id, as in job = \"fw-2-4-1\"");
    }
    reader.with("job", "a job id", |text| {
        if text.contains('{') {
            return Err("a job id with a number ({n}) is known, but not built yet".into());
        }
        JobId::new(text).map_err(|error| error.to_string())
    })
}

fn rollout_start(reader: &Reader<'_>) -> RolloutStart {
    let at = reader.duration("at", ANY_DURATION);
    let after = reader.word("after", &[("connected", ())], &[]);
    if let (Some(_), Some(after)) = (&at, after) {
        reader.conflict(&after.place, "a rollout starts either at a time or after something", "keep one of at and after");
    }
    at.map_or(RolloutStart::Connected, |at| RolloutStart::At(at.value))
}

fn rollout_targets(reader: &Reader<'_>, cohorts: &[CohortPlan]) -> RolloutTargets {
    let Some(targets) = reader.table("targets") else { return RolloutTargets::Share(1.0) };
    let (share, cohort) = (targets.share("share"), targets.string("cohort"));
    let plan = match (share, cohort) {
        (Some(_), Some(cohort)) => {
            targets.conflict(&cohort.place, "targets are either a share or a cohort", "keep one of the two");
            RolloutTargets::Share(1.0)
        }
        (Some(share), None) => RolloutTargets::Share(share.value),
        (None, Some(Located { value, place })) => {
            if !cohorts.iter().any(|cohort| cohort.name == value) {
                let help = Some(format!("known here: {}", names(cohorts.iter().map(|cohort| &cohort.name))));
                targets.gathered.push(Code::UnknownName, &place, format!("unknown cohort {value:?}"), help);
            }
            RolloutTargets::Cohort(value)
        }
        (None, None) => RolloutTargets::Share(1.0),
    };
    targets.finish();
    plan
}

fn rollout_rate(reader: &Reader<'_>) -> Option<u32> {
    let rate = reader.rate("rate").and_then(|Located { value, place }| {
        let per_minute = value * 60.0;
        let whole = per_minute.round();
        if (per_minute - whole).abs() > 1e-6 || whole < 1.0 || whole > f64::from(u32::MAX) {
            let message = format!("a roll-out rate must be a whole number of executions per minute, this is {per_minute}");
            reader.gathered.push(Code::OutOfRange, &place, message, None);
            return None;
        }
        Some(whole as u32)
    });
    let config = reader.table("jobExecutionsRolloutConfig").and_then(|config| {
        let maximum = config.integer("maximumPerMinute", 1..=i64::from(u32::MAX)).map(|maximum| maximum.value as u32);
        config.later(&["exponentialRate"]);
        config.finish();
        maximum
    });
    if rate.is_some() && config.is_some() {
        let help = "rate is a shorthand for jobExecutionsRolloutConfig.maximumPerMinute: keep one of the two";
        reader.conflict(&reader.place_of("rate"), "the rate of the rollout is given twice", help);
    }
    rate.or(config)
}

fn document(reader: &Reader<'_>) -> JobDocument {
    let Some(Located { value, place }) = reader.json_table("document") else { return JobDocument::from_valid_json("{}") };
    let text = value.to_string();
    if text.len() > limits::DOCUMENT_BYTES_MAX {
        let message = format!("a job document may have {} bytes as JSON, this has {}", limits::DOCUMENT_BYTES_MAX, text.len());
        reader.gathered.push(Code::OutOfRange, &place, message, None);
    }
    JobDocument::from_valid_json(&text)
}

// ---------------------------------------------------------------------------------------------------------------- events

fn events(root: &Reader<'_>, target: &TargetPlan) -> Vec<EventPlan> {
    let mut events = Vec::new();
    for reader in root.tables("event") {
        let later = ["disconnect", "outage", "reconnect-storm", "endpoint-restart"];
        let kind = reader.word("kind", &[("endpoint-freeze", ())], &later);
        if kind.is_none() && !reader.has("kind") {
            reader.missing("kind", "say what happens, as in kind = \"endpoint-freeze\"");
        }
        let at = reader.duration("at", ANY_DURATION);
        if at.is_none() && !reader.has("at") {
            reader.missing("at", "say when, counted from the first connect arrival, as in at = \"20s\"");
        }
        let lasts = reader.duration("for", SOME_DURATION);
        if lasts.is_none() && !reader.has("for") {
            reader.missing("for", "say how long it lasts, as in for = \"5s\"");
        }
        if matches!(target, TargetPlan::Mqtt(_)) && kind.is_some() {
            let help = "use it with target.kind = \"emulator\"";
            reader.conflict(&reader.place_of("kind"), "only the local endpoint can be made to stand still", help);
        }
        reader.later(&["share"]);
        reader.finish();
        if let (Some(_), Some(at), Some(lasts)) = (kind, at, lasts) {
            events.push(EventPlan { at: at.value, kind: EventKind::EndpointFreeze { lasts: lasts.value } });
        }
    }
    events
}

// ------------------------------------------------------------------------------------------------------------------- end

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    ExecutionsDone,
    Duration,
    Idle,
}

fn end(root: &Reader<'_>, target: &TargetPlan, rollouts: &[RolloutPlan]) -> EndPlan {
    const LIMIT: Duration = Duration::from_secs(600);
    let empty = Table::default();
    let reader = root.table("end").unwrap_or_else(|| Reader::new(&empty, root.place_of("end"), "end", root.gathered));
    let words = [("executions-done", When::ExecutionsDone), ("duration", When::Duration), ("idle", When::Idle)];
    let when = reader.word("when", &words, &[]);
    let duration = reader.duration("duration", SOME_DURATION);
    let expect = reader.integer("expect", 1..=i64::MAX);
    let idle = reader.duration("idle", SOME_DURATION);
    let limit = reader.duration("limit", SOME_DURATION).map_or(LIMIT, |limit| limit.value);
    // Left out: what the other keys say, else what there is to wait for.
    let chosen = when.map_or_else(
        || match (&duration, &idle) {
            (Some(_), _) => When::Duration,
            (None, Some(_)) => When::Idle,
            (None, None) => When::ExecutionsDone,
        },
        |when| when.value,
    );
    let creates_jobs = !rollouts.is_empty() || root.has("rollout");
    let need = |key: &str, example: &str| reader.missing(key, example);
    let when = match chosen {
        When::Duration => {
            if duration.is_none() && !reader.has("duration") {
                need("duration", "say how long the run lasts, as in duration = \"60s\"");
            }
            EndWhen::Duration(duration.as_ref().map_or(LIMIT, |duration| duration.value))
        }
        When::Idle => {
            if idle.is_none() && !reader.has("idle") {
                need("idle", "say for how long nothing must happen, as in idle = \"30s\"");
            }
            EndWhen::Idle(idle.as_ref().map_or(LIMIT, |idle| idle.value))
        }
        When::ExecutionsDone => {
            if !creates_jobs && expect.is_none() && !reader.has("expect") {
                let help = match target {
                    TargetPlan::Emulator(_) => {
                        "add a [[rollout]], or end after a time: [end] when = \"duration\", duration = \"60s\""
                    }
                    TargetPlan::Mqtt(_) => {
                        "say how many executions end the run: [end] expect = 1_000; or wait until nothing happens: idle = \"30s\""
                    }
                };
                let message = "no execution is expected, so the run would never end by executions-done";
                reader.gathered.push(Code::Conflict, &reader.place, message, Some(help.into()));
            }
            EndWhen::ExecutionsDone { expect: expect.as_ref().map(|expect| expect.value as u64) }
        }
    };
    if let Some(expect) = &expect
        && (chosen != When::ExecutionsDone || creates_jobs)
    {
        reader.conflict(&expect.place, "end.expect is for executions-done with jobs that others create", "leave it out");
    }
    if let Some(duration) = &duration
        && chosen != When::Duration
    {
        reader.conflict(&duration.place, "end.duration is for when = \"duration\"", "leave it out, or change end.when");
    }
    if let Some(idle) = &idle
        && chosen != When::Idle
    {
        reader.conflict(&idle.place, "end.idle is for when = \"idle\"", "leave it out, or change end.when");
    }
    if let EndWhen::Duration(duration) = when
        && duration > limit
    {
        reader.conflict(&reader.place_of("limit"), "end.limit is below end.duration", "the limit ends every run; raise it");
    }
    reader.finish();
    EndPlan { when, limit }
}
