//! Where an execution stands. Counts, files, thresholds, lines and panels are all made from this one list.

use iot_jobs::ExecutionStatus;
use strum::{EnumCount, EnumString, IntoStaticStr, VariantArray};

/// How far an execution has come, in the order of every table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumCount, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ExecutionStage {
    /// Queued at the service and not announced to the thing yet.
    Queued,
    /// Announced and not started.
    Notified,
    /// Under way, as its thing reported (PROTOCOL 9.1).
    InProgress,
    /// Ended `SUCCEEDED`.
    Succeeded,
    /// Ended `FAILED`.
    Failed,
    /// Ended `REJECTED` by its thing.
    Rejected,
    /// Ended `TIMED_OUT` by a timer of the service.
    TimedOut,
    /// Ended `CANCELED`, with its job or alone.
    Canceled,
    /// Without the service ledger: that vanished for any reason.
    Removed,
}

/// What a stage says of a rollout; a screen has a colour for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageRole {
    /// Its end is to come.
    Open,
    /// It ended as it should.
    Good,
    /// It ended otherwise.
    Bad,
}

impl ExecutionStage {
    /// Its name in files and thresholds.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.into()
    }

    /// Its name as people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::InProgress => "in progress",
            Self::TimedOut => "timed out",
            stage => stage.key(),
        }
    }

    /// What is counted, to follow the word "executions".
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Queued => "queued at the service and not announced to their thing yet",
            Self::Notified => "announced to their thing and not started",
            Self::InProgress => "under way",
            Self::Succeeded => "that ended SUCCEEDED, so far",
            Self::Failed => "that ended FAILED, so far",
            Self::Rejected => "that ended REJECTED by their thing, so far",
            Self::TimedOut => "that ended TIMED_OUT, so far",
            Self::Canceled => "that ended CANCELED, so far",
            Self::Removed => "that ended REMOVED, so far; without the service ledger: that vanished for any reason",
        }
    }

    /// Whether a thing cannot tell it from other stages: without the service ledger its count is unknown.
    #[must_use]
    pub fn is_of_ledger(self) -> bool {
        matches!(self, Self::Queued | Self::TimedOut | Self::Canceled)
    }

    /// What it says of the rollout.
    #[must_use]
    pub fn role(self) -> StageRole {
        match self {
            Self::Queued | Self::Notified | Self::InProgress => StageRole::Open,
            Self::Succeeded => StageRole::Good,
            Self::Failed | Self::Rejected | Self::TimedOut | Self::Canceled | Self::Removed => StageRole::Bad,
        }
    }

    /// Whether nothing follows it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self.role() != StageRole::Open
    }

    /// Whether an execution should not end like that.
    #[must_use]
    pub fn is_bad(self) -> bool {
        self.role() == StageRole::Bad
    }
}

impl From<ExecutionStatus> for ExecutionStage {
    fn from(status: ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::Queued => Self::Queued,
            ExecutionStatus::InProgress => Self::InProgress,
            ExecutionStatus::Succeeded => Self::Succeeded,
            ExecutionStatus::Failed => Self::Failed,
            ExecutionStatus::Rejected => Self::Rejected,
            ExecutionStatus::TimedOut => Self::TimedOut,
            ExecutionStatus::Canceled => Self::Canceled,
            ExecutionStatus::Removed => Self::Removed,
        }
    }
}

/// Executions by stage; every one is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    counts: [u64; ExecutionStage::COUNT],
    has_ledger: bool,
}

impl StageCounts {
    /// None so far. `has_ledger`: the service ledger stands behind them, and so every stage is known.
    #[must_use]
    pub fn new(has_ledger: bool) -> Self {
        Self { counts: Default::default(), has_ledger }
    }

    /// So many of each of these stages.
    #[must_use]
    pub fn of(has_ledger: bool, counts: impl IntoIterator<Item = (ExecutionStage, u64)>) -> Self {
        let mut all = Self::new(has_ledger);
        counts.into_iter().for_each(|(stage, count)| all.counts[stage as usize] += count);
        all
    }

    /// An execution came (`None` before), went on, or was forgotten (`None` after).
    pub(super) fn change(&mut self, before: Option<ExecutionStage>, after: Option<ExecutionStage>) {
        if let Some(before) = before {
            self.counts[before as usize] -= 1;
        }
        if let Some(after) = after {
            self.counts[after as usize] += 1;
        }
    }

    /// Whether the service ledger stands behind the counts.
    #[must_use]
    pub fn has_ledger(&self) -> bool {
        self.has_ledger
    }

    /// `None`: only the service ledger knows, and there is none.
    #[must_use]
    pub fn get(&self, stage: ExecutionStage) -> Option<u64> {
        (self.has_ledger || !stage.is_of_ledger()).then_some(self.counts[stage as usize])
    }

    /// All of these stages together; `None` where one of them is not known.
    #[must_use]
    pub fn sum(&self, stages: &[ExecutionStage]) -> Option<u64> {
        stages.iter().map(|stage| self.get(*stage)).sum()
    }

    /// Every stage with its count, as [`Self::get`] has it.
    pub fn iter(&self) -> impl Iterator<Item = (ExecutionStage, Option<u64>)> {
        ExecutionStage::VARIANTS.iter().map(|stage| (*stage, self.get(*stage)))
    }

    fn known(&self, wanted: impl Fn(ExecutionStage) -> bool) -> u64 {
        self.iter().filter(|(stage, _)| wanted(*stage)).filter_map(|(_, count)| count).sum()
    }

    /// Whose end is to come, as far as known: without the service ledger nobody tells what is queued.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.known(|stage| !stage.is_terminal())
    }

    /// That have ended. Complete without the service ledger too: what ended in a way that it alone knows has vanished for its thing, and
    /// counts as [`ExecutionStage::Removed`].
    #[must_use]
    pub fn terminal(&self) -> u64 {
        self.known(ExecutionStage::is_terminal)
    }

    /// That have ended otherwise than they should; as complete as [`Self::terminal`].
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.known(ExecutionStage::is_bad)
    }

    /// Every execution in a known stage: [`Self::open`] and [`Self::terminal`].
    #[must_use]
    pub fn all(&self) -> u64 {
        self.open() + self.terminal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_ledger_knows_is_unknown_without_it() {
        let all = ExecutionStage::VARIANTS.iter().map(|stage| (*stage, 2));
        let counts = StageCounts::of(true, all);
        assert!(counts.iter().all(|(_, count)| count == Some(2)));
        assert_eq!((counts.open(), counts.terminal(), counts.bad(), counts.all()), (6, 12, 10, 18));

        let told = [(ExecutionStage::Notified, 3), (ExecutionStage::Succeeded, 5), (ExecutionStage::Removed, 1)];
        let counts = StageCounts::of(false, told);
        let unknown: Vec<&str> = counts.iter().filter(|(_, count)| count.is_none()).map(|(stage, _)| stage.key()).collect();
        assert_eq!(unknown, ["queued", "timed_out", "canceled"]);
        assert_eq!((counts.open(), counts.terminal(), counts.bad()), (3, 6, 1));
        assert_eq!(counts.sum(&[ExecutionStage::Queued, ExecutionStage::Notified]), None);
        assert_eq!(counts.sum(&[ExecutionStage::Notified, ExecutionStage::Removed]), Some(4));
    }

    #[test]
    fn keys_are_read_back() {
        for stage in ExecutionStage::VARIANTS {
            assert_eq!(stage.key().parse(), Ok(*stage));
            assert_eq!(stage.label().replace(' ', "_"), stage.key());
        }
    }
}
