use super::*;
use crate::broker::packet::{Connect, Version};
use crate::broker::subscriptions::{Subscription, Subscriptions};
use crate::identity::ClientId;
use crate::ledger::LedgerWriter;
use crate::sessions::Epoch;
use aws_signing::sigv4::AccessKey;
use iot_jobs::{CancelJob, CreateJob, JobDocument, JobId, JobTarget, RequestBody, StartNext};
use jobs_engine::faults::FaultSettings;
use jobs_engine::quotas::Quotas;
use rmqtt_codec::types::QoS;
use serde_json::Value;
use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::mpsc;
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
        wants_reasons: true,
        will: None,
    }
}

fn service(files: Files) -> Service {
    let shape = ShapeSettings { quotas: Quotas::default(), faults: FaultSettings::default() };
    Service::new(EngineConfig::new(Duration::from_secs(60)), &shape, Authority::new(Duration::ZERO), files).unwrap()
}

/// A thing with a session that hears one kind of notification.
fn subscribed(service: &Service, name: &str, kind: &str) -> (ThingName, Epoch) {
    let thing = ThingName::new(name).unwrap();
    service.register(std::slice::from_ref(&thing));
    let begun = service.begin_session(&service.identify_signed(name).ok().unwrap(), &connect(), Duration::from_secs(60));
    let mut subscriptions = Subscriptions::default();
    let filter = format!("$aws/things/{name}/jobs/{kind}");
    subscriptions.set(Subscription::new(&filter, QoS::AtLeastOnce), 1);
    service.set_subscriptions(&ClientId::new(name), begun.epoch, &subscriptions);
    (thing, begun.epoch)
}

/// What a thing calls itself.
fn client(thing: &ThingName) -> ClientId {
    ClientId::new(thing.as_str())
}

fn job_for(thing: &ThingName, job: &str, document: &str) -> CreateJob {
    let targets = vec![JobTarget::Thing(thing.clone())];
    CreateJob::new(JobId::new(job).unwrap(), targets, JobDocument::from_valid_json(document))
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
    let service = service(Files { ledger: Some(LedgerWriter::open(&ledger).unwrap()), ..Files::default() });
    let (thing, epoch) = subscribed(&service, "t", "notify");

    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (service, thing) = (&service, &thing);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let job = JobId::new(&format!("j-{thread}-{round}")).unwrap();
                    let create = job_for(thing, job.as_str(), "{}");
                    service.call(|engine, now| engine.create_job(create, now)).unwrap();
                    service.call(|engine, now| engine.cancel_job(&job, CancelJob::default(), now)).unwrap();
                }
            });
        }
    });

    let mut id = 0;
    let lists: Vec<BTreeSet<String>> = std::iter::from_fn(|| {
        id += 1;
        let drawn = service.sessions.draw(&client(&thing), epoch, NonZeroU16::new(id).unwrap(), clock::mono())?;
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

/// While documents are being filled, nobody waits for them but their own things.
#[test]
fn documents_are_filled_beside_the_calls_and_in_the_order_of_their_thing() {
    let service = service(Files::default());
    let key = AccessKey::lasting("AKIAEXAMPLE", "secret");
    service.keep_objects(Objects::new(std::path::Path::new("/d"), "https://localhost:1".into(), key));
    let [slow, other] = ["slow", "other"].map(|name| subscribed(&service, name, "notify-next"));
    let document = r#"{"url":"${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/k}"}"#;
    let create = |thing: &ThingName, job: &str, document: &str| {
        let create = job_for(thing, job, document);
        service.call(|engine, now| engine.create_job(create, now)).unwrap();
    };
    let draw = |(thing, epoch): &(ThingName, Epoch)| {
        let drawn = service.sessions.draw(&client(thing), *epoch, NonZeroU16::new(1).unwrap(), clock::mono())?;
        Some(String::from_utf8(drawn.message.payload.to_vec()).unwrap())
    };
    // Something of the same thing is being rendered, and does not come to an end.
    let (go, gate) = mpsc::channel::<()>();
    service.rendering.add(&slow.0, move || gate.recv().unwrap());
    create(&slow.0, "with-a-url", document);
    let cancel = JobId::new("with-a-url").unwrap();
    service.call(|engine, now| engine.cancel_job(&cancel, CancelJob::default(), now)).unwrap();
    create(&other.0, "plain", "{}");
    assert!(draw(&other).expect("at once").contains("plain"));
    assert_eq!(draw(&slow), None);
    go.send(()).unwrap();
    let deadline = clock::mono() + Duration::from_secs(20);
    let mut told = Vec::new();
    while told.len() < 2 {
        assert!(clock::mono() < deadline, "{told:?}");
        told.extend(draw(&slow));
    }
    assert!(told[0].contains("https://localhost:1/objects/b/k?X-Amz-"), "{told:?}");
    assert!(!told[1].contains("execution"), "the queue is empty again: {told:?}");

    let start = || Request { client_token: None, body: RequestBody::StartNext(StartNext::default()) };
    assert!(matches!(service.reply(&other.0, Asked { namespace: None, parsed: Ok(start()) }, None), Outcome::Reply(_)));
    create(&slow.0, "again", document);
    let Outcome::Unfilled(unfilled) = service.reply(&slow.0, Asked { namespace: None, parsed: Ok(start()) }, None) else {
        panic!("it has a placeholder")
    };
    let (sender, replies) = mpsc::channel();
    service.fill(&slow.0, unfilled, move |reply| sender.send(reply).unwrap());
    let mut reply = replies.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(documents::of_reply(&mut reply).unwrap().as_json().contains("X-Amz-Signature"));
}

/// CPU time of this thread.
fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    };
    let start = now();
    work();
    now() - start
}

/// What one more job costs does not depend on how many are pending of its thing.
#[test]
fn a_job_costs_the_same_however_many_are_pending() {
    let service = service(Files::default());
    let (thing, epoch) = subscribed(&service, "t", "notify");
    let mut count = 0;
    let mut create = |jobs: usize| {
        for _ in 0..jobs {
            count += 1;
            let create = job_for(&thing, &format!("j-{count}"), "{}");
            service.call(|engine, now| engine.create_job(create, now)).unwrap();
            let id = NonZeroU16::new(1).unwrap();
            service.sessions.draw(&client(&thing), epoch, id, clock::mono()).expect("it is told");
            service.sessions.acknowledge(&client(&thing), epoch, id);
        }
    };
    // What all of them show from then on.
    create(10);
    let few = cpu_time(|| create(200));
    create(4_000);
    let many = cpu_time(|| create(200));
    assert!(many < few * 8, "{few:?} with 200 pending, {many:?} with 4,200");
}
