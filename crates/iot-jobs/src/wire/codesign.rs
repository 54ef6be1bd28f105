//! Files that job documents name, and their signatures: the `presign` and `codesign` members (PROTOCOL 17.2).

use super::json::Object;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Where the URL of the file stands.
pub const URL: &str = "presign";
/// Who signed the file, and how.
pub const CODESIGN: &str = "codesign";
/// ECDSA over SHA-256; the only algorithm that is understood, others are named by no source.
pub const ALGORITHM: &str = "SHA256withECDSA";
/// A DER signature of P-256 has at most 72 bytes.
const SIGNATURE_BYTES_MAX: usize = 72;

/// A file to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// `presign`, filled in by the service.
    pub url: String,
    /// `codesign`; absent: the file is not signed.
    pub signed: Option<Signed>,
}

/// What its signer says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `rawPayloadSize`.
    pub bytes: u64,
    /// Over the SHA-256 of the file, DER.
    pub signature: Vec<u8>,
}

/// A document that names a file, and not as it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// `presign` is no text.
    #[error("presign is no text")]
    Url,
    /// A `codesign` without `presign`.
    #[error("there is a codesign and no presign to fetch the file from")]
    NoUrl,
    /// `codesign` has not the shape of PROTOCOL 17.2; the text says what is missing or wrong.
    #[error("codesign is not as it should be: {0}")]
    Codesign(String),
    /// `signatureAlgorithm` is not [`ALGORITHM`].
    #[error("codesign.signatureAlgorithm is not {ALGORITHM}")]
    Algorithm,
    /// `signature` is no base64, empty or too long.
    #[error("codesign.signature is no base64 of a signature")]
    Signature,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodesignBody {
    raw_payload_size: u64,
    signature: String,
    signature_algorithm: String,
}

/// The file that a document names, if it names one.
///
/// # Errors
/// When what names it is not as it should be.
pub fn parse(document: &str) -> Result<Option<FileRef>, Malformed> {
    let Ok(Value::Object(mut members)) = serde_json::from_str(document) else { return Ok(None) };
    let url = match members.remove(URL) {
        None => None,
        Some(Value::String(url)) => Some(url),
        Some(_) => return Err(Malformed::Url),
    };
    let signed = members.remove(CODESIGN).map(signed).transpose()?;
    match (url, signed) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Malformed::NoUrl),
        (Some(url), signed) => Ok(Some(FileRef { url, signed })),
    }
}

fn signed(codesign: Value) -> Result<Signed, Malformed> {
    let Object(body) = Object::<CodesignBody>::deserialize(codesign).map_err(|error| Malformed::Codesign(error.to_string()))?;
    if body.signature_algorithm != ALGORITHM {
        return Err(Malformed::Algorithm);
    }
    let signature = STANDARD.decode(body.signature).map_err(|_no_base64| Malformed::Signature)?;
    if signature.is_empty() || signature.len() > SIGNATURE_BYTES_MAX {
        return Err(Malformed::Signature);
    }
    Ok(Signed { bytes: body.raw_payload_size, signature })
}

/// The members that make a document name the object `key` of `bucket`, whose URL the service fills in, and say who signed it.
#[must_use]
pub fn members(bucket: &str, key: &str, region: &str, signed: Option<&Signed>) -> Map<String, Value> {
    let url = format!("${{aws:iot:s3-presigned-url:https://s3.{region}.amazonaws.com/{bucket}/{key}}}");
    let mut members = Map::from_iter([(URL.to_owned(), Value::String(url))]);
    if let Some(signed) = signed {
        let codesign = json!({
            "rawPayloadSize": signed.bytes,
            "signature": STANDARD.encode(&signed.signature),
            "signatureAlgorithm": ALGORITHM,
            "payloadLocation": { "s3": { "bucketName": bucket, "key": key } },
        });
        members.insert(CODESIGN.to_owned(), codesign);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for signed in [None, Some(Signed { bytes: 262_144, signature: vec![0x30; 70] })] {
            let mut document = members("b", "k/1.bin", "us-east-1", signed.as_ref());
            document.insert("version".into(), json!("2.4.1"));
            let url = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/k/1.bin}".into();
            assert_eq!(parse(&Value::Object(document).to_string()), Ok(Some(FileRef { url, signed })));
        }
    }

    #[test]
    fn the_sample_of_the_specification_is_read() {
        let document = r#"{"presign":"https://s3/x","codesign":{"rawPayloadSize":262144,"signature":"MEUCIQ==",
            "signatureAlgorithm":"SHA256withECDSA","payloadLocation":{"s3":{"bucketName":"b","key":"fw.bin","version":"3HL4kqtJ"}}}}"#;
        let signed = Some(Signed { bytes: 262_144, signature: vec![0x30, 0x45, 2, 0x21] });
        assert_eq!(parse(document), Ok(Some(FileRef { url: "https://s3/x".into(), signed })));
    }

    #[test]
    fn documents_without_a_file_are_none() {
        for document in ["{}", r#"{"operation":"reboot"}"#, "[1]", "1", r#""presign""#, "not JSON"] {
            assert_eq!(parse(document), Ok(None), "{document}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let with = |codesign: &str| parse(&format!(r#"{{"presign":"u","codesign":{codesign}}}"#)).unwrap_err();
        let of = |size: &str, signature: &str, algorithm: &str| {
            with(&format!(r#"{{"rawPayloadSize":{size},"signature":{signature},"signatureAlgorithm":{algorithm}}}"#))
        };
        let good = (r#""MEUCIQ==""#, r#""SHA256withECDSA""#);
        for codesign in ["1", "null", "[]", "{}", r#"{"rawPayloadSize":1}"#] {
            assert!(matches!(with(codesign), Malformed::Codesign(_)), "{codesign}");
        }
        for size in ["-1", "1.5", "1e99", "18446744073709551616", r#""1""#, "null"] {
            assert!(matches!(of(size, good.0, good.1), Malformed::Codesign(_)), "{size}");
        }
        let long = format!("\"{}\"", "A".repeat(1_000));
        for signature in [r#""""#, r#""%%%""#, &long] {
            assert_eq!(of("1", signature, good.1), Malformed::Signature, "{signature}");
        }
        for algorithm in [r#""SHA1withRSA""#, r#""none""#, r#""""#] {
            assert_eq!(of("1", good.0, algorithm), Malformed::Algorithm, "{algorithm}");
        }
        assert_eq!(parse(r#"{"presign":7}"#), Err(Malformed::Url));
        let alone = r#"{"codesign":{"rawPayloadSize":1,"signature":"MEUCIQ==","signatureAlgorithm":"SHA256withECDSA"}}"#;
        assert_eq!(parse(alone), Err(Malformed::NoUrl));
    }
}
