//! What the endpoint of a run's own has committed and denied, and what it took of its host, second by second: out of the folder of the leader
//! that has started it, while the run goes on and afterwards.

use crate::ledger::{LedgerError, LedgerTail};
use crate::report::{DECISIONS, ENDPOINT_SECONDS, EndpointSecond, EndpointSecondsTail, ReportError, SERVICE_LEDGER};
use crate::run::denials::{Denials, DenialsError};
use iot_jobs::instant::Mono;
use iot_jobs::ledger::LedgerRow;
use load_metrics::{Interval, ProcessUsage};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// What the endpoint left cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("{0}")]
    Denials(#[from] DenialsError),
    #[error("{0}")]
    Seconds(#[from] ReportError),
}

/// All that is known of the endpoint, in the order of time. Its instants and those of the things are of one clock.
pub(crate) struct Service {
    ledger: LedgerTail,
    /// Of later seconds than were asked for.
    rows: VecDeque<LedgerRow>,
    denials: Denials,
    seconds_tail: EndpointSecondsTail,
    seconds: VecDeque<EndpointSecond>,
    usage: Option<ProcessUsage>,
}

/// What it says of one second.
pub(super) struct ServiceSecond {
    pub ledger: Vec<LedgerRow>,
    pub usage: Option<ProcessUsage>,
    /// Events of the scenario that are over, and since when.
    pub events_over: Vec<(usize, Mono)>,
}

impl Service {
    /// Of this folder; its files may be still to come.
    #[must_use]
    pub(crate) fn open(dir: &Path) -> Self {
        Self {
            ledger: LedgerTail::new(&dir.join(SERVICE_LEDGER)),
            rows: VecDeque::new(),
            denials: Denials::new(&dir.join(DECISIONS)),
            seconds_tail: EndpointSecondsTail::new(dir),
            seconds: VecDeque::new(),
            usage: None,
        }
    }

    /// Whether a leader has left anything of an endpoint in a folder.
    pub(super) fn is_in(dir: &Path) -> bool {
        dir.join(ENDPOINT_SECONDS).exists()
    }

    /// Where second 0 began; `None` before anything of it was written.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn origin(&mut self) -> Result<Option<Mono>, ServiceError> {
        self.seconds.extend(self.seconds_tail.read_new()?);
        Ok(self.seconds.front().map(|second| second.origin))
    }

    /// What was not told yet, and happened before the end of this second; `is_last`: all that is left. What policies denied is added to the
    /// errors of the intervals.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub(super) fn second(
        &mut self,
        (origin, second): (Mono, u64),
        is_last: bool,
        intervals: &mut [Interval],
    ) -> Result<ServiceSecond, ServiceError> {
        let until = if is_last { Mono(u64::MAX) } else { origin + Duration::from_secs(second + 1) };
        self.rows.extend(self.ledger.read_new()?);
        self.seconds.extend(self.seconds_tail.read_new()?);
        self.denials.add_to(intervals)?;
        let mut events_over = Vec::new();
        while let Some(told) = self.seconds.pop_front_if(|told| is_last || told.second <= second) {
            self.usage = told.usage;
            events_over.extend(told.events_over);
        }
        let ledger = std::iter::from_fn(|| self.rows.pop_front_if(|row| row.at < until)).collect();
        Ok(ServiceSecond { ledger, usage: self.usage, events_over })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::EndpointSecondsWriter;
    use iot_endpoint::LedgerWriter;
    use iot_jobs::ledger::LedgerEvent;
    use iot_jobs::{ExecutionStatus, JobId, ThingName};

    const ORIGIN: Mono = Mono(7_000_000_000);

    fn at(ms: u64) -> Mono {
        ORIGIN + Duration::from_millis(ms)
    }

    #[test]
    fn a_second_has_what_happened_before_its_end_and_the_last_one_all_that_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut service = Service::open(dir.path());
        assert!(!Service::is_in(dir.path()) && service.origin().unwrap().is_none());
        let ledger = LedgerWriter::open(&dir.path().join(SERVICE_LEDGER)).unwrap();
        for ms in [10, 999, 1_000, 2_500, 5_000] {
            ledger
                .write(&LedgerRow {
                    at: at(ms),
                    thing: ThingName::new("t-1").unwrap(),
                    job: JobId::new("j").unwrap(),
                    execution_number: 1,
                    version: 1,
                    status: ExecutionStatus::Queued,
                    event: LedgerEvent::Queued,
                    subscribed: true,
                })
                .unwrap();
        }
        ledger.flush().unwrap();
        let mut writer = EndpointSecondsWriter::create(dir.path()).unwrap();
        for second in 0..3 {
            let usage = ProcessUsage { rss_bytes: second, ..ProcessUsage::default() };
            let events_over = if second == 1 { vec![(0, at(1_700))] } else { Vec::new() };
            writer.second(&EndpointSecond { origin: ORIGIN, second, usage: Some(usage), events_over }).unwrap();
        }
        assert_eq!((Service::is_in(dir.path()), service.origin().unwrap()), (true, Some(ORIGIN)));
        let mut second = |second, is_last| {
            let told = service.second((ORIGIN, second), is_last, &mut []).unwrap();
            let rows: Vec<u64> = told.ledger.iter().map(|row| row.at.since(ORIGIN).as_millis() as u64).collect();
            (rows, told.usage.map(|usage| usage.rss_bytes), told.events_over)
        };
        assert_eq!(second(0, false), (vec![10, 999], Some(0), vec![]));
        assert_eq!(second(1, false), (vec![1_000], Some(1), vec![(0, at(1_700))]));
        assert_eq!(second(2, true), (vec![2_500, 5_000], Some(2), vec![]));
        assert_eq!(second(3, true), (vec![], Some(2), vec![]));
    }

    #[test]
    fn a_damaged_ledger_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SERVICE_LEDGER), "no ledger\n").unwrap();
        let told = Service::open(dir.path()).second((ORIGIN, 0), false, &mut []).err().unwrap().to_string();
        assert!(told.contains("service_ledger.csv") && told.contains("line 1"), "{told}");
    }
}
