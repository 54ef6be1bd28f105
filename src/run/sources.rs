//! What a run reads of its processes once a second.

use super::denials::{Denials, DenialsError};
use super::process::ProcessWatch;
use super::targets::LocalEndpoint;
use crate::ledger::{LedgerError, LedgerTail};
use iot_jobs::ledger::LedgerRow;
use load_metrics::{ErrorKey, ErrorTally, Interval, ProcessUsage};

/// The service's ledger, its log of decisions, and the usage of both processes.
pub(super) struct Sources {
    tail: Option<LedgerTail>,
    denials: Option<Denials>,
    /// Of a second without an interval to tell of them.
    untold: Vec<(ErrorKey, ErrorTally)>,
    generator: Option<ProcessWatch>,
    endpoint: Option<ProcessWatch>,
    /// CPU seconds of the endpoint as it was last seen, and of those that were there before it.
    endpoint_cpu: f64,
    endpoint_cpu_before: f64,
}

impl Sources {
    pub(super) fn new(local: Option<&LocalEndpoint>) -> Self {
        Self {
            tail: local.map(|local| LedgerTail::new(&local.ledger)),
            denials: local.map(|local| Denials::new(&local.decisions)),
            untold: Vec::new(),
            generator: ProcessWatch::new(std::process::id()),
            endpoint: local.and_then(|local| ProcessWatch::new(local.child.ready.pid)),
            endpoint_cpu: 0.0,
            endpoint_cpu_before: 0.0,
        }
    }

    /// Rows that the service wrote since the last call.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn rows(&mut self) -> Result<Vec<LedgerRow>, LedgerError> {
        self.tail.as_mut().map_or_else(|| Ok(Vec::new()), LedgerTail::read_new)
    }

    /// Adds what policies denied since the last call to the errors of the second.
    ///
    /// # Errors
    /// When the log of decisions cannot be read.
    pub(super) fn add_denials(&mut self, intervals: &mut [Interval]) -> Result<(), DenialsError> {
        if let Some(denials) = &mut self.denials {
            self.untold.extend(denials.read_new()?);
        }
        if let Some(interval) = intervals.first_mut() {
            interval.errors.append(&mut self.untold);
        }
        Ok(())
    }

    pub(super) fn usage(&mut self) -> (ProcessUsage, Option<ProcessUsage>) {
        let generator = self.generator.as_mut().and_then(ProcessWatch::look).unwrap_or_default();
        let endpoint = self.endpoint.as_mut().and_then(ProcessWatch::look).map(|usage| {
            self.endpoint_cpu = self.endpoint_cpu_before + usage.cpu_seconds;
            ProcessUsage { cpu_seconds: self.endpoint_cpu, ..usage }
        });
        (generator, endpoint)
    }

    /// The endpoint is another process from now on; CPU seconds go on from those of the one before.
    pub(super) fn follow_endpoint(&mut self, pid: u32) {
        self.endpoint = ProcessWatch::new(pid);
        self.endpoint_cpu_before = self.endpoint_cpu;
    }
}
