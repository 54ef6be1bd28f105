//! After the first hour the rows of growing files cover a minute instead of a second, so that a run of a day leaves a folder that can
//! still be opened.

use load_metrics::{Counts, Distribution, Latency, Measure, Operation, OperationRow, Resolution, ScopeName, Snapshot, TaggedTimes};
use std::borrow::Cow;
use std::time::Duration;

/// Rows of the first hour are seconds.
pub(super) const NARROW: Duration = Duration::from_secs(3600);
/// Rows after that are minutes.
pub(super) const SPAN: Duration = Duration::from_secs(60);

/// Gathers seconds until they make a row.
#[derive(Default)]
pub(super) struct RowAggregator {
    pending: Option<Pending>,
}

struct Pending {
    last: Snapshot,
    seconds: u64,
    connects: u64,
    messages_in: u64,
    messages_out: u64,
    cpu: f64,
    endpoint_cpu: f64,
    busy: Vec<f64>,
    rows: Vec<Row>,
    /// Of the worst second.
    lateness: Option<Latency>,
}

/// One operation in one scope.
struct Row {
    scope: ScopeName,
    operation: Operation,
    counts: Counts,
    service: Distribution,
    response: Distribution,
}

impl RowAggregator {
    /// What is to be written now, if anything: the second itself, or the minute that it completes. `is_last`: nothing will follow.
    pub(super) fn push<'a>(&mut self, snapshot: &'a Snapshot, is_last: bool) -> Option<Cow<'a, Snapshot>> {
        if self.pending.is_none() && snapshot.t_s <= NARROW.as_secs() {
            return Some(Cow::Borrowed(snapshot));
        }
        let pending = self.pending.get_or_insert_with(|| Pending::new(snapshot));
        pending.add(snapshot);
        let is_whole = snapshot.t_s.is_multiple_of(SPAN.as_secs()) || is_last;
        if is_whole { self.pending.take().map(|pending| Cow::Owned(pending.into_snapshot())) } else { None }
    }
}

impl Pending {
    fn new(first: &Snapshot) -> Self {
        Self {
            last: first.clone(),
            seconds: 0,
            connects: 0,
            messages_in: 0,
            messages_out: 0,
            cpu: 0.0,
            endpoint_cpu: 0.0,
            busy: Vec::new(),
            rows: Vec::new(),
            lateness: None,
        }
    }

    fn add(&mut self, snapshot: &Snapshot) {
        self.seconds += snapshot.span_s;
        self.connects += snapshot.connects_per_s;
        self.messages_in += snapshot.messages_in_per_s;
        self.messages_out += snapshot.messages_out_per_s;
        self.cpu += snapshot.generator.map_or(0.0, |usage| usage.cpu_share);
        self.endpoint_cpu += snapshot.endpoint.map_or(0.0, |usage| usage.cpu_share);
        self.busy.resize(self.busy.len().max(snapshot.busy.len()), 0.0);
        self.busy.iter_mut().zip(&snapshot.busy).for_each(|(sum, busy)| *sum += busy);
        let worst = |a: Latency, b: Latency| if b.p99 > a.p99 { b } else { a };
        self.lateness = [self.lateness, snapshot.lateness].into_iter().flatten().reduce(worst);
        for row in &snapshot.second {
            self.row(&row.scope, row.operation).counts += row.counts;
        }
        for times in &snapshot.times {
            let row = self.row(&times.scope, times.operation);
            let known = if times.measure == Measure::Service { &mut row.service } else { &mut row.response };
            known.merge(&times.distribution);
        }
        self.last = snapshot.clone();
    }

    fn row(&mut self, scope: &ScopeName, operation: Operation) -> &mut Row {
        let place = self.rows.iter().position(|row| row.operation == operation && row.scope == *scope).unwrap_or_else(|| {
            let (service, response) = (Distribution::default(), Distribution::default());
            self.rows.push(Row { scope: scope.clone(), operation, counts: Counts::default(), service, response });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    fn into_snapshot(self) -> Snapshot {
        let seconds = self.seconds.max(1);
        let mut snapshot = self.last;
        snapshot.span_s = seconds;
        snapshot.connects_per_s = self.connects.div_ceil(seconds);
        snapshot.messages_in_per_s = self.messages_in.div_ceil(seconds);
        snapshot.messages_out_per_s = self.messages_out.div_ceil(seconds);
        if let Some(generator) = &mut snapshot.generator {
            generator.cpu_share = self.cpu / seconds as f64;
        }
        if let Some(endpoint) = &mut snapshot.endpoint {
            endpoint.cpu_share = self.endpoint_cpu / seconds as f64;
        }
        snapshot.busy = self.busy.into_iter().map(|busy| busy / seconds as f64).collect();
        snapshot.lateness = self.lateness;
        let known = |row: &Row| {
            let known = snapshot.second.iter().find(|known| known.operation == row.operation && known.scope == row.scope);
            known.map_or((0, 0), |known| (known.open, known.since_s))
        };
        let wide = |row: &Row| {
            let resolution = Resolution::of(row.operation, row.scope != ScopeName::All);
            let (open, since_s) = known(row);
            OperationRow {
                scope: row.scope.clone(),
                operation: row.operation,
                counts: row.counts,
                open,
                since_s,
                service: row.service.latency(resolution),
                response: row.response.latency(resolution),
            }
        };
        let second: Vec<OperationRow> = self.rows.iter().map(wide).collect();
        let times = self.rows.into_iter().flat_map(|row| {
            let tagged =
                |measure, distribution| TaggedTimes { scope: row.scope.clone(), operation: row.operation, measure, distribution };
            [tagged(Measure::Service, row.service), tagged(Measure::Response, row.response)]
        });
        snapshot.times = times.filter(|times| !times.distribution.is_empty()).collect();
        snapshot.second = second;
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::ThingName;
    use iot_jobs::instant::Mono;
    use load_metrics::Phase;
    use load_metrics::{Collector, CollectorSettings, Outcome, ProcessUsage, Recorder, Sample, Scope, SecondInput};

    const ORIGIN: Mono = Mono(1_000_000_000);

    #[test]
    fn minutes_add_up_to_what_their_seconds_said() {
        let mut recorder = Recorder::new(ORIGIN, 1, 1);
        let mut collector = Collector::new(CollectorSettings {
            origin: ORIGIN,
            things: vec![ThingName::new("t").unwrap()],
            cohorts: vec!["all".into()],
            transports: vec!["mqtt".into()],
            has_service: false,
            thresholds: Vec::new(),
            events: Vec::new(),
            cores: 1,
        });
        let mut widening = RowAggregator::default();
        let mut written: Vec<Snapshot> = Vec::new();
        let last = NARROW.as_secs() + 3 * SPAN.as_secs() + 7;
        for second in 0..last {
            let at = ORIGIN + Duration::from_secs(second) + Duration::from_millis(500);
            let age = Duration::from_millis(1 + second % 60);
            recorder.start(Operation::Update, Scope::default());
            let (operation, scope, outcome) = (Operation::Update, Scope::default(), Outcome::Ok);
            recorder.finish(&Sample { operation, scope, outcome, intended: at - 2 * age, sent: at - age, finished: at });
            recorder.message_in();
            recorder.advance(ORIGIN + Duration::from_secs(second + 1));
            let snapshot = collector.second(SecondInput {
                second,
                span_s: 1,
                phase: Phase::Steady,
                phases: Phase::Steady.into(),
                intervals: vec![recorder.poll_interval().unwrap()],
                intervals_lost: 0,
                ledger: Vec::new(),
                generator: Some(ProcessUsage { cpu_share: 0.5, ..ProcessUsage::default() }),
                endpoint: None,
            });
            written.extend(widening.push(&snapshot, second + 1 == last).map(Cow::into_owned));
        }
        assert_eq!(written.len() as u64, NARROW.as_secs() + 4, "an hour of seconds, three minutes, and what was left");
        assert_eq!(written.iter().map(|row| row.span_s).sum::<u64>(), last);
        assert_eq!(written.iter().map(|row| row.of_second(Operation::Update).unwrap().counts.ok).sum::<u64>(), last);
        let scopes: Vec<String> = written.last().unwrap().second.iter().map(|row| row.scope.to_string()).collect();
        assert_eq!(scopes, ["all", "cohort:all", "transport:mqtt"]);
        let minute = &written[NARROW.as_secs() as usize];
        let row = minute.of_second(Operation::Update).unwrap();
        let (service, response) = (row.service.unwrap(), row.response.unwrap());
        assert_eq!((minute.t_s, row.counts.ok, minute.messages_in_per_s), (NARROW.as_secs() + 60, 60, 1));
        assert!((service.max - 60.0).abs() < 0.1 && (response.p50 - 60.0).abs() < 0.1, "{row:?}");
        assert!((minute.generator.unwrap().cpu_share - 0.5).abs() < 1e-9);
        assert_eq!(minute.fleet_times().map(|times| times.distribution.count()).sum::<u64>(), 120);
    }
}
