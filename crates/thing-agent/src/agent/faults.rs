//! What goes wrong on purpose: the agent's part of the table of faults.

use super::JobsAgent;
use super::state::{Ask, Session, Step};
use crate::event::{Event, ExecutionKey, Transmit};
use crate::faults::InjectedFault;
use iot_jobs::instant::Mono;
use iot_jobs::{ExecutionStatus, Request, RequestBody, Subscription, Update};
use std::time::Duration;
use thing_faults::{Fault, FaultSpec};

/// When a stalled thing would go on: after any run.
const NEVER: Duration = Duration::from_secs(3650 * 24 * 3600);

impl JobsAgent {
    /// A session is about to subscribe.
    pub(super) fn draw_session(&mut self, now: Mono) {
        let is_deaf = self.faults.as_mut().is_some_and(|faults| faults.begin_session(&self.settings.behavior.faults));
        if is_deaf {
            self.emit_fault(Fault::NoNotifyNext, None, now);
        }
    }

    /// What this session subscribes to.
    pub(super) fn subscriptions(&self) -> &'static [Subscription] {
        let subscriptions = self.settings.workflow.subscriptions();
        let is_deaf = self.faults.as_ref().is_some_and(|faults| faults.asks_again.is_some());
        match subscriptions {
            [Subscription::NotifyNext, others @ ..] if is_deaf => others,
            all => all,
        }
    }

    pub(super) fn ask_again(&self) -> Duration {
        self.faults.as_ref().and_then(|faults| faults.asks_again).unwrap_or(self.settings.ask_again)
    }

    /// Whether the open request, of that number, was sent in a form that cannot be accepted.
    pub(super) fn is_corrupted(&self, number: u32) -> bool {
        self.faults.as_ref().is_some_and(|faults| faults.corrupted == Some(number))
    }

    /// What is wrong with the request that is due, or what is done instead of it.
    pub(super) fn next_fault(&mut self, ask: Ask, now: Mono) -> Result<Option<FaultSpec>, Option<Transmit>> {
        let Some(faults) = &mut self.faults else { return Ok(None) };
        match (ask, &self.work) {
            (Ask::Update, Some(work)) if work.is_started() => {
                let key = work.key.clone();
                let specs = &self.settings.behavior(&key.job).faults;
                match faults.at_update(specs, work.reports, now) {
                    None => Ok(None),
                    Some(InjectedFault::Crash(away)) => Err(Some(self.crash(key, away, now))),
                    Some(InjectedFault::Stall { is_new }) => {
                        if is_new {
                            self.emit_fault(Fault::Stall, Some(key), now);
                        }
                        self.plan(now + NEVER, Ask::Update);
                        Err(None)
                    }
                    Some(InjectedFault::Slip(slip)) => {
                        self.emit_fault(slip.fault, Some(key), now);
                        Ok(Some(slip))
                    }
                }
            }
            _ => Ok(None),
        }
    }

    /// Sends `request`, an update, with the fault in it.
    pub(super) fn commit(&mut self, slip: &FaultSpec, mut request: Request) -> Transmit {
        let Some(faults) = &mut self.faults else { return Transmit::Publish(request) };
        match slip.fault {
            Fault::StaleVersion => {
                if let RequestBody::Update(Update { expected_version: Some(version), .. }) = &mut request.body {
                    *version -= 1;
                }
                Transmit::Publish(request)
            }
            Fault::DuplicateUpdate => {
                faults.behind = Some(Transmit::Publish(request.clone()));
                Transmit::Publish(request)
            }
            Fault::PublishFlood => {
                faults.behind = Some(Transmit::Publish(request));
                Transmit::Flood(slip.count(0))
            }
            fault => {
                faults.corrupted = Some(self.requests);
                Transmit::Faulty(request, fault)
            }
        }
    }

    /// The thing goes down in the middle of its work, and forgets all but what it wrote into `statusDetails`.
    fn crash(&mut self, key: ExecutionKey, away: Duration, now: Mono) -> Transmit {
        if let Some(work) = &mut self.work {
            work.resume();
        }
        self.session = Session::Down;
        self.step = Step::Idle;
        self.announced = None;
        self.more = false;
        self.failures = 0;
        self.emit_fault(Fault::CrashInProgress, Some(key), now);
        Transmit::Crash { away }
    }

    /// Whether the thing reports once more on what it has just ended.
    pub(super) fn reports_after_end(&mut self, now: Mono) -> bool {
        let reports = self.faults.as_mut().is_some_and(|faults| faults.take_report_after_end());
        if reports {
            let key = self.faults.as_ref().and_then(|faults| faults.execution().cloned());
            self.emit_fault(Fault::UpdateAfterTerminal, key, now);
        }
        reports
    }

    pub(super) fn update_after_end(&self) -> Option<Update> {
        let key = self.faults.as_ref()?.execution()?;
        Some(Update {
            job_id: key.job.clone(),
            status: ExecutionStatus::InProgress,
            status_details: None,
            expected_version: None,
            execution_number: Some(key.number),
            include_execution_state: false,
            include_job_document: false,
            step_timeout: None,
        })
    }

    fn emit_fault(&mut self, fault: Fault, execution: Option<ExecutionKey>, at: Mono) {
        self.events.push_back(Event::Fault { fault, execution, at });
    }
}
