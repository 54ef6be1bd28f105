//! Who drives which slice, and how it stands: waited for, ready, running, silent, lost, ended. Pure: told what workers say and what time it
//! is, it says what is to be done.

use crate::preflight::HostFacts;
use crate::report::Verdict;
use crate::workers::message::{ClockReading, SentFile};
use iot_jobs::instant::Mono;
use load_metrics::{Finding, LastSeconds, ShardReasons, Shards};
use std::collections::BTreeSet;
use std::time::Duration;

/// A worker that tells nothing for so long is not waited for.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(3);
/// A worker that tells nothing for so long is given up.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(15);
/// From its last second to its last word: pages are written, files are sent.
pub(super) const CLOSING_LIMIT: Duration = Duration::from_secs(180);
/// Of a leader that looked no more often than this, nobody knows what it would have heard meanwhile.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// So many seconds below the newest one of a slice may still come, in any order.
const SECONDS_WINDOW: u64 = 600;
/// A second that is further ahead of the leader's clock than that is none.
const AHEAD_MAX_S: u64 = 3_600;
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
    /// The newest second that it told of.
    pub second: Option<u64>,
    /// Older ones that may still come.
    missing: BTreeSet<u64>,
    /// When something of it was last heard.
    pub heard: Mono,
    pub is_silent: bool,
    /// When its process was found to be gone.
    gone: Option<Mono>,
    /// Why nothing more is taken of it, where it is known.
    why: Option<String>,
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

    /// Whether what it tells still counts.
    #[must_use]
    pub(super) fn is_heeded(&self) -> bool {
        self.why.is_none() && self.stage != Stage::Lost
    }

    /// How long it may tell nothing.
    fn patience(&self) -> Option<Duration> {
        match self.stage {
            Stage::Running => Some(LOST_AFTER),
            Stage::Closing => Some(CLOSING_LIMIT),
            _ => None,
        }
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
    /// When all of them begin.
    start: Mono,
    /// When it was last looked at.
    looked: Mono,
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
            missing: BTreeSet::new(),
            heard: now,
            is_silent: false,
            gone: None,
            why: None,
        };
        Self { rows: vec![row; slices as usize], start: now, looked: now }
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
        self.start = start;
        for row in &mut self.rows {
            (row.stage, row.heard) = (Stage::Running, start);
        }
    }

    /// Whether there is still something to be told of this second.
    ///
    /// # Errors
    /// When it cannot be one of this run.
    pub(super) fn wants(&self, slice: u32, second: u64, now: Mono) -> Result<bool, String> {
        let row = &self.rows[slice as usize];
        let so_far = now.since(self.start).as_secs();
        if second > so_far + AHEAD_MAX_S {
            return Err(format!("it reports second {second}, and the run is at second {so_far}"));
        }
        let is_open = matches!(row.stage, Stage::Running | Stage::Closing) && row.is_heeded();
        Ok(is_open && row.second.is_none_or(|newest| second > newest || row.missing.contains(&second)))
    }

    /// A second that was wanted has come whole.
    pub(super) fn second(&mut self, slice: u32, second: u64, now: Mono) -> Option<Change> {
        let row = self.heard(slice, now);
        if !row.missing.remove(&second) {
            let next = row.second.map_or(0, |newest| newest + 1);
            row.missing.extend(next.max(second.saturating_sub(SECONDS_WINDOW))..second);
            row.second = Some(second);
            while row.missing.first().is_some_and(|missing| missing + SECONDS_WINDOW < second) {
                row.missing.pop_first();
            }
        }
        std::mem::take(&mut row.is_silent).then_some(Change::Back { slice })
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

    /// Nothing more is taken of it: it is lost as soon as states are looked at, unless it has ended.
    pub(super) fn failed(&mut self, slice: u32, why: String) {
        self.rows[slice as usize].why.get_or_insert(why);
    }

    /// Its process is gone: what it has told is still on its way for a moment.
    pub(super) fn process_ended(&mut self, slice: u32, now: Mono) {
        self.rows[slice as usize].gone.get_or_insert(now);
    }

    /// What time alone has changed. `is_up`: the leader reaches the server; while it does not, and while it did not run itself, nobody is
    /// silent.
    pub(super) fn poll(&mut self, is_up: bool, now: Mono) -> Vec<Change> {
        let pause = Some(now.since(self.looked)).filter(|pause| *pause > PAUSE_MAX).unwrap_or_default();
        self.looked = now;
        let mut changes = Vec::new();
        for (row, slice) in self.rows.iter_mut().zip(0..) {
            let Some(patience) = row.patience() else { continue };
            row.heard = if is_up { row.heard.max((row.heard + pause).min(now)) } else { row.heard.max(now) };
            let quiet = now.since(row.heard);
            let is_gone = row.gone.is_some_and(|gone| now.since(gone.max(row.heard)) >= SILENT_AFTER);
            if row.why.is_some() || is_gone || quiet >= patience {
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

    /// Looked at as often as a leader does, up to then.
    fn poll(table: &mut Table, is_up: bool, until: Mono) -> Vec<Change> {
        let mut changes = Vec::new();
        while table.looked + PAUSE_MAX < until {
            let next = table.looked + PAUSE_MAX;
            changes.extend(table.poll(is_up, next));
        }
        changes.extend(table.poll(is_up, until));
        changes
    }

    fn take(table: &mut Table, slice: u32, second: u64, now: Mono) -> (bool, Option<Change>) {
        let is_wanted = table.wants(slice, second, now).unwrap();
        (is_wanted, is_wanted.then(|| table.second(slice, second, now)).flatten())
    }

    #[test]
    fn who_says_that_it_failed_is_lost_at_once_even_where_the_server_is_away() {
        let mut table = running(2);
        table.closing(1, at(6_000));
        table.failed(1, "its disk is full".into());
        assert!(!table.wants(1, 0, at(6_100)).unwrap());
        assert_eq!(table.poll(false, at(6_200)), [Change::Lost { slice: 1, second: None }]);
        assert_eq!(table.findings()[0].to_string(), "slice 1/2 was given up: its disk is full");
    }

    #[test]
    fn who_is_missing_before_the_start_is_named() {
        let mut table = Table::new(3, at(0));
        table.registered(1, preflight::facts(), at(1));
        table.ready(2, ClockReading::default(), 1, at(1));
        assert_eq!(table.count(), (2, 1));
        assert_eq!(table.unready().collect::<Vec<_>>(), [(0, false), (1, true)]);
        assert_eq!(poll(&mut table, true, at(600_000)), [], "before the start nobody is silent");
    }

    #[test]
    fn a_worker_that_tells_nothing_is_silent_and_then_lost() {
        let mut table = running(2);
        assert_eq!(poll(&mut table, true, at(7_999)), []);
        assert_eq!(take(&mut table, 0, 0, at(6_100)), (true, None));
        assert_eq!(poll(&mut table, true, at(8_000)), [Change::Silent { slice: 1, second: None }]);
        assert!(table.rows()[0].is_awaited() && !table.rows()[1].is_awaited());
        assert_eq!(take(&mut table, 1, 0, at(8_500)), (true, Some(Change::Back { slice: 1 })));
        for second in 1..20 {
            assert_eq!(take(&mut table, 0, second, at(6_100 + second * 1_000)), (true, None));
        }
        assert_eq!(take(&mut table, 0, 19, at(25_200)), (false, None), "told twice");
        assert_eq!(poll(&mut table, true, at(23_499)).len(), 1);
        assert_eq!(poll(&mut table, true, at(23_500)), [Change::Lost { slice: 1, second: Some(0) }]);
        assert_eq!(take(&mut table, 1, 1, at(24_000)), (false, None), "nothing is taken of who was given up");
        table.ended(1, ending(Verdict::Pass), at(24_000));
        assert!(table.rows()[1].stage == Stage::Lost && !table.is_over());
        let told = table.findings()[0].to_string();
        assert_eq!(told, "slice 1/2 was lost: its worker was not heard of after second 0");
        table.ended(0, ending(Verdict::Interrupted), at(24_000));
        assert!(table.is_over());
        assert_eq!(table.left().collect::<Vec<_>>(), [(0, Verdict::Interrupted)]);
    }

    #[test]
    fn every_second_counts_once_in_whatever_order_it_comes() {
        let mut table = running(1);
        let taken: Vec<bool> =
            [2, 0, 2, 1, 0, 1, 5, 4, 4, 3].iter().map(|second| take(&mut table, 0, *second, at(12_000)).0).collect();
        assert_eq!(taken, [true, true, false, true, false, false, true, true, false, true]);
        assert_eq!(table.rows()[0].second, Some(5));
        table.closing(0, at(12_000));
        assert!(take(&mut table, 0, 6, at(12_000)).0, "one that the last word has overtaken");
        let far = 6 + SECONDS_WINDOW + 10;
        assert!(
            take(&mut table, 0, far, at(12_000)).0
                && !table.wants(0, 9, at(12_000)).unwrap()
                && table.wants(0, far - 1, at(12_000)).unwrap()
        );
        assert_eq!(table.rows()[0].missing.len() as u64, SECONDS_WINDOW);
        assert!(table.wants(0, u64::MAX, at(12_000)).unwrap_err().contains("the run is at second 7"));
    }

    #[test]
    fn while_the_server_is_away_nobody_is_silent_and_afterwards_all_have_time() {
        let mut table = running(1);
        take(&mut table, 0, 0, at(6_100));
        assert_eq!(poll(&mut table, false, at(600_000)), []);
        assert_eq!(poll(&mut table, true, at(602_999)), []);
        assert_eq!(poll(&mut table, true, at(603_000)), [Change::Silent { slice: 0, second: Some(0) }]);
        assert_eq!(poll(&mut table, true, at(615_000)), [Change::Lost { slice: 0, second: Some(0) }]);
    }

    #[test]
    fn a_leader_that_did_not_run_for_a_while_has_lost_nobody() {
        let mut table = running(2);
        (0..2).for_each(|slice| _ = take(&mut table, slice, 0, at(6_100)));
        assert_eq!(poll(&mut table, true, at(7_000)), []);
        assert_eq!(table.poll(true, at(27_000)), [], "stopped for 20 s, and nothing taken in yet");
        take(&mut table, 0, 20, at(27_010));
        assert_eq!(poll(&mut table, true, at(29_099)), []);
        assert_eq!(poll(&mut table, true, at(29_100)), [Change::Silent { slice: 1, second: Some(0) }], "the time before it counts");
        let stopped = table.poll(true, at(90_000));
        assert!(stopped.is_empty() && table.rows().iter().all(|row| row.stage == Stage::Running), "and once more: {stopped:?}");
    }

    #[test]
    fn a_process_that_has_ended_has_a_moment_for_its_last_words() {
        let mut table = running(2);
        take(&mut table, 0, 0, at(6_100));
        table.process_ended(0, at(6_200));
        assert_eq!(poll(&mut table, true, at(9_199)).len(), 2, "both are silent");
        assert_eq!(poll(&mut table, true, at(9_200)), [Change::Lost { slice: 0, second: Some(0) }]);
        table.closing(1, at(9_300));
        table.process_ended(1, at(9_300));
        assert_eq!(poll(&mut table, true, at(12_299)), []);
        assert_eq!(poll(&mut table, true, at(12_300)), [Change::Lost { slice: 1, second: None }]);
    }

    #[test]
    fn who_writes_its_files_has_longer() {
        let mut table = running(1);
        table.closing(0, at(6_000));
        assert_eq!(poll(&mut table, true, at(6_000) + CLOSING_LIMIT - Duration::from_millis(1)), []);
        table.sending(0, at(100_000));
        assert_eq!(poll(&mut table, true, at(6_000) + CLOSING_LIMIT), []);
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
            told.len() == 1
                && told[0].starts_with("the clocks of slices 1-2 of 4 were up to -101.0 ms from the leader's, ± 21.0 ms"),
            "{told:?}"
        );
    }
}
