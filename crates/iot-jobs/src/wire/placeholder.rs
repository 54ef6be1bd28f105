//! Placeholders in job documents that stand for presigned URLs, and the URLs of objects (PROTOCOL 17.1).

use crate::document::PLACEHOLDER_MARK as MARK;
use crate::limits;
use std::borrow::Cow;

/// First segment of the path of every object's URL, where the endpoint has objects.
pub const STORE_PATH: &str = "objects";
/// What stands for a URL to read from. `-v2` is an encoding that this endpoint has in both.
const READ: [&str; 2] = [READ_V1, "s3-presigned-url-v2:"];
/// The one that older texts of the guide know, with nothing but `{bucket}/{key}` behind it.
const READ_V1: &str = "s3-presigned-url:";
/// What stands for a URL to write to.
const WRITE: &str = "s3-presigned-url-upload:";
/// What the host of an object's URL ends in.
const DOMAINS: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];
/// What stands between `s3` and the region in a host, besides a dot.
const VARIANTS: [&str; 4] = [".dualstack.", "-fips.dualstack.", "-fips.", "-"];
/// Hosts that name no region.
const WITHOUT_REGION: [&str; 3] = ["s3", "s3-accelerate", "s3-accelerate.dualstack"];
/// Of a placeholder that is told to whoever wrote it.
const SHOWN_CHARS: usize = 100;

/// What a presigned URL is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To get the object.
    Read,
    /// To put one in its place.
    Write,
}

impl Purpose {
    /// The HTTP method that the URL is signed for.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Read => "GET",
            Self::Write => "PUT",
        }
    }
}

/// An object of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRef<'a> {
    /// The bucket's name.
    pub bucket: &'a str,
    /// The object's name in it, percent-encoded as in the URL.
    pub key: &'a str,
}

impl<'a> ObjectRef<'a> {
    /// `https://s3.{region}.amazonaws.com/{bucket}/{key}`, `https://{bucket}.s3.{region}.amazonaws.com/{key}`, and both with the other
    /// hosts that S3 has in a region, or without one. The region does not matter, there is one store; nor does what follows a `?`,
    /// which has no versions.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let host = DOMAINS.into_iter().find_map(|domain| host.strip_suffix(domain))?;
        if is_s3(host) {
            return Self::parse_path(path);
        }
        let (at, _) = host.rmatch_indices(".s3").find(|(at, _)| is_s3(&host[at + 1..]))?;
        Self::whole(&host[..at], path)
    }

    /// `{bucket}/{key}`.
    fn parse_path(path: &'a str) -> Option<Self> {
        let (bucket, key) = path.split_once('/')?;
        Self::whole(bucket, key)
    }

    fn whole(bucket: &'a str, key: &'a str) -> Option<Self> {
        (!bucket.is_empty() && !key.is_empty()).then_some(Self { bucket, key })
    }
}

/// Whether a host, without its domain, is that of S3 itself.
fn is_s3(host: &str) -> bool {
    let is_region = |text: &str| text.contains('-') && !text.contains('.') && text.ends_with(|c: char| c.is_ascii_digit());
    let with_region = |rest: &str| {
        rest.strip_prefix('.').is_some_and(|region| !region.is_empty() && !region.contains('.'))
            || VARIANTS.into_iter().any(|variant| rest.strip_prefix(variant).is_some_and(is_region))
    };
    WITHOUT_REGION.contains(&host) || host.strip_prefix("s3").is_some_and(with_region)
}

/// The object that a job's `documentSource` names: by its URL, or as a placeholder, as the API reference has it.
#[must_use]
pub fn source(text: &str) -> Option<ObjectRef<'_>> {
    let inner = text.strip_prefix(MARK).and_then(|text| text.strip_suffix('}'));
    match inner {
        None => ObjectRef::parse(text),
        Some(inner) => READ.iter().find_map(|kind| inner.strip_prefix(kind)).and_then(ObjectRef::parse),
    }
}

/// The execution whose document is filled.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    /// `${thingName}` in a placeholder for an upload.
    pub thing: &'a str,
    /// `${jobId}` there.
    pub job: &'a str,
    /// `${executionNumber}` there.
    pub number: i64,
}

/// Replaces every placeholder by what `presign` makes of its object; where it makes nothing, and where the placeholder is none,
/// the text stays. A URL of `presign` must need no escapes in JSON.
#[must_use]
pub fn fill<'a>(
    document: &'a str,
    execution: Execution<'_>,
    presign: impl Fn(Purpose, ObjectRef<'_>) -> Option<String>,
) -> Cow<'a, str> {
    let Some(first) = document.find(MARK) else { return Cow::Borrowed(document) };
    let mut filled = String::with_capacity(document.len() + 512);
    filled.push_str(&document[..first]);
    let mut rest = &document[first..];
    while let Some(at) = rest.find(MARK) {
        let (before, placeholder) = rest.split_at(at);
        filled.push_str(before);
        let end = end_of(placeholder);
        let url = end.and_then(|end| resolve(&placeholder[MARK.len()..end - 1], execution, &presign));
        match (url, end) {
            (Some(url), Some(end)) => {
                filled.push_str(&url);
                rest = &placeholder[end..];
            }
            _ => {
                filled.push_str(MARK);
                rest = &placeholder[MARK.len()..];
            }
        }
    }
    filled.push_str(rest);
    Cow::Owned(filled)
}

/// Where a placeholder ends, with others inside it, within its string.
fn end_of(placeholder: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in placeholder.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at + 1),
            '}' => depth -= 1,
            '"' => return None,
            _ => {}
        }
    }
    None
}

/// A placeholder that [`fill`] would leave in a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the placeholder {0} stands for nothing here; it would be ${{aws:iot:s3-presigned-url:https://s3.REGION.amazonaws.com/BUCKET/KEY}}, \
     the same with -v2 or -upload after the url, or ${{aws:iot:s3-presigned-url:BUCKET/KEY}}"
)]
pub struct Unresolved(String);

/// Tells whether every placeholder of `job`'s document becomes a URL, for whichever thing fetches it.
///
/// # Errors
/// With the first one that would not.
pub fn check(document: &str, job: &str, is_object: impl Fn(ObjectRef<'_>) -> bool) -> Result<(), Unresolved> {
    let longest = "t".repeat(limits::THING_NAME_CHARS_MAX);
    let execution = Execution { thing: &longest, job, number: i64::MAX };
    let filled = fill(document, execution, |_, object| is_object(object).then(String::new));
    let Some(at) = filled.find(MARK) else { return Ok(()) };
    let left = &filled[at..];
    let left = end_of(left).map_or(left, |end| &left[..end]);
    Err(Unresolved(left.chars().take(SHOWN_CHARS).collect()))
}

fn resolve(text: &str, execution: Execution<'_>, presign: &impl Fn(Purpose, ObjectRef<'_>) -> Option<String>) -> Option<String> {
    // JSON may write a slash as `\/`.
    let text = text.replace("\\/", "/");
    if let Some(path) = text.strip_prefix(READ_V1).filter(|url| !url.contains("://")) {
        return presign(Purpose::Read, ObjectRef::parse_path(path)?);
    }
    if let Some(url) = READ.iter().find_map(|kind| text.strip_prefix(kind)) {
        return presign(Purpose::Read, ObjectRef::parse(url)?);
    }
    let url = text
        .strip_prefix(WRITE)?
        .replace("${thingName}", execution.thing)
        .replace("${jobId}", execution.job)
        .replace("${executionNumber}", &execution.number.to_string());
    presign(Purpose::Write, ObjectRef::parse(&url)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXECUTION: Execution<'_> = Execution { thing: "t:1", job: "fw", number: 3 };

    fn filled(document: &str) -> String {
        fill(document, EXECUTION, |purpose, object| {
            (object.bucket != "none").then(|| format!("<{} {} {}>", purpose.method(), object.bucket, object.key))
        })
        .into_owned()
    }

    #[test]
    fn placeholders_become_urls_and_the_rest_stays() {
        let url = "https://s3.us-east-1.amazonaws.com/b/fw/1.bin";
        let document =
            format!(r#"{{"a":"${{aws:iot:s3-presigned-url:{url}}}","b":["x ${{aws:iot:s3-presigned-url-v2:{url}}} y"]}}"#);
        assert_eq!(filled(&document), r#"{"a":"<GET b fw/1.bin>","b":["x <GET b fw/1.bin> y"]}"#);
        assert_eq!(filled(r#""${aws:iot:s3-presigned-url:b/fw/1.bin}""#), r#""<GET b fw/1.bin>""#, "as older texts have it");
        let upload = r#""${aws:iot:s3-presigned-url-upload:https:\/\/b.s3.eu-west-1.amazonaws.com/${thingName}/${jobId}-${executionNumber}.log}""#;
        assert_eq!(filled(upload), r#""<PUT b t:1/fw-3.log>""#);
        for kept in [
            "{}",
            "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/none/k}",
            "${aws:iot:s3-presigned-url:http://s3.us-east-1.amazonaws.com/b/k}",
            "${aws:iot:other:https://s3.us-east-1.amazonaws.com/b/k}",
            r#"{"a":"${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b","c":"}"}"#,
            "${aws:iot:parameter:x} ${aws:iot:",
        ] {
            assert_eq!(filled(kept), kept);
        }
        assert!(matches!(fill("{}", EXECUTION, |_, _| None), Cow::Borrowed(_)), "no copy of what has no placeholder");
    }

    /// What stays in a document reaches the device as it is, so that a job with it is refused.
    #[test]
    fn every_placeholder_resolves_or_is_told() {
        let is_object = |object: ObjectRef<'_>| object.bucket != "none" && object.key.len() < 200;
        let host = "https://s3.us-east-1.amazonaws.com";
        for (placeholder, resolves) in [
            ("${aws:iot:s3-presigned-url:b/fw/1.bin}".to_owned(), true),
            (r"${aws:iot:s3-presigned-url:b\/fw\/1.bin}".to_owned(), true),
            (format!("${{aws:iot:s3-presigned-url:{host}/b/k}}"), true),
            (format!("${{aws:iot:s3-presigned-url-v2:{host}/b/k?versionId=1}}"), true),
            (format!("${{aws:iot:s3-presigned-url-upload:{host}/b/${{thingName}}}}"), true),
            ("${aws:iot:s3-presigned-url:b}".to_owned(), false),
            ("${aws:iot:s3-presigned-url:}".to_owned(), false),
            ("${aws:iot:s3-presigned-url-v2:b/k}".to_owned(), false),
            ("${aws:iot:s3-presigned-url-upload:b/k}".to_owned(), false),
            ("${aws:iot:s3-presigned-url:http://s3.us-east-1.amazonaws.com/b/k}".to_owned(), false),
            ("${aws:iot:s3-presigned-url:https://example.com/b/k}".to_owned(), false),
            (format!("${{aws:iot:s3-presigned-url:{host}/none/k}}"), false),
            (format!("${{aws:iot:s3-presigned-url-upload:{host}/b/${{thingName}}${{thingName}}}}"), false),
            ("${aws:iot:s3-presigned-url:b/k".to_owned(), false),
            ("${aws:iot:parameter:version}".to_owned(), false),
            ("${aws:iot:".to_owned(), false),
        ] {
            let document = format!(r#"{{"a":"{placeholder}","b":"${{other}}"}}"#);
            let checked = check(&document, "fw", is_object);
            assert_eq!(checked.is_ok(), resolves, "{placeholder}: {checked:?}");
            assert!(checked.is_ok() || checked.unwrap_err().to_string().contains(&placeholder), "{placeholder}");
        }
    }

    #[test]
    fn objects_are_told_by_path_and_by_host() {
        for (url, expected) in [
            ("https://s3.us-east-1.amazonaws.com/b/a/k", Some(("b", "a/k"))),
            ("https://s3.amazonaws.com/b/k", Some(("b", "k"))),
            ("https://my.bucket.s3.eu-west-1.amazonaws.com/a/k", Some(("my.bucket", "a/k"))),
            ("https://b.s3.amazonaws.com/k", Some(("b", "k"))),
            ("https://s3.us-east-1.amazonaws.com/b", None),
            ("https://s3.us-east-1.amazonaws.com/b/", None),
            ("https://example.com/b/k", None),
            ("https://b.ec2.amazonaws.com/k", None),
            ("https://s3-us-west-2.amazonaws.com/b/k", Some(("b", "k"))),
            ("https://b.s3-us-west-2.amazonaws.com/k", Some(("b", "k"))),
            ("https://b.s3.cn-north-1.amazonaws.com.cn/k", Some(("b", "k"))),
            ("https://s3.cn-north-1.amazonaws.com.cn/b/k", Some(("b", "k"))),
            ("https://s3.dualstack.us-east-1.amazonaws.com/b/k", Some(("b", "k"))),
            ("https://b.s3-fips.us-gov-west-1.amazonaws.com/k", Some(("b", "k"))),
            ("https://b.s3-accelerate.amazonaws.com/k", Some(("b", "k"))),
            ("https://s3-logs.s3.us-east-1.amazonaws.com/k", Some(("s3-logs", "k"))),
            ("https://my.s3-data.s3.us-east-1.amazonaws.com/k", Some(("my.s3-data", "k"))),
            ("https://s3.us-east-1.amazonaws.com/b/k?versionId=3HL4", Some(("b", "k"))),
            ("https://s3.us-east-1.example.amazonaws.com/b/k", None),
            ("https://s3-website.amazonaws.com/b/k", None),
            ("http://s3.us-east-1.amazonaws.com/b/k", None),
            ("b/k", None),
        ] {
            assert_eq!(ObjectRef::parse(url).map(|object| (object.bucket, object.key)), expected, "{url}");
        }
    }
}
