//! The fleet: shards that share nothing, each an OS thread with a runtime, a slice of the things and a recorder of its own.

use super::observe::ShardObserver;
use crate::inspect::{Ask, Cards, Inspector};
use crate::samples::{Gauges, Samples};
use host::clock;
use iot_jobs::ThingName;
use iot_jobs::instant::Mono;
use load_metrics::{Interval, Recorder};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use thing_agent::cut::{Cut, Cuts};
use thing_agent::telemetry::{Telemetry, TelemetrySettings};
use thing_agent::{AgentSettings, JobsAgent};
use thing_faults::FaultSpec;
use thing_transport::credentials::Credentials;
use thing_transport::download::FileSettings;
use thing_transport::endpoint::Endpoint;
use thing_transport::faults::ThingFaults;
use thing_transport::gates::Gates;
use thing_transport::shard::{Order, Scratch, ShardContext};
use thing_transport::socket::Arrivals;
use thing_transport::thing::{SessionSettings, Thing};
use thing_transport::{Pacer, ThingId, shard_runtime};
use tokio::sync::{Notify, mpsc, watch};

/// Intervals that may wait for the collector, per shard: two minutes. Beyond that they are lost, and the run knows.
const INTERVALS_WAITING_MAX: usize = 120;
/// How long the sessions of a shard may take to close before they are dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// One thing as the run plans it.
pub struct PlannedThing {
    /// Place in the whole fleet.
    pub position: u32,
    pub name: ThingName,
    /// What it calls itself in CONNECT; absent: its name.
    pub client_id: Option<Box<str>>,
    /// Number in names and random streams.
    pub index: u64,
    pub cohort: u16,
    /// Absent where it signs instead.
    pub credentials: Option<Credentials>,
    /// An expired certificate of the thing, which it is to show first.
    pub expired: Option<Credentials>,
    /// Intended first connect, from the origin.
    pub arrival: Duration,
}

/// What the things of a cohort have in common.
#[derive(Clone)]
pub struct CohortSettings {
    pub agent: Arc<AgentSettings>,
    pub session: Arc<SessionSettings>,
    /// What goes wrong on purpose with connections.
    pub faults: Arc<[FaultSpec]>,
    /// Place among the run's transports.
    pub transport: u8,
    pub telemetry: Option<Arc<TelemetrySettings>>,
    /// How they fetch the files that documents name; they fetch none where it is absent.
    pub files: Option<Arc<FileSettings>>,
    /// Connects in progress at once, over all shards; `None`: with those of the fleet.
    pub connects_in_progress: Option<usize>,
}

/// What a fleet is made of.
pub struct FleetSettings {
    /// Where things connect to, in the order of the run's transports.
    pub endpoints: Vec<Endpoint>,
    /// In the order of their places; `cohort` of a thing indexes it.
    pub cohorts: Vec<CohortSettings>,
    pub shards: usize,
    /// Connects in progress at once, over all shards.
    pub connects_in_progress: usize,
    pub origin: Mono,
    /// Whether somebody may want to look at single things.
    pub inspect: bool,
    /// Whether the service ledger will tell when it had news for a thing.
    pub has_ledger: bool,
    /// In the order of time.
    pub cuts: Vec<Cut>,
    /// Whether the scenario has events: then attempts to connect that fail are told one by one.
    pub has_events: bool,
    /// From the end of a second to when the shards hand it over.
    pub lag: Duration,
}

/// A second of one shard.
pub struct ShardInterval {
    pub shard: usize,
    pub interval: Interval,
    /// Intervals lost before this one since the collector did not keep up.
    pub lost: u64,
    /// Nothing more will come from this shard.
    pub last: bool,
}

/// A running fleet.
pub struct Fleet {
    orders: watch::Sender<Order>,
    pub intervals: mpsc::Receiver<ShardInterval>,
    pub gauges: Arc<Gauges>,
    /// Present where it was asked for.
    pub inspector: Option<Inspector>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

/// A shard that did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("start a shard: {0}")]
    Start(#[source] io::Error),
    #[error("run a shard: {0}")]
    Shard(#[source] io::Error),
    #[error("run a shard: it panicked")]
    Panicked,
}

impl Fleet {
    /// Deals the things to the shards in turn, so that arrivals spread evenly, and lets them live.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn start(things: impl IntoIterator<Item = PlannedThing>, settings: &FleetSettings) -> Result<Self, FleetError> {
        let shards = settings.shards.max(1);
        let mut slices: Vec<Vec<(u32, PlannedThing)>> = std::iter::repeat_with(Vec::new).take(shards).collect();
        for (thing, turn) in things.into_iter().zip((0..shards).cycle()) {
            slices[turn].push((thing.position, thing));
        }
        let (orders, _) = watch::channel(Order::Run);
        let (out, intervals) = mpsc::channel(INTERVALS_WAITING_MAX * shards);
        let gauges = Arc::new(Gauges::default());
        let (inspector, asks) = Inspector::new(shards);
        let mut asks = asks.into_iter();
        let mut threads = Vec::with_capacity(shards);
        for (shard, slice) in slices.into_iter().enumerate() {
            let setup = ShardSetup {
                shard,
                endpoints: settings.endpoints.clone(),
                cohorts: settings.cohorts.clone(),
                shards,
                connects_in_progress: settings.connects_in_progress,
                origin: settings.origin,
                orders: orders.subscribe(),
                out: out.clone(),
                gauges: Arc::clone(&gauges),
                has_ledger: settings.has_ledger,
                cuts: cuts_of(&settings.cuts, &slice),
                has_events: settings.has_events,
                lag: settings.lag,
                asks: asks.next().filter(|_| settings.inspect),
            };
            let thread = std::thread::Builder::new().name(format!("shard-{shard}")).spawn(move || setup.run(slice));
            threads.push(thread.map_err(FleetError::Start)?);
        }
        Ok(Self { orders, intervals, gauges, inspector: settings.inspect.then_some(inspector), threads })
    }

    /// Orders only ever go up: run, drain, close.
    pub fn order(&self, order: Order) {
        self.orders.send_if_modified(|current| {
            let raised = order > *current;
            *current = order.max(*current);
            raised
        });
    }

    /// Waits for the shards, which must have been ordered to close.
    ///
    /// # Errors
    /// When one of them ended otherwise than by order.
    pub fn join(self) -> Result<(), FleetError> {
        self.threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result.map_err(FleetError::Shard),
            Err(_panic) => Err(FleetError::Panicked),
        })
    }
}

/// The cuts of things of one shard, who are named by their slots.
fn cuts_of(cuts: &[Cut], slice: &[(u32, PlannedThing)]) -> Vec<Cut> {
    let slots_of = |things: &[u32]| -> Vec<u32> {
        let slots = slice.iter().zip(0..).filter(|((position, _), _)| things.binary_search(position).is_ok());
        slots.map(|(_, slot)| slot).collect()
    };
    cuts.iter().map(|cut| Cut { things: slots_of(&cut.things), ..*cut }).collect()
}

struct ShardSetup {
    shard: usize,
    endpoints: Vec<Endpoint>,
    cohorts: Vec<CohortSettings>,
    shards: usize,
    connects_in_progress: usize,
    origin: Mono,
    orders: watch::Receiver<Order>,
    out: mpsc::Sender<ShardInterval>,
    gauges: Arc<Gauges>,
    has_ledger: bool,
    /// `things` of each are slots.
    cuts: Vec<Cut>,
    has_events: bool,
    lag: Duration,
    /// Questions about single things, where they are allowed.
    asks: Option<mpsc::Receiver<Ask>>,
}

impl ShardSetup {
    fn run(mut self, slice: Vec<(u32, PlannedThing)>) -> io::Result<()> {
        let runtime = shard_runtime()?;
        let (shard, origin, lag, out) = (self.shard, self.origin, self.lag, self.out.clone());
        runtime.block_on(async move {
            let context = self.context(&slice)?;
            let answering = self.asks.take().map(|asks| {
                let answering = answer(Rc::clone(&context), asks, self.orders.clone());
                tokio::task::spawn_local(answering)
            });
            let pacer = Rc::clone(&context);
            let pacing = tokio::task::spawn_local(async move { pacer.pacer.run().await });
            tokio::task::spawn_local(follow_orders(Rc::clone(&context), self.orders.clone()));
            let cutting = tokio::task::spawn_local(cut(Rc::clone(&context), slice.len() + 1, std::mem::take(&mut self.cuts)));
            let ticking = tokio::task::spawn_local(tick(Rc::clone(&context), shard, slice.len(), origin + lag, out.clone()));
            for (slot, (position, thing)) in slice.into_iter().enumerate() {
                let thing = Box::new(self.thing(slot, position, thing));
                tokio::task::spawn_local(thing.live(Rc::clone(&context)));
            }
            let result = wait_for_end(&context, self.orders.clone(), pacing).await;
            ticking.abort();
            cutting.abort();
            let rest = context.observer.with_recorder(|recorder| recorder.finish_run(clock::mono()));
            let count = rest.len();
            for (n, mut interval) in rest.into_iter().enumerate() {
                interval.shard = shard;
                // The collector reads until every shard has said its last word; when it is gone nobody listens.
                let _ = out.send(ShardInterval { shard, interval, lost: 0, last: n + 1 == count }).await;
            }
            if let Some(answering) = answering {
                // What the things looked like at last may be asked for as long as somebody looks.
                let asks = answering.await.map_err(io::Error::other)?;
                let cards = context.observer.take_cards();
                std::thread::Builder::new().name(format!("cards-{shard}")).spawn(move || answer_on(cards, asks))?;
            }
            result
        })
    }

    fn context(&self, slice: &[(u32, PlannedThing)]) -> io::Result<Rc<ShardContext<ShardObserver>>> {
        let things = slice.len();
        let transports = self.cohorts.iter().map(|cohort| usize::from(cohort.transport) + 1).max().unwrap_or(1);
        let recorder = Recorder::new(self.origin, self.cohorts.len(), transports);
        let samples = Samples::new(recorder, Arc::clone(&self.gauges), self.has_ledger, self.has_events);
        let cards = self.asks.is_some().then(|| Cards::new(slice.iter().map(|(position, _)| *position)));
        Ok(Rc::new(ShardContext {
            arrivals: Arrivals::default(),
            endpoints: self.endpoints.clone(),
            // One slot a thing, one for the ticker, and one for the cuts.
            pacer: Pacer::new(things + 2)?,
            gates: self.gates(),
            scratch: RefCell::new(Scratch::default()),
            order: Cell::new(Order::Run),
            cuts: Cuts::new(things, !self.cuts.is_empty()),
            observer: ShardObserver::new(samples, cards, self.lag),
            files: self.cohorts.iter().map(|cohort| cohort.files.clone()).collect(),
            alive: Cell::new(things),
            all_ended: Notify::new(),
        }))
    }

    /// Places are dealt to the shards evenly.
    fn gates(&self) -> Gates {
        let part = |places: usize| places.div_ceil(self.shards);
        Gates::new(part(self.connects_in_progress), self.cohorts.iter().map(|cohort| cohort.connects_in_progress.map(part)))
    }

    fn thing(&self, slot: usize, position: u32, planned: PlannedThing) -> Thing {
        let cohort = &self.cohorts[usize::from(planned.cohort)];
        let PlannedThing { name, client_id, index, expired, .. } = planned;
        let arrival = self.origin + planned.arrival;
        let telemetry = cohort.telemetry.as_ref().map(|settings| {
            let settings = Arc::clone(settings);
            Box::new(Telemetry::new(settings, cohort.session.seed, index, arrival))
        });
        let seed = cohort.session.seed;
        let faults = (!cohort.faults.is_empty()).then(|| Box::new(ThingFaults::new(&cohort.faults, seed, index, expired)));
        Thing {
            id: ThingId { name, client_id, position, slot, cohort: planned.cohort, transport: cohort.transport },
            index,
            agent: JobsAgent::new(Arc::clone(&cohort.agent), index, arrival),
            telemetry,
            session: None,
            credentials: planned.credentials,
            settings: Arc::clone(&cohort.session),
            arrival,
            faults,
        }
    }
}

async fn follow_orders(context: Rc<ShardContext<ShardObserver>>, mut orders: watch::Receiver<Order>) {
    while orders.changed().await.is_ok() {
        let order = *orders.borrow_and_update();
        context.order.set(order);
        if order == Order::Close {
            context.gates.close();
        }
        context.pacer.wake_all();
    }
}

/// Cuts things off when it is time; a run that drains is left alone.
async fn cut(context: Rc<ShardContext<ShardObserver>>, slot: usize, cuts: Vec<Cut>) {
    let is_over = || context.order.get() > Order::Run;
    for cut in cuts {
        context.pacer.sleep_until(slot, cut.at, is_over).await;
        if is_over() {
            return;
        }
        for thing in cut.things.iter().map(|thing| *thing as usize) {
            context.cuts.strike(thing, &cut);
            context.pacer.wake(thing);
        }
    }
}

/// Answers what is asked of the shard's things while they live.
async fn answer(
    context: Rc<ShardContext<ShardObserver>>,
    mut asks: mpsc::Receiver<Ask>,
    mut orders: watch::Receiver<Order>,
) -> mpsc::Receiver<Ask> {
    loop {
        let ask = tokio::select! {
            Some(ask) = asks.recv() => ask,
            // Ordered to close, the things tell the last of their lives; who asks meanwhile is answered after that.
            _ = orders.wait_for(|order| *order == Order::Close) => return asks,
            else => return asks,
        };
        if let Some(mut cards) = context.observer.cards() {
            ask.answer(&mut cards);
        }
    }
}

/// The same when the things have gone, until nobody can ask any more.
fn answer_on(cards: Option<Cards>, mut asks: mpsc::Receiver<Ask>) {
    let Some(mut cards) = cards else { return };
    while let Some(ask) = asks.blocking_recv() {
        ask.answer(&mut cards);
    }
}

/// What this thread had of its core.
struct Usage {
    cpu: Duration,
    waited: Duration,
    at: Mono,
}

impl Usage {
    fn now() -> Self {
        Self { cpu: clock::thread_cpu(), waited: clock::thread_waited(), at: clock::mono() }
    }

    /// CPU time and time without a core, per second, since the last call.
    fn take(&mut self) -> (Duration, Duration) {
        let before = std::mem::replace(self, Self::now());
        let elapsed = self.at.since(before.at).as_secs_f64();
        let per_s = |took: Duration| if elapsed > 0.0 { took.div_f64(elapsed) } else { Duration::ZERO };
        (per_s(self.cpu - before.cpu), per_s(self.waited.saturating_sub(before.waited)))
    }
}

/// Hands over whole seconds that have ended, one after another, each as long after `begin`.
async fn tick(context: Rc<ShardContext<ShardObserver>>, shard: usize, slot: usize, begin: Mono, out: mpsc::Sender<ShardInterval>) {
    let mut lost = 0;
    let mut usage = Usage::now();
    for second in 1u64.. {
        context.pacer.sleep_until(slot, begin + Duration::from_secs(second), || false).await;
        let (busy, waited) = usage.take();
        context.observer.with_recorder(|recorder| {
            recorder.advance(clock::mono());
            while let Some(mut interval) = recorder.poll_interval() {
                (interval.shard, interval.busy, interval.waited) = (shard, busy, waited);
                match out.try_send(ShardInterval { shard, interval, lost, last: false }) {
                    Ok(()) => lost = 0,
                    Err(_full) => lost += 1,
                }
            }
        });
    }
}

/// Until every thing has closed, or the deadline for closing is over, or the schedule breaks.
async fn wait_for_end(
    context: &ShardContext<ShardObserver>,
    mut orders: watch::Receiver<Order>,
    pacing: tokio::task::JoinHandle<io::Result<()>>,
) -> io::Result<()> {
    let closing = async {
        // An error means that the run is gone, which is an order to close too.
        let _ = orders.wait_for(|order| *order == Order::Close).await;
        if context.alive.get() > 0 {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, context.all_ended.notified()).await;
        }
    };
    tokio::select! {
        () = closing => Ok(()),
        broken = pacing => broken.unwrap_or_else(|error| Err(io::Error::other(error))),
    }
}
