//! What the endpoint's policy says of all that the things will need, before any of them asks: by the evaluator that the endpoint has.

use crate::roster::Roster;
use crate::scenario::plan::{CohortPlan, Plan, TargetPlan};
use iot_endpoint::{DEVICE_POLICY, DevicePolicy, is_document};
use iot_jobs::wire::control::{ACCOUNT, REGION};
use iot_jobs::wire::topic::{self, NEXT, RequestTopic, Topic, TopicKind};
use iot_jobs::{NamespaceId, Subscription, ThingName};
use iot_policy::{
    Action, Attachment, Certificate, Client, ConnectAttributes, Document, Home, Policy, Request, Thing, evaluate, explain,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use thing_agent::workflow::Workflow;

/// Of a larger fleet things here and there are judged: names differ in their digits, and so do those of these.
const JUDGED_MAX: usize = 10_000;
/// Stands for a job where the scenario creates none.
const SOME_JOB: &str = "job";

/// What a policy denies things of the scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyReport {
    /// The file, or in words where there is none.
    pub source: String,
    /// Things that show a certificate, whose requests were judged: all of a fleet of up to 10,000, and of a larger one some.
    pub things: u64,
    /// Of those, how many are denied something that they need.
    pub denied_things: u64,
    /// One for each cohort, action and kind of request.
    pub denials: Vec<PolicyDenial>,
}

/// Requests of one kind that are denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyDenial {
    pub cohort: String,
    /// Such as `iot:Subscribe`.
    pub action: String,
    /// What it is for, such as `notify-next`.
    pub need: String,
    /// How many things are denied it.
    pub things: u64,
    /// Why, of the first of them.
    pub explanation: String,
}

/// Something that a thing will ask for.
struct Need {
    action: Action,
    name: String,
    what: String,
}

/// Holds what the things need against the policy; `None` where there is no local endpoint, or nobody shows a certificate.
#[must_use]
pub(super) fn judge(plan: &Plan, roster: &Roster, policy: &DevicePolicy) -> Option<PolicyReport> {
    let TargetPlan::Emulator(emulator) = &plan.target else { return None };
    let source = match emulator.endpoint.policy.as_deref() {
        None => "the built-in policy",
        Some(text) if is_document(text) => "the policy of the scenario",
        Some(file) => file,
    };
    let document = policy.document.clone();
    let policies = [Arc::new(Policy { name: DEVICE_POLICY.into(), version: 1, document })];
    let (mut things, mut denied_things) = (0, 0);
    let mut denials: BTreeMap<(u16, Action, String), PolicyDenial> = BTreeMap::new();
    let shows = roster.shows_certificate(plan);
    let step = step(shows.len());
    for (place, (name, cohort)) in
        roster.names().iter().zip(roster.cohorts()).enumerate().step_by(step).filter(|(place, _)| shows[*place])
    {
        things += 1;
        let judged = Judged { plan, cohort: &plan.cohorts[usize::from(*cohort)], name, place: place as u64, policies: &policies };
        let mut is_denied = false;
        for (need, explanation) in judged.denials() {
            is_denied = true;
            let key = (*cohort, need.action, need.what.clone());
            let first = || PolicyDenial {
                cohort: judged.cohort.name.clone(),
                action: need.action.as_str().into(),
                need: need.what,
                things: 0,
                explanation,
            };
            denials.entry(key).or_insert_with(first).things += 1;
        }
        denied_things += u64::from(is_denied);
    }
    (things > 0).then(|| PolicyReport { source: source.into(), things, denied_things, denials: denials.into_values().collect() })
}

/// From one thing that is judged to the next; one that has no divisor with ten, so that every last digit of a number occurs.
fn step(things: usize) -> usize {
    let mut step = things.div_ceil(JUDGED_MAX).max(1);
    while step.is_multiple_of(2) || step.is_multiple_of(5) {
        step += 1;
    }
    step
}

/// One thing before the endpoint.
struct Judged<'a> {
    plan: &'a Plan,
    cohort: &'a CohortPlan,
    name: &'a ThingName,
    place: u64,
    policies: &'a [Arc<Policy>],
}

impl Judged<'_> {
    /// As the endpoint sees it: its certificate names it, and is attached to it, not exclusively.
    fn client(&self) -> (Client, String) {
        let id = self.plan.fleet.client_id_of(self.name, self.place).unwrap_or_else(|| self.name.to_string());
        let attachment = if self.cohort.session.transport.is_http() {
            Attachment::Https
        } else if id == self.name.as_str() {
            Attachment::Is(Box::new(Thing { name: self.name.as_str().into(), ..Thing::default() }))
        } else {
            Attachment::OtherName { attached: self.name.as_str().into() }
        };
        let parts = vec![("Subject.CommonName".into(), self.name.as_str().into())];
        let certificate = Some(Arc::new(Certificate { parts, ..Certificate::default() }));
        let source_ip = Some([127, 0, 0, 1].into());
        let client =
            Client { id: Some(id.as_str().into()), attachment, certificate, source_ip, domain_name: Some("localhost".into()) };
        (client, id)
    }

    fn denials(&self) -> Vec<(Need, String)> {
        let (client, id) = self.client();
        let home = Home::new(REGION, ACCOUNT);
        let asked = ConnectAttributes { is_persistent: !self.cohort.session.clean_session, will_topic: None };
        denied(self.policies, &client, &home, asked, self.needs(id))
    }

    fn needs(&self, id: String) -> Vec<Need> {
        let requests = requests(self.cohort.workflow);
        if self.cohort.session.transport.is_http() {
            let need = |request: &RequestTopic<'_>| {
                let action = match request {
                    RequestTopic::GetPending => Action::GetPendingJobExecutions,
                    RequestTopic::StartNext => Action::StartNextPendingJobExecution,
                    RequestTopic::Describe(_) => Action::DescribeJobExecution,
                    RequestTopic::Update(_) => Action::UpdateJobExecution,
                };
                Need { action, name: self.name.to_string(), what: request.kind().to_string() }
            };
            return requests.iter().map(need).collect();
        }
        let job = self.plan.rollouts.first().and_then(|rollout| rollout.jobs.first()).map_or(SOME_JOB, iot_jobs::JobId::as_str);
        let mut needs = jobs_needs(self.name, self.cohort.namespace.as_ref(), self.cohort.workflow, job);
        needs.push(Need { action: Action::Connect, name: id, what: "connect".into() });
        if let Some(telemetry) = &self.plan.telemetry {
            let name = telemetry.topic.topic(self.name, self.plan.fleet.first_index + self.place);
            needs.push(Need { action: Action::Publish, name, what: "telemetry".into() });
        }
        needs
    }
}

/// What a thing that works over MQTT asks of its own jobs topics.
fn jobs_needs(thing: &ThingName, namespace: Option<&NamespaceId>, workflow: Workflow, job: &str) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut add = |action, name: String, what: String| needs.push(Need { action, name, what });
    let topic = |kind| Topic { thing: thing.as_str(), namespace: namespace.map(NamespaceId::as_str), kind }.to_string();
    for subscription in workflow.subscriptions() {
        let filter = topic::filter(thing, namespace, *subscription);
        let what = last(&filter);
        add(Action::Subscribe, filter, what);
        if let Some(kind) = notification(*subscription) {
            let what = last(&topic(kind));
            add(Action::Receive, topic(kind), what);
        }
    }
    for request in requests(workflow) {
        let request = match request {
            RequestTopic::Describe("") => RequestTopic::Describe(job),
            RequestTopic::Update(_) => RequestTopic::Update(job),
            other => other,
        };
        let what = request.kind().to_string();
        add(Action::Publish, topic(TopicKind::Request(request)), what.clone());
        add(Action::Receive, topic(TopicKind::Accepted(request)), format!("answer to {what}"));
    }
    needs
}

/// Why a policy denies a thing something that it needs for jobs over MQTT, when its certificate is attached to it and its client id is its
/// name; each in words. ARNs in it are those of the local endpoint.
#[must_use]
pub fn denied_to_device(document: Document, thing: &ThingName) -> Vec<String> {
    let policies = [Arc::new(Policy { name: "the policy".into(), version: 1, document })];
    let client = Client {
        id: Some(thing.as_str().into()),
        attachment: Attachment::Is(Box::new(Thing { name: thing.as_str().into(), ..Thing::default() })),
        certificate: Some(Arc::new(Certificate::default())),
        ..Client::default()
    };
    let connect = Need { action: Action::Connect, name: thing.to_string(), what: "connect".into() };
    let needs = jobs_needs(thing, None, Workflow::StartNext, SOME_JOB);
    let asked = ConnectAttributes { is_persistent: false, will_topic: None };
    let home = Home::new(REGION, ACCOUNT);
    denied(&policies, &client, &home, asked, std::iter::once(connect).chain(needs)).into_iter().map(|(_, why)| why).collect()
}

/// Those that are denied, and why.
fn denied(
    policies: &[Arc<Policy>],
    client: &Client,
    home: &Home,
    asked: ConnectAttributes<'_>,
    needs: impl IntoIterator<Item = Need>,
) -> Vec<(Need, String)> {
    let why = |need: &Need| {
        let connect = (need.action == Action::Connect).then_some(asked);
        let request = Request { action: need.action, name: &need.name, home, connect, epoch_s: 0 };
        (!evaluate(policies, client, &request).is_allowed()).then(|| explain(policies, client, &request))
    };
    needs.into_iter().filter_map(|need| why(&need).map(|why| (need, why))).collect()
}

fn last(topic: &str) -> String {
    topic.rsplit_once("/jobs/").map_or(topic, |(_, last)| last).to_owned()
}

fn notification(subscription: Subscription) -> Option<TopicKind<'static>> {
    match subscription {
        Subscription::Notify => Some(TopicKind::Notify),
        Subscription::NotifyNext => Some(TopicKind::NotifyNext),
        _ => None,
    }
}

/// What a workflow asks, where a job has no name yet an empty one.
fn requests(workflow: Workflow) -> Vec<RequestTopic<'static>> {
    match workflow {
        Workflow::StartNext => vec![RequestTopic::StartNext, RequestTopic::Update("")],
        Workflow::DescribeUpdate | Workflow::Poll(_) => vec![RequestTopic::Describe(NEXT), RequestTopic::Update("")],
        Workflow::List => vec![RequestTopic::GetPending, RequestTopic::Describe(""), RequestTopic::Update("")],
        Workflow::None => Vec::new(),
    }
}
