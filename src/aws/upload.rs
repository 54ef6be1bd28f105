//! Puts objects into the object store of the local endpoint, through its public API: presigned URLs, as with S3.

use super::server::Server;
use aws_signing::presign::presign;
use aws_signing::request;
use aws_signing::sigv4::{AccessKey, SignError};
use futures_util::stream;
use http::Request;
use http::header::{CONTENT_LENGTH, HOST};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use iot_jobs::wire::control::REGION;
use iot_jobs::wire::placeholder::STORE_PATH;
use std::convert::Infallible;
use std::time::Duration;

/// Of one upload, and what its bytes take at the slowest rate that is waited for.
const GRACE: Duration = Duration::from_secs(10);
const SLOWEST_BYTES_PER_S: u64 = 1 << 20;
/// How long a signed URL of ours lives.
const URL_LIFETIME: Duration = Duration::from_secs(3_600);

/// An object that could not be put.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("sign the URL of an object: {0}")]
    Sign(#[from] SignError),
    #[error("put {path}: {why}")]
    Broken { path: String, why: String },
    #[error("put {path}: no answer within {} s", .limit.as_secs())]
    Timeout { path: String, limit: Duration },
    #[error("put {path}: {status} {body}")]
    Refused { path: String, status: u16, body: String },
}

/// The object store's client.
pub struct ObjectStore {
    pub server: Server,
    pub key: AccessKey,
}

impl ObjectStore {
    /// Creating a bucket again is fine.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), UploadError> {
        self.put(format!("/{STORE_PATH}/{bucket}"), 0, std::iter::empty()).await
    }

    /// Puts `bytes` bytes, which come in pieces, in place of what was there. The name must need no escapes in a URL.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        bytes: u64,
        content: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Result<(), UploadError> {
        self.put(format!("/{STORE_PATH}/{bucket}/{key}"), bytes, content).await
    }

    async fn put(
        &self,
        path: String,
        bytes: u64,
        content: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Result<(), UploadError> {
        let limit = GRACE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_S);
        let put = tokio::time::timeout(limit, self.put_once(&path, bytes, content)).await;
        put.unwrap_or(Err(UploadError::Timeout { path, limit }))
    }

    async fn put_once(
        &self,
        path: &str,
        bytes: u64,
        content: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Result<(), UploadError> {
        let broken = |why: &dyn std::fmt::Display| UploadError::Broken { path: path.to_owned(), why: why.to_string() };
        let at = request::now();
        let origin = format!("https://{}", self.server.authority);
        let url = presign("PUT", &format!("{origin}{path}"), &self.key, REGION, at, URL_LIFETIME)?;
        let target = url.strip_prefix(&origin).unwrap_or(&url);
        let body = StreamBody::new(stream::iter(content.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)))));
        let request = Request::put(target).header(HOST, &self.server.authority).header(CONTENT_LENGTH, bytes);
        let request = request.body(body).map_err(|error| broken(&error))?;
        let mut sender = self.server.connect().await.map_err(|error| broken(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| broken(&error))?.to_bytes();
        if head.status.is_success() {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Err(UploadError::Refused { path: path.to_owned(), status: head.status.as_u16(), body })
    }
}
