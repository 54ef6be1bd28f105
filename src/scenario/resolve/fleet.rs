//! `[fleet]`, and what a cohort may override of it.

use super::super::plan::{ConnectPlan, FleetPlan, SessionPlan, Transport};
use super::{SOME_DURATION, things};
use config_text::{Code, Key, Located, Reader};
use iot_jobs::limits;
use sim_units::text;
use std::time::Duration;
use thing_agent::arrivals::ArrivalKind;
use thing_agent::backoff::{Backoff, BackoffPolicy};
use thing_agent::thing_template::ThingTemplate;

/// A limit that is this program's own.
const CONNECTS_IN_PROGRESS_MAX: i64 = 10_000;

fn default_session() -> SessionPlan {
    let seconds = Duration::from_secs;
    SessionPlan {
        transport: Transport::Mqtt,
        clean_session: true,
        keep_alive: seconds(300),
        reconnect: Backoff { policy: BackoffPolicy::FullJitter, base: seconds(1), cap: seconds(60) },
        connect_timeout: seconds(30),
        answer_timeout: seconds(10),
        retry: Backoff { policy: BackoffPolicy::FullJitter, base: seconds(1), cap: seconds(30) },
    }
}

pub(super) fn fleet(root: &Reader<'_>) -> FleetPlan {
    let default_template = || text::name_template("sim-{index:06}").expect("the default is a name template");
    let mut plan = FleetPlan {
        things: 1,
        thing_name: default_template(),
        list: None,
        client_id: None,
        first_index: 0,
        connect: ConnectPlan { rate_per_s: 500.0, arrival: ArrivalKind::Constant, in_progress: 64 },
        session: default_session(),
    };
    let Some(reader) = root.table(("fleet", "the things, and how they connect")) else {
        if !root.has("fleet") {
            root.missing("fleet", "say how many things there are: [fleet] things = 1_000");
        }
        return plan;
    };
    things::things(&reader, &mut plan);
    plan.client_id = client_id(&reader, &plan);
    plan.connect = connect(&reader, plan.connect).unwrap_or(plan.connect);
    plan.session = session(&reader, plan.session);
    reader.finish();
    plan
}

/// Two things of one client id would end each other's sessions.
fn client_id(reader: &Reader<'_>, plan: &FleetPlan) -> Option<ThingTemplate> {
    let Located { value, place } = reader.with(
        ("client_id", "the MQTT client ids, with at least one of `{thing}` and `{index}`; by default the thing names"),
        "a template such as \"{thing}-{index}\"",
        |text| ThingTemplate::parse_unique(text).map_err(|why| format!("{text:?} is no client id for things: {why}")),
    )?;
    // What is wrong with the name is told where names are made.
    let longest = plan.longest_name().ok().map(|name| value.text(&name, plan.first_index + plan.things.saturating_sub(1)));
    if let Some(bytes) = longest.map(|id| id.len()).filter(|bytes| *bytes > limits::CLIENT_ID_BYTES_MAX) {
        let message = format!("fleet.client_id makes client ids of {bytes} bytes, and AWS takes {}", limits::CLIENT_ID_BYTES_MAX);
        reader.gathered.push(Code::OutOfRange, &place, message, None);
    }
    Some(value)
}

/// How things arrive, where that is said.
pub(super) fn connect(reader: &Reader<'_>, default: ConnectPlan) -> Option<ConnectPlan> {
    let connect = reader.table(("connect", "how things connect for the first time"))?;
    let rate = connect.rate(("rate", "connects of the whole fleet, or of the cohort that says it; not with `burst`"));
    let arrival = connect
        .variant((
            "arrival",
            "how connects are spread: evenly, as a Poisson process, at a rate that rises from 0 to `rate`, or all at once",
        ))
        .map_or(default.arrival, |arrival| arrival.value);
    if let (Some(rate), ArrivalKind::Burst) = (&rate, arrival) {
        let help = "all things arrive at once: leave rate out; in_progress bounds them";
        connect.conflict(&rate.place, "a burst has no rate", help);
    }
    let plan = ConnectPlan {
        rate_per_s: rate.filter(|_| arrival != ArrivalKind::Burst).map_or(default.rate_per_s, |rate| rate.value),
        arrival,
        in_progress: connect
            .integer(("in_progress", "how many connect at the same time"), 1..=CONNECTS_IN_PROGRESS_MAX)
            .map_or(default.in_progress, |n| n.value as u32),
    };
    connect.finish();
    Some(plan)
}

/// What a cohort may override.
pub(super) fn session(reader: &Reader<'_>, default: SessionPlan) -> SessionPlan {
    let mut plan = default;
    if let Some(transport) = reader.variant(("transport", "the protocol of the things ([TRANSPORTS.md](TRANSPORTS.md))")) {
        plan.transport = transport.value;
    }
    for key in ["clean_session", "keep_alive"].into_iter().filter(|key| plan.transport.is_http() && reader.has(key)) {
        let message = format!("{} is for transports of MQTT, and this is {}", reader.name(key), plan.transport.as_str());
        reader.conflict(&reader.place_of(key), message, "leave it out: over HTTPS a thing has no session, and polls");
    }
    if let Some(clean_session) =
        reader.boolean(("clean_session", "`false`: the endpoint keeps the session while its thing is away"))
    {
        plan.clean_session = clean_session.value;
    }
    if let Some(keep_alive) =
        reader.duration(("keep_alive", "the MQTT keep-alive, in whole seconds"), limits::KEEP_ALIVE_MIN..=limits::KEEP_ALIVE_MAX)
    {
        plan.keep_alive = keep_alive.value;
        if plan.keep_alive.subsec_nanos() != 0 {
            reader.gathered.push(Code::BadValue, &keep_alive.place, "keep_alive must be whole seconds", None);
        }
    }
    plan.reconnect = backoff(reader, ("reconnect", "the waits before a lost connection is made again").into(), default.reconnect);
    plan.retry = backoff(reader, ("retry", "the waits before a request that failed is sent again").into(), default.retry);
    if let Some(timeouts) = reader.table(("timeouts", "how long a thing waits")) {
        plan.connect_timeout = timeouts
            .duration(("connect", "for a connection, from TCP to the last SUBACK"), SOME_DURATION)
            .map_or(default.connect_timeout, |timeout| timeout.value);
        plan.answer_timeout = timeouts
            .duration(("answer", "for the answer to a request"), SOME_DURATION)
            .map_or(default.answer_timeout, |timeout| timeout.value);
        timeouts.finish();
    }
    plan
}

fn backoff(reader: &Reader<'_>, key: Key, default: Backoff) -> Backoff {
    let Some(table) = reader.table(key) else { return default };
    let plan = Backoff {
        policy: table
            .variant(("policy", "before try n + 1: random(0, min(`cap`, `base` x 2^n)); min(`cap`, `base` x 2^n); `base`"))
            .map_or(default.policy, |policy| policy.value),
        base: table.duration(("base", "the first wait"), SOME_DURATION).map_or(default.base, |base| base.value),
        cap: table.duration(("cap", "the longest wait"), SOME_DURATION).map_or(default.cap, |cap| cap.value),
    };
    if plan.cap < plan.base {
        table.conflict(
            &table.place_of("cap"),
            format!("{0}.cap is below {0}.base", key.name),
            "the cap bounds what the base grows to",
        );
    }
    table.finish();
    plan
}
