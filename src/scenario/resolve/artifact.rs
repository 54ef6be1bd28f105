//! `artifact` of a `[[rollout]]`: the file that its things are to fetch.

use super::super::plan::{ArtifactPlan, TargetPlan};
use config_text::{Code, Reader};
use iot_jobs::{JobDocument, limits};
use sim_units::text;

/// As much as a thing has room for.
const BYTES_MAX: i64 = 1 << 30;
/// The members that name the file.
const MEMBERS: [&str; 2] = ["presign", "codesign"];
/// What they may take of the document, at most.
const MEMBERS_BYTES: usize = 768;

pub(super) fn artifact(rollout: &Reader<'_>, target: &TargetPlan, document: &JobDocument) -> Option<ArtifactPlan> {
    let reader = rollout.table((
        "artifact",
        "a file that the run makes, signs and serves, for the job's things to download; local endpoint only",
    ))?;
    if !matches!(target, TargetPlan::Emulator(_)) {
        let help = "upload it yourself, and name it in the document: presign = \"${aws:iot:s3-presigned-url:...}\"";
        reader.conflict(&reader.place, "an artifact is put into the object store of the local endpoint, kind = \"emulator\"", help);
    }
    let bytes = reader.integer(("bytes", "its length in bytes"), 1..=BYTES_MAX);
    if bytes.is_none() && !reader.has("bytes") {
        reader.missing("bytes", "how long the file is, as in bytes = 262_144");
    }
    let sign = reader.boolean(("sign", "whether it is signed")).is_none_or(|sign| sign.value);
    let bandwidth = reader
        .with(
            ("bandwidth", "how fast each thing downloads at most; by default as fast as it can"),
            "a rate such as \"1 MB/s\"",
            text::byte_rate,
        )
        .map(|bandwidth| bandwidth.value);
    let tamper = reader.variant(("tamper", "a fault on purpose: a byte is changed, the end is missing, or another key signed it"));
    if let Some(tamper) = tamper.as_ref().filter(|_| !sign) {
        reader.conflict(
            &tamper.place,
            "the file is not signed, so that nothing could detect it",
            "leave out sign = false, or tamper",
        );
    }
    check_document(rollout, document);
    reader.finish();
    Some(ArtifactPlan { bytes: bytes?.value as u64, sign, bandwidth, tamper: tamper.map(|tamper| tamper.value) })
}

/// There must be room for what names the file.
fn check_document(rollout: &Reader<'_>, document: &JobDocument) {
    let text = document.as_json();
    let place = rollout.place_of("document");
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    if let Some(member) = MEMBERS.into_iter().find(|member| members.contains_key(*member)) {
        rollout.conflict(
            &place,
            format!("document.{member} is written by artifact"),
            "leave it out of the document, or artifact out",
        );
    }
    let room = limits::DOCUMENT_BYTES_MAX - MEMBERS_BYTES;
    if (room + 1..=limits::DOCUMENT_BYTES_MAX).contains(&text.len()) {
        let message = format!("with an artifact a document may have {room} bytes as JSON, this has {}", text.len());
        rollout.gathered.push(Code::OutOfRange, &place, message, None);
    }
}
