//! The numbers of an account and a connection.

/// A quota; `None` is unlimited.
pub type Quota = Option<u32>;

/// What an account and a connection may do (PROTOCOL 15); what each is about, with unit and source, stands in the endpoint's `aws-quotas.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// CONNECT packets of the account, a second (PROTOCOL 15.1).
    pub connects_per_second: Quota,
    /// CONNECT packets with one client id, a second (PROTOCOL 15.1).
    pub connects_per_second_per_client_id: Quota,
    /// Connections of the account at once (PROTOCOL 15.1).
    pub connections: Quota,
    /// Messages that come in, and those that the service itself sends on reserved topics, a second (PROTOCOL 15.1).
    pub inbound_publishes_per_second: Quota,
    /// Topic filters of the account's SUBSCRIBE packets, a second (PROTOCOL 15.1).
    pub subscribes_per_second: Quota,
    /// Messages of one connection, both directions together, a second (PROTOCOL 15.2).
    pub publishes_per_second: Quota,
    /// Bytes of one connection, both directions together, a second (PROTOCOL 15.2).
    pub bytes_per_second: Quota,
    /// Subscriptions of one connection (PROTOCOL 15.2).
    pub subscriptions: Quota,
    /// DescribeJobExecution and GetPendingJobExecutions of the account together, a second (PROTOCOL 15.3).
    pub reads_per_second: Quota,
    /// StartNextPendingJobExecution and UpdateJobExecution of the account together, a second (PROTOCOL 15.3).
    pub writes_per_second: Quota,
    /// CreateJob, a second (PROTOCOL 15.3).
    pub create_job_per_second: Quota,
    /// Each other operation of the jobs control plane, a second (PROTOCOL 15.3).
    pub control_plane_per_second: Quota,
    /// Jobs that are `IN_PROGRESS` (PROTOCOL 15.3).
    pub active_jobs: Quota,
    /// Executions that one job queues, a minute (PROTOCOL 15.3).
    pub rollout_per_minute: Quota,
    /// Targets of one job (PROTOCOL 15.3).
    pub targets_per_job: Quota,
    /// All calls of the registry together, a second; no source has a number.
    pub registry_calls_per_second: Quota,
}
