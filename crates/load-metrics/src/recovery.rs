//! What the events of a scenario did to the fleet: who lost its session by them, and how they all came back.

use super::histogram::{Distribution, Histogram, Latency, Resolution};
use super::interval::{SessionChange, SessionChangeKind};
use iot_jobs::instant::Mono;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How much later than an event of the endpoint a thing may notice that its session is lost.
const NOTICE: Duration = Duration::from_secs(1);
/// An event is done with when nothing is heard of it for this long: losses are told with the second they belong to.
const SETTLED: Duration = Duration::from_secs(2);

/// An event as the scenario has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedEvent {
    /// Its word in a scenario.
    pub kind: &'static str,
    /// When it begins.
    pub at: Mono,
    /// How long it lasts by its plan.
    pub lasts: Duration,
    /// Whether it happens to the endpoint, so that things lose their sessions by what they see of it.
    pub is_of_endpoint: bool,
    /// Whether it is over when its time is, and not when it is told to be.
    pub ends_on_time: bool,
}

/// How an event stands.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Its word in a scenario.
    pub kind: &'static str,
    /// When it was to begin.
    pub at: Mono,
    /// How long it was to last.
    pub lasts: Duration,
    /// When the way was free again; `None` before.
    pub over: Option<Mono>,
    /// Things that lost their session by it.
    pub affected: u64,
    /// Those of them that were subscribed again.
    pub back: u64,
    /// Attempts of them that failed before that.
    pub failures: u64,
    /// From its beginning until the last of them was subscribed again; `None` while one is not, or if there is none.
    pub back_after: Option<Duration>,
    /// From when it was over (of a session lost later: from its loss) until each was subscribed again.
    pub recovery: Option<Latency>,
    /// The most of them that were subscribed again within one whole second after it was over.
    pub peak_connects_per_s: u64,
    /// The most of them that wanted to connect within one whole second after it was over.
    pub peak_attempts_per_s: u64,
    /// Over, and everybody is back.
    pub is_done: bool,
}

impl EventRow {
    /// Things that are not back.
    #[must_use]
    pub fn away(&self) -> u64 {
        self.affected - self.back
    }
}

/// Follows all events of a run.
pub(super) struct Recoveries {
    events: Vec<Recovery>,
}

struct Recovery {
    plan: PlannedEvent,
    over: Option<Mono>,
    affected: u64,
    /// Things that are not back, and since when.
    away: HashMap<u32, Mono>,
    last_back: Mono,
    failures: u64,
    /// Made with the first thing that is back.
    times: Option<Box<Histogram>>,
    total: Distribution,
    /// By whole seconds after it was over.
    connects: BTreeMap<u64, u64>,
    attempts: BTreeMap<u64, u64>,
}

impl Recoveries {
    pub(super) fn new(plans: Vec<PlannedEvent>) -> Self {
        Self { events: plans.into_iter().map(Recovery::new).collect() }
    }

    /// The event with this number was over at `at`.
    pub(super) fn over(&mut self, event: usize, at: Mono) {
        if let Some(event) = self.events.get_mut(event) {
            event.over.get_or_insert(at);
        }
    }

    /// In the order of their instants.
    pub(super) fn session_changed(&mut self, change: &SessionChange) {
        match change.kind {
            SessionChangeKind::Down { by } => {
                let event = match by {
                    Some(number) => self.events.get_mut(usize::from(number)),
                    None => self.events.iter_mut().rev().find(|event| event.explains(change.at)),
                };
                event.into_iter().for_each(|event| event.lost(change.thing, change.at));
            }
            SessionChangeKind::Up { intended } => {
                self.events.iter_mut().for_each(|event| event.back(change.thing, intended, change.at));
            }
            SessionChangeKind::Failed { intended } => {
                self.events.iter_mut().for_each(|event| event.failed(change.thing, intended));
            }
        }
    }

    /// How all of them stand at `now`, in the order of the scenario.
    pub(super) fn rows(&mut self, now: Mono) -> Vec<EventRow> {
        self.events.iter_mut().map(|event| event.row(now)).collect()
    }
}

impl Recovery {
    fn new(plan: PlannedEvent) -> Self {
        Self {
            plan,
            over: plan.ends_on_time.then_some(plan.at + plan.lasts),
            affected: 0,
            away: HashMap::new(),
            last_back: plan.at,
            failures: 0,
            times: None,
            total: Distribution::default(),
            connects: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }

    /// Whether a session that broke at `at`, without a word why, broke by this event.
    fn explains(&self, at: Mono) -> bool {
        self.plan.is_of_endpoint && at >= self.plan.at && self.over.is_none_or(|over| at <= over + NOTICE)
    }

    fn lost(&mut self, thing: u32, at: Mono) {
        // Who has lost it twice by the same event has not come back for good in between.
        self.affected += u64::from(self.away.insert(thing, at).is_none());
    }

    fn tried(&mut self, intended: Mono) {
        if let Some(over) = self.over.filter(|over| intended >= *over) {
            *self.attempts.entry(intended.since(over).as_secs()).or_default() += 1;
        }
    }

    fn back(&mut self, thing: u32, intended: Mono, at: Mono) {
        let Some(lost) = self.away.remove(&thing) else { return };
        self.tried(intended);
        let free = self.over.unwrap_or(lost);
        *self.connects.entry(at.since(free).as_secs()).or_default() += 1;
        self.times.get_or_insert_with(|| Box::new(Histogram::new(Resolution::SHORT))).record(at.since(lost.max(free)));
        self.last_back = self.last_back.max(at);
    }

    fn failed(&mut self, thing: u32, intended: Mono) {
        if self.away.contains_key(&thing) {
            self.failures += 1;
            self.tried(intended);
        }
    }

    fn row(&mut self, now: Mono) -> EventRow {
        if let Some(times) = &mut self.times
            && !times.is_empty()
        {
            self.total.merge(&times.take());
        }
        let is_over = self.over.is_some_and(|over| now >= over + SETTLED);
        let peak = |seconds: &BTreeMap<u64, u64>| seconds.values().copied().max().unwrap_or(0);
        EventRow {
            kind: self.plan.kind,
            at: self.plan.at,
            lasts: self.plan.lasts,
            over: self.over.filter(|over| now >= *over),
            affected: self.affected,
            back: self.affected - self.away.len() as u64,
            failures: self.failures,
            back_after: (self.affected > 0 && self.away.is_empty()).then(|| self.last_back.since(self.plan.at)),
            recovery: self.total.latency(Resolution::SHORT),
            peak_connects_per_s: peak(&self.connects),
            peak_attempts_per_s: peak(&self.attempts),
            is_done: is_over && self.away.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(7_000_000_000) + Duration::from_millis(ms)
    }

    fn planned(from: u64, lasts: u64, is_of_endpoint: bool, ends_on_time: bool) -> PlannedEvent {
        PlannedEvent { kind: "outage", at: at(from), lasts: Duration::from_millis(lasts), is_of_endpoint, ends_on_time }
    }

    impl Recoveries {
        fn tell(&mut self, thing: u32, ms: u64, kind: SessionChangeKind) -> &mut Self {
            self.session_changed(&SessionChange { thing, at: at(ms), kind });
            self
        }

        fn up(&mut self, thing: u32, ms: u64) -> &mut Self {
            self.tell(thing, ms, SessionChangeKind::Up { intended: at(ms - 20) })
        }

        fn down(&mut self, thing: u32, ms: u64, by: Option<u16>) -> &mut Self {
            self.tell(thing, ms, SessionChangeKind::Down { by })
        }

        fn failed(&mut self, thing: u32, ms: u64) -> &mut Self {
            self.tell(thing, ms, SessionChangeKind::Failed { intended: at(ms - 10) })
        }
    }

    #[test]
    fn recovery_counts_from_when_the_way_is_free_and_being_back_from_the_beginning() {
        let mut events = Recoveries::new(vec![planned(1_000, 10_000, false, true)]);
        (0..4).for_each(|thing| _ = events.up(thing, 100));
        (0..3).for_each(|thing| _ = events.down(thing, 1_002, Some(0)));
        events.failed(0, 5_000).failed(1, 6_000).failed(0, 11_500);
        events.down(3, 2_000, None).up(3, 2_500);
        events.up(1, 11_100).up(2, 11_900);
        let row = &events.rows(at(12_000))[0];
        assert_eq!((row.affected, row.back, row.away(), row.failures), (3, 2, 1, 3));
        assert_eq!((row.back_after, row.is_done), (None, false));
        events.up(0, 12_500).down(0, 12_600, None).failed(0, 12_700).up(0, 14_000);
        let row = &events.rows(at(14_100))[0];
        assert_eq!((row.back, row.failures, row.back_after), (3, 3, Some(Duration::from_millis(11_500))), "the first time counts");
        assert_eq!((row.peak_connects_per_s, row.peak_attempts_per_s, row.is_done), (2, 3, true));
        let recovery = row.recovery.unwrap();
        assert!((recovery.p50 - 900.0).abs() < 1.0 && (recovery.max - 1_500.0).abs() < 1.5, "{recovery:?}");
    }

    #[test]
    fn what_breaks_while_the_endpoint_is_away_breaks_by_that() {
        let mut events = Recoveries::new(vec![planned(1_000, 2_000, true, false), planned(20_000, 1_000, true, true)]);
        events.down(0, 900, None).down(1, 1_050, None).failed(1, 2_000).failed(0, 2_000);
        let row = &events.rows(at(3_500))[0];
        assert_eq!((row.affected, row.failures, row.over, row.is_done), (1, 1, None, false), "late, and still away");
        events.over(0, at(3_600));
        events.over(0, at(9_000));
        events.up(1, 3_900).down(2, 4_700, None).down(3, 20_500, None);
        let rows = events.rows(at(21_000));
        assert_eq!((rows[0].affected, rows[0].over, rows[0].back_after), (1, Some(at(3_600)), Some(Duration::from_millis(2_900))));
        assert_eq!((rows[1].affected, rows[1].back), (1, 0));
    }

    #[test]
    fn an_event_that_hit_nobody_is_done_when_its_losses_would_be_known() {
        let mut events = Recoveries::new(vec![planned(1_000, 0, false, true)]);
        assert_eq!([900, 1_500, 3_000].map(|ms| events.rows(at(ms))[0].is_done), [false, false, true]);
        let row = &events.rows(at(3_000))[0];
        assert_eq!((row.back_after, row.recovery), (None, None));
    }
}
