//! What the leader tells all workers once a second, and when it changes; and the time, for whoever asks.

use crate::workers::BEAT;
use crate::workers::connection::Connection;
use crate::workers::message::{Beat, Order, pack};
use futures_util::StreamExt as _;
use host::clock;
use iot_jobs::instant::Mono;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Tells until it is dropped.
pub(super) struct Pulse {
    beat: watch::Sender<Beat>,
    tasks: [AbortHandle; 2],
}

impl Pulse {
    /// Begins to tell. Must be called within a runtime.
    ///
    /// # Errors
    /// When the server does not take the subscription; for people.
    pub(in crate::workers) async fn start(connection: &Connection, nonce: String) -> Result<Self, String> {
        let (beat, beats) = watch::channel(Beat { nonce, ..Beat::default() });
        let clocks = connection.client.subscribe(connection.run.clock()).await;
        let mut clocks = clocks.map_err(|error| format!("answer for the time: {error}"))?;
        let client = connection.client.clone();
        let answering = tokio::spawn(async move {
            while let Some(question) = clocks.next().await {
                let Some(reply) = question.reply else { continue };
                // Who hears no answer asks again.
                let _ = client.publish(reply, clock::epoch_ns().to_string().into()).await;
                let _ = client.flush().await;
            }
        });
        let telling = tokio::spawn(tell(connection.clone(), beats));
        Ok(Self { beat, tasks: [answering.abort_handle(), telling.abort_handle()] })
    }

    /// An order, unless a stronger one was given.
    pub(super) fn order(&self, order: Order) {
        self.beat.send_if_modified(|beat| {
            let is_stronger = order > beat.order;
            beat.order = beat.order.max(order);
            is_stronger
        });
    }

    /// When all slices start; `origin`: by the monotonic clock, where that is theirs, too.
    pub(super) fn start_at(&self, start_at: String, origin: Option<Mono>) {
        self.beat.send_modify(|beat| (beat.start_at, beat.origin) = (Some(start_at), origin));
    }

    /// The whole fleet is connected.
    pub(super) fn connected(&self) {
        self.beat.send_if_modified(|beat| !std::mem::replace(&mut beat.connected, true));
    }

    /// What `end.expect` waits for is done.
    pub(super) fn met(&self) {
        self.beat.send_if_modified(|beat| !std::mem::replace(&mut beat.met, true));
    }

    /// What was last ordered.
    #[must_use]
    pub(super) fn ordered(&self) -> Order {
        self.beat.borrow().order
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn tell(connection: Connection, mut beats: watch::Receiver<Beat>) {
    let mut every = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            changed = beats.changed() => if changed.is_err() { return },
        }
        let beat = beats.borrow_and_update().clone();
        // The next beat says the same.
        let _ = connection.client.publish(connection.run.leader(), pack(&beat, &[]).into()).await;
        let _ = connection.client.flush().await;
    }
}
