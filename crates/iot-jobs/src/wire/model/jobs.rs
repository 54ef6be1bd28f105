//! Operations on jobs and their executions; each has a rate of its own (PROTOCOL 11.1 and 15.3).

use super::Operation;
use super::shapes::{
    ABORT, DOCUMENT, DOCUMENT_SOURCE, FLAG, GROUP_ID, JOB_ID, NAME, NAMESPACE_ID, NUMBER, PARAMETERS, PRESIGNED_URL, PROSE,
    REASON_CODE, RETRY, ROLLOUT, SCHEDULING, STATUS_DETAILS, TAGS, TARGETS, TEMPLATE_ARN, TIMEOUT, WORD, optional, path, query,
    required,
};

/// Those of jobs.
pub static OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateJob",
        method: "PUT",
        path: "/jobs/{jobId}",
        members: &[
            path("jobId", &JOB_ID),
            required("targets", &TARGETS),
            optional("documentSource", &DOCUMENT_SOURCE),
            optional("document", &DOCUMENT),
            optional("description", &PROSE),
            optional("presignedUrlConfig", &PRESIGNED_URL),
            optional("targetSelection", &WORD),
            optional("jobExecutionsRolloutConfig", &ROLLOUT),
            optional("abortConfig", &ABORT),
            optional("timeoutConfig", &TIMEOUT),
            optional("jobExecutionsRetryConfig", &RETRY),
            optional("schedulingConfig", &SCHEDULING),
            optional("tags", &TAGS),
            optional("namespaceId", &NAMESPACE_ID),
            optional("jobTemplateArn", &TEMPLATE_ARN),
            optional("documentParameters", &PARAMETERS),
        ],
    },
    Operation {
        name: "DescribeJob",
        method: "GET",
        path: "/jobs/{jobId}",
        members: &[path("jobId", &JOB_ID), query("beforeSubstitution", &FLAG)],
    },
    Operation {
        name: "UpdateJob",
        method: "PATCH",
        path: "/jobs/{jobId}",
        members: &[
            path("jobId", &JOB_ID),
            query("namespaceId", &NAMESPACE_ID),
            optional("description", &PROSE),
            optional("presignedUrlConfig", &PRESIGNED_URL),
            optional("jobExecutionsRolloutConfig", &ROLLOUT),
            optional("abortConfig", &ABORT),
            optional("timeoutConfig", &TIMEOUT),
            optional("jobExecutionsRetryConfig", &RETRY),
        ],
    },
    Operation {
        name: "DeleteJob",
        method: "DELETE",
        path: "/jobs/{jobId}",
        members: &[path("jobId", &JOB_ID), query("force", &FLAG), query("namespaceId", &NAMESPACE_ID)],
    },
    Operation {
        name: "CancelJob",
        method: "PUT",
        path: "/jobs/{jobId}/cancel",
        members: &[
            path("jobId", &JOB_ID),
            optional("reasonCode", &REASON_CODE),
            optional("comment", &PROSE),
            query("force", &FLAG),
        ],
    },
    Operation {
        name: "GetJobDocument",
        method: "GET",
        path: "/jobs/{jobId}/job-document",
        members: &[path("jobId", &JOB_ID), query("beforeSubstitution", &FLAG)],
    },
    Operation {
        name: "AssociateTargetsWithJob",
        method: "POST",
        path: "/jobs/{jobId}/targets",
        members: &[
            path("jobId", &JOB_ID),
            required("targets", &TARGETS),
            optional("comment", &PROSE),
            query("namespaceId", &NAMESPACE_ID),
        ],
    },
    Operation {
        name: "ListJobs",
        method: "GET",
        path: "/jobs",
        members: &[
            query("status", &WORD),
            query("targetSelection", &WORD),
            query("maxResults", &NUMBER),
            query("nextToken", &WORD),
            query("thingGroupName", &NAME),
            query("thingGroupId", &GROUP_ID),
            query("namespaceId", &NAMESPACE_ID),
        ],
    },
    Operation {
        name: "ListJobExecutionsForJob",
        method: "GET",
        path: "/jobs/{jobId}/things",
        members: &[path("jobId", &JOB_ID), query("status", &WORD), query("maxResults", &NUMBER), query("nextToken", &WORD)],
    },
    Operation {
        name: "ListJobExecutionsForThing",
        method: "GET",
        path: "/things/{thingName}/jobs",
        members: &[
            path("thingName", &NAME),
            query("status", &WORD),
            query("maxResults", &NUMBER),
            query("nextToken", &WORD),
            query("jobId", &JOB_ID),
            query("namespaceId", &NAMESPACE_ID),
        ],
    },
    Operation {
        name: "DescribeJobExecution",
        method: "GET",
        path: "/things/{thingName}/jobs/{jobId}",
        members: &[path("thingName", &NAME), path("jobId", &JOB_ID), query("executionNumber", &NUMBER)],
    },
    Operation {
        name: "CancelJobExecution",
        method: "PUT",
        path: "/things/{thingName}/jobs/{jobId}/cancel",
        members: &[
            path("thingName", &NAME),
            path("jobId", &JOB_ID),
            query("force", &FLAG),
            optional("expectedVersion", &NUMBER),
            optional("statusDetails", &STATUS_DETAILS),
        ],
    },
    Operation {
        name: "DeleteJobExecution",
        method: "DELETE",
        path: "/things/{thingName}/jobs/{jobId}/executionNumber/{executionNumber}",
        members: &[
            path("thingName", &NAME),
            path("jobId", &JOB_ID),
            path("executionNumber", &NUMBER),
            query("force", &FLAG),
            query("namespaceId", &NAMESPACE_ID),
        ],
    },
];
