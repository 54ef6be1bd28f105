use super::*;
use crate::broker::packet::{Connect, Version};
use crate::broker::subscriptions::{Subscription, Subscriptions};
use crate::ledger::LedgerWriter;
use iot_jobs::{CancelJob, CreateJob, JobDocument, JobId, JobTarget};
use jobs_engine::faults::FaultSettings;
use jobs_engine::quotas::Quotas;
use rmqtt_codec::types::QoS;
use serde_json::Value;
use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

const ROUNDS: usize = 60;
const THREADS: usize = 4;

fn connect() -> Connect {
    Connect {
        version: Version::V3,
        client_id: "t".into(),
        clean: false,
        keep_alive: 0,
        session_expiry: u32::MAX,
        receive_max: 100,
        packet_bytes_max: None,
        wants_authentication: false,
        will: None,
    }
}

/// The jobs of a `notify`.
fn pending(payload: &[u8]) -> BTreeSet<String> {
    let body: Value = serde_json::from_slice(payload).unwrap();
    let queued = body["jobs"]["QUEUED"].as_array().into_iter().flatten();
    queued.map(|job| job["jobId"].as_str().unwrap().to_owned()).collect()
}

/// Jobs of one thing come and go from several threads at once: whatever order they are committed in, one notification after the other
/// is one change away from the one before, and the ledger has the same order.
#[test]
fn what_follows_from_calls_leaves_in_the_order_of_commitment() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger.csv");
    let shape = ShapeSettings { quotas: Quotas::default(), faults: FaultSettings::default() };
    let files = Files { ledger: Some(LedgerWriter::open(&ledger).unwrap()), ..Files::default() };
    let service = Service::new(EngineConfig::new(Duration::from_secs(60)), &shape, files).unwrap();
    let thing = ThingName::new("t").unwrap();
    service.register(std::slice::from_ref(&thing));
    let begun = service.begin_session(&service.identify_signed("t").ok().unwrap(), &connect(), Duration::from_secs(60));
    let mut subscriptions = Subscriptions::default();
    let filter = "$aws/things/t/jobs/notify".into();
    subscriptions.set(Subscription { filter, qos: QoS::AtLeastOnce, no_local: false, retain_as_published: false }, 1);
    service.set_subscriptions(&thing, begun.epoch, &subscriptions);

    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (service, thing) = (&service, &thing);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let job = JobId::new(&format!("j-{thread}-{round}")).unwrap();
                    let targets = vec![JobTarget::Thing(thing.clone())];
                    let create = CreateJob::new(job.clone(), targets, JobDocument::from_valid_json("{}"));
                    service.call(|engine, now| engine.create_job(create, now)).unwrap();
                    service.call(|engine, now| engine.cancel_job(&job, CancelJob::default(), now)).unwrap();
                }
            });
        }
    });

    let mut id = 0;
    let lists: Vec<BTreeSet<String>> = std::iter::from_fn(|| {
        id += 1;
        let drawn = service.sessions.draw(&thing, begun.epoch, NonZeroU16::new(id).unwrap(), clock::mono())?;
        Some(pending(&drawn.message.payload))
    })
    .collect();
    assert_eq!(lists.len(), 2 * THREADS * ROUNDS);
    let mut changes = Vec::new();
    for (before, after) in std::iter::once(&BTreeSet::new()).chain(&lists).zip(&lists) {
        let [job] = &before.symmetric_difference(after).collect::<Vec<_>>()[..] else { panic!("{before:?} {after:?}") };
        changes.push(((*job).clone(), after.contains(*job)));
    }
    service.flush().unwrap();
    let rows = std::fs::read_to_string(ledger).unwrap();
    let told = rows.lines().filter_map(|row| {
        let fields: Vec<&str> = row.split(',').collect();
        let is_queued = fields[6] == "queued";
        (is_queued || fields[6] == "terminal").then(|| (fields[2].to_owned(), is_queued))
    });
    assert!(told.eq(changes), "the ledger has another order:\n{rows}");
}
