//! The numbers of an account and a connection, and which of them a call counts for.

use strum::{EnumCount, VariantArray};

/// A quota; `None` is unlimited.
pub type Quota = Option<u32>;

/// Table and key of the quota file, field of [`Quotas`] and its name in [`QuotaName`].
macro_rules! quotas {
    ($($(#[$doc:meta])* $section:literal $key:literal $field:ident $name:ident,)*) => {
        /// What an account and a connection may do (PROTOCOL 15); what each is about, with unit and source, stands in the endpoint's
        /// `aws-quotas.toml`.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Quotas {
            $($(#[$doc])* pub $field: Quota,)*
        }

        /// The quotas one by one: what a file of them has a key for, and what a fleet can use up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumCount, VariantArray)]
        pub enum QuotaName {
            $($(#[$doc])* $name,)*
        }

        impl QuotaName {
            /// Table of the quota file that it stands in.
            #[must_use]
            pub fn section(self) -> &'static str {
                match self {
                    $(Self::$name => $section,)*
                }
            }

            /// Its key in that table.
            #[must_use]
            pub fn key(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)*
                }
            }
        }

        impl Quotas {
            /// The quota of this name.
            #[must_use]
            pub fn get(&self, name: QuotaName) -> Quota {
                match name {
                    $(QuotaName::$name => self.$field,)*
                }
            }

            /// The same, to be changed.
            pub fn get_mut(&mut self, name: QuotaName) -> &mut Quota {
                match name {
                    $(QuotaName::$name => &mut self.$field,)*
                }
            }
        }
    };
}

quotas! {
    /// CONNECT packets of the account, a second (PROTOCOL 15.1).
    "account" "connects_per_second" connects_per_second ConnectsPerSecond,
    /// CONNECT packets with one client id, a second (PROTOCOL 15.1).
    "account" "connects_per_second_per_client_id" connects_per_second_per_client_id ConnectsPerSecondPerClientId,
    /// Connections of the account at once (PROTOCOL 15.1).
    "account" "connections" connections Connections,
    /// Messages that come in, and those that the service itself sends on reserved topics, a second (PROTOCOL 15.1).
    "account" "inbound_publishes_per_second" inbound_publishes_per_second InboundPublishesPerSecond,
    /// Messages that go out to subscribers, one for each matching subscription, a second (PROTOCOL 15.1).
    "account" "outbound_publishes_per_second" outbound_publishes_per_second OutboundPublishesPerSecond,
    /// Topic filters of the account's SUBSCRIBE packets, a second (PROTOCOL 15.1).
    "account" "subscribes_per_second" subscribes_per_second SubscribesPerSecond,
    /// Messages of one connection, both directions together, a second (PROTOCOL 15.2).
    "connection" "publishes_per_second" publishes_per_second PublishesPerSecond,
    /// Bytes of one connection, both directions together, a second (PROTOCOL 15.2).
    "connection" "bytes_per_second" bytes_per_second BytesPerSecond,
    /// Subscriptions of one connection (PROTOCOL 15.2).
    "connection" "subscriptions" subscriptions Subscriptions,
    /// DescribeJobExecution and GetPendingJobExecutions of the account together, a second (PROTOCOL 15.3).
    "jobs" "reads_per_second" reads_per_second ReadsPerSecond,
    /// StartNextPendingJobExecution and UpdateJobExecution of the account together, a second (PROTOCOL 15.3).
    "jobs" "writes_per_second" writes_per_second WritesPerSecond,
    /// CreateJob, a second (PROTOCOL 15.3).
    "jobs" "create_job_per_second" create_job_per_second CreateJobPerSecond,
    /// Each other operation of the jobs control plane, a second (PROTOCOL 15.3).
    "jobs" "control_plane_per_second" control_plane_per_second ControlPlanePerSecond,
    /// Jobs that are `SCHEDULED` or `IN_PROGRESS` (PROTOCOL-CORE 2.4).
    "jobs" "active_jobs" active_jobs ActiveJobs,
    /// Jobs that are rolled out at once (PROTOCOL-CORE 2.4).
    "jobs" "concurrent_jobs" concurrent_jobs ConcurrentJobs,
    /// Jobs that are `DELETION_IN_PROGRESS` (PROTOCOL 15.3).
    "jobs" "jobs_in_deletion" jobs_in_deletion JobsInDeletion,
    /// Job templates of the account (PROTOCOL-CORE 2.1).
    "jobs" "job_templates" job_templates JobTemplates,
    /// Executions that one job queues, a minute (PROTOCOL 15.3).
    "jobs" "rollout_per_minute" rollout_per_minute RolloutPerMinute,
    /// Targets of one job (PROTOCOL 15.3).
    "jobs" "targets_per_job" targets_per_job TargetsPerJob,
    /// Calls of CreateThing a second, and of AttachThingPrincipal (PROTOCOL-CORE 4.5).
    "registry" "things_per_second" things_per_second ThingsPerSecond,
    /// Calls of AttachPolicy a second, and of DetachPolicy (PROTOCOL-CORE 4.5).
    "registry" "policy_attachments_per_second" policy_attachments_per_second PolicyAttachmentsPerSecond,
    /// Calls a second of each operation that makes or registers a certificate (PROTOCOL-CORE 4.5), but for CreateCertificateFromCsr.
    "registry" "certificates_per_second" certificates_per_second CertificatesPerSecond,
    /// Calls of CreateCertificateFromCsr a second (PROTOCOL-CORE 4.5).
    "registry" "signing_requests_per_second" signing_requests_per_second SigningRequestsPerSecond,
    /// All other calls of the registry together, a second; no source has a number.
    "registry" "calls_per_second" registry_calls_per_second RegistryCallsPerSecond,
}

impl QuotaName {
    /// The rate that a call of an operation of the jobs control plane counts for.
    #[must_use]
    pub fn of_jobs_call(operation: &str) -> Self {
        match operation {
            "CreateJob" => Self::CreateJobPerSecond,
            _ => Self::ControlPlanePerSecond,
        }
    }

    /// The rate that a call of an operation of the registry counts for.
    #[must_use]
    pub fn of_registry_call(operation: &str) -> Self {
        match operation {
            "CreateThing" | "AttachThingPrincipal" => Self::ThingsPerSecond,
            "AttachPolicy" | "DetachPolicy" => Self::PolicyAttachmentsPerSecond,
            "CreateKeysAndCertificate" | "RegisterCertificate" | "RegisterCertificateWithoutCA" => Self::CertificatesPerSecond,
            "CreateCertificateFromCsr" => Self::SigningRequestsPerSecond,
            _ => Self::RegistryCallsPerSecond,
        }
    }
}
