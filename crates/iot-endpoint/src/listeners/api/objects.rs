//! Objects by presigned URL: GET, whole or a range, and PUT; and PUT of a bucket, which creates it. Errors in the XML of S3.

use super::{Body, decode_percent, full};
use crate::listeners::http::{BODY_TIMEOUT, S3_REQUEST_ID, new_request_id};
use crate::objects::Objects;
use aws_signing::presign;
use futures_util::TryStreamExt as _;
use host::clock;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RANGE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use iot_jobs::wire::control::REGION;
use iot_jobs::wire::placeholder::STORE_PATH;
use rand::RngExt as _;
use std::io::{self, SeekFrom};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

/// An uploaded object; S3 has 5 GB.
const OBJECT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The other id that clients of S3 report with [`S3_REQUEST_ID`]: there, the server that answered.
const S3_HOST_ID: &str = "x-amz-id-2";
const HOST_ID: &str = "fleetsim";
/// Read from a file at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A refusal in the names of S3.
struct Refused {
    status: u16,
    code: &'static str,
    message: String,
}

impl Refused {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A name that clashes with another one, or a disk that does not do what it should.
    fn io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => no_such_key(),
            io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
                Self::new(400, "InvalidRequest", "an object cannot have the name of a folder of others here")
            }
            _ => Self::new(500, "InternalError", format!("the object could not be read or written: {error}")),
        }
    }
}

fn no_such_key() -> Refused {
    Refused::new(404, "NoSuchKey", "The specified key does not exist.")
}

/// Whether a request is for an object.
pub(super) fn is_object(path: &str) -> bool {
    path.strip_prefix('/').and_then(|path| path.strip_prefix(STORE_PATH)).is_some_and(|rest| rest.starts_with('/'))
}

/// The answer; `on_verified` hears that the request is signed as it should be.
pub(super) async fn answer(request: Request<Incoming>, objects: Option<&Objects>, on_verified: impl FnOnce()) -> Response<Body> {
    let (id, resource) = (new_request_id(), request.uri().path().to_owned());
    let result = match objects {
        Some(objects) => handle(request, objects, on_verified).await,
        None => Err(Refused::new(503, "ServiceUnavailable", "the endpoint is still starting")),
    };
    let mut response = result.unwrap_or_else(|refused| {
        let mut response = Response::new(full(error_body(&refused, &resource, &id)));
        *response.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response
    });
    let headers = response.headers_mut();
    headers.extend(HeaderValue::try_from(id).map(|id| (HeaderName::from_static(S3_REQUEST_ID), id)));
    headers.insert(S3_HOST_ID, HeaderValue::from_static(HOST_ID));
    response
}

fn error_body(refused: &Refused, resource: &str, id: &str) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let Refused { code, message, .. } = refused;
    let (message, resource) = (escape(message), escape(resource));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <Resource>{resource}</Resource><RequestId>{id}</RequestId><HostId>{HOST_ID}</HostId></Error>"
    )
}

async fn handle(request: Request<Incoming>, objects: &Objects, on_verified: impl FnOnce()) -> Result<Response<Body>, Refused> {
    let (head, body) = request.into_parts();
    let now = UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs());
    presign::verify(head.method.as_str(), &head.uri, &head.headers, objects.key(), REGION, now).map_err(|refusal| {
        let (status, code) = refusal.code();
        Refused::new(status, code, refusal.to_string())
    })?;
    on_verified();
    let path = decode_percent(head.uri.path());
    let name = path.splitn(3, '/').nth(2).ok_or_else(no_such_key)?;
    let Some((bucket, key)) = name.split_once('/') else { return bucket_operation(head.method.as_str(), name, objects).await };
    let file = objects.path(bucket, key).ok_or_else(|| Refused::new(400, "InvalidURI", "no object has such a name"))?;
    if !objects.has_bucket(bucket) {
        return Err(Refused::new(404, "NoSuchBucket", "The specified bucket does not exist"));
    }
    match head.method.as_str() {
        "GET" => get(&file, &head.headers).await,
        "PUT" => put(&file, &head.headers, body, objects).await,
        _ => Err(Refused::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")),
    }
}

/// CreateBucket; one that is there is its owner's, and that is fine.
async fn bucket_operation(method: &str, bucket: &str, objects: &Objects) -> Result<Response<Body>, Refused> {
    if method != "PUT" {
        return Err(Refused::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource."));
    }
    let dir = objects.bucket(bucket);
    let dir = dir.ok_or_else(|| Refused::new(400, "InvalidBucketName", "The specified bucket is not valid."))?;
    fs::create_dir_all(dir).await.map_err(|error| Refused::io(&error))?;
    Ok(Response::new(full(Bytes::new())))
}

async fn get(path: &Path, headers: &HeaderMap) -> Result<Response<Body>, Refused> {
    let mut file = File::open(path).await.map_err(|error| Refused::io(&error))?;
    let metadata = file.metadata().await.map_err(|error| Refused::io(&error))?;
    if !metadata.is_file() {
        return Err(no_such_key());
    }
    let size = metadata.len();
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok()).and_then(|text| parse_range(text, size));
    let (first, length) = match range {
        Some(Some((first, last))) => (first, last + 1 - first),
        Some(None) => return Err(Refused::new(416, "InvalidRange", "The requested range is not satisfiable")),
        None => (0, size),
    };
    file.seek(SeekFrom::Start(first)).await.map_err(|error| Refused::io(&error))?;
    let chunks = ReaderStream::with_capacity(file.take(length), CHUNK_BYTES);
    let mut response = Response::new(StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync());
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {first}-{}/{size}", first + length - 1);
        response.headers_mut().extend(HeaderValue::from_str(&text).map(|value| (CONTENT_RANGE, value)));
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(response)
}

/// First and last byte of a `Range`. `Some(None)`: nothing of the object is in it. `None`: all is wanted, or several ranges, which
/// S3 does not give either.
fn parse_range(text: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", last) => {
            let length: u64 = last.parse().ok()?;
            if length == 0 {
                return Some(None);
            }
            (size.saturating_sub(length), u64::MAX)
        }
        (first, "") => (first.parse().ok()?, u64::MAX),
        (first, last) => (first.parse().ok()?, last.parse().ok().filter(|last| *last >= first.parse().unwrap_or(u64::MAX))?),
    };
    Some((first < size).then(|| (first, last.min(size - 1))))
}

/// The object appears when it is whole.
async fn put(path: &Path, headers: &HeaderMap, body: Incoming, objects: &Objects) -> Result<Response<Body>, Refused> {
    let too_large = || Refused::new(400, "EntityTooLarge", format!("an object may have at most {OBJECT_BYTES_MAX} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > OBJECT_BYTES_MAX) {
        return Err(too_large());
    }
    let uploads = objects.uploads();
    fs::create_dir_all(&uploads).await.map_err(|error| Refused::io(&error))?;
    let aside = uploads.join(format!("{:032x}", rand::rng().random::<u128>()));
    let result = match receive(&aside, body).await {
        Ok(true) => publish(&aside, path).await.map_err(|error| Refused::io(&error)),
        Ok(false) => Err(too_large()),
        Err(refused) => Err(refused),
    };
    if result.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&aside).await;
    }
    result.map(|()| Response::new(full(Bytes::new())))
}

/// Writes what comes. Says whether it was not too much.
async fn receive(path: &Path, mut body: Incoming) -> Result<bool, Refused> {
    let mut file = File::create_new(path).await.map_err(|error| Refused::io(&error))?;
    let mut bytes = 0;
    loop {
        let frame = match tokio::time::timeout(BODY_TIMEOUT, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Refused::new(400, "IncompleteBody", "the body could not be read")),
            Err(_elapsed) => return Err(Refused::new(400, "RequestTimeout", "the body did not go on in time")),
        };
        let Ok(data) = frame.into_data() else { continue };
        bytes += data.len() as u64;
        if bytes > OBJECT_BYTES_MAX {
            return Ok(false);
        }
        file.write_all(&data).await.map_err(|error| Refused::io(&error))?;
    }
    file.sync_all().await.map_err(|error| Refused::io(&error))?;
    Ok(true)
}

async fn publish(aside: &Path, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).await?;
    }
    fs::rename(aside, path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_one_and_within() {
        for (text, expected) in [
            ("bytes=0-3", Some(Some((0, 3)))),
            ("bytes=4-", Some(Some((4, 9)))),
            ("bytes=-3", Some(Some((7, 9)))),
            ("bytes=-30", Some(Some((0, 9)))),
            ("bytes=8-30", Some(Some((8, 9)))),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Some(None));
    }
}
