//! What workers tell, as it comes from the server: through a durable pull consumer, which outlives a restart of the server and notices within
//! seconds that there was one.

use crate::workers::REQUEST_LIMIT;
use crate::workers::connection::Connection;
use crate::workers::message::{WorkerEvent, WorkerMessage};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::Acker;
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

const DURABLE: &str = "leader";
/// What is not acknowledged by then is told again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// An outstanding request for messages: how long the server has it, and how often it says that it has.
const EXPIRES: Duration = Duration::from_secs(3);
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Messages that may wait for the leader.
const WAITING_MAX: usize = 256;
/// Before the consumer is asked for again.
const RETRY: Duration = Duration::from_millis(200);

/// A word of a worker.
pub(super) struct Delivery {
    pub slice: u32,
    /// What it says, and what is behind it; or why that cannot be used.
    pub event: Result<(WorkerEvent, Bytes), String>,
    acker: Acker,
}

impl Delivery {
    /// It is taken in for good. Where that does not get through it is told again.
    pub(super) async fn done(&self) {
        if let Err(error) = self.acker.ack().await {
            tracing::debug!(%error, "what was acknowledged is sent again");
        }
    }
}

/// Everything that workers of this attempt at the run tell. Dropping it ends it.
pub(super) struct Inbox {
    deliveries: mpsc::Receiver<Delivery>,
    is_open: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Inbox {
    /// Must be called within a runtime.
    pub(in crate::workers) fn open(connection: Connection, nonce: String) -> Self {
        let (sender, deliveries) = mpsc::channel(WAITING_MAX);
        let is_open = Arc::new(AtomicBool::new(true));
        let source = Source { connection, nonce, sender, is_open: Arc::clone(&is_open) };
        let task = tokio::spawn(source.listen()).abort_handle();
        Self { deliveries, is_open, task }
    }

    /// Whether the server can be heard: two heartbeats without one mean that it cannot, whatever the connection seems to be.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// The next one. Nothing is lost when this is dropped before.
    pub(super) async fn next(&mut self) -> Delivery {
        match self.deliveries.recv().await {
            Some(delivery) => delivery,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Source {
    connection: Connection,
    nonce: String,
    sender: mpsc::Sender<Delivery>,
    is_open: Arc<AtomicBool>,
}

impl Source {
    async fn listen(self) {
        while !self.sender.is_closed() {
            if let Err(why) = self.consume().await {
                tracing::debug!(%why, "the consumer is created again");
            }
            self.is_open.store(false, Ordering::Relaxed);
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Until something is wrong with the consumer.
    async fn consume(&self) -> Result<(), async_nats::Error> {
        let stream = self.connection.jetstream.get_stream(self.connection.run.stream()).await?;
        let config = pull::Config {
            durable_name: Some(DURABLE.into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            ..pull::Config::default()
        };
        // One that is left keeps what it has delivered for as long as it waits for acknowledgements; a new one delivers it first, in order.
        if let Err(error) = tokio::time::timeout(REQUEST_LIMIT, stream.delete_consumer(DURABLE)).await? {
            tracing::debug!(%error, "there is no consumer to remove");
        }
        let consumer = tokio::time::timeout(REQUEST_LIMIT, stream.create_consumer(config)).await??;
        let messages = consumer.stream().heartbeat(HEARTBEAT).expires(EXPIRES).max_messages_per_batch(WAITING_MAX);
        let mut messages = messages.messages().await?;
        self.is_open.store(true, Ordering::Relaxed);
        while let Some(message) = messages.next().await {
            let (message, acker) = message?.split();
            let slice: Option<u32> = message.subject.rsplit('.').next().and_then(|slice| slice.parse().ok());
            let event = match WorkerMessage::read(&message.payload) {
                Ok((word, body)) if word.nonce == self.nonce => Some(Ok((word.event, message.payload.slice_ref(body)))),
                Ok(_of_an_earlier_attempt) => None,
                Err(why) => Some(Err(why)),
            };
            let Some((slice, event)) = slice.zip(event) else {
                tracing::debug!(subject = %message.subject, "this message is not of this run");
                acker.ack().await?;
                continue;
            };
            if self.sender.send(Delivery { slice, event, acker }).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
