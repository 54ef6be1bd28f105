//! Another client with the identity of a thing: the two kick each other out (PROTOCOL 13.2).

use crate::connect::connect;
use crate::faults::DuplicateClient;
use crate::mqtt::MqttSettings;
use crate::observer::{Observer, SessionEvent};
use crate::shard::{Member, ShardContext};
use crate::thing_id::ThingId;
use host::clock;
use rustls::ClientConfig;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use thing_faults::Fault;
use tokio::io::AsyncReadExt as _;

/// What comes is read and forgotten, this much at a time.
const READ_BYTES: usize = 512;

/// Lives for its time: connects, listens until it is disconnected, waits, connects again.
pub(super) async fn live<O: Observer>(
    duplicate_client: DuplicateClient,
    shard: Rc<ShardContext<O>>,
    thing: ThingId,
    tls: Arc<ClientConfig>,
    settings: MqttSettings,
    connect_timeout: Duration,
) {
    let thing = Member { shard: &shard, id: &thing };
    let end = clock::mono() + duplicate_client.lives;
    while clock::mono() < end {
        let deadline = end.min(clock::mono() + connect_timeout);
        let dialled = connect(thing, Arc::clone(&tls), &settings, deadline, None).await;
        if let Ok(mut connection) = dialled {
            thing.emit(SessionEvent::Fault { fault: Fault::DuplicateClientId, at: clock::mono() });
            let listening = async {
                let mut bytes = [0u8; READ_BYTES];
                while matches!(connection.stream.read(&mut bytes).await, Ok(1..)) {}
            };
            // However it ends, what follows is the same.
            let _ = tokio::time::timeout(end.since(clock::mono()), listening).await;
        }
        tokio::time::sleep(duplicate_client.again.min(end.since(clock::mono()))).await;
    }
}
