//! Our own generator under the same load.

use crate::client::Store;
use crate::{CONNECTS_IN_PROGRESS, Load, Measured, Options, Usage};
use fleetsim::run::{CohortSettings, Fleet, FleetSettings, PlannedThing};
use host::clock;
use iot_jobs::ThingName;
use load_metrics::{Operation, ScopeId};
use sim_units::distribution::Distribution;
use std::sync::Arc;
use std::time::Duration;
use thing_agent::AgentSettings;
use thing_agent::backoff::{Backoff, BackoffPolicy};
use thing_agent::behavior::{Behavior, OutcomeShares};
use thing_agent::workflow::Workflow;
use thing_transport::mqtt::MqttSettings;
use thing_transport::shard::Order;
use thing_transport::thing::{Protocol, SessionSettings};

/// From making the shards to the first connect arrival.
const LEAD: Duration = Duration::from_millis(500);
/// From a whole second to the last of its intervals: one that comes later would count as of the next second.
const BORDER_SLACK: Duration = Duration::from_millis(200);

pub(crate) fn run(options: &Options) -> Measured {
    let seconds = Duration::from_secs;
    // The load of the bare loop, by the agent's own means: an idle thing asks again.
    let ask_again = match options.load {
        Load::Pairs => Duration::ZERO,
        // Uniform from half of it to all of it.
        Load::Rate => options.every.mul_f64(4.0 / 3.0),
        Load::Connect | Load::Ask | Load::Idle | Load::Round => AgentSettings::ASK_AGAIN,
    };
    let behavior = Behavior {
        reaction: Distribution::Constant(Duration::ZERO),
        updates: 0,
        step: Distribution::Constant(Duration::ZERO),
        outcome: OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 },
        faults: Vec::new(),
    };
    let backoff = Backoff { policy: BackoffPolicy::FullJitter, base: seconds(1), cap: seconds(60) };
    let agent = AgentSettings {
        namespace: None,
        seed: 1,
        workflow: Workflow::StartNext,
        behavior,
        behavior_of_job: [].into(),
        answer_timeout: seconds(10),
        retry: backoff,
        ask_again,
        fetches: false,
    };
    let mqtt = MqttSettings { version: options.version, keep_alive: seconds(300), clean: true, answer_timeout: seconds(10) };
    let session = SessionSettings { seed: 1, protocol: Protocol::Mqtt(mqtt), connect_timeout: seconds(30), reconnect: backoff };
    let things: Vec<PlannedThing> = (0..options.things)
        .map(|n| PlannedThing {
            position: n as u32,
            name: ThingName::new(&Store::thing_name(n)).unwrap(),
            client_id: None,
            index: n as u64,
            cohort: 0,
            credentials: Some(options.store.credentials(&Store::thing_name(n))),
            expired: None,
            arrival: Duration::ZERO,
        })
        .collect();
    let settings = FleetSettings {
        endpoints: vec![options.store.endpoint(options.address)],
        cohorts: vec![CohortSettings {
            agent: Arc::new(agent),
            session: Arc::new(session),
            transport: 0,
            telemetry: None,
            files: None,
            faults: [].into(),
            connects_in_progress: None,
        }],
        shards: 1,
        connects_in_progress: CONNECTS_IN_PROGRESS,
        // As in a run, shards are up when the first connect is due.
        origin: clock::mono() + LEAD,
        inspect: false,
        has_ledger: true,
        cuts: Vec::new(),
        has_events: false,
        lag: Duration::ZERO,
    };
    let started = settings.origin;
    let mut fleet = Fleet::start(things, &settings).expect("the host gives a thread");
    let deadline = started + seconds(120);
    let connected = |fleet: &Fleet| fleet.gauges.ever_connected.load(std::sync::atomic::Ordering::Relaxed);
    while connected(&fleet) < options.things as u64 && clock::mono() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    let connects_per_s = connected(&fleet) as f64 / clock::mono().since(started).as_secs_f64();
    let mut pairs = 0;
    let mut take = |fleet: &mut Fleet| {
        while let Ok(interval) = fleet.intervals.try_recv() {
            let operations = interval.interval.operations.iter();
            let of_all = operations.filter(|row| row.operation == Operation::StartNext && row.scope == ScopeId::ALL);
            pairs += of_all.map(|row| row.counts.ok).sum::<u64>();
        }
        pairs
    };
    let (mut mine, mut theirs, mut before, mut after, mut measured_seconds) = (Usage::default(), Usage::default(), 0, 0, 0.0);
    if !matches!(options.load, Load::Connect | Load::Ask) {
        std::thread::sleep(seconds(2));
        // Intervals come at whole seconds after the origin: measure from one border to another.
        let mut border = |fleet: &mut Fleet| {
            let into = clock::mono().since(settings.origin).subsec_nanos();
            std::thread::sleep(Duration::from_nanos(u64::from(1_000_000_000 - into)) + BORDER_SLACK);
            take(fleet)
        };
        before = border(&mut fleet);
        (mine, theirs) = (Usage::mine(), options.look_at_endpoint());
        let began = clock::mono();
        std::thread::sleep(seconds(options.seconds - 1));
        after = border(&mut fleet);
        measured_seconds = clock::mono().since(began).as_secs_f64();
    }
    let measured = Measured {
        connects_per_s,
        pairs: after - before,
        seconds: measured_seconds,
        generator: Usage::mine().since(mine),
        endpoint: options.look_at_endpoint().since(theirs),
        failures: options.things as u64 - connected(&fleet),
        ..Measured::default()
    };
    fleet.order(Order::Close);
    let _ = fleet.join();
    measured
}
