//! The endpoint of a run whose scenario wants one of its own: the leader starts it, and the workers, on the same host, reach it as an account.

use crate::run::shared_endpoint::{Endpoint, bring_up_endpoint};
use crate::run::ui::Ui;
use crate::scenario::plan::{AwsPlan, CertificatesPlan, EventKind, Plan, RemotePlan, TargetPlan};
use iot_jobs::wire::control;
use std::path::{Path, PathBuf};

/// What an endpoint needs that is led.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointFolders<'a> {
    pub results: &'a Path,
    /// Of certificates, where somebody says so.
    pub certs: Option<&'a Path>,
}

/// An endpoint that all workers share.
pub(super) struct SharedEndpoint {
    endpoint: Endpoint,
    dir: PathBuf,
}

impl SharedEndpoint {
    /// Starts it, and registers all things.
    ///
    /// # Errors
    /// When it cannot be started; for people.
    pub(super) async fn start(plan: &Plan, folders: EndpointFolders<'_>, ui: &Ui) -> Result<Self, String> {
        // Slice 0 creates the jobs, and makes the groups that they are for.
        let plan = Plan { rollouts: Vec::new(), ..plan.clone() };
        let endpoint = bring_up_endpoint(&plan, (folders.results, folders.certs), ui).await?;
        let dir = std::path::absolute(&endpoint.dir).map_err(|error| format!("find {}: {error}", endpoint.dir.display()))?;
        Ok(Self { endpoint, dir })
    }

    /// The plan, with this endpoint as its target.
    #[must_use]
    pub(super) fn target_of(&self, plan: &Plan) -> Plan {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let Endpoint { mqtt, https, api, .. } = &self.endpoint;
        let remote = RemotePlan {
            hosts: vec![mqtt.ip().to_string()],
            port: Some(mqtt.port()),
            https_port: https.port(),
            api_port: api.port(),
            server_name: None,
            alpn: None,
            ca: Some(file("ca.cert.pem")),
            certificates: CertificatesPlan::Files { cert: file("things/{thing}.cert.pem"), key: file("things/{thing}.key.pem") },
            signer: None,
            link: plan.target.link().clone(),
        };
        let target = TargetPlan::Aws(AwsPlan { region: Some(control::REGION.into()), profile: None, remote });
        Plan { target, ..plan.clone() }
    }

    /// By which workers find its control plane.
    #[must_use]
    pub(super) fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        vec![
            ("AWS_ENDPOINT_URL_IOT", Some(format!("https://{}", self.endpoint.api))),
            ("AWS_CA_BUNDLE", Some(file("ca.cert.pem"))),
            ("AWS_SHARED_CREDENTIALS_FILE", Some(file("aws-credentials"))),
            // There is none: what the user's own says is for accounts.
            ("AWS_CONFIG_FILE", Some(file("aws-config"))),
            ("AWS_EC2_METADATA_DISABLED", Some("true".into())),
            ("AWS_PROFILE", None),
            ("AWS_ACCESS_KEY_ID", None),
            ("AWS_SECRET_ACCESS_KEY", None),
            ("AWS_SESSION_TOKEN", None),
        ]
    }

    /// Stops it.
    pub(super) async fn stop(self) {
        self.endpoint.stop().await;
    }
}

/// What a scenario wants of an endpoint of its own that nobody can give to several processes.
///
/// # Errors
/// With it, and what would be right; for people.
pub(super) fn check(plan: &Plan) -> Result<(), String> {
    let is_of_endpoint = |kind: &EventKind| matches!(kind, EventKind::EndpointRestart { .. } | EventKind::EndpointFreeze { .. });
    if let Some(event) = plan.events.iter().find(|event| is_of_endpoint(&event.kind)) {
        return Err(format!("--slices: the event {} is for an endpoint that one process starts and drives", event.kind.as_str()));
    }
    if let Some(rollout) = plan.rollouts.iter().find(|rollout| rollout.artifact.is_some()) {
        return Err(format!(
            "--slices: rollout {:?} has an artifact, which is for an endpoint that one process starts",
            rollout.name
        ));
    }
    Ok(())
}
