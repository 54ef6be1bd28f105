//! `shards.csv`: the seconds of each shard of a merged run, and what they come to.

use super::ReportError;
use super::column::GrowingFile;
use super::manifest::Percentiles;
use super::shard_totals::{Busy, ShardMeasured};
use super::tables::{self, ShardLine};
use super::widen::{NARROW, SPAN};
use crate::slice::Slice;
use load_metrics::{Distribution, Operation, Resolution, ShardFigures, ShardSecond};
use std::path::Path;

/// Writes the rows, in the order of the seconds.
pub(super) struct ShardRows {
    file: GrowingFile<ShardLine>,
    shards: Vec<Shard>,
}

struct Shard {
    slice: Slice,
    /// Seconds that are to be one row.
    pending: Option<Pending>,
    tally: Tally,
}

/// What a shard did in all.
#[derive(Default)]
struct Tally {
    seconds: u64,
    /// Whole seconds from the origin to the end of its last one.
    last_s: u64,
    messages: u64,
    busy: f64,
    busy_max: f64,
    lateness: Distribution,
    connects: Distribution,
}

#[derive(Clone, Copy, Default)]
struct Pending {
    t_s: u64,
    seconds: u64,
    sum: ShardFigures,
}

impl Pending {
    /// Gauges as they are at its end, messages as their sum, what must not be averaged as its worst.
    fn add(&mut self, t_s: u64, figures: &ShardFigures) {
        (self.t_s, self.seconds) = (t_s, self.seconds + 1);
        self.sum = ShardFigures {
            connected: figures.connected,
            messages_in: self.sum.messages_in + figures.messages_in,
            messages_out: self.sum.messages_out + figures.messages_out,
            busy: self.sum.busy.max(figures.busy),
            lateness_ms: [self.sum.lateness_ms, figures.lateness_ms].into_iter().flatten().reduce(f64::max),
        };
    }

    fn line(self, slice: Slice) -> ShardLine {
        let mean = |sum: u64| sum.div_ceil(self.seconds.max(1));
        let figures =
            ShardFigures { messages_in: mean(self.sum.messages_in), messages_out: mean(self.sum.messages_out), ..self.sum };
        ShardLine { t_s: self.t_s, slice, figures }
    }
}

impl ShardRows {
    /// Of these shards, in their order.
    pub(super) fn create(dir: &Path, slices: impl Iterator<Item = Slice>) -> Result<Self, ReportError> {
        let shards = slices.map(|slice| Shard { slice, pending: None, tally: Tally::default() }).collect();
        Ok(Self { file: GrowingFile::create(dir, tables::SHARDS, tables::shards_columns())?, shards })
    }

    /// A second of the shard at this place.
    pub(super) fn second(&mut self, place: usize, second: &ShardSecond) {
        let (shard, t_s, figures) = (&mut self.shards[place], second.second + 1, second.figures());
        shard.tally.add(t_s, &figures, second);
        let pending = shard.pending.get_or_insert_default();
        pending.add(t_s, &figures);
        if t_s <= NARROW.as_secs() || t_s.is_multiple_of(SPAN.as_secs()) {
            self.file.write(&pending.line(shard.slice));
            shard.pending = None;
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), ReportError> {
        self.file.flush()
    }

    /// Writes what is left, and says what each shard did in all.
    pub(super) fn finish(&mut self) -> Result<Vec<ShardMeasured>, ReportError> {
        for shard in &mut self.shards {
            shard.pending.take().into_iter().for_each(|pending| self.file.write(&pending.line(shard.slice)));
        }
        self.file.flush()?;
        Ok(self.shards.iter().map(|shard| shard.tally.measured()).collect())
    }
}

impl Tally {
    fn add(&mut self, t_s: u64, figures: &ShardFigures, second: &ShardSecond) {
        (self.seconds, self.last_s) = (self.seconds + 1, t_s);
        self.messages += figures.messages_in + figures.messages_out;
        self.busy += figures.busy;
        self.busy_max = self.busy_max.max(figures.busy);
        self.lateness.merge(&second.lateness());
        self.connects.merge(&second.times(Operation::Connect));
    }

    fn measured(&self) -> ShardMeasured {
        let percentiles = |times: &Distribution, resolution| times.latency(resolution).map(Percentiles::from);
        ShardMeasured {
            run_s: self.last_s,
            silent_s: self.last_s - self.seconds,
            messages: self.messages,
            busy: (self.seconds > 0).then(|| Busy { mean: self.busy / self.seconds as f64, max: self.busy_max }),
            lateness_ms: percentiles(&self.lateness, Resolution::SHORT),
            connect_ms: percentiles(&self.connects, Resolution::of(Operation::Connect, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iot_jobs::instant::Mono;
    use load_metrics::{Interval, Phase};
    use std::time::Duration;

    fn second(second: u64, messages_in: u64, busy_ms: u64) -> ShardSecond {
        let interval = Interval { messages_in, connected: 5, busy: Duration::from_millis(busy_ms), ..Interval::default() };
        ShardSecond {
            origin: Mono(0),
            second,
            phase: Phase::Steady,
            phases: vec![Phase::Steady],
            jobs: Vec::new(),
            intervals: vec![interval],
            intervals_lost: 0,
            generator: None,
        }
    }

    #[test]
    fn after_the_first_hour_rows_are_minutes_and_seconds_that_are_missing_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let slices = ["0/2", "1/2"].map(|slice| slice.parse().unwrap());
        let mut rows = ShardRows::create(dir.path(), slices.into_iter()).unwrap();
        rows.second(0, &second(0, 7, 100));
        rows.second(1, &second(0, 1, 100));
        rows.second(0, &second(3_599, 8, 300));
        (3_600..3_665).for_each(|n| rows.second(0, &second(n, n - 3_599, 200)));
        let measured = rows.finish().unwrap();
        let text = std::fs::read_to_string(dir.path().join(tables::SHARDS)).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "1,0/2,5,7,0,0.100,",
                "1,1/2,5,1,0,0.100,",
                "3600,0/2,5,8,0,0.300,",
                "3660,0/2,5,31,0,0.200,",
                "3665,0/2,5,63,0,0.200,",
            ]
        );
        let told: Vec<_> = measured.iter().map(|shard| (shard.run_s, shard.silent_s, shard.messages)).collect();
        assert_eq!(told, [(3_665, 3_665 - 67, 15 + 65 * 66 / 2), (1, 0, 1)]);
        assert!((measured[0].busy.unwrap().max - 0.3).abs() < 1e-9 && measured[0].connect_ms.is_none());
    }
}
