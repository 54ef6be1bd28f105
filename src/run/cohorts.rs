//! What the things of each cohort have in common, as the plan says it.

use super::fleet::CohortSettings;
use super::targets::Target;
use crate::roster::Roster;
use crate::scenario::plan::{CohortPlan, Plan, SessionPlan, Transport};
use crate::slice::Slice;
use crate::workload::agents::{agents, connection_faults, fetches, place_of_transport};
use rustls::ClientConfig;
use std::sync::Arc;
use thing_transport::download::FileSettings;
use thing_transport::mqtt::{MqttSettings, Version};
use thing_transport::thing::{Protocol, SessionSettings};

/// In the order of the plan's cohorts.
pub(super) fn settings(plan: &Plan, roster: &Roster, slice: Slice, target: &Target) -> Vec<CohortSettings> {
    let transports = plan.transports();
    let telemetry = plan.telemetry.clone().map(Arc::new);
    let mut agents = agents(plan, roster).into_iter();
    let mut settings = |cohort: &CohortPlan| CohortSettings {
        agent: agents.next().expect("there is one for each cohort"),
        session: Arc::new(session(plan.seed, &cohort.session)),
        transport: place_of_transport(&transports, cohort),
        telemetry: telemetry.clone().filter(|_| !cohort.session.transport.is_http()),
        files: files(plan, cohort, target),
        faults: connection_faults(&plan.behaviors[&cohort.behavior]),
        connects_in_progress: cohort.connect.map(|connect| slice.part(connect.in_progress as usize)),
    };
    plan.cohorts.iter().map(&mut settings).collect()
}

fn files(plan: &Plan, cohort: &CohortPlan, target: &Target) -> Option<Arc<FileSettings>> {
    if !fetches(plan, cohort) {
        return None;
    }
    let mut tls = ClientConfig::clone(&target.tls);
    tls.alpn_protocols.clear();
    let signer = target.signer.filter(|_| cohort.verify_signature);
    let capped = plan.rollouts.iter().filter_map(|rollout| Some((rollout, rollout.artifact.as_ref()?.bandwidth?)));
    let bandwidth = capped.flat_map(|(rollout, bandwidth)| rollout.jobs.iter().map(move |job| (job.clone(), bandwidth))).collect();
    Some(Arc::new(FileSettings {
        tls: Arc::new(tls),
        signer,
        bandwidth,
        connect_timeout: cohort.session.connect_timeout,
        answer_timeout: cohort.session.answer_timeout,
    }))
}

fn session(seed: u64, session: &SessionPlan) -> SessionSettings {
    let SessionPlan { transport, keep_alive, clean_session: clean, connect_timeout, answer_timeout, reconnect, .. } = *session;
    let mqtt = |version| Protocol::Mqtt(MqttSettings { version, keep_alive, clean, answer_timeout });
    let protocol = match transport {
        Transport::Mqtt | Transport::MqttWs => mqtt(Version::V3),
        Transport::Mqtt5 => mqtt(Version::V5),
        Transport::HttpsMtls | Transport::HttpsSigv4 => Protocol::Http { answer_timeout },
    };
    SessionSettings { seed, protocol, connect_timeout, reconnect }
}
