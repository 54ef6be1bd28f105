//! Jobs of a namespace, and who sees them (PROTOCOL-CORE 2.6).

use crate::service::{Service, job, thing};
use iot_jobs::{
    Answer, Describe, ErrorCode, ExecutionStatus, JobFilter, JobRef, NamespaceId, Notification, Rejection, Request, RequestBody,
    StartNext, Update,
};
use jobs_engine::engine::{ExecutionFilter, NamespaceInterest};

fn gg() -> NamespaceId {
    NamespaceId::new("aws-gg-deployment").unwrap()
}

fn ask(s: &mut Service, namespace: Option<&NamespaceId>, body: RequestBody) -> Result<Answer, Rejection> {
    s.engine.handle_request_in(namespace, &thing("t"), &Request { client_token: None, body }, s.now).result
}

fn describe(job: JobRef) -> RequestBody {
    RequestBody::Describe(Describe { job, execution_number: None, include_job_document: false })
}

fn next(s: &mut Service, namespace: Option<&NamespaceId>) -> Option<String> {
    match ask(s, namespace, describe(JobRef::Next)) {
        Ok(Answer::Described(execution)) => execution.map(|execution| execution.job_id.to_string()),
        other => panic!("{other:?}"),
    }
}

/// One job of the namespace, then one without.
fn with_both() -> Service {
    let mut s = Service::with_thing();
    s.create("deploy", |c| c.namespace = Some(gg())).unwrap();
    s.create("fw", |_| {}).unwrap();
    s
}

#[test]
fn each_namespace_has_a_queue_of_its_own() {
    let mut s = with_both();
    assert_eq!(next(&mut s, None).as_deref(), Some("fw"));
    assert_eq!(next(&mut s, Some(&gg())).as_deref(), Some("deploy"));
    assert_eq!(next(&mut s, Some(&NamespaceId::new("nobodys").unwrap())), None);
    let Ok(Answer::Pending(pending)) = ask(&mut s, None, RequestBody::GetPending) else { panic!("no list") };
    assert_eq!(pending.queued.iter().map(|job| job.job_id.as_str()).collect::<Vec<_>>(), ["fw"]);
    let Ok(Answer::Started(started)) = ask(&mut s, None, RequestBody::StartNext(StartNext::default())) else { panic!("no job") };
    assert_eq!(started.unwrap().job_id, job("fw"));
    for (namespace, name) in [(None, "deploy"), (Some(gg()), "fw")] {
        let refused = ask(&mut s, namespace.as_ref(), describe(JobRef::Id(job(name)))).unwrap_err();
        assert_eq!(refused.code, ErrorCode::ResourceNotFound, "{name}");
    }
    let update = Update {
        job_id: job("deploy"),
        status: ExecutionStatus::Succeeded,
        status_details: None,
        expected_version: None,
        execution_number: None,
        include_execution_state: false,
        include_job_document: false,
        step_timeout: None,
    };
    assert!(ask(&mut s, None, RequestBody::Update(update.clone())).is_err());
    assert!(ask(&mut s, Some(&gg()), RequestBody::Update(update)).is_ok());
    assert_eq!(next(&mut s, Some(&gg())), None);
    assert_eq!(next(&mut s, None).as_deref(), Some("fw"), "the other queue is as it was");
}

#[test]
fn notifications_are_for_who_hears_of_the_namespace() {
    for (heard, told) in [
        (None, &[][..]),
        (Some(NamespaceInterest { namespace: Some(gg()), notify: true, notify_next: false }), &["list"]),
        (Some(NamespaceInterest { namespace: Some(gg()), notify: false, notify_next: true }), &["next"]),
        (Some(NamespaceInterest { namespace: None, notify: true, notify_next: true }), &["list", "next"]),
        (Some(NamespaceInterest { namespace: NamespaceId::new("other").ok(), notify: true, notify_next: true }), &[]),
    ] {
        let mut s = Service::with_thing();
        s.engine.handle_namespaces(&thing("t"), heard.into_iter().collect());
        s.create("deploy", |c| c.namespace = Some(gg())).unwrap();
        let of_deploy: Vec<&str> =
            s.notes.iter().map(|(_, note)| if matches!(note, Notification::Changed { .. }) { "list" } else { "next" }).collect();
        assert_eq!(of_deploy, told);
        s.notes.clear();
        s.create("fw", |_| {}).unwrap();
        assert_eq!(s.notes.len(), 2, "of jobs without a namespace it hears as before");
    }
}

#[test]
fn the_control_plane_lists_by_namespace() {
    let s = with_both();
    let of = |namespace| JobFilter { namespace, ..JobFilter::default() };
    let jobs = |filter: &JobFilter| s.engine.list_jobs(filter).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((jobs(&of(None)), jobs(&of(Some(gg())))), (vec!["deploy".into(), "fw".into()], vec!["deploy".into()]));
    let filter = ExecutionFilter { namespace: Some(gg()), ..ExecutionFilter::default() };
    let executions = s.engine.executions_of_thing(&thing("t"), &filter, s.now).unwrap();
    assert_eq!(executions.iter().map(|execution| execution.job_id.as_str()).collect::<Vec<_>>(), ["deploy"]);
}
