//! The jobs service as a pure machine: typed requests, control-plane calls and time in; answers, notifications, ledger rows and
//! deadlines out.

use crate::instant::{Mono, Now};
use crate::jobs::{CancelJob, ControlError, CreateJob, GroupName, JobDescription, JobId, Notification, Reply, Request, ThingName};
use crate::ledger::LedgerRow;
use std::time::Duration;

/// Settings of the service itself.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Length of a minute for every minute-unit: timers and roll-out rates.
    pub minute: Duration,
}

pub struct Engine {}

impl Engine {
    pub fn new(_config: EngineConfig) -> Self {
        todo!()
    }
    // registry
    pub fn create_thing(&mut self, _name: &ThingName, _now: Now) -> Result<(), ControlError> {
        todo!()
    }
    pub fn has_thing(&self, _name: &ThingName) -> bool {
        todo!()
    }
    pub fn create_group(&mut self, _name: &GroupName, _now: Now) -> Result<(), ControlError> {
        todo!()
    }
    pub fn add_thing_to_group(&mut self, _thing: &ThingName, _group: &GroupName, _now: Now) -> Result<(), ControlError> {
        todo!()
    }
    // control plane
    pub fn create_job(&mut self, _job: CreateJob, _now: Now) -> Result<(), ControlError> {
        todo!()
    }
    pub fn describe_job(&self, _job: &JobId) -> Result<JobDescription, ControlError> {
        todo!()
    }
    pub fn cancel_job(&mut self, _job: &JobId, _cancel: CancelJob, _now: Now) -> Result<(), ControlError> {
        todo!()
    }
    // data plane
    pub fn handle_request(&mut self, _thing: &ThingName, _request: &Request, _now: Now) -> Reply {
        todo!()
    }
    /// Whether the thing's session is subscribed to `notify-next` (only for the ledger's `subscribed` column).
    pub fn handle_subscription(&mut self, _thing: &ThingName, _notify_next: bool) {
        todo!()
    }
    // time
    pub fn handle_timeout(&mut self, _now: Now) {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        todo!()
    }
    // out
    pub fn poll_notification(&mut self) -> Option<(ThingName, Notification)> {
        todo!()
    }
    pub fn poll_change(&mut self) -> Option<LedgerRow> {
        todo!()
    }
}
