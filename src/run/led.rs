//! A run that drives one slice for a leader: what the leader is told of it, and what it is told by the leader. How that travels is no
//! matter of the run.

use super::shard::{StartAt, TooLate, preparing_took};
use super::ui::Ui;
use crate::slice::Slice;
use crate::stop::{StopRequests, Stops};
use iot_jobs::instant::Mono;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Seconds that may wait to be told: what comes then is in the results folder alone.
pub(crate) const SECONDS_WAITING_MAX: usize = 600;

/// A second as `intervals.bin` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSecond {
    pub second: u64,
    pub record: Vec<u8>,
}

/// When all slices start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedStart {
    /// By the leader's clock.
    pub at: StartAt,
    /// The leader's clock less this host's.
    pub clock_offset_us: i64,
    /// The same instant by the monotonic clock, where that is the leader's, too.
    pub origin: Option<Mono>,
}

/// What goes back and forth between a run and its leader.
pub struct Led {
    /// Everything is brought up: how many threads drive things.
    pub ready: oneshot::Sender<usize>,
    pub start: oneshot::Receiver<LedStart>,
    /// Every thing of the whole fleet has been connected.
    pub connected: oneshot::Receiver<()>,
    /// What `end.expect` waits for is done, over the whole fleet.
    pub met: oneshot::Receiver<()>,
    pub stops: Stops,
    pub seconds: mpsc::Sender<KeptSecond>,
}

/// The same once the run goes on.
pub(super) struct Following {
    pub connected: oneshot::Receiver<()>,
    pub met: oneshot::Receiver<()>,
    pub is_met: bool,
    pub seconds: mpsc::Sender<KeptSecond>,
}

/// Why a run that is led does not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedError {
    #[error("begin: the start was not announced")]
    NoStart,
    #[error("{0}")]
    TooLate(#[from] TooLate),
}

/// Says that all is ready, waits for the start, and gives it with the instant at which second 0 begins; `None` where somebody wants the run to
/// stop first.
///
/// # Errors
/// When the start is past, or nobody tells it.
pub(super) async fn start(
    (ready, start): (oneshot::Sender<usize>, oneshot::Receiver<LedStart>),
    (slice, threads): (Slice, usize),
    ui: &Ui,
    stop: &mut StopRequests,
) -> Result<Option<(StartAt, Mono)>, LedError> {
    // Who does not listen tells no start either.
    let _ = ready.send(threads);
    let told = tokio::select! {
        told = start => told.map_err(|_closed| LedError::NoStart)?,
        () = stop.next() => return Ok(None),
    };
    let here = told.at.moved(-told.clock_offset_us);
    let origin = here.wait(slice, ui, stop).await.map_err(|late: Duration| preparing_took(told.at, late))?;
    Ok(origin.map(|origin| (told.at, told.origin.unwrap_or(origin))))
}
