//! Files of rollouts: made from the seed, signed, put into the object store, and named by the documents of their jobs
//! (PROTOCOL 17.2).

use crate::aws::upload::{ObjectStore, UploadError};
use crate::scenario::plan::{ArtifactPlan, Plan, RolloutPlan, Tamper};
use bytes::Bytes;
use iot_jobs::wire::codesign::{self, Signed};
use iot_jobs::wire::control::REGION;
use iot_jobs::wire::signature::{FileHash, FileSigner, SignerKey};
use iot_jobs::{JobDocument, JobId};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};
use sim_units::seed::{self, Purpose};
use std::collections::BTreeMap;

const BUCKET: &str = "fleetsim-artifacts";
/// Made at once.
const CHUNK_BYTES: u64 = 64 * 1024;

/// What the things need to know, and the jobs to say, of the files of a run.
pub(in crate::run) struct Artifacts {
    /// Documents of the jobs that have a file, by the places of their rollouts.
    pub documents: BTreeMap<usize, JobDocument>,
    /// Whose signatures count.
    pub signer: SignerKey,
}

/// Makes, signs and puts the files of all rollouts.
///
/// # Errors
/// When the store does not take one.
pub(in crate::run) async fn publish(plan: &Plan, store: &ObjectStore) -> Result<Artifacts, UploadError> {
    let signer = FileSigner::generate(&mut rand::rng());
    let mut documents = BTreeMap::new();
    let with_artifact = plan.rollouts.iter().enumerate();
    let with_artifact: Vec<_> = with_artifact.filter_map(|(n, rollout)| Some((n, rollout, rollout.artifact.as_ref()?))).collect();
    if !with_artifact.is_empty() {
        store.create_bucket(BUCKET).await?;
    }
    for (place, rollout, artifact) in with_artifact {
        // One file for all jobs of a series, under the name of the first.
        let job = &rollout.jobs[0];
        let signed = artifact.sign.then(|| sign(plan.seed, job, artifact, &signer));
        let key = format!("{job}.bin");
        let content = Content::uploaded(plan.seed, job, artifact);
        store.put_object(BUCKET, &key, content.left, content).await?;
        documents.insert(place, document(rollout, &key, signed.as_ref()));
    }
    Ok(Artifacts { documents, signer: signer.public() })
}

fn sign(seed: u64, job: &JobId, artifact: &ArtifactPlan, signer: &FileSigner) -> Signed {
    let mut hash = FileHash::default();
    Content::whole(seed, job, artifact.bytes).for_each(|chunk| hash.update(&chunk));
    let digest = hash.finish();
    let signature = match artifact.tamper {
        Some(Tamper::Key) => FileSigner::generate(&mut rand::rng()).sign(&digest),
        Some(Tamper::Content | Tamper::Length) | None => signer.sign(&digest),
    };
    Signed { bytes: artifact.bytes, signature }
}

/// The rollout's document, which is a table, and what names the file.
fn document(rollout: &RolloutPlan, key: &str, signed: Option<&Signed>) -> JobDocument {
    let mut members: Map<String, Value> = serde_json::from_str(rollout.document.as_json()).unwrap_or_default();
    members.extend(codesign::members(BUCKET, key, REGION, signed));
    JobDocument::from_valid_json(&Value::Object(members).to_string())
}

/// The bytes of a file, a function of seed and job, in pieces.
struct Content {
    rng: ChaCha8Rng,
    left: u64,
    /// The first byte is another one than was signed.
    is_corrupted: bool,
}

impl Content {
    fn whole(seed: u64, job: &JobId, bytes: u64) -> Self {
        let rng = seed::rng(seed, 0, Purpose::Artifact, seed::digest(job.as_str()));
        Self { rng, left: bytes, is_corrupted: false }
    }

    /// What goes into the store.
    fn uploaded(seed: u64, job: &JobId, artifact: &ArtifactPlan) -> Self {
        let whole = Self::whole(seed, job, artifact.bytes);
        match artifact.tamper {
            Some(Tamper::Content) => Self { is_corrupted: true, ..whole },
            Some(Tamper::Length) => Self { left: whole.left - 1, ..whole },
            Some(Tamper::Key) | None => whole,
        }
    }
}

impl Iterator for Content {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut chunk = vec![0; self.left.min(CHUNK_BYTES) as usize];
        self.rng.fill_bytes(&mut chunk);
        if std::mem::take(&mut self.is_corrupted) {
            chunk[0] ^= 1;
        }
        self.left -= chunk.len() as u64;
        Some(chunk.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(content: Content) -> Vec<u8> {
        content.flat_map(|chunk| chunk.to_vec()).collect()
    }

    #[test]
    fn a_file_is_a_function_of_seed_and_job() {
        let (a, b) = (JobId::new("a").unwrap(), JobId::new("b").unwrap());
        let whole = bytes(Content::whole(1, &a, 100_000));
        assert_eq!((whole.len(), &whole), (100_000, &bytes(Content::whole(1, &a, 100_000))));
        assert_ne!(whole, bytes(Content::whole(1, &b, 100_000)));
        assert_ne!(whole, bytes(Content::whole(2, &a, 100_000)));
    }

    #[test]
    fn what_is_tampered_with_differs_as_it_should() {
        let (job, signer) = (JobId::new("a").unwrap(), FileSigner::generate(&mut rand::rng()));
        let check = |tamper| {
            let artifact = ArtifactPlan { bytes: 70_000, sign: true, bandwidth: None, tamper };
            let (signed, mut hash) = (sign(1, &job, &artifact, &signer), FileHash::default());
            let content = bytes(Content::uploaded(1, &job, &artifact));
            hash.update(&content);
            (signed.bytes == content.len() as u64, signer.public().verifies(&hash.finish(), &signed.signature))
        };
        assert_eq!(check(None), (true, true));
        assert_eq!(check(Some(Tamper::Content)), (true, false));
        assert_eq!(check(Some(Tamper::Key)), (true, false));
        assert_eq!(check(Some(Tamper::Length)), (false, false));
    }
}
