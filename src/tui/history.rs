//! What charts draw: every second of the run as a small slot, the newest ones each for themselves, all of them in a bounded number.

use load_metrics::{Measure, Operation, RolloutRow, Snapshot, StageCounts, TaggedTimes};
use std::collections::VecDeque;
use std::sync::Arc;

/// Seconds kept each for itself.
pub const RECENT_S: u64 = 600;
/// Slots of the whole run. When there are more, each two become one.
const WHOLE_MAX: usize = 1024;
/// Bands of the heat map per factor of ten, and how many there are from 1 us to 1,000 s.
pub const BANDS_PER_DECADE: usize = 6;
pub const BANDS: usize = 9 * BANDS_PER_DECADE;

/// The times of one operation in one slot, in milliseconds; of a slot of several seconds, of its worst one.
#[derive(Clone, Debug)]
pub struct SlotTimes {
    pub operation: Operation,
    pub measure: Measure,
    pub p50: f64,
    pub p99: f64,
    /// (band, count), ascending.
    pub bands: Vec<(u8, u32)>,
}

/// A span of the run.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Seconds from the origin to its end.
    pub t_s: u64,
    /// Seconds it covers.
    pub span_s: u64,
    /// At its end.
    pub connected: u64,
    pub connects: u64,
    pub messages_in: u64,
    pub messages_out: u64,
    pub times: Vec<SlotTimes>,
    /// At its end.
    pub executions: StageCounts,
    /// Things that are done with a job at its end, by row of the snapshot's rollouts.
    pub done: Vec<u64>,
}

impl Slot {
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            t_s: snapshot.t_s,
            span_s: 1,
            connected: snapshot.connected,
            connects: snapshot.connects_per_s,
            messages_in: snapshot.messages_in_per_s,
            messages_out: snapshot.messages_out_per_s,
            times: snapshot.fleet_times().filter_map(slot_times).collect(),
            executions: snapshot.executions,
            done: snapshot.rollouts.iter().map(RolloutRow::done).collect(),
        }
    }

    #[must_use]
    pub fn times(&self, operation: Operation, measure: Measure) -> Option<&SlotTimes> {
        self.times.iter().find(|times| times.operation == operation && times.measure == measure)
    }

    /// `count` of this slot as a rate.
    #[must_use]
    pub fn per_s(&self, count: u64) -> f64 {
        count as f64 / self.span_s.max(1) as f64
    }

    fn join(&self, next: &Self) -> Self {
        let mut joined = Self {
            span_s: self.span_s + next.span_s,
            connects: self.connects + next.connects,
            messages_in: self.messages_in + next.messages_in,
            messages_out: self.messages_out + next.messages_out,
            ..next.clone()
        };
        for times in &self.times {
            match joined.times.iter_mut().find(|known| known.operation == times.operation && known.measure == times.measure) {
                Some(known) => {
                    known.p50 = known.p50.max(times.p50);
                    known.p99 = known.p99.max(times.p99);
                    for band in &times.bands {
                        add(&mut known.bands, *band);
                    }
                }
                None => joined.times.push(times.clone()),
            }
        }
        joined
    }
}

fn slot_times(times: &TaggedTimes) -> Option<SlotTimes> {
    let latency = times.distribution.latency(times.resolution())?;
    let mut bands = Vec::new();
    for (ticks, count) in times.distribution.buckets() {
        add(&mut bands, (band(times.resolution().ms(*ticks as f64)), u32::try_from(*count).unwrap_or(u32::MAX)));
    }
    Some(SlotTimes { operation: times.operation, measure: times.measure, p50: latency.p50, p99: latency.p99, bands })
}

fn add(bands: &mut Vec<(u8, u32)>, (band, count): (u8, u32)) {
    match bands.binary_search_by_key(&band, |known| known.0) {
        Ok(place) => bands[place].1 = bands[place].1.saturating_add(count),
        Err(place) => bands.insert(place, (band, count)),
    }
}

/// The band of the heat map that holds this many milliseconds.
#[must_use]
pub fn band(ms: f64) -> u8 {
    let bands = (ms * 1e3).max(1.0).log10() * BANDS_PER_DECADE as f64;
    (bands.floor() as usize).min(BANDS - 1) as u8
}

/// Where a band begins, in milliseconds.
#[must_use]
pub fn band_floor(band: usize) -> f64 {
    10f64.powf(band as f64 / BANDS_PER_DECADE as f64) / 1e3
}

/// The run so far.
#[derive(Clone, Debug, Default)]
pub struct History {
    recent: VecDeque<Arc<Slot>>,
    whole: Vec<Arc<Slot>>,
    /// Seconds that a full slot of `whole` covers.
    span_s: u64,
}

impl History {
    pub fn push(&mut self, slot: Slot) {
        let slot = Arc::new(slot);
        if self.recent.len() as u64 == RECENT_S {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&slot));
        self.span_s = self.span_s.max(1);
        match self.whole.last_mut() {
            Some(last) if last.span_s < self.span_s => *last = Arc::new(last.join(&slot)),
            _ => self.whole.push(slot),
        }
        if self.whole.len() > WHOLE_MAX {
            self.whole = self
                .whole
                .chunks(2)
                .map(|two| if two.len() == 2 { Arc::new(two[0].join(&two[1])) } else { two[0].clone() })
                .collect();
            self.span_s *= 2;
        }
    }

    /// The slots of the last `span_s` seconds, oldest first; of the whole run without it.
    #[must_use]
    pub fn window(&self, span_s: Option<u64>) -> Vec<&Slot> {
        let end = self.end_s();
        match span_s {
            Some(span_s) if span_s <= RECENT_S => {
                self.recent.iter().map(AsRef::as_ref).filter(|slot| slot.t_s + span_s > end).collect()
            }
            Some(span_s) => self.whole.iter().map(AsRef::as_ref).filter(|slot| slot.t_s + span_s > end).collect(),
            None if end <= RECENT_S => self.recent.iter().map(AsRef::as_ref).collect(),
            None => self.whole.iter().map(AsRef::as_ref).collect(),
        }
    }

    /// The slot that ended `ago_s` seconds before the newest, or the oldest one known since.
    #[must_use]
    pub fn ago(&self, ago_s: u64) -> Option<&Slot> {
        let newest = self.recent.len().checked_sub(1)?;
        self.recent.get(newest.saturating_sub(ago_s as usize)).map(AsRef::as_ref)
    }

    /// Seconds from the origin to the end of the newest slot.
    #[must_use]
    pub fn end_s(&self) -> u64 {
        self.recent.back().map_or(0, |slot| slot.t_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(t_s: u64) -> Slot {
        let times = SlotTimes {
            operation: Operation::Update,
            measure: Measure::Service,
            p50: 1.0,
            p99: t_s as f64,
            bands: vec![(band(1.0), 1), (band(t_s as f64), 1)],
        };
        Slot { t_s, span_s: 1, messages_out: 10, connected: t_s, times: vec![times], ..Slot::default() }
    }

    #[test]
    fn a_long_run_stays_small_and_loses_no_message() {
        let mut history = History::default();
        for t_s in 1..=100_000 {
            history.push(slot(t_s));
        }
        let whole = history.window(None);
        assert!(whole.len() <= WHOLE_MAX, "{}", whole.len());
        assert_eq!(whole.iter().map(|slot| slot.span_s).sum::<u64>(), 100_000);
        assert_eq!(whole.iter().map(|slot| slot.messages_out).sum::<u64>(), 1_000_000);
        assert_eq!(whole.iter().map(|slot| slot.times[0].bands.iter().map(|b| u64::from(b.1)).sum::<u64>()).sum::<u64>(), 200_000);
        assert_eq!(whole.last().unwrap().times[0].p99, 100_000.0, "the worst second of a slot");
        assert_eq!(whole.last().unwrap().connected, 100_000, "the end of a slot");
        assert_eq!(history.window(Some(60)).len(), 60);
        assert_eq!(history.window(Some(RECENT_S)).iter().map(|slot| slot.span_s).max(), Some(1));
        assert_eq!(history.ago(10).unwrap().t_s, 99_990);
    }

    #[test]
    fn bands_hold_what_they_say() {
        for ms in [0.0005, 0.001, 0.37, 1.0, 9.99, 10.0, 1e5] {
            let band = usize::from(band(ms));
            assert!(band_floor(band) <= ms.max(0.001) * 1.000_001 && ms < band_floor(band + 1), "{ms} in {band}");
        }
        assert_eq!(usize::from(band(1e12)), BANDS - 1);
    }
}
