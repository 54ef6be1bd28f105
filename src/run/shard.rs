//! A run of which this process drives one slice: what such a run cannot be, and the moment at which all of its processes begin.

use super::shared_endpoint::SharedEndpoint;
use super::ui::Ui;
use crate::report::ShardTotals;
use crate::scenario::plan::{EndWhen, Plan, RolloutStart, TargetPlan};
use crate::slice::Slice;
use crate::stop::StopRequests;
use host::clock;
use iot_jobs::instant::Mono;
use std::str::FromStr;
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Further ahead nobody waits: a date that is wrong by a day is a mistake.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3_600);
/// So long before the start the wall clock has had its say: what is left is counted on the monotonic one, and the things are made.
const LEAD: Duration = Duration::from_secs(2);
/// How often a wall clock is looked at that may have been set meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// The part of a run that this process drives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardOptions {
    pub slice: Slice,
    pub start: ShardStart,
}

/// Who says when all shards start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardStart {
    /// The command line of each of them.
    At(StartAt),
    /// A leader, once all of them are ready; `run_id` is what the ids of jobs in an account end with, and `endpoint` is there where the leader
    /// has started it.
    Led { run_id: String, endpoint: Option<SharedEndpoint> },
}

/// The instant of the wall clock, in UTC, at which second 0 of all shards begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartAt(OffsetDateTime);

/// What is left until the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It is over, since so long.
    Past(Duration),
    /// Little enough to begin with the things.
    Near(Duration),
    /// So long until it is near.
    Far(Duration),
}

/// Seconds since the start; negative where it is to come.
pub(crate) fn late_s(start_at: StartAt) -> f64 {
    -start_at.ms_from(clock::epoch_ms()) as f64 / 1e3
}

/// The start came before everything was ready.
#[derive(Debug, thiserror::Error)]
#[error(
    "be ready by {start_at}: preparing took {late:.1} s longer, and the other slices have begun; give all of them a later instant"
)]
pub(super) struct TooLate {
    start_at: String,
    late: f64,
}

/// That the start is past, by so much.
pub(super) fn preparing_took(start_at: StartAt, late: Duration) -> TooLate {
    TooLate { start_at: start_at.rfc3339(), late: late.as_secs_f64() }
}

impl FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(|at| at.checked_to_offset(UtcOffset::UTC));
        // Its years are 0 to 9999, also in UTC.
        let told = parsed.filter(|at| at.format(&Rfc3339).is_ok());
        told.map(Self).ok_or_else(|| format!("{text:?} is no instant of RFC 3339; write it like 2026-11-29T18:30:00Z"))
    }
}

impl StartAt {
    /// Milliseconds since the Unix epoch.
    pub(crate) fn epoch_ms(self) -> i128 {
        self.0.unix_timestamp_nanos().div_euclid(1_000_000)
    }

    /// Milliseconds from `now_ms` to it; negative where it is past.
    fn ms_from(self, now_ms: i64) -> i128 {
        self.epoch_ms() - i128::from(now_ms)
    }

    fn left(self, now_ms: i64) -> Left {
        let left_ms = self.ms_from(now_ms);
        let duration = Duration::from_millis(u64::try_from(left_ms.unsigned_abs()).unwrap_or(u64::MAX));
        match duration.checked_sub(LEAD) {
            _ if left_ms <= 0 => Left::Past(duration),
            Some(far) if !far.is_zero() => Left::Far(far),
            _ => Left::Near(duration),
        }
    }

    /// The first whole millisecond that is so far from now.
    #[must_use]
    pub fn after(from_now: Duration) -> Self {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(clock::epoch_ms());
        Self(now + from_now)
    }

    /// The same instant by the monotonic clock, as the wall clock is now.
    #[must_use]
    pub(crate) fn origin(self) -> Mono {
        let now = clock::now();
        let left_ms = u64::try_from(self.ms_from(now.epoch_ms)).unwrap_or(0);
        now.mono + Duration::from_millis(left_ms)
    }

    /// So many microseconds later.
    #[must_use]
    pub(super) fn moved(self, by_us: i64) -> Self {
        Self(self.0.saturating_add(time::Duration::microseconds(by_us)))
    }

    /// In UTC.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.0.format(&Rfc3339).expect("it was tried when it was read")
    }
}

impl ShardOptions {
    /// What the plan, or the clock, has against it, for people.
    ///
    /// # Errors
    /// With the first thing that is wrong, and its remedy.
    pub fn check(&self, plan: &Plan) -> Result<(), String> {
        self.check_slices(plan)?;
        match self.start {
            ShardStart::At(start_at) => start_at.check(clock::epoch_ms()),
            ShardStart::Led { .. } => Ok(()),
        }
    }

    /// What the plan has against being cut into slices, for people.
    ///
    /// # Errors
    /// With the first thing that is wrong, and its remedy.
    pub(crate) fn check_slices(&self, plan: &Plan) -> Result<(), String> {
        let is_led = matches!(self.start, ShardStart::Led { .. });
        let option = if is_led { "--slices" } else { "--shard" };
        if let TargetPlan::Emulator(_) = &plan.target
            && !is_led
        {
            return Err(
                "--shard needs an endpoint that all slices share, and with target.kind = \"emulator\" each would start its own: \
                 start `fleetsim serve` once, and give the scenario [target] kind = \"mqtt\" or \"aws\" with its address"
                    .into(),
            );
        }
        let (things, count) = (plan.fleet.things, self.slice.count());
        if things < u64::from(count) {
            return Err(format!("{option}: a fleet of {things} things cannot be cut into {count} slices"));
        }
        if let Some(rollout) = plan.rollouts.iter().find(|rollout| rollout.start == RolloutStart::Connected && !is_led) {
            return Err(format!(
                "--shard: no slice knows when the whole fleet is connected, so rollout {:?} needs a time: at = \"30s\"",
                rollout.name
            ));
        }
        if let EndWhen::ExecutionsDone { expect: Some(expect) } = plan.end.when
            && !is_led
        {
            return Err(format!(
                "--shard: no slice knows how many of the {expect} executions of end.expect are for its own things: use end.idle or end.duration"
            ));
        }
        Ok(())
    }

    /// The endpoint of the run's own, where a leader has started it.
    #[must_use]
    pub(super) fn endpoint(&self) -> Option<&SharedEndpoint> {
        match &self.start {
            ShardStart::Led { endpoint, .. } => endpoint.as_ref(),
            ShardStart::At(_) => None,
        }
    }

    /// For the manifest of a run that begins.
    #[must_use]
    pub(super) fn totals(&self) -> ShardTotals {
        let (start_at, run_id) = match &self.start {
            ShardStart::At(start_at) => (start_at.rfc3339(), None),
            ShardStart::Led { run_id, .. } => (String::new(), Some(run_id.clone())),
        };
        ShardTotals { slice: self.slice, start_at, run_id, limit_reached: false, uncreated: Vec::new(), failed: None }
    }
}

impl StartAt {
    fn check(self, now_ms: i64) -> Result<(), String> {
        let left_ms = self.ms_from(now_ms);
        let start_at = self.rfc3339();
        if left_ms <= 0 {
            return Err(format!(
                "--start-at {start_at} is past, by {:.1} s: all slices need the same future instant",
                -left_ms as f64 / 1e3
            ));
        }
        if left_ms > AHEAD_MAX.as_millis() as i128 {
            let hours = AHEAD_MAX.as_secs() / 3_600;
            return Err(format!("--start-at {start_at} is {:.1} h ahead; it may be {hours} h at most", left_ms as f64 / 3_600e3));
        }
        Ok(())
    }

    /// Waits until the start is near, and gives the instant at which second 0 begins; `None` where somebody wants the run to stop first.
    ///
    /// # Errors
    /// When it is past: by how much.
    pub(super) async fn wait(self, slice: Slice, ui: &Ui, stop: &mut StopRequests) -> Result<Option<Mono>, Duration> {
        let seconds = |ms: i128| usize::try_from(ms / 1_000).unwrap_or(0);
        let whole = self.ms_from(clock::epoch_ms());
        ui.tell(&format!("slice {slice} begins at {}, in {} s", self.rfc3339(), seconds(whole)));
        let progress = ui.progress("seconds until the start", seconds(whole));
        loop {
            let now = clock::now();
            let far = match self.left(now.epoch_ms) {
                Left::Past(late) => {
                    progress.finish();
                    return Err(late);
                }
                Left::Near(left) => {
                    progress.finish();
                    return Ok(Some(now.mono + left));
                }
                Left::Far(far) => far,
            };
            progress.set(seconds(whole - self.ms_from(now.epoch_ms)));
            tokio::select! {
                () = tokio::time::sleep(far.min(LOOK)) => {}
                () = stop.next() => {
                    progress.finish();
                    return Ok(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(slice: &str, start_at: &str) -> ShardOptions {
        ShardOptions { slice: slice.parse().unwrap(), start: ShardStart::At(start_at.parse().unwrap()) }
    }

    #[test]
    fn a_start_is_to_come_and_not_in_days() {
        let at = |ms: i64| "2026-11-29T19:30:00.500+01:00".parse::<StartAt>().unwrap().check(ms);
        let start = 1_795_977_000_500;
        assert_eq!(at(start - 1), Ok(()));
        assert_eq!(at(start - AHEAD_MAX.as_millis() as i64), Ok(()));
        let past = at(start + 2_500).unwrap_err();
        assert!(past.contains("--start-at 2026-11-29T18:30:00.5Z is past, by 2.5 s"), "{past}");
        assert!(at(start).unwrap_err().contains("is past"));
        let far = at(start - 2 * AHEAD_MAX.as_millis() as i64).unwrap_err();
        assert!(far.contains("48.0 h ahead; it may be 24 h at most"), "{far}");
        for text in ["tomorrow", "2026-11-29", "2026-11-29T18:30:00", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", ""]
        {
            assert!(text.parse::<StartAt>().unwrap_err().contains("RFC 3339"), "{text}");
        }
    }

    #[test]
    fn the_wall_clock_is_looked_at_until_the_start_is_near() {
        let (start_at, start): (StartAt, i64) = ("2026-11-29T18:30:00.5Z".parse().unwrap(), 1_795_977_000_500);
        let (s, ms) = (Duration::from_secs, Duration::from_millis);
        assert_eq!(start_at.left(start - 62_000), Left::Far(s(60)));
        assert_eq!(start_at.left(start - 2_001), Left::Far(ms(1)));
        assert_eq!(start_at.left(start - 2_000), Left::Near(s(2)));
        assert_eq!(start_at.left(start - 1), Left::Near(ms(1)));
        assert_eq!(start_at.left(start), Left::Past(ms(0)), "not even a millisecond");
        assert_eq!(start_at.left(start + 90_000), Left::Past(s(90)), "also where the clock was set meanwhile");
    }

    #[test]
    fn what_shards_cannot_share_is_refused_with_its_remedy() {
        let emulator = "name = 'x'\n[fleet]\nthings = 3\n[end]\nduration = '1s'";
        let target = "[target]\nkind = 'mqtt'\nhost = 'h'\n[target.tls]\ncert = 'c'\nkey = 'k'\n";
        let mqtt = |end: &str| format!("name = 'x'\n{target}[fleet]\nthings = 3\n[end]\n{end}");
        let rollout = |start: &str| {
            let text = mqtt("limit = '1m'").replace("kind = 'mqtt'", "kind = 'aws'");
            format!("{text}\n[[rollout]]\njob = 'fw-1'\n{start}\ndocument = {{ operation = 'x' }}")
        };
        for (slice, text, why) in [
            ("0/2", emulator.to_owned(), Some("start `fleetsim serve` once")),
            ("0/3", mqtt("duration = '1s'"), None),
            ("0/4", mqtt("duration = '1s'"), Some("a fleet of 3 things cannot be cut into 4 slices")),
            ("0/2", mqtt("expect = 3"), Some("use end.idle or end.duration")),
            ("0/2", mqtt("idle = '1s'"), None),
            ("0/2", rollout(""), Some("rollout \"fw-1\" needs a time")),
            ("0/2", rollout("at = '5s'"), None),
        ] {
            let plan = crate::scenario::load("x.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
            let checked = shard(slice, "2026-11-29T18:30:00Z").check_slices(&plan);
            assert_eq!(checked.is_ok(), why.is_none(), "{text}: {checked:?}");
            assert!(why.is_none_or(|why| checked.as_ref().unwrap_err().contains(why)), "{checked:?}");
        }
    }
}
