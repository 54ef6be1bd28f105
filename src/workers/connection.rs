//! The connection to the NATS server, and what a run has there: a bucket of keys, and a stream of what workers tell.
//!
//! The bucket is made as the stream that it is: servers before 2.10 refuse the request by which the client would make it.

use super::address::{NatsAddress, NatsIdentity};
use super::names::{self, RunId};
use super::{ENVELOPE_BYTES, PART_BYTES, REQUEST_LIMIT};
use async_nats::connection::State;
use async_nats::jetstream::kv::{CreateErrorKind, Store};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, HeaderMap};
use bytes::Bytes;
use std::time::Duration;

/// What is left of a run on the server, where nobody took it away.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How long the server knows a message that is sent again.
const DUPLICATES_KNOWN: Duration = Duration::from_secs(30 * 60);
/// From one attempt to connect, or to send, to the next.
const RETRY: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(1);
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Why something cannot be done there, for people.
pub(super) type Failure = String;

/// The server, as a run sees it.
#[derive(Clone)]
pub(super) struct Connection {
    pub client: Client,
    pub jetstream: jetstream::Context,
    pub run: RunId,
}

impl Connection {
    /// Connects, and tries again until the limit; from then on the connection mends itself.
    ///
    /// # Errors
    /// With the last reason.
    pub(super) async fn open(
        address: &NatsAddress,
        identity: &NatsIdentity,
        run: &RunId,
        name: &str,
        limit: Duration,
    ) -> Result<Self, Failure> {
        let failed = |why: String| format!("connect to {address}: {why}");
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let options = options(address, identity, run, name).await.map_err(failed)?;
            let attempt = tokio::time::timeout_at(deadline, options.connect(address.to_string())).await;
            let why = match attempt {
                Ok(Ok(client)) => return Self::of(client, run).map_err(failed),
                Ok(Err(error)) => chain(&error),
                Err(_elapsed) => "it did not answer".into(),
            };
            if tokio::time::Instant::now() + RETRY >= deadline {
                return Err(failed(format!("{why} (tried for {} s)", limit.as_secs())));
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn of(client: Client, run: &RunId) -> Result<Self, Failure> {
        let (room, needed) = (client.server_info().max_payload, PART_BYTES + ENVELOPE_BYTES);
        if room < needed {
            return Err(format!("its max_payload is {room} bytes, and a run needs {needed}"));
        }
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(REQUEST_LIMIT);
        Ok(Self { client, jetstream, run: run.clone() })
    }

    /// Whether the server can be reached at the moment, as far as the client knows.
    pub(super) fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Makes bucket and stream of a new run, in place of those of one that is over.
    ///
    /// # Errors
    /// When the server refuses, as one without JetStream does.
    pub(super) async fn make(&self) -> Result<Store, Failure> {
        let failed = |what: &str, why: String| {
            format!("make the {what} of run {}: {why}; is JetStream on, as with nats-server -js?", self.run)
        };
        if let Ok(keys) = self.keys().await
            && get(&keys, names::OVER).await?.is_some()
        {
            self.remove().await;
        }
        let bucket = stream::Config {
            name: self.run.bucket_stream(),
            subjects: vec![format!("$KV.{}.>", self.run.bucket())],
            max_messages_per_subject: 1,
            max_age: KEPT,
            allow_rollup: true,
            deny_delete: true,
            discard: stream::DiscardPolicy::New,
            ..stream::Config::default()
        };
        self.jetstream.create_stream(bucket).await.map_err(|error| failed("bucket", chain(&error)))?;
        let events = stream::Config {
            name: self.run.stream(),
            subjects: vec![self.run.of_all_slices()],
            retention: stream::RetentionPolicy::WorkQueue,
            max_age: KEPT,
            duplicate_window: DUPLICATES_KNOWN,
            ..stream::Config::default()
        };
        self.jetstream.create_stream(events).await.map_err(|error| failed("stream", chain(&error)))?;
        self.keys().await
    }

    /// The bucket of the run.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn keys(&self) -> Result<Store, Failure> {
        let bucket = self.jetstream.get_key_value(self.run.bucket()).await;
        bucket.map_err(|error| format!("find run {}: {}", self.run, chain(&error)))
    }

    /// Takes away what the run had there.
    pub(super) async fn remove(&self) {
        for stream in [self.run.stream(), self.run.bucket_stream()] {
            if let Err(error) = self.jetstream.delete_stream(&stream).await {
                tracing::warn!(%error, %stream, "what the run had on the NATS server is still there");
            }
        }
    }

    /// Sends until it is acknowledged; the server drops what it has already.
    pub(super) async fn send(&self, subject: String, id: &str, payload: Vec<u8>) {
        let payload = Bytes::from(payload);
        let mut pause = RETRY;
        loop {
            let mut headers = HeaderMap::new();
            headers.insert(MESSAGE_ID, id);
            let sent = async {
                let acknowledged = self.jetstream.publish_with_headers(subject.clone(), headers, payload.clone()).await;
                acknowledged.map_err(|error| chain(&error))?.await.map_err(|error| chain(&error))
            };
            match tokio::time::timeout(REQUEST_LIMIT, sent).await {
                Ok(Ok(_acknowledged)) => return,
                Ok(Err(why)) => tracing::debug!(%why, id, "not acknowledged, sent again"),
                Err(_elapsed) => tracing::debug!(id, "not acknowledged in time, sent again"),
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(RETRY_MAX);
        }
    }
}

/// Writes a key that nobody has written: the value that is there, where somebody has.
///
/// # Errors
/// When the server does not take it.
pub(super) async fn create(keys: &Store, key: &str, value: Vec<u8>) -> Result<Option<Bytes>, Failure> {
    let value = Bytes::from(value);
    match keys.create(key, value.clone()).await {
        Ok(_revision) => Ok(None),
        Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
            let there = get(keys, key).await?;
            // What was written, though its acknowledgement was lost.
            Ok(there.filter(|there| *there != value))
        }
        Err(error) => Err(format!("write the key {key}: {}", chain(&error))),
    }
}

/// # Errors
/// When the server does not say.
pub(super) async fn get(keys: &Store, key: &str) -> Result<Option<Bytes>, Failure> {
    keys.get(key).await.map_err(|error| format!("read the key {key}: {}", chain(&error)))
}

/// # Errors
/// When the server does not take it.
pub(super) async fn put(keys: &Store, key: &str, value: String) -> Result<(), Failure> {
    keys.put(key, value.into()).await.map(drop).map_err(|error| format!("write the key {key}: {}", chain(&error)))
}

async fn options(address: &NatsAddress, identity: &NatsIdentity, run: &RunId, name: &str) -> Result<ConnectOptions, Failure> {
    let mut options = ConnectOptions::new()
        .name(name)
        .custom_inbox_prefix(run.inbox())
        .connection_timeout(REQUEST_LIMIT)
        .request_timeout(Some(REQUEST_LIMIT))
        // A server that does not answer three of them is gone, which is told before any worker counts as lost.
        .ping_interval(Duration::from_secs(2))
        .reconnect_delay_callback(|attempts| (RETRY * u32::try_from(attempts).unwrap_or(u32::MAX).min(4)).min(RETRY_MAX))
        .require_tls(address.is_tls);
    if !address.is_tls {
        // Others that it names may be on other hosts.
        options = options.ignore_discovered_servers();
    }
    if let Some(ca) = &identity.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((cert, key)) = &identity.pair {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    if let Some(creds) = &identity.creds {
        options = options.credentials_file(creds).await.map_err(|error| format!("use {}: {error}", creds.display()))?;
    }
    Ok(options)
}

/// With all that it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = error.source();
    }
    words
}
