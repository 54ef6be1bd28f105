//! Placeholders in job documents that stand for presigned URLs, and the URLs of objects (PROTOCOL 17.1).

use std::borrow::Cow;

/// What every placeholder starts with.
const MARK: &str = "${aws:iot:";
/// First segment of the path of every object's URL, where the endpoint has objects.
pub const STORE_PATH: &str = "objects";
/// What stands for a URL to read from. `-v2` is an encoding that this endpoint has in both.
const READ: [&str; 2] = ["s3-presigned-url:", "s3-presigned-url-v2:"];
/// What stands for a URL to write to.
const WRITE: &str = "s3-presigned-url-upload:";

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
    /// `https://s3.{region}.amazonaws.com/{bucket}/{key}`, `https://{bucket}.s3.{region}.amazonaws.com/{key}`, and both without a
    /// region. The region does not matter, there is one store.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
        let host = host.strip_suffix(".amazonaws.com")?;
        let is_s3 = |host: &str| host == "s3" || host.strip_prefix("s3.").is_some_and(|region| !region.is_empty());
        let found = if is_s3(host) {
            let (bucket, key) = path.split_once('/')?;
            Self { bucket, key }
        } else {
            let (at, _) = host.match_indices(".s3").find(|(at, _)| is_s3(&host[at + 1..]))?;
            Self { bucket: &host[..at], key: path }
        };
        (!found.bucket.is_empty() && !found.key.is_empty()).then_some(found)
    }
}

/// Whether [`fill`] may have something to do.
#[must_use]
pub fn is_in(document: &str) -> bool {
    document.contains(MARK)
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
    if !is_in(document) {
        return Cow::Borrowed(document);
    }
    let mut filled = String::with_capacity(document.len() + 512);
    let mut rest = document;
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

fn resolve(text: &str, execution: Execution<'_>, presign: &impl Fn(Purpose, ObjectRef<'_>) -> Option<String>) -> Option<String> {
    // JSON may write a slash as `\/`.
    let text = text.replace("\\/", "/");
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
        ] {
            assert_eq!(ObjectRef::parse(url).map(|object| (object.bucket, object.key)), expected, "{url}");
        }
    }
}
