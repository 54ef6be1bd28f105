//! The object store of the endpoint: files below `DIR/objects/{bucket}/{key}`, behind presigned URLs (PROTOCOL 17.1). It stands
//! in for S3, so that job documents can name firmware to fetch and logs to put.

use aws_signing::presign;
use aws_signing::sigv4::AccessKey;
use iot_jobs::wire::control::REGION;
use iot_jobs::wire::placeholder::{self, ObjectRef, Purpose, STORE_PATH};
use iot_jobs::{ControlError, limits};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

const BUCKET_CHARS_MAX: usize = 63;
const KEY_BYTES_MAX: usize = 1_024;
/// Where uploads grow. No bucket has a name like this.
const UPLOADS: &str = ".uploads";
/// What stands in an object's URL as it is: unreserved characters, and the slash between the parts of a key.
const PATH_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

pub(super) struct Objects {
    dir: PathBuf,
    /// `https://host:port` of the listener that serves objects.
    origin: String,
    key: AccessKey,
    /// What a signature adds to a URL, apart from the digits of its life.
    signature_bytes: OnceLock<usize>,
}

/// The life of the URL by which [`Objects::signature_bytes`] is measured.
const SIGNED_FOR: Duration = Duration::from_secs(60);

fn seconds_digits(duration: Duration) -> usize {
    duration.as_secs().to_string().len()
}

impl Objects {
    pub(super) fn new(dir: &Path, origin: String, key: AccessKey) -> Self {
        Self { dir: dir.join(STORE_PATH), origin, key, signature_bytes: OnceLock::new() }
    }

    pub(super) fn key(&self) -> &AccessKey {
        &self.key
    }

    /// A URL that is good for one purpose and one object, for a while. `None` for what can be no object's name.
    pub(super) fn presign(&self, purpose: Purpose, object: ObjectRef<'_>, at: SystemTime, expires_in: Duration) -> Option<String> {
        let url = self.url(object)?;
        let signed = presign::presign(purpose.method(), &url, &self.key, REGION, at, expires_in);
        signed.map_err(|error| tracing::warn!(%url, %error, "a placeholder stays")).ok()
    }

    /// A text as long as what [`Self::presign`] gives, for less work.
    pub(super) fn presign_for_length(&self, purpose: Purpose, object: ObjectRef<'_>, expires_in: Duration) -> Option<String> {
        let url = self.url(object)?;
        // What a signature adds depends on its key and its life, not on what is signed.
        let signature = self.signature_bytes.get_or_init(|| {
            let signed = presign::presign(purpose.method(), &url, &self.key, REGION, SystemTime::UNIX_EPOCH, SIGNED_FOR);
            signed.map_or(0, |signed| signed.len() - url.len() - seconds_digits(SIGNED_FOR))
        });
        Some(url + &"x".repeat(signature + seconds_digits(expires_in)))
    }

    /// The URL of an object, unsigned.
    fn url(&self, object: ObjectRef<'_>) -> Option<String> {
        // The URL in a document may be encoded already, the one that is signed is encoded once.
        let key = percent_decode_str(object.key).decode_utf8().ok()?;
        self.path(object.bucket, &key)?;
        Some(format!("{}/{STORE_PATH}/{}/{}", self.origin, object.bucket, utf8_percent_encode(&key, PATH_UNRESERVED)))
    }

    /// The file of an object. `None` for what can be no object's name: nothing outside of the store has one.
    pub(super) fn path(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        self.bucket(bucket).filter(|_| is_key(key)).map(|bucket| bucket.join(key))
    }

    /// The folder of a bucket. `None` for what can be no bucket's name.
    pub(super) fn bucket(&self, bucket: &str) -> Option<PathBuf> {
        is_bucket(bucket).then(|| self.dir.join(bucket))
    }

    pub(super) fn has_bucket(&self, bucket: &str) -> bool {
        self.dir.join(bucket).is_dir()
    }

    /// The folder in which uploads grow, until they are whole.
    pub(super) fn uploads(&self) -> PathBuf {
        self.dir.join(UPLOADS)
    }

    /// The document that a job's `documentSource` names.
    ///
    /// # Errors
    /// `InvalidRequest` when the source is no object's URL, or its object cannot be read or is too large.
    pub(super) fn read_document(&self, source: &str) -> Result<String, ControlError> {
        let refuse = |why: String| ControlError::InvalidRequest(format!("documentSource {source}: {why}"));
        let object = placeholder::source(source).ok_or_else(|| {
            refuse("it is no https://s3.REGION.amazonaws.com/BUCKET/KEY nor https://BUCKET.s3.REGION.amazonaws.com/KEY".into())
        })?;
        let key = percent_decode_str(object.key).decode_utf8().map_err(|_| refuse("its key is no UTF-8".into()))?;
        let path = self.path(object.bucket, &key).ok_or_else(|| refuse("no object has such a name".into()))?;
        let mut document = String::new();
        let mut read = || File::open(&path)?.take(limits::DOCUMENT_BYTES_MAX as u64 + 1).read_to_string(&mut document);
        read().map_err(|error: io::Error| refuse(format!("{}: {error}", path.display())))?;
        if document.len() > limits::DOCUMENT_BYTES_MAX {
            return Err(refuse(format!("a job document may have at most {} bytes", limits::DOCUMENT_BYTES_MAX)));
        }
        Ok(document)
    }
}

/// Whether an object can have this name.
pub(super) fn is_name(object: ObjectRef<'_>) -> bool {
    is_bucket(object.bucket) && percent_decode_str(object.key).decode_utf8().is_ok_and(|key| is_key(&key))
}

fn is_bucket(text: &str) -> bool {
    text.len() <= BUCKET_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn is_key(text: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    text.len() <= KEY_BYTES_MAX && text.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &Path) -> Objects {
        Objects::new(dir, "https://127.0.0.1:1".into(), AccessKey::lasting("a", "s"))
    }

    #[test]
    fn no_name_leads_out_of_the_store() {
        let store = store(Path::new("/d"));
        assert_eq!(store.path("my.bucket-1", "a/b c.bin"), Some("/d/objects/my.bucket-1/a/b c.bin".into()));
        for (bucket, key) in [
            ("b", ""),
            ("b", "/etc/passwd"),
            ("b", "a//b"),
            ("b", "../x"),
            ("b", "a/../../x"),
            ("b", "."),
            ("b", "a/"),
            ("b", "a\0"),
            ("..", "x"),
            ("", "x"),
            (".uploads", "x"),
            ("a/b", "x"),
            (&*"b".repeat(64), "x"),
            ("b", &*"k".repeat(1_025)),
        ] {
            assert_eq!(store.path(bucket, key), None, "{bucket:?} {key:?}");
        }
    }

    #[test]
    fn a_document_is_read_by_its_url_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        std::fs::create_dir_all(dir.path().join("objects/b/a b")).unwrap();
        std::fs::write(dir.path().join("objects/b/a b/doc.json"), r#"{"v":1}"#).unwrap();
        std::fs::write(dir.path().join("objects/b/long"), "x".repeat(32_769)).unwrap();
        for url in [
            "https://s3.us-east-1.amazonaws.com/b/a%20b/doc.json",
            "https://b.s3.us-east-1.amazonaws.com/a%20b/doc.json",
            "${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b/a%20b/doc.json}",
        ] {
            assert_eq!(store.read_document(url), Ok(r#"{"v":1}"#.into()));
        }
        for (url, word) in [
            ("https://s3.us-east-1.amazonaws.com/b/none", "No such file"),
            ("https://s3.us-east-1.amazonaws.com/b/%2E%2E/%2E%2E/ca.key.pem", "no object"),
            ("https://s3.us-east-1.amazonaws.com/b/long", "32768"),
            ("http://example.com/doc", "https://s3.REGION"),
        ] {
            let error = store.read_document(url).unwrap_err();
            assert!(error.message().contains(word), "{error}");
        }
    }
}
