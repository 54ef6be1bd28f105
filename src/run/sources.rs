//! What a run reads of its processes once a second.

use super::denials::{Denials, DenialsError};
use super::process::{EndpointWatch, ProcessWatch};
use super::targets::LocalEndpoint;
use crate::ledger::{LedgerError, LedgerTail};
use iot_jobs::ledger::LedgerRow;
use load_metrics::{Interval, ProcessUsage};

/// The service's ledger, its log of decisions, and the usage of both processes.
pub(super) struct Sources {
    tail: Option<LedgerTail>,
    denials: Option<Denials>,
    generator: Option<ProcessWatch>,
    endpoint: Option<EndpointWatch>,
}

impl Sources {
    pub(super) fn new(local: Option<&LocalEndpoint>) -> Self {
        Self {
            tail: local.map(|local| LedgerTail::new(&local.ledger)),
            denials: local.map(|local| Denials::new(&local.decisions)),
            generator: ProcessWatch::new(std::process::id()),
            endpoint: local.map(|local| EndpointWatch::new(local.child.ready.pid)),
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
        self.denials.as_mut().map_or(Ok(()), |denials| denials.add_to(intervals))
    }

    pub(super) fn usage(&mut self) -> (ProcessUsage, Option<ProcessUsage>) {
        let generator = self.generator.as_mut().and_then(ProcessWatch::look).unwrap_or_default();
        (generator, self.endpoint.as_mut().and_then(EndpointWatch::look))
    }

    /// The endpoint is another process from now on.
    pub(super) fn follow_endpoint(&mut self, pid: u32) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.follow(pid);
        }
    }
}
