//! Operations on CA certificates, and on the certificates that they have signed (PROTOCOL-CORE 1.13 and 4.4).

use super::Operation;
use super::shapes::{
    CERTIFICATE, CERTIFICATE_ID, FLAG, MARKER, NUMBER, PROVISIONING_TEMPLATE, TAGS, WORD, optional, path, query, required,
};

/// Those of CA certificates.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "RegisterCACertificate",
        method: "POST",
        path: "/cacertificate",
        members: &[
            required("caCertificate", &CERTIFICATE),
            optional("verificationCertificate", &CERTIFICATE),
            query("setAsActive", &FLAG),
            query("allowAutoRegistration", &FLAG),
            optional("tags", &TAGS),
            optional("certificateMode", &WORD),
        ],
    },
    Operation { name: "GetRegistrationCode", method: "GET", path: "/registrationcode", members: &[] },
    Operation { name: "DeleteRegistrationCode", method: "DELETE", path: "/registrationcode", members: &[] },
    Operation {
        name: "ListCACertificates",
        method: "GET",
        path: "/cacertificates",
        members: &[
            query("pageSize", &NUMBER),
            query("marker", &MARKER),
            query("isAscendingOrder", &FLAG),
            query("templateName", &PROVISIONING_TEMPLATE),
        ],
    },
    Operation {
        name: "DescribeCACertificate",
        method: "GET",
        path: "/cacertificate/{caCertificateId}",
        members: &[path("caCertificateId", &CERTIFICATE_ID)],
    },
    Operation {
        name: "UpdateCACertificate",
        method: "PUT",
        path: "/cacertificate/{caCertificateId}",
        members: &[
            path("caCertificateId", &CERTIFICATE_ID),
            query("newStatus", &WORD),
            query("newAutoRegistrationStatus", &WORD),
            optional("removeAutoRegistration", &FLAG),
        ],
    },
    Operation {
        name: "DeleteCACertificate",
        method: "DELETE",
        path: "/cacertificate/{caCertificateId}",
        members: &[path("caCertificateId", &CERTIFICATE_ID)],
    },
    Operation {
        name: "ListCertificatesByCA",
        method: "GET",
        path: "/certificates-by-ca/{caCertificateId}",
        members: &[
            path("caCertificateId", &CERTIFICATE_ID),
            query("pageSize", &NUMBER),
            query("marker", &MARKER),
            query("isAscendingOrder", &FLAG),
        ],
    },
    Operation {
        name: "RegisterCertificate",
        method: "POST",
        path: "/certificate/register",
        members: &[
            required("certificatePem", &CERTIFICATE),
            optional("caCertificatePem", &CERTIFICATE),
            query("setAsActive", &FLAG),
            optional("status", &WORD),
        ],
    },
];
