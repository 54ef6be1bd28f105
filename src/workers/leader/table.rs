//! Who drives which slice, and how it stands: waited for, ready, running, silent, lost, ended. Pure: told what workers say and what time it
//! is, it says what is to be done.

use crate::preflight::HostFacts;
use crate::report::Verdict;
use crate::workers::message::{ClockReading, SentFile};
use iot_jobs::instant::Mono;
use load_metrics::{Finding, LastSeconds, ShardReasons, Shards};
use std::time::Duration;

/// A worker that tells nothing for so long is not waited for.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(3);
/// A worker that tells nothing for so long is given up.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(15);
/// From its last second to its last word: pages are written, files are sent.
pub(super) const CLOSING_LIMIT: Duration = Duration::from_secs(180);
/// Further apart clocks are worth a word, and more uncertain ones.
const OFFSET_TOLD: Duration = Duration::from_millis(100);
const UNCERTAINTY_TOLD: Duration = Duration::from_millis(20);

/// How far a slice is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// Nobody has it yet.
    Awaited,
    Registered,
    Ready,
    Running,
    /// Its last second is told.
    Closing,
    Ended(Ending),
    Lost,
}

/// A worker's last word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ending {
    pub verdict: Verdict,
    pub exit_code: u8,
    pub files: Vec<SentFile>,
}

/// A slice and who drives it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub stage: Stage,
    pub facts: Option<HostFacts>,
    pub threads: usize,
    pub clock: ClockReading,
    /// The last second that it told of.
    pub second: Option<u64>,
    /// When something of it was last heard.
    pub heard: Mono,
    pub is_silent: bool,
    /// Why there will be nothing of it, where it is known.
    pub why: Option<String>,
}

impl Row {
    /// Whether the run waits for what it has to say of a second.
    #[must_use]
    pub(super) fn is_awaited(&self) -> bool {
        self.stage == Stage::Running && !self.is_silent
    }

    /// Whether nothing more will come of it.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended(_) | Stage::Lost)
    }
}

/// Something that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Silent { slice: u32, second: Option<u64> },
    Back { slice: u32 },
    Lost { slice: u32, second: Option<u64> },
}

/// All slices of a run.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    is_up: bool,
}

impl Table {
    #[must_use]
    pub(super) fn new(slices: u32, now: Mono) -> Self {
        let row = Row {
            stage: Stage::Awaited,
            facts: None,
            threads: 1,
            clock: ClockReading::default(),
            second: None,
            heard: now,
            is_silent: false,
            why: None,
        };
        Self { rows: vec![row; slices as usize], is_up: true }
    }

    /// By slice.
    #[must_use]
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn heard(&mut self, slice: u32, now: Mono) -> &mut Row {
        let row = &mut self.rows[slice as usize];
        row.heard = now;
        row
    }

    /// Somebody has it.
    pub(super) fn registered(&mut self, slice: u32, facts: HostFacts, now: Mono) {
        let row = self.heard(slice, now);
        row.facts = Some(facts);
        if row.stage == Stage::Awaited {
            row.stage = Stage::Registered;
        }
    }

    /// Who has it can begin.
    pub(super) fn ready(&mut self, slice: u32, clock: ClockReading, threads: usize, now: Mono) {
        let row = self.heard(slice, now);
        (row.clock, row.threads, row.stage) = (clock, threads, Stage::Ready);
    }

    /// How many slices somebody has, and in how many all is ready.
    #[must_use]
    pub(super) fn count(&self) -> (usize, usize) {
        let ready = self.rows.iter().filter(|row| row.stage == Stage::Ready).count();
        (self.rows.iter().filter(|row| row.stage == Stage::Registered).count() + ready, ready)
    }

    /// Slices that are not ready, and whether somebody has them.
    pub(super) fn unready(&self) -> impl Iterator<Item = (usize, bool)> {
        let not_ready = self.rows.iter().enumerate().filter(|(_, row)| row.stage != Stage::Ready);
        not_ready.map(|(slice, row)| (slice, row.stage == Stage::Registered))
    }

    /// All of them begin then.
    pub(super) fn begin(&mut self, start: Mono) {
        for row in &mut self.rows {
            (row.stage, row.heard) = (Stage::Running, start);
        }
    }

    /// Whether what is told of a second is new; what was told twice, and what comes of a slice that was given up, is not.
    pub(super) fn second(&mut self, slice: u32, second: u64, now: Mono) -> (bool, Option<Change>) {
        let row = self.heard(slice, now);
        let is_new = row.second.is_none_or(|last| second > last) && row.stage == Stage::Running;
        if is_new {
            row.second = Some(second);
        }
        let is_back = is_new && std::mem::take(&mut row.is_silent);
        (is_new, is_back.then_some(Change::Back { slice }))
    }

    /// Its last second was told.
    pub(super) fn closing(&mut self, slice: u32, now: Mono) {
        let row = self.heard(slice, now);
        if row.stage == Stage::Running {
            (row.stage, row.is_silent) = (Stage::Closing, false);
        }
    }

    /// A part of a file came.
    pub(super) fn sending(&mut self, slice: u32, now: Mono) {
        self.heard(slice, now);
    }

    /// Its last word. A slice that was given up stays so.
    pub(super) fn ended(&mut self, slice: u32, ending: Ending, now: Mono) {
        let row = self.heard(slice, now);
        if row.stage != Stage::Lost {
            (row.stage, row.is_silent) = (Stage::Ended(ending), false);
        }
    }

    /// It has said that it will have no end: it is lost as soon as states are looked at.
    pub(super) fn failed(&mut self, slice: u32, why: String, now: Mono) {
        let row = &mut self.rows[slice as usize];
        row.why.get_or_insert(why);
        row.heard = row.heard.min(Mono(now.0.saturating_sub(CLOSING_LIMIT.as_nanos() as u64)));
    }

    /// Its process is gone: what it has told is still on its way for a moment.
    pub(super) fn process_ended(&mut self, slice: u32, now: Mono) {
        let row = &mut self.rows[slice as usize];
        if matches!(row.stage, Stage::Running | Stage::Closing) {
            let limit = if row.stage == Stage::Running { LOST_AFTER } else { CLOSING_LIMIT };
            let almost = limit.saturating_sub(SILENT_AFTER);
            row.heard = row.heard.min(Mono(now.0.saturating_sub(almost.as_nanos() as u64)));
        }
    }

    /// Whether the leader itself reaches the server: while it does not, nobody is silent.
    pub(super) fn link(&mut self, is_up: bool, now: Mono) {
        if is_up && !self.is_up {
            self.rows.iter_mut().for_each(|row| row.heard = row.heard.max(now));
        }
        self.is_up = is_up;
    }

    /// What time alone has changed.
    pub(super) fn poll(&mut self, now: Mono) -> Vec<Change> {
        if !self.is_up {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (row, slice) in self.rows.iter_mut().zip(0..) {
            let quiet = now.since(row.heard);
            let lost_after = match row.stage {
                Stage::Running => LOST_AFTER,
                Stage::Closing => CLOSING_LIMIT,
                _ => continue,
            };
            if quiet >= lost_after {
                (row.stage, row.is_silent) = (Stage::Lost, false);
                changes.push(Change::Lost { slice, second: row.second });
            } else if quiet >= SILENT_AFTER && row.stage == Stage::Running && !row.is_silent {
                row.is_silent = true;
                changes.push(Change::Silent { slice, second: row.second });
            }
        }
        changes
    }

    /// Whether nothing more will come.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.rows.iter().all(Row::is_over)
    }

    /// Gives up whoever has not ended.
    pub(super) fn give_up(&mut self) {
        self.rows.iter_mut().filter(|row| !row.is_over()).for_each(|row| row.stage = Stage::Lost);
    }

    /// Slices that came to an end other than as their scenario wants it.
    pub(super) fn left(&self) -> impl Iterator<Item = (usize, Verdict)> {
        self.rows.iter().enumerate().filter_map(|(slice, row)| match &row.stage {
            Stage::Ended(Ending { verdict: verdict @ (Verdict::Error | Verdict::Interrupted), .. }) => Some((slice, *verdict)),
            _ => None,
        })
    }

    /// What a reader must know of the workers.
    #[must_use]
    pub(super) fn findings(&self) -> Vec<Finding> {
        let of = self.rows.len() as u32;
        let lost = || self.rows.iter().zip(0..).filter(|(row, _)| row.stage == Stage::Lost);
        let silent = lost().filter(|(row, _)| row.why.is_none());
        let (told, untold): (Vec<_>, Vec<_>) =
            silent.map(|(row, slice)| (slice, row.second)).partition(|(_, second): &(u32, Option<u64>)| second.is_some());
        let lost_after = |lost: Vec<(u32, Option<u64>)>| {
            let (slices, seconds): (Vec<u32>, Vec<Option<u64>>) = lost.into_iter().unzip();
            let seconds = LastSeconds::new(seconds.into_iter().flatten());
            (!slices.is_empty()).then(|| Finding::ShardsLost { shards: Shards::new(slices, of), seconds })
        };
        let failed: Vec<(u32, String)> = lost().filter_map(|(row, slice)| Some((slice, row.why.clone()?))).collect();
        let failed = ShardReasons::new(&failed, of).map(Finding::ShardsFailed);
        let micros = |duration: Duration| duration.as_micros() as u64;
        let is_apart = |clock: &ClockReading| {
            clock.offset_us.unsigned_abs() > micros(OFFSET_TOLD) || clock.uncertainty_us.unsigned_abs() > micros(UNCERTAINTY_TOLD)
        };
        let apart: Vec<(u32, ClockReading)> =
            self.rows.iter().zip(0..).filter(|(row, _)| is_apart(&row.clock)).map(|(row, slice)| (slice, row.clock)).collect();
        let furthest = apart.iter().map(|(_, clock)| clock.offset_us).max_by_key(|offset| offset.unsigned_abs());
        let apart = furthest.map(|offset_us| Finding::ClocksApart {
            shards: Shards::new(apart.iter().map(|(slice, _)| *slice), of),
            offset_ms: offset_us as f64 / 1e3,
            uncertainty_ms: apart.iter().map(|(_, clock)| clock.uncertainty_us).max().unwrap_or(0) as f64 / 1e3,
        });
        failed.into_iter().chain(lost_after(told)).chain(lost_after(untold)).chain(apart).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight;

    fn at(ms: u64) -> Mono {
        Mono(1_000_000_000_000 + ms * 1_000_000)
    }

    fn running(slices: u32) -> Table {
        let mut table = Table::new(slices, at(0));
        for slice in 0..slices {
            table.registered(slice, preflight::facts(), at(0));
            table.ready(slice, ClockReading::default(), 2, at(0));
        }
        assert_eq!(table.count(), (slices as usize, slices as usize));
        table.begin(at(5_000));
        table
    }

    fn ending(verdict: Verdict) -> Ending {
        Ending { verdict, exit_code: 0, files: Vec::new() }
    }

    #[test]
    fn who_says_that_it_failed_is_lost_at_once() {
        let mut table = running(2);
        table.closing(1, at(6_000));
        table.failed(1, "its disk is full".into(), at(6_100));
        assert_eq!(table.poll(at(6_200)), [Change::Lost { slice: 1, second: table.rows()[1].second }]);
    }

    #[test]
    fn who_is_missing_before_the_start_is_named() {
        let mut table = Table::new(3, at(0));
        table.registered(1, preflight::facts(), at(1));
        table.ready(2, ClockReading::default(), 1, at(1));
        assert_eq!(table.count(), (2, 1));
        assert_eq!(table.unready().collect::<Vec<_>>(), [(0, false), (1, true)]);
        assert_eq!(table.poll(at(600_000)), [], "before the start nobody is silent");
    }

    #[test]
    fn a_worker_that_tells_nothing_is_silent_and_then_lost() {
        let mut table = running(2);
        assert_eq!(table.poll(at(7_999)), []);
        assert_eq!(table.second(0, 0, at(6_100)), (true, None));
        assert_eq!(table.poll(at(8_000)), [Change::Silent { slice: 1, second: None }]);
        assert!(table.rows()[0].is_awaited() && !table.rows()[1].is_awaited());
        assert_eq!(table.second(1, 0, at(8_500)), (true, Some(Change::Back { slice: 1 })));
        for second in 1..20 {
            assert_eq!(table.second(0, second, at(6_100 + second * 1_000)), (true, None));
        }
        assert_eq!(table.second(0, 19, at(25_200)), (false, None), "told twice");
        assert_eq!(table.poll(at(23_499)).len(), 1);
        assert_eq!(table.poll(at(23_500)), [Change::Lost { slice: 1, second: Some(0) }]);
        assert_eq!(table.second(1, 1, at(24_000)), (false, None), "nothing is taken of who was given up");
        table.ended(1, ending(Verdict::Pass), at(24_000));
        assert!(table.rows()[1].stage == Stage::Lost && !table.is_over());
        let told = table.findings()[0].to_string();
        assert_eq!(told, "shard 1/2 was lost: its worker was not heard of after second 0");
        table.ended(0, ending(Verdict::Interrupted), at(24_000));
        assert!(table.is_over());
        assert_eq!(table.left().collect::<Vec<_>>(), [(0, Verdict::Interrupted)]);
    }

    #[test]
    fn while_the_server_is_away_nobody_is_silent_and_afterwards_all_have_time() {
        let mut table = running(1);
        table.second(0, 0, at(6_100));
        table.link(false, at(6_200));
        assert_eq!(table.poll(at(600_000)), []);
        table.link(true, at(600_000));
        assert_eq!(table.poll(at(602_999)), []);
        assert_eq!(table.poll(at(603_000)), [Change::Silent { slice: 0, second: Some(0) }]);
        assert_eq!(table.poll(at(615_000)), [Change::Lost { slice: 0, second: Some(0) }]);
    }

    #[test]
    fn a_process_that_has_ended_has_a_moment_for_its_last_words() {
        let mut table = running(2);
        table.second(0, 0, at(6_100));
        table.process_ended(0, at(6_200));
        assert_eq!(table.poll(at(9_199)).len(), 2, "both are silent");
        assert_eq!(table.poll(at(9_200)), [Change::Lost { slice: 0, second: Some(0) }]);
        table.closing(1, at(9_300));
        table.process_ended(1, at(9_300));
        assert_eq!(table.poll(at(12_299)), []);
        assert_eq!(table.poll(at(12_300)), [Change::Lost { slice: 1, second: None }]);
    }

    #[test]
    fn who_writes_its_files_has_longer() {
        let mut table = running(1);
        table.closing(0, at(6_000));
        assert_eq!(table.poll(at(6_000) + CLOSING_LIMIT - Duration::from_millis(1)), []);
        table.sending(0, at(100_000));
        assert_eq!(table.poll(at(6_000) + CLOSING_LIMIT), []);
        table.give_up();
        assert!(table.is_over());
    }

    #[test]
    fn clocks_that_are_apart_or_uncertain_are_told() {
        let mut table = Table::new(4, at(0));
        for (slice, offset_us, uncertainty_us) in [(0, 99_000, 19_000), (1, -101_000, 1), (2, 5, 21_000)] {
            table.ready(slice, ClockReading { offset_us, uncertainty_us }, 1, at(0));
        }
        let told: Vec<String> = table.findings().iter().map(ToString::to_string).collect();
        assert!(
            told.len() == 1 && told[0].starts_with("the clocks of shards 1-2 of 4 were up to -101.0 ms from the leader's, to 21.0 ms"),
            "{told:?}"
        );
    }
}
