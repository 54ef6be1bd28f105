//! What a worker tells, one word after the other, each until it is acknowledged.

use crate::run::led::KeptSecond;
use crate::workers::PART_BYTES;
use crate::workers::connection::Connection;
use crate::workers::leader::digest;
use crate::workers::message::{Part, SentFile, WorkerEvent, WorkerMessage, pack};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

#[derive(Clone)]
pub(super) struct Outbox {
    connection: Connection,
    slice: u32,
    nonce: Arc<str>,
    acknowledged: Arc<AtomicU64>,
}

impl Outbox {
    /// Of a worker that has joined this attempt at the run.
    pub(super) fn new(connection: Connection, slice: u32, nonce: &str) -> Self {
        Self { connection, slice, nonce: nonce.into(), acknowledged: Arc::default() }
    }

    /// Messages that the server has acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Without anything behind it.
    pub(super) async fn say(&self, event: WorkerEvent) {
        self.send(event, &[]).await;
    }

    async fn send(&self, event: WorkerEvent, body: &[u8]) {
        let subject = self.connection.run.of_slice(self.slice);
        let id = event.id(self.slice);
        self.connection.send(subject, &id, pack(&WorkerMessage { nonce: self.nonce.to_string(), event }, body)).await;
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells of every second, until there are no more.
    pub(super) async fn seconds(self, mut seconds: mpsc::Receiver<KeptSecond>) {
        while let Some(KeptSecond { second, record }) = seconds.recv().await {
            let of = parts(record.len() as u64);
            for (body, part) in record.chunks(PART_BYTES).zip(0..) {
                self.send(WorkerEvent::Second { second, part: Part { part, of } }, body).await;
            }
        }
    }

    /// A file, in parts.
    ///
    /// # Errors
    /// When it cannot be read; for people.
    pub(super) async fn file(&self, path: &Path) -> Result<SentFile, String> {
        let failed = |error: std::io::Error| format!("read {}: {error}", path.display());
        let sent = digest(path).map_err(failed)?;
        let of = parts(sent.bytes);
        let mut file = File::open(path).map_err(failed)?;
        for part in 0..of {
            let mut body = Vec::with_capacity(PART_BYTES);
            (&mut file).take(PART_BYTES as u64).read_to_end(&mut body).map_err(failed)?;
            self.send(WorkerEvent::File { name: sent.name.clone(), part: Part { part, of } }, &body).await;
        }
        Ok(sent)
    }
}

/// In how many parts so many bytes are sent.
fn parts(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PART_BYTES as u64).max(1)).expect("no disk has room for 2^32 parts")
}
