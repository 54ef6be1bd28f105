//! The numbers of an account and a connection.

/// A quota; `None` is unlimited.
pub type Quota = Option<u32>;

/// What an account and a connection may do (PROTOCOL 15); what each is about, with unit and source, stands in the endpoint's `aws-quotas.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    pub connects_per_second: Quota,
    pub connects_per_second_per_client_id: Quota,
    pub connections: Quota,
    pub inbound_publishes_per_second: Quota,
    pub subscribes_per_second: Quota,
    pub publishes_per_second: Quota,
    pub bytes_per_second: Quota,
    pub subscriptions: Quota,
    pub reads_per_second: Quota,
    pub writes_per_second: Quota,
    pub create_job_per_second: Quota,
    pub control_plane_per_second: Quota,
    pub active_jobs: Quota,
    pub rollout_per_minute: Quota,
    pub targets_per_job: Quota,
    pub registry_calls_per_second: Quota,
}
