//! The numbers of an account and a connection.

use strum::{EnumCount, VariantArray};

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
    /// Messages that go out to subscribers, one for each matching subscription, a second (PROTOCOL 15.1).
    pub outbound_publishes_per_second: Quota,
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
    /// Jobs that are `SCHEDULED` or `IN_PROGRESS` (PROTOCOL-CORE 2.4).
    pub active_jobs: Quota,
    /// Jobs that are rolled out at once (PROTOCOL-CORE 2.4).
    pub concurrent_jobs: Quota,
    /// Jobs that are `DELETION_IN_PROGRESS` (PROTOCOL 15.3).
    pub jobs_in_deletion: Quota,
    /// Job templates of the account (PROTOCOL-CORE 2.1).
    pub job_templates: Quota,
    /// Executions that one job queues, a minute (PROTOCOL 15.3).
    pub rollout_per_minute: Quota,
    /// Targets of one job (PROTOCOL 15.3).
    pub targets_per_job: Quota,
    /// All calls of the registry together, a second; no source has a number.
    pub registry_calls_per_second: Quota,
}

/// The quotas one by one: what a file of them has a key for, and what a fleet can use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumCount, VariantArray)]
pub enum QuotaName {
    /// [`Quotas::connects_per_second`]
    ConnectsPerSecond,
    /// [`Quotas::connects_per_second_per_client_id`]
    ConnectsPerSecondPerClientId,
    /// [`Quotas::connections`]
    Connections,
    /// [`Quotas::inbound_publishes_per_second`]
    InboundPublishesPerSecond,
    /// [`Quotas::outbound_publishes_per_second`]
    OutboundPublishesPerSecond,
    /// [`Quotas::subscribes_per_second`]
    SubscribesPerSecond,
    /// [`Quotas::publishes_per_second`]
    PublishesPerSecond,
    /// [`Quotas::bytes_per_second`]
    BytesPerSecond,
    /// [`Quotas::subscriptions`]
    Subscriptions,
    /// [`Quotas::reads_per_second`]
    ReadsPerSecond,
    /// [`Quotas::writes_per_second`]
    WritesPerSecond,
    /// [`Quotas::create_job_per_second`]
    CreateJobPerSecond,
    /// [`Quotas::control_plane_per_second`]
    ControlPlanePerSecond,
    /// [`Quotas::active_jobs`]
    ActiveJobs,
    /// [`Quotas::concurrent_jobs`]
    ConcurrentJobs,
    /// [`Quotas::jobs_in_deletion`]
    JobsInDeletion,
    /// [`Quotas::job_templates`]
    JobTemplates,
    /// [`Quotas::rollout_per_minute`]
    RolloutPerMinute,
    /// [`Quotas::targets_per_job`]
    TargetsPerJob,
    /// [`Quotas::registry_calls_per_second`]
    RegistryCallsPerSecond,
}

impl QuotaName {
    /// Table of the quota file that it stands in.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::ConnectsPerSecond
            | Self::ConnectsPerSecondPerClientId
            | Self::Connections
            | Self::InboundPublishesPerSecond
            | Self::OutboundPublishesPerSecond
            | Self::SubscribesPerSecond => "account",
            Self::PublishesPerSecond | Self::BytesPerSecond | Self::Subscriptions => "connection",
            Self::ReadsPerSecond
            | Self::WritesPerSecond
            | Self::CreateJobPerSecond
            | Self::ControlPlanePerSecond
            | Self::ActiveJobs
            | Self::ConcurrentJobs
            | Self::JobsInDeletion
            | Self::JobTemplates
            | Self::RolloutPerMinute
            | Self::TargetsPerJob => "jobs",
            Self::RegistryCallsPerSecond => "registry",
        }
    }

    /// Its key in that table.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::ConnectsPerSecond => "connects_per_second",
            Self::ConnectsPerSecondPerClientId => "connects_per_second_per_client_id",
            Self::Connections => "connections",
            Self::InboundPublishesPerSecond => "inbound_publishes_per_second",
            Self::OutboundPublishesPerSecond => "outbound_publishes_per_second",
            Self::SubscribesPerSecond => "subscribes_per_second",
            Self::PublishesPerSecond => "publishes_per_second",
            Self::BytesPerSecond => "bytes_per_second",
            Self::Subscriptions => "subscriptions",
            Self::ReadsPerSecond => "reads_per_second",
            Self::WritesPerSecond => "writes_per_second",
            Self::CreateJobPerSecond => "create_job_per_second",
            Self::ControlPlanePerSecond => "control_plane_per_second",
            Self::ActiveJobs => "active_jobs",
            Self::ConcurrentJobs => "concurrent_jobs",
            Self::JobsInDeletion => "jobs_in_deletion",
            Self::JobTemplates => "job_templates",
            Self::RolloutPerMinute => "rollout_per_minute",
            Self::TargetsPerJob => "targets_per_job",
            Self::RegistryCallsPerSecond => "calls_per_second",
        }
    }
}

impl Quotas {
    /// The quota of this name.
    #[must_use]
    pub fn get(&self, name: QuotaName) -> Quota {
        match name {
            QuotaName::ConnectsPerSecond => self.connects_per_second,
            QuotaName::ConnectsPerSecondPerClientId => self.connects_per_second_per_client_id,
            QuotaName::Connections => self.connections,
            QuotaName::InboundPublishesPerSecond => self.inbound_publishes_per_second,
            QuotaName::OutboundPublishesPerSecond => self.outbound_publishes_per_second,
            QuotaName::SubscribesPerSecond => self.subscribes_per_second,
            QuotaName::PublishesPerSecond => self.publishes_per_second,
            QuotaName::BytesPerSecond => self.bytes_per_second,
            QuotaName::Subscriptions => self.subscriptions,
            QuotaName::ReadsPerSecond => self.reads_per_second,
            QuotaName::WritesPerSecond => self.writes_per_second,
            QuotaName::CreateJobPerSecond => self.create_job_per_second,
            QuotaName::ControlPlanePerSecond => self.control_plane_per_second,
            QuotaName::ActiveJobs => self.active_jobs,
            QuotaName::ConcurrentJobs => self.concurrent_jobs,
            QuotaName::JobsInDeletion => self.jobs_in_deletion,
            QuotaName::JobTemplates => self.job_templates,
            QuotaName::RolloutPerMinute => self.rollout_per_minute,
            QuotaName::TargetsPerJob => self.targets_per_job,
            QuotaName::RegistryCallsPerSecond => self.registry_calls_per_second,
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, name: QuotaName) -> &mut Quota {
        match name {
            QuotaName::ConnectsPerSecond => &mut self.connects_per_second,
            QuotaName::ConnectsPerSecondPerClientId => &mut self.connects_per_second_per_client_id,
            QuotaName::Connections => &mut self.connections,
            QuotaName::InboundPublishesPerSecond => &mut self.inbound_publishes_per_second,
            QuotaName::OutboundPublishesPerSecond => &mut self.outbound_publishes_per_second,
            QuotaName::SubscribesPerSecond => &mut self.subscribes_per_second,
            QuotaName::PublishesPerSecond => &mut self.publishes_per_second,
            QuotaName::BytesPerSecond => &mut self.bytes_per_second,
            QuotaName::Subscriptions => &mut self.subscriptions,
            QuotaName::ReadsPerSecond => &mut self.reads_per_second,
            QuotaName::WritesPerSecond => &mut self.writes_per_second,
            QuotaName::CreateJobPerSecond => &mut self.create_job_per_second,
            QuotaName::ControlPlanePerSecond => &mut self.control_plane_per_second,
            QuotaName::ActiveJobs => &mut self.active_jobs,
            QuotaName::ConcurrentJobs => &mut self.concurrent_jobs,
            QuotaName::JobsInDeletion => &mut self.jobs_in_deletion,
            QuotaName::JobTemplates => &mut self.job_templates,
            QuotaName::RolloutPerMinute => &mut self.rollout_per_minute,
            QuotaName::TargetsPerJob => &mut self.targets_per_job,
            QuotaName::RegistryCallsPerSecond => &mut self.registry_calls_per_second,
        }
    }
}
