//! What workers tell, as it comes from the server: through a durable pull consumer, which outlives a restart of the server and notices within
//! seconds that there was one.

use crate::workers::REQUEST_LIMIT;
use crate::workers::connection::Connection;
use crate::workers::message::{Told, unpack};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::Acker;
use bytes::Bytes;
use futures_util::StreamExt as _;
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
    pub told: Told,
    pub body: Bytes,
    acker: Acker,
}

impl Delivery {
    /// It is taken in for good. Where that does not get through it is told again.
    pub(super) async fn done(&self) {
        if let Err(error) = self.acker.ack().await {
            tracing::debug!(%error, "what was taken in is told again");
        }
    }
}

/// Everything that workers tell, in the order of each of them. Dropping it ends it.
pub(super) struct Inbox {
    deliveries: mpsc::Receiver<Delivery>,
    task: AbortHandle,
}

impl Inbox {
    /// Must be called within a runtime.
    pub(in crate::workers) fn open(connection: Connection) -> Self {
        let (sender, deliveries) = mpsc::channel(WAITING_MAX);
        let task = tokio::spawn(listen(connection, sender)).abort_handle();
        Self { deliveries, task }
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

async fn listen(connection: Connection, sender: mpsc::Sender<Delivery>) {
    while !sender.is_closed() {
        if let Err(why) = consume(&connection, &sender).await {
            tracing::debug!(%why, "the consumer is asked for again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Until something is wrong with the consumer.
async fn consume(connection: &Connection, sender: &mpsc::Sender<Delivery>) -> Result<(), async_nats::Error> {
    let stream = connection.jetstream.get_stream(connection.run.stream()).await?;
    let config = pull::Config {
        durable_name: Some(DURABLE.into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        ..pull::Config::default()
    };
    let consumer = tokio::time::timeout(REQUEST_LIMIT, stream.get_or_create_consumer(DURABLE, config)).await??;
    let messages = consumer.stream().heartbeat(HEARTBEAT).expires(EXPIRES).max_messages_per_batch(WAITING_MAX);
    let mut messages = messages.messages().await?;
    while let Some(message) = messages.next().await {
        let (message, acker) = message?.split();
        let slice = message.subject.rsplit('.').next().and_then(|slice| slice.parse().ok());
        match (slice, unpack::<Told>(&message.payload)) {
            (Some(slice), Ok((told, body))) => {
                let body = message.payload.slice_ref(body);
                if sender.send(Delivery { slice, told, body, acker }).await.is_err() {
                    return Ok(());
                }
            }
            (_, understood) => {
                let why = understood.err().unwrap_or_default();
                tracing::warn!(subject = %message.subject, %why, "what somebody tells on a subject of the run is no word of a worker");
                acker.ack().await?;
            }
        }
    }
    Ok(())
}
