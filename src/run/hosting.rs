//! What a process does that has started the endpoint of a run, while others drive the things: it carries out the events of the endpoint, creates
//! the jobs, and writes down what the endpoint takes of its host.

use super::child::{ChildEvent, GONE_GRACE};
use super::jobs::rollouts::{Called, Rollouts};
use super::process::EndpointWatch;
use super::shared_endpoint::SharedEndpoint;
use super::targets::{self, Folders, Served};
use super::ui::Ui;
use super::wait::sleep_until;
use crate::report::{EndpointSecond, EndpointSecondsWriter};
use crate::roster::Roster;
use crate::scenario::plan::{EventKind, Plan, TargetPlan};
use crate::workload::events::{self, EventSchedule, Step};
use crate::workload::jobs::check_schedules;
use host::clock;
use iot_jobs::instant::Mono;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An endpoint that this process has started for others, with the whole fleet registered.
pub(crate) struct HostedEndpoint {
    served: Served,
    /// The results folder.
    dir: PathBuf,
}

impl HostedEndpoint {
    /// Brings up the endpoint of a plan of kind `emulator`. Must be called on the main thread: it dies with the thread that starts it.
    ///
    /// # Errors
    /// With what is missing; for people.
    pub(crate) async fn bring_up(
        plan: &Plan,
        roster: &Roster,
        (results, certs): (&Path, Option<&Path>),
        ui: &Ui,
    ) -> Result<Self, String> {
        let TargetPlan::Emulator(emulator) = &plan.target else {
            return Err("start an endpoint for a target of somebody else".into());
        };
        check_schedules(plan, clock::epoch_ms()).map_err(|error| error.to_string())?;
        let served = targets::serve(plan, emulator, roster, Folders { results, certs }, ui).await;
        Ok(Self { served: served.map_err(|error| error.to_string())?, dir: results.into() })
    }

    /// How the others find it.
    pub(crate) fn shared(&self) -> &SharedEndpoint {
        &self.served.shared
    }

    /// From now on it is of a run whose second 0 begins at `origin`.
    ///
    /// # Errors
    /// When the disk does not take what is to be written down; for people.
    pub(crate) fn host<'a>(&'a mut self, plan: &'a Plan, roster: &'a Roster, origin: Mono) -> Result<Hosting<'a>, String> {
        let Self { served, dir } = self;
        Ok(Hosting {
            plan,
            roster,
            origin,
            schedule: EventSchedule::new(&plan.events, origin),
            rollouts: Rollouts::new(plan, origin, Some(served.control.clone())),
            usage: EndpointWatch::new(served.local.child.ready.pid),
            seconds: EndpointSecondsWriter::create(dir).map_err(|error| error.to_string())?,
            second: 0,
            restarting: None,
            events_over: Vec::new(),
            gone: None,
            is_draining: false,
            served,
        })
    }

    /// Stops it; its ledger is complete then.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.served.local.child.stop().await {
            tracing::warn!(%error, "the endpoint");
        }
    }
}

/// The same while its run goes on.
pub(crate) struct Hosting<'a> {
    served: &'a mut Served,
    plan: &'a Plan,
    roster: &'a Roster,
    origin: Mono,
    schedule: EventSchedule,
    rollouts: Rollouts<'a>,
    usage: EndpointWatch,
    seconds: EndpointSecondsWriter,
    /// The one that is written down next.
    second: u64,
    /// The event for which the endpoint is away.
    restarting: Option<usize>,
    /// Since the last second that was written down.
    events_over: Vec<(usize, Mono)>,
    /// It has ended of itself: when, and how.
    gone: Option<(Mono, String)>,
    is_draining: bool,
}

impl Hosting<'_> {
    /// Every thing of the fleet was connected.
    pub(crate) fn connected(&mut self) {
        self.rollouts.connected(clock::mono());
    }

    /// No new jobs, and no new events, from now on.
    pub(crate) fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Waits until something is due or has happened, and does what follows. Nothing is lost when this is dropped while it waits.
    ///
    /// # Errors
    /// When the run cannot go on: why, for people.
    pub(crate) async fn next(&mut self, ui: &Ui) -> Result<(), String> {
        let (due, gone_at) =
            (self.rollouts.next().filter(|_| self.can_create()), self.gone.as_ref().map(|(at, _)| *at + GONE_GRACE));
        let wake = [Some(self.border()), self.schedule.next(), due, gone_at].into_iter().flatten().min();
        tokio::select! {
            called = self.rollouts.called() => {
                if let Called::Created { job, targets } = called.map_err(|error| format!("create job {error}"))? {
                    ui.tell(&format!("job {job} created for {targets} things"));
                }
            }
            news = self.served.local.child.news(), if self.gone.is_none() => match news {
                ChildEvent::Back => self.back(ui),
                ChildEvent::Ended(status) => {
                    ui.tell(&format!("the endpoint ended unexpectedly ({status})"));
                    self.gone = Some((clock::mono(), status));
                }
            },
            () = sleep_until(wake) => {}
        }
        self.advance(clock::mono(), ui)
    }

    /// The end of the second that is written down next.
    fn border(&self) -> Mono {
        self.origin + Duration::from_secs(self.second + 1)
    }

    /// Whether somebody takes calls, and is to get some.
    fn can_create(&self) -> bool {
        !self.is_draining && self.gone.is_none() && self.served.local.child.is_up()
    }

    fn advance(&mut self, now: Mono, ui: &Ui) -> Result<(), String> {
        if let Some((since, status)) = &self.gone
            && now >= *since + GONE_GRACE
        {
            return Err(format!("go on: the endpoint ended unexpectedly ({status}); see endpoint.log in the results"));
        }
        while let Some(step) = self.schedule.poll(now) {
            // A run that drains is left alone.
            if !self.is_draining || matches!(step, Step::End(_)) {
                self.step(step, ui);
            }
        }
        while self.can_create() && self.rollouts.poll(now).is_some() {}
        self.write_down(now)
    }

    fn step(&mut self, step: Step, ui: &Ui) {
        let (Step::Begin(n) | Step::End(n)) = step;
        let (event, child) = (&self.plan.events[n], &mut self.served.local.child);
        match (&event.kind, step) {
            (EventKind::EndpointFreeze { .. }, step) => child.freeze(matches!(step, Step::Begin(_))),
            (EventKind::EndpointRestart { lasts }, Step::Begin(_)) => {
                self.restarting = Some(n);
                child.restart(self.origin + event.at + *lasts);
            }
            // The others know when to cut their things off.
            _ => {}
        }
        if let Some(words) = events::in_words(self.plan, self.roster, step) {
            ui.tell(&words);
        }
    }

    /// The endpoint is ready again, as another process.
    fn back(&mut self, ui: &Ui) {
        let Some(event) = self.restarting.take() else { return };
        let pid = self.served.local.child.ready.pid;
        self.usage.follow(pid);
        self.events_over.push((event, clock::mono()));
        ui.tell(&events::back_again(self.plan, event, pid));
    }

    /// What there is to say of the seconds that are over.
    fn write_down(&mut self, now: Mono) -> Result<(), String> {
        if now < self.border() {
            return Ok(());
        }
        // Of several seconds at once, as after a moment without a core, the last one is known.
        self.second = now.since(self.origin).as_secs().saturating_sub(1);
        let told = EndpointSecond {
            origin: self.origin,
            second: self.second,
            usage: self.usage.look(),
            events_over: std::mem::take(&mut self.events_over),
        };
        self.second += 1;
        self.seconds.second(&told).map_err(|error| error.to_string())
    }
}
