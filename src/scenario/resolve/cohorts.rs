//! `[behavior.*]` and `[[cohort]]`.

use super::super::plan::{CertificatesPlan, CohortPlan, FleetList, FleetPlan, TargetPlan, Transport};
use super::faults::faults;
use super::fleet::{connect, session};
use super::{COHORTS_MAX, DAY, names, tables_at_most, things};
use config_text::{Code, Key, Located, Reader, nearest};
use iot_jobs::NamespaceId;
use sim_units::distribution::Distribution;
use std::collections::BTreeMap;
use std::time::Duration;
use thing_agent::behavior::{Behavior, OutcomeShares};
use thing_agent::workflow::{Poll, Workflow};

const REPORTS_MAX: i64 = 1_000;
/// More often than that is no poll.
const POLL_MIN: Duration = Duration::from_millis(10);
/// Where nothing is said.
const POLL: Poll = Poll { every: Duration::from_secs(60), jitter: 0.2 };
/// How far shares may be from their sum.
const SUM_TOLERANCE: f64 = 1e-9;
const DEFAULT_BEHAVIOR: &str = "default";

fn default_behavior() -> Behavior {
    Behavior {
        reaction: Distribution::Uniform(Duration::ZERO, Duration::from_secs(2)),
        updates: 3,
        step: Distribution::Exp(Duration::from_secs(4)),
        outcome: OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 },
        faults: Vec::new(),
    }
}

pub(super) fn behaviors(root: &Reader<'_>) -> BTreeMap<String, Behavior> {
    let mut behaviors = BTreeMap::new();
    for (name, reader) in
        root.named_tables(("behavior", "how things work through a job, by a name of yours; with none there is one of defaults"))
    {
        let default = default_behavior();
        let behavior = Behavior {
            reaction: reader
                .distribution(("reaction", "time from being notified to the first request"))
                .map_or(default.reaction, |reaction| reaction.value),
            updates: reader
                .integer(("updates", "`IN_PROGRESS` reports before the terminal one"), 0..=REPORTS_MAX)
                .map_or(default.updates, |updates| updates.value as u32),
            step: reader.distribution(("step", "time from one report to the next")).map_or(default.step, |step| step.value),
            outcome: outcome(&reader),
            faults: faults(&reader),
        };
        reader.finish();
        behaviors.insert(name, behavior);
    }
    if behaviors.is_empty() {
        behaviors.insert(DEFAULT_BEHAVIOR.into(), default_behavior());
    }
    behaviors
}

/// Shares that are left out: the rest goes to `succeeded`.
fn outcome(behavior: &Reader<'_>) -> OutcomeShares {
    let all = OutcomeShares { succeeded: 1.0, failed: 0.0, rejected: 0.0 };
    let Some(reader) = behavior.table(("outcome", "how executions end, as shares that sum to 1")) else { return all };
    let share = |key: Key| reader.share(key).map(|share| share.value);
    let (succeeded, failed, rejected) = (
        share(("succeeded", "part that ends `SUCCEEDED`; left out, it takes the rest").into()),
        share(("failed", "part that ends `FAILED`").into()).unwrap_or(0.0),
        share(("rejected", "part that ends `REJECTED`").into()).unwrap_or(0.0),
    );
    let shares = OutcomeShares { succeeded: succeeded.unwrap_or(1.0 - failed - rejected), failed, rejected };
    let sum = shares.succeeded + failed + rejected;
    if (sum - 1.0).abs() > SUM_TOLERANCE || shares.succeeded < 0.0 {
        let message = format!(
            "the shares of an outcome must sum to 1, these sum to {}",
            if succeeded.is_some() { sum } else { failed + rejected }
        );
        reader.gathered.push(Code::OutOfRange, &reader.place, message, Some("leave succeeded out, and it takes the rest".into()));
    }
    reader.finish();
    shares
}

pub(super) fn cohorts(
    root: &Reader<'_>,
    target: &TargetPlan,
    fleet: &FleetPlan,
    behaviors: &BTreeMap<String, Behavior>,
) -> Vec<CohortPlan> {
    let readers = tables_at_most(root, ("cohort", "parts of the fleet that differ; with none, one of all things"), COHORTS_MAX);
    let only_behavior = || behaviors.keys().next().cloned().unwrap_or_default();
    if readers.is_empty() {
        if behaviors.len() > 1 {
            let help = "add a [[cohort]] that says which one its things have";
            root.conflict(&root.place_of("behavior"), "there are several behaviors and no cohort", help);
        }
        let (behavior, verify_signature, session) = (only_behavior(), false, fleet.session);
        let (name, workflow) = ("all".into(), default_workflow(session.transport));
        return vec![CohortPlan {
            name,
            share: 1.0,
            workflow,
            namespace: None,
            behavior,
            verify_signature,
            connect: None,
            session,
        }];
    }
    let mut cohorts: Vec<CohortPlan> = Vec::new();
    let is_listed = fleet.list.as_ref().is_some_and(FleetList::has_cohorts);
    let mut shares_are_read = !is_listed;
    for reader in &readers {
        let name = reader.string(("name", "the name by which results, rollouts and events refer to it"));
        if name.is_none() && !reader.has("name") {
            reader.missing("name", "cohorts are distinguished by name");
        }
        let share = match reader.share((
            "share",
            "part of the fleet; all shares sum to 1. Left out where there is one cohort, or `things_from` has a column `cohort`",
        )) {
            _ if is_listed => things::listed_share(reader, fleet, name.as_ref()),
            Some(share) => share.value,
            None if readers.len() == 1 && !reader.has("share") => 1.0,
            None => {
                shares_are_read = false;
                if !reader.has("share") {
                    reader.missing("share", "the part of the fleet that belongs to the cohort, as in share = 0.97");
                }
                0.0
            }
        };
        let session = session(reader, fleet.session);
        let namespace = namespace(reader, session.transport);
        let workflow = workflow(reader, session.transport, namespace.is_some());
        let verify_signature = verify_signature(reader, target);
        let behavior = match reader.string(("behavior", "one of `[behavior.NAME]`; required where there are several")) {
            Some(behavior) => known_behavior(reader, behavior, behaviors),
            None if behaviors.len() > 1 && !reader.has("behavior") => {
                reader.missing("behavior", &format!("say which one its things have: {}", names(behaviors.keys())));
                String::new()
            }
            None => only_behavior(),
        };
        if let Some(Located { value, place }) = &name
            && cohorts.iter().any(|cohort| cohort.name == *value)
        {
            reader.gathered.push(Code::Duplicate, place, format!("there are two cohorts {value:?}"), None);
        }
        let name = name.map_or_else(String::new, |name| name.value);
        let connect = connect(reader, fleet.connect);
        cohorts.push(CohortPlan { name, share, workflow, namespace, behavior, verify_signature, connect, session });
    }
    let sum: f64 = cohorts.iter().map(|cohort| cohort.share).sum();
    if shares_are_read && (sum - 1.0).abs() > SUM_TOLERANCE {
        let message = format!("the shares of all cohorts must sum to 1, these sum to {sum}");
        root.gathered.push(Code::OutOfRange, &readers[0].place_of("share"), message, None);
    }
    readers.into_iter().for_each(Reader::finish);
    cohorts
}

/// The signer must be known: of the local endpoint's files that is the run itself.
fn verify_signature(cohort: &Reader<'_>, target: &TargetPlan) -> bool {
    let Some(verify) = cohort
        .boolean(("verify_signature", "`true`: things verify the signature of a job's file, and reject what does not verify"))
        .filter(|verify| verify.value)
    else {
        return false;
    };
    if target.remote().is_some_and(|remote| remote.signer.is_none()) {
        let help = "say it in [target]: signer = \"signer.cert.pem\", a certificate or public key in PEM";
        cohort.conflict(&verify.place, "no signer is given whose signatures are accepted", help);
    }
    true
}

/// Things that do not sign show a certificate.
pub(super) fn check_certificates(root: &Reader<'_>, target: &TargetPlan, cohorts: &[CohortPlan]) {
    const HELP: &str = "[target.tls] cert = ..., key = ... (or --cert, --key): PEM files, one for each thing with {thing} or {index}, or \
                        shared; or bundle = ..., all in one file; or columns cert and key in the file of fleet.things_from";
    let is_missing = target.remote().is_some_and(|remote| remote.certificates == CertificatesPlan::None);
    if is_missing && cohorts.iter().any(|cohort| !cohort.session.transport.is_signed()) {
        root.gathered.push(Code::MissingKey, &root.place_of("target"), "target.tls.cert is missing", Some(HELP.to_owned()));
    }
}

/// A signer is for cohorts that verify.
pub(super) fn check_signer(root: &Reader<'_>, target: &TargetPlan, cohorts: &[CohortPlan]) {
    let is_given = target.remote().is_some_and(|remote| remote.signer.is_some());
    if is_given && !cohorts.iter().any(|cohort| cohort.verify_signature) {
        let help = "add verify_signature = true to a [[cohort]], or leave signer out";
        root.conflict(&root.place_of("target"), "target.signer is for cohorts that verify signatures, and none does", help);
    }
}

/// `namespace`, of cohorts and of rollouts.
pub(super) fn namespace_id(reader: &Reader<'_>) -> Option<Located<NamespaceId>> {
    let Located { value, place } =
        reader.string(("namespace", "the namespace of the jobs ([ROLLOUTS.md](ROLLOUTS.md#namespaces))"))?;
    match NamespaceId::new(&value) {
        Ok(value) => Some(Located { value, place }),
        Err(error) => {
            reader.gathered.push(Code::BadValue, &place, format!("{}: {error}", reader.name("namespace")), None);
            None
        }
    }
}

/// Jobs of a namespace are told and asked about over MQTT only: the HTTP data plane has no word for one.
fn namespace(cohort: &Reader<'_>, transport: Transport) -> Option<NamespaceId> {
    let Located { value, place } = namespace_id(cohort)?;
    if transport.is_http() {
        let message = format!("jobs of a namespace are announced over MQTT only, not over {}", transport.as_str());
        cohort.conflict(&place, message, "give the cohort transport = \"mqtt\", or leave namespace out");
    }
    Some(value)
}

fn default_workflow(transport: Transport) -> Workflow {
    if transport.is_http() { Workflow::Poll(POLL) } else { Workflow::StartNext }
}

/// No client is known to ask `start-next` or for the pending list of a namespace (PROTOCOL-CORE 2.6).
fn check_namespace_workflow(cohort: &Reader<'_>, said: Option<&Located<Workflow>>) {
    if let Some(said) = said.filter(|said| !matches!(said.value, Workflow::DescribeUpdate | Workflow::None)) {
        let message = format!("jobs of a namespace cannot be asked for by workflow = {:?}", said.value.as_str());
        cohort.conflict(&said.place, message, "use workflow = \"describe-update\", or leave it out");
    }
}

fn workflow(cohort: &Reader<'_>, transport: Transport, has_namespace: bool) -> Workflow {
    let words = [Workflow::StartNext, Workflow::DescribeUpdate, Workflow::List, Workflow::Poll(POLL), Workflow::None]
        .map(|workflow| (workflow.as_str(), workflow));
    let said = cohort.word(("workflow", "how things learn of their jobs ([WORKFLOWS.md](WORKFLOWS.md))"), &words);
    if let Some(said) = said.as_ref().filter(|said| transport.is_http() && said.value.poll().is_none()) {
        let message = match said.value {
            Workflow::None => format!("a thing without jobs has nothing to do over {}", transport.as_str()),
            _ => format!("there are no notifications of jobs over {}", transport.as_str()),
        };
        cohort.conflict(&said.place, message, "use workflow = \"poll\", or leave it out");
    }
    if has_namespace {
        check_namespace_workflow(cohort, said.as_ref());
    }
    let default = if has_namespace { Workflow::DescribeUpdate } else { default_workflow(transport) };
    let workflow = said.map_or(default, |said| said.value);
    let poll = cohort.table(("poll", "for `workflow = \"poll\"`")).map(|reader| {
        let every = reader
            .duration(("every", "time from one poll of a thing to its next"), POLL_MIN..=DAY)
            .map_or(POLL.every, |every| every.value);
        let jitter =
            reader.share(("jitter", "part of `every` by which a poll may be late")).map_or(POLL.jitter, |jitter| jitter.value);
        reader.finish();
        Poll { every, jitter }
    });
    match (workflow, poll) {
        (Workflow::Poll(_), Some(poll)) => Workflow::Poll(poll),
        (_, None) => workflow,
        (_, Some(_)) => {
            let help = "add workflow = \"poll\", or leave poll out";
            cohort.conflict(&cohort.place_of("poll"), "poll is for workflow = \"poll\"", help);
            workflow
        }
    }
}

pub(super) fn known_behavior(reader: &Reader<'_>, behavior: Located<String>, behaviors: &BTreeMap<String, Behavior>) -> String {
    if !behaviors.contains_key(&behavior.value) {
        let known = format!("known here: {}", names(behaviors.keys()));
        let help = nearest(&behavior.value, behaviors.keys().map(String::as_str))
            .map_or(known.clone(), |near| format!("did you mean {near:?}? {known}"));
        reader.gathered.push(Code::UnknownName, &behavior.place, format!("unknown behavior {:?}", behavior.value), Some(help));
    }
    behavior.value
}
