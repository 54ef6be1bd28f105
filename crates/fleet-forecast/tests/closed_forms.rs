//! Simulations whose course can be computed by hand: to the nanosecond.

use fleet_forecast::{
    Cohort, Demand, End, EndWhen, Enforcement, Fleet, Job, JobStart, Network, Observer, Progress, Protocol, ServiceSettings,
    SessionEvent, Settings, Simulation,
};
use iot_jobs::instant::{Mono, Now};
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{CreateJob, ExecutionStatus, ExponentialRate, GroupName, JobDocument, JobId, JobTarget, RateIncrease, ThingName};
use jobs_engine::engine::EngineConfig;
use jobs_engine::faults::FaultSettings;
use jobs_engine::quotas::{QuotaName, Quotas};
use sim_units::distribution::Distribution;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use thing_agent::AgentSettings;
use thing_agent::backoff::{Backoff, BackoffPolicy};
use thing_agent::behavior::{Behavior, OutcomeShares};
use thing_agent::workflow::Workflow;

const ORIGIN: Mono = Mono(1_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn constant(duration: Duration) -> Distribution {
    Distribution::Constant(duration)
}

#[derive(Default)]
struct Told {
    rows: Vec<LedgerRow>,
    /// Connected and lost again, by thing.
    connected: BTreeMap<u32, u32>,
    lost: u32,
    jobs: Vec<(JobId, Mono)>,
    messages: (u64, u64),
}

impl Observer for Told {
    fn agent(&mut self, _thing: u32, _event: thing_agent::Event) {}
    fn session(&mut self, thing: u32, event: SessionEvent) {
        match event {
            SessionEvent::Connected { .. } => *self.connected.entry(thing).or_default() += 1,
            SessionEvent::Lost { .. } => self.lost += 1,
            SessionEvent::MessageIn => self.messages.0 += 1,
            SessionEvent::MessageOut => self.messages.1 += 1,
            _ => {}
        }
    }
    fn committed(&mut self, row: LedgerRow) {
        self.rows.push(row);
    }
    fn job_created(&mut self, job: &JobId, _targets: u64, at: Mono) {
        self.jobs.push((job.clone(), at));
    }
    fn endpoint_back(&mut self, _event: u16, _at: Mono) {}
    fn all_connected(&mut self, _at: Mono) {}
}

impl Told {
    fn of(&self, event: LedgerEvent) -> impl Iterator<Item = &LedgerRow> {
        self.rows.iter().filter(move |row| row.event == event)
    }
}

const STEP: Duration = Duration::from_secs(4);
const REACTION: Duration = Duration::from_secs(1);

/// Things that connect at ten a second and work in fixed steps on one job for all of them.
fn settings(things: usize, round_trip: Duration, change: impl FnOnce(&mut CreateJob)) -> Settings {
    let names: Vec<ThingName> = (0..things).map(|n| ThingName::new(&format!("t-{n:06}")).unwrap()).collect();
    let agent = AgentSettings {
        namespace: None,
        seed: 7,
        workflow: Workflow::StartNext,
        behavior: Behavior {
            reaction: constant(REACTION),
            updates: 3,
            step: constant(STEP),
            outcome: OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 },
            faults: Vec::new(),
        },
        behavior_of_job: BTreeMap::new(),
        answer_timeout: Duration::from_secs(10),
        retry: Backoff { policy: BackoffPolicy::Fixed, base: Duration::from_secs(1), cap: Duration::from_secs(30) },
        ask_again: AgentSettings::ASK_AGAIN,
        fetches: false,
    };
    let group = GroupName::new("all").unwrap();
    let mut create =
        CreateJob::new(JobId::new("j").unwrap(), vec![JobTarget::Group(group.clone())], JobDocument::from_valid_json("{}"));
    change(&mut create);
    Settings {
        seed: 7,
        origin: Now { mono: ORIGIN, epoch_ms: 1_800_000_000_000 },
        fleet: Fleet {
            names: names.into(),
            cohort_of: vec![0; things],
            arrivals: (0..things as u64).map(|n| ms(100 * n)).collect(),
            first_index: 0,
            cohorts: vec![Cohort {
                agent: Arc::new(agent),
                protocol: Protocol::Mqtt { is_clean: true },
                connect_timeout: Duration::from_secs(30),
                reconnect: Backoff { policy: BackoffPolicy::Fixed, base: Duration::from_secs(1), cap: Duration::from_secs(30) },
                connects_in_progress: None,
                telemetry: None,
                faults: Arc::default(),
                verifies_signature: false,
            }],
            connects_in_progress: 64,
        },
        groups: vec![(group, (0..things as u32).collect())],
        jobs: vec![Job { create, start: JobStart::Connected(Duration::ZERO), targets: things as u64, file: None }],
        cuts: Vec::new(),
        outages: Vec::new(),
        service: ServiceSettings {
            engine: EngineConfig::new(MINUTE),
            quotas: Quotas::default(),
            enforcement: Enforcement::Refuse,
            faults: FaultSettings::default(),
            session_expiry: Duration::ZERO,
        },
        network: Network::of_round_trip(constant(round_trip), Duration::ZERO),
        end: End { when: EndWhen::JobsOver, limit: Duration::from_secs(24 * 3600) },
    }
}

fn run(settings: Settings) -> (Told, Demand, Progress) {
    let mut simulation = Simulation::new(settings, Told::default());
    let progress = simulation.run_until(Mono::FAR_FUTURE).unwrap();
    simulation.close();
    let demand = simulation.demand().clone();
    (std::mem::take(simulation.observer()), demand, progress)
}

#[test]
fn at_a_constant_rate_with_fixed_steps_every_execution_ends_when_the_formula_says() {
    const THINGS: u64 = 120;
    for (rate, round_trip) in [(60, ms(0)), (600, ms(20)), (1_000, ms(250))] {
        let (told, _, progress) =
            run(settings(THINGS as usize, round_trip, |create| create.config.rollout.maximum_per_minute = Some(rate)));
        assert_eq!(progress, Progress::Complete);
        // TCP, TLS, MQTT and SUBSCRIBE take a round trip each.
        let created = ORIGIN + ms(100 * (THINGS - 1)) + 4 * round_trip;
        assert_eq!(told.jobs, [(JobId::new("j").unwrap(), created)]);
        let gap = MINUTE / rate;
        let due: Vec<Mono> = (0..THINGS as u32).map(|n| created + gap * n).collect();
        assert_eq!(told.of(LedgerEvent::Queued).map(|row| row.at).collect::<Vec<_>>(), due, "at {rate} a minute");
        // notify-next; start-next and three reports there and back; the end there.
        let takes = round_trip / 2 + REACTION + 4 * round_trip + 4 * STEP + round_trip / 2;
        let ends: Vec<Mono> = due.into_iter().map(|queued| queued + takes).collect();
        assert_eq!(told.of(LedgerEvent::Terminal).map(|row| row.at).collect::<Vec<_>>(), ends, "at {rate} a minute");
        assert!(told.of(LedgerEvent::Terminal).all(|row| row.status == ExecutionStatus::Succeeded));
    }
}

/// Base 50, factor 2, criterion 1,000: 50 a minute until 1,000, then 100 until 2,000, 200 until 3,000, 400 (PROTOCOL 11.2).
#[test]
fn an_exponential_roll_out_doubles_its_rate_with_every_thousand() {
    let (told, _, progress) = run(settings(4_000, ms(0), |create| {
        create.config.rollout.maximum_per_minute = Some(1_000);
        create.config.rollout.exponential =
            Some(ExponentialRate { base_per_minute: 50, increment_tenths: 20, criterion: RateIncrease::NotifiedThings(1_000) });
    }));
    assert_eq!(progress, Progress::Complete);
    let created = told.jobs[0].1;
    let queued: Vec<Duration> = told.of(LedgerEvent::Queued).map(|row| row.at.since(created)).collect();
    let mut expected = Vec::new();
    let mut at = Duration::ZERO;
    for rate in [50, 100, 200, 400] {
        for _ in 0..1_000 {
            expected.push(at);
            at += MINUTE / rate;
        }
    }
    assert_eq!(queued.len(), expected.len());
    for (n, (is, should)) in queued.iter().zip(&expected).enumerate() {
        assert!(is.abs_diff(*should) <= Duration::from_micros(1), "execution {n} is queued after {is:?}, not {should:?}");
    }
    let after = |n: usize| queued[n].as_secs() / 60;
    assert_eq!([after(1_000), after(2_000), after(3_000)], [20, 30, 35]);
}

/// 100 things at once, two handshakes at a time of 10 ms each: a pair every 10 ms.
#[test]
fn handshakes_wait_for_a_processor_where_there_are_so_many() {
    let mut settings = settings(100, ms(0), |_| {});
    settings.fleet.arrivals.fill(Duration::ZERO);
    settings.fleet.connects_in_progress = 100;
    settings.network = Network::of_round_trip(constant(ms(0)), ms(10)).with_processors(2);
    let (told, ..) = run(settings);
    assert_eq!(told.jobs[0].1, ORIGIN + ms(500), "all are connected");
}

/// What comes at one instant is one read: the answer to the last update, and the news that the job has left the list.
#[test]
fn a_thing_that_asks_for_the_list_looks_at_all_that_came_before_it_asks_again() {
    let mut settings = settings(1, ms(10), |_| {});
    settings.jobs[0].start = JobStart::Connected(Duration::from_secs(1));
    Arc::get_mut(&mut settings.fleet.cohorts[0].agent).unwrap().workflow = Workflow::List;
    let (told, demand, _) = run(settings);
    assert_eq!(told.of(LedgerEvent::Terminal).count(), 1);
    let describes = 1;
    let lists = demand.of(QuotaName::ReadsPerSecond).total - describes;
    assert_eq!(lists, 2, "on arrival, and when the job was over; news of it bring the list with them");
}

/// PROTOCOL 16: one job with n updates, the terminal one among them, is 11 + 3n messages.
#[test]
fn a_job_of_one_thing_has_the_messages_that_the_bill_counts() {
    let mut settings = settings(1, ms(10), |_| {});
    settings.jobs[0].start = JobStart::Connected(Duration::from_secs(1));
    let (told, demand, _) = run(settings);
    let billed = demand.billed;
    // CONNECT, SUBSCRIBE; the thing's first start-next finds nothing: 3 messages.
    assert_eq!((billed.connects, billed.subscribes, billed.executions), (1, 1, 1));
    let outbound = demand.of(QuotaName::OutboundPublishesPerSecond);
    assert_eq!((outbound.total, outbound.peak), (told.messages.0, 2), "an answer and what is next, in one second");
    let of_job = billed.messages() - 2 - 3;
    // Things subscribe to notify-next alone: of notify, on arrival and at the end, 2 messages each are not there.
    assert_eq!(of_job, 11 + 3 * 4 - 4);
    assert_eq!(told.messages, (8, 6), "answers and two notifications; requests");
    assert_eq!((billed.connection_minutes, demand.of(QuotaName::WritesPerSecond).total), (1, 6));
}

#[test]
fn the_same_settings_give_the_same_course() {
    let course = || {
        let mut settings = settings(300, ms(0), |create| create.config.rollout.maximum_per_minute = Some(1_000));
        settings.network = Network::of_round_trip(Distribution::Exp(ms(40)), ms(1));
        run(settings).0.rows
    };
    assert_eq!(course(), course());
}

/// At 200 writes a second, with one start-next and four updates a thing, 40 things a second are done (PROTOCOL 15.3).
#[test]
fn a_quota_of_writes_bounds_the_pace_of_a_roll_out_and_loses_nobody() {
    let mut settings = settings(2_000, ms(10), |_| {});
    settings.fleet.arrivals.iter_mut().for_each(|at| *at /= 5);
    settings.service.quotas = Quotas { writes_per_second: Some(200), ..Quotas::default() };
    let (told, demand, progress) = run(settings);
    assert_eq!(progress, Progress::Complete);
    let ended: BTreeSet<&str> = told.of(LedgerEvent::Terminal).map(|row| row.thing.as_str()).collect();
    assert_eq!(ended.len(), 2_000);
    let writes = demand.of(QuotaName::WritesPerSecond);
    assert!(writes.refused > 1_000 && writes.first_refused.is_some(), "{writes:?}");
    let created = told.jobs[0].1;
    let lasted = told.of(LedgerEvent::Terminal).map(|row| row.at.since(created)).max().unwrap();
    assert!(lasted >= Duration::from_secs(2_000 / 40 - 1), "{lasted:?}");
}
