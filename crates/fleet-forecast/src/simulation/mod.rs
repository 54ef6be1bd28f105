//! The course of events: what happens next is looked up, and what follows from it is planned.

mod attempts;
mod jobs;
mod outages;
mod requests;
mod thing;

use crate::demand::Demand;
use crate::network::Delays;
use crate::observer::{Observer, Reason, SessionEvent};
use crate::service::Service;
use crate::settings::{EndWhen, Settings};
use attempts::Gates;
use iot_jobs::instant::Mono;
use iot_jobs::ledger::LedgerEvent;
use iot_jobs::{ControlError, JobId, Notification, Rejection, Reply, Request, RequestKind, Subscription};
use jobs::Jobs;
use outages::Outages;
use sim_units::agenda::Agenda;
use std::ops::Range;
use std::time::Duration;
use thing::Thing;
use thing_agent::Fetched;
use thing_agent::cut::Cuts;

/// How often it is looked whether everything is over.
const LOOK: Duration = Duration::from_secs(1);
/// Of the agenda.
const AGENDA_BUCKET: Duration = Duration::from_secs(1);

/// How a simulation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Running,
    /// What was waited for has come.
    Complete,
    /// It was as long as it may be.
    Limit,
}

/// A job that the service refuses.
#[derive(Debug, thiserror::Error)]
#[error("{job}: {why}")]
pub struct CreateJobError {
    /// Its id.
    pub job: JobId,
    /// What the service says.
    pub why: ControlError,
}

/// A fleet and its service in virtual time.
pub struct Simulation<O> {
    settings: Settings,
    now: Mono,
    agenda: Agenda<SimulationEvent>,
    /// Places, in the order of their first connects, latest first: the next one is the last.
    first: Vec<u32>,
    things: Vec<Thing>,
    gates: Gates,
    cuts: Cuts,
    outages: Outages,
    service: Service,
    delays: Delays,
    jobs: Jobs,
    /// Things that were connected at least once.
    ever_connected: usize,
    /// Things that lost their session by an event of the scenario and are not back.
    away: usize,
    /// Things with an execution under way.
    working: u64,
    /// When a message, or a connection, was seen last.
    busy_at: Mono,
    progress: Progress,
    observer: O,
}

/// A connection of a thing: what belongs to an earlier one is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    thing: u32,
    epoch: u32,
}

/// What happens at an instant.
enum SimulationEvent {
    /// A thing is to connect.
    Attempt(u32),
    /// CONNECT reaches the endpoint; `back` is how long its answer is under way.
    Connect { link: Link, back: Duration },
    /// CONNACK, with whether the session of before goes on; where a connection needs none, the end of the TLS handshake.
    Accepted { link: Link, is_present: bool },
    /// The attempt comes to nothing.
    Fail { link: Link, reason: Reason },
    /// SUBSCRIBE reaches the endpoint.
    Subscribe { link: Link, filters: &'static [Subscription], back: Duration },
    /// SUBACK, with how many of the filters were granted.
    Suback { link: Link, granted: usize, of: usize },
    /// The thing, or its telemetry, wanted to be woken.
    Wake(u32),
    /// A request reaches the endpoint.
    Request(Box<InFlight>),
    /// Its turn has come.
    Serve(Box<(InFlight, Option<Rejection>)>),
    /// Its answer reaches the thing.
    Reply(Box<Answered>),
    /// A notification reaches the thing.
    Notification(Box<(Link, Notification)>),
    /// A file is there.
    File(Box<File>),
    /// The connection ends.
    Drop { link: Link, reason: Reason },
    /// The cut of this number.
    Cut(usize),
    /// The outage of this number begins.
    OutageBegins(usize),
    /// It is over.
    OutageEnds(usize),
    /// The job of this number is to be created.
    Job(usize),
    /// Is everything over?
    Look,
}

/// A request under way.
struct InFlight {
    link: Link,
    request: Request,
    sent: Mono,
    /// How long its answer is under way.
    back: Duration,
    /// Of its message.
    bytes: usize,
    /// What its reader makes of it, where it is wrong on purpose.
    refusal: Option<Rejection>,
}

/// An answer under way.
struct Answered {
    link: Link,
    kind: RequestKind,
    reply: Reply,
    sent: Mono,
    acknowledged_after: Duration,
}

/// A file under way.
struct File {
    link: Link,
    started: Mono,
    bytes: u64,
    fetched: Fetched,
}

/// The places of so many things.
fn places(things: usize) -> Range<u32> {
    0..u32::try_from(things).expect("no memory has room for 2^32 things")
}

impl<O: Observer> Simulation<O> {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(settings: Settings, observer: O) -> Self {
        let origin = settings.origin.mono;
        let fleet = &settings.fleet;
        let delays = Delays::new(settings.network.clone(), settings.seed);
        let service = Service::new(&settings, delays.is_measured());
        let things = (0..fleet.names.len()).map(|place| Thing::new(&settings, place)).collect();
        let mut first: Vec<u32> = places(fleet.names.len()).collect();
        first.sort_by_key(|place| std::cmp::Reverse((fleet.arrivals[*place as usize], *place)));
        let mut agenda = Agenda::new(AGENDA_BUCKET);
        for (number, cut) in settings.cuts.iter().enumerate() {
            agenda.add(cut.at, SimulationEvent::Cut(number));
        }
        for (number, outage) in settings.outages.iter().enumerate() {
            agenda.add(origin + outage.at, SimulationEvent::OutageBegins(number));
        }
        agenda.add(origin + LOOK, SimulationEvent::Look);
        let mut simulation = Self {
            now: origin,
            agenda,
            first,
            things,
            gates: Gates::new(fleet),
            cuts: Cuts::new(fleet.names.len(), !settings.cuts.is_empty()),
            outages: Outages::default(),
            service,
            delays,
            jobs: Jobs::new(&settings.jobs),
            ever_connected: 0,
            away: 0,
            working: 0,
            busy_at: origin,
            progress: Progress::Running,
            observer,
            settings,
        };
        simulation.plan_jobs();
        simulation
    }

    /// Lets everything happen that happens by `until`, or until everything is over.
    ///
    /// # Errors
    /// When the service refuses a job.
    pub fn run_until(&mut self, until: Mono) -> Result<Progress, CreateJobError> {
        let end = self.end();
        let until = until.min(end);
        while self.progress == Progress::Running {
            let timeout = self.service.poll_timeout().map(|at| self.outages.answers_at(at));
            let arrival = self.first.last().map(|place| self.arrival(*place));
            let next = [timeout, arrival, self.agenda.peek()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            if timeout == Some(next) {
                self.service.handle_timeout(self.now);
                self.follow();
            } else if arrival == Some(next) {
                if let Some(place) = self.first.pop() {
                    self.attempt(place);
                }
            } else if let Some((_, happening)) = self.agenda.pop(until) {
                self.happen(happening)?;
            }
        }
        if self.progress == Progress::Running {
            self.now = self.now.max(until);
            if self.now >= end {
                let is_timed = matches!(self.settings.end.when, EndWhen::Duration(_));
                self.progress = if is_timed { Progress::Complete } else { Progress::Limit };
            }
        }
        Ok(self.progress)
    }

    /// Closes what is open; nothing happens after that.
    pub fn close(&mut self) {
        for place in places(self.things.len()) {
            self.close_session(place);
        }
        self.service.meter.end(self.now);
    }

    /// How late it is.
    #[must_use]
    pub fn now(&self) -> Mono {
        self.now
    }

    /// What was asked of the account so far.
    #[must_use]
    pub fn demand(&self) -> &Demand {
        self.service.meter.demand()
    }

    /// Who is told.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Jobs that nobody has created yet.
    #[must_use]
    pub fn uncreated(&self) -> Vec<JobId> {
        self.jobs.uncreated().map(|number| self.settings.jobs[number].create.job_id.clone()).collect()
    }

    fn origin(&self) -> Mono {
        self.settings.origin.mono
    }

    fn end(&self) -> Mono {
        let limit = self.origin() + self.settings.end.limit;
        match self.settings.end.when {
            EndWhen::Duration(duration) => limit.min(self.origin() + duration),
            EndWhen::JobsOver | EndWhen::Idle(_) => limit,
        }
    }

    fn arrival(&self, place: u32) -> Mono {
        self.origin() + self.settings.fleet.arrivals[place as usize]
    }

    fn happen(&mut self, happening: SimulationEvent) -> Result<(), CreateJobError> {
        match happening {
            SimulationEvent::Attempt(place) => self.attempt(place),
            SimulationEvent::Connect { link, back } => self.reach_connect(link, back),
            SimulationEvent::Accepted { link, is_present } => self.accepted(link, is_present),
            SimulationEvent::Fail { link, reason } => self.fail_attempt(link, reason),
            SimulationEvent::Subscribe { link, filters, back } => self.reach_subscribe(link, filters, back),
            SimulationEvent::Suback { link, granted, of } => self.suback(link, granted, of),
            SimulationEvent::Wake(place) => self.wake(place),
            SimulationEvent::Request(in_flight) => self.reach_request(in_flight),
            SimulationEvent::Serve(turn) => self.serve(turn.0, turn.1),
            SimulationEvent::Reply(answered) => self.reach_reply(*answered),
            SimulationEvent::Notification(notification) => self.reach_notification(notification.0, &notification.1),
            SimulationEvent::File(file) => self.reach_file(*file),
            SimulationEvent::Drop { link, reason } => self.drop_connection(link, reason),
            SimulationEvent::Cut(number) => self.cut(number),
            SimulationEvent::OutageBegins(number) => self.outage_begins(number),
            SimulationEvent::OutageEnds(number) => self.outage_ends(number),
            SimulationEvent::Job(number) => return self.create_job(number),
            SimulationEvent::Look => self.look(),
        }
        Ok(())
    }

    fn is_current(&self, link: Link) -> bool {
        self.things[link.thing as usize].epoch == link.epoch
    }

    fn tell(&mut self, place: u32, event: SessionEvent) {
        self.observer.session(place, event);
    }

    /// What follows from a call of the service.
    fn follow(&mut self) {
        while let Some(row) = self.service.poll_change() {
            self.jobs.committed(&row);
            self.service.meter.billed().executions += u64::from(row.event == LedgerEvent::Queued);
            self.observer.committed(row);
        }
        while let Some((place, notification)) = self.service.poll_notification() {
            self.notify(place, notification);
        }
    }

    /// Ends the simulation where what was waited for has come.
    fn look(&mut self) {
        self.look_at_jobs();
        let are_events_done = self.away == 0 && self.outages.are_done(&self.settings, self.now) && self.are_cuts_done();
        let is_quiet = self.working == 0 && are_events_done;
        let is_over = match self.settings.end.when {
            EndWhen::Duration(_) => false,
            EndWhen::JobsOver => is_quiet && self.jobs.are_over(),
            EndWhen::Idle(idle) => {
                let are_connected = self.ever_connected == self.things.len();
                is_quiet && are_connected && self.jobs.are_created() && self.now.since(self.busy_at) >= idle
            }
        };
        if is_over {
            self.progress = Progress::Complete;
        } else {
            self.agenda.add(self.now + LOOK, SimulationEvent::Look);
        }
    }

    fn are_cuts_done(&self) -> bool {
        self.settings.cuts.last().is_none_or(|last| last.at < self.now)
            && self.settings.cuts.iter().all(|cut| cut.until <= self.now)
    }
}
