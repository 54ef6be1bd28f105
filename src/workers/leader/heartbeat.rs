//! What the leader tells all workers once a second, and when it changes; and the time, for whoever asks.

use crate::workers::BEAT;
use crate::workers::connection::Connection;
use crate::workers::message::{Heartbeat, Order, pack};
use futures_util::StreamExt as _;
use host::clock;
use iot_jobs::instant::Mono;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Tells until it is dropped.
pub(super) struct HeartbeatSender {
    heartbeat: watch::Sender<Heartbeat>,
    tasks: [AbortHandle; 2],
}

impl HeartbeatSender {
    /// Begins to tell. Must be called within a runtime.
    ///
    /// # Errors
    /// When the server does not take the subscription; for people.
    pub(in crate::workers) async fn start(connection: &Connection, nonce: String) -> Result<Self, String> {
        let (heartbeat, heartbeats) = watch::channel(Heartbeat { nonce, ..Heartbeat::default() });
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
        let telling = tokio::spawn(tell(connection.clone(), heartbeats));
        Ok(Self { heartbeat, tasks: [answering.abort_handle(), telling.abort_handle()] })
    }

    /// An order, unless a stronger one was given.
    pub(super) fn order(&self, order: Order) {
        self.heartbeat.send_if_modified(|heartbeat| {
            let is_stronger = order > heartbeat.order;
            heartbeat.order = heartbeat.order.max(order);
            is_stronger
        });
    }

    /// When all slices start; `origin`: by the monotonic clock, where that is theirs, too.
    pub(super) fn start_at(&self, start_at: String, origin: Option<Mono>) {
        self.heartbeat.send_modify(|heartbeat| (heartbeat.start_at, heartbeat.origin) = (Some(start_at), origin));
    }

    /// The whole fleet is connected.
    pub(super) fn connected(&self) {
        self.heartbeat.send_if_modified(|heartbeat| !std::mem::replace(&mut heartbeat.connected, true));
    }

    /// What `end.expect` waits for is done.
    pub(super) fn met(&self) {
        self.heartbeat.send_if_modified(|heartbeat| !std::mem::replace(&mut heartbeat.met, true));
    }

    /// What was last ordered.
    #[must_use]
    pub(super) fn ordered(&self) -> Order {
        self.heartbeat.borrow().order
    }
}

impl Drop for HeartbeatSender {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn tell(connection: Connection, mut heartbeats: watch::Receiver<Heartbeat>) {
    let mut every = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            changed = heartbeats.changed() => if changed.is_err() { return },
        }
        let heartbeat = heartbeats.borrow_and_update().clone();
        // The next heartbeat says the same.
        let _ = connection.client.publish(connection.run.leader(), pack(&heartbeat, &[]).into()).await;
        let _ = connection.client.flush().await;
    }
}
