//! Operations on job templates (PROTOCOL-CORE 2.1 and 2.2).

use super::Operation;
use super::shapes::{
    ABORT, DOCUMENT, DOCUMENT_SOURCE, JOB_ID, MANAGED_NAME, MANAGED_VERSION, NUMBER, PRESIGNED_URL, PROSE, RETRY, ROLLOUT, TAGS,
    TIMEOUT, WINDOWS, WORD, optional, path, query, required,
};

/// Those of job templates.
pub static OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateJobTemplate",
        method: "PUT",
        path: "/job-templates/{jobTemplateId}",
        members: &[
            path("jobTemplateId", &JOB_ID),
            required("description", &PROSE),
            optional("jobArn", &WORD),
            optional("documentSource", &DOCUMENT_SOURCE),
            optional("document", &DOCUMENT),
            optional("presignedUrlConfig", &PRESIGNED_URL),
            optional("jobExecutionsRolloutConfig", &ROLLOUT),
            optional("abortConfig", &ABORT),
            optional("timeoutConfig", &TIMEOUT),
            optional("tags", &TAGS),
            optional("jobExecutionsRetryConfig", &RETRY),
            optional("maintenanceWindows", &WINDOWS),
        ],
    },
    Operation {
        name: "DescribeJobTemplate",
        method: "GET",
        path: "/job-templates/{jobTemplateId}",
        members: &[path("jobTemplateId", &JOB_ID)],
    },
    Operation {
        name: "ListJobTemplates",
        method: "GET",
        path: "/job-templates",
        members: &[query("maxResults", &NUMBER), query("nextToken", &WORD)],
    },
    Operation {
        name: "DeleteJobTemplate",
        method: "DELETE",
        path: "/job-templates/{jobTemplateId}",
        members: &[path("jobTemplateId", &JOB_ID)],
    },
    Operation {
        name: "ListManagedJobTemplates",
        method: "GET",
        path: "/managed-job-templates",
        members: &[query("templateName", &MANAGED_NAME), query("maxResults", &NUMBER), query("nextToken", &WORD)],
    },
    Operation {
        name: "DescribeManagedJobTemplate",
        method: "GET",
        path: "/managed-job-templates/{templateName}",
        members: &[path("templateName", &MANAGED_NAME), query("templateVersion", &MANAGED_VERSION)],
    },
];
