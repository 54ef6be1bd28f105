//! What the three places of a signature have in common, an `Authorization` header, a presigned URL, the URL of a WebSocket: the scope of
//! a credential, and headers that count only where they are signed.

use http::HeaderMap;

/// Headers of AWS that do not change what is asked for: proxies add the one, and AWS IoT Core has clients add the other when they have
/// signed.
const MAY_BE_UNSIGNED: [&str; 2] = ["x-amzn-trace-id", "x-amz-security-token"];
/// The last part of every scope.
const END: &str = "aws4_request";
/// Of a date such as `20260225T060000Z`, its day.
const DAY_CHARS: usize = 8;

/// `Credential`: whose key signed, and what the signature is good for.
pub(super) struct CredentialScope<'a> {
    pub(super) key_id: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    day: &'a str,
}

impl<'a> CredentialScope<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let &[key_id, day, region, service, END] = &parts[..] else { return None };
        Some(Self { key_id, service, day, region })
    }

    /// Whether it is of the day of `date`, and of this region.
    pub(super) fn fits(&self, date: &str, region: &str) -> bool {
        date.get(..DAY_CHARS) == Some(self.day) && self.region == region
    }
}

/// The value of a header that a request may have once. `Err`: it has several, and which one is meant nobody can say.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first.and_then(|value| value.to_str().ok())),
        Some(_) => Err(()),
    }
}

/// The value of a header as it is signed: several values are one with commas between.
pub(super) fn signed_value(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().ok().map(str::trim));
    let values: Option<Vec<&str>> = values.collect();
    values.filter(|values| !values.is_empty()).map(|values| values.join(","))
}

/// Whether a request has a header of AWS, such as the principal to be attached, that is not one of `signed`: it could be anybody's.
pub(super) fn has_unsigned(headers: &HeaderMap, signed: &str) -> bool {
    let is_signed = |name: &str| signed.split(';').any(|signed| signed == name);
    let counts = |name: &str| name.starts_with("x-amz") && !MAY_BE_UNSIGNED.contains(&name);
    headers.keys().any(|name| counts(name.as_str()) && !is_signed(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_of_its_whole_day_and_of_nothing_else() {
        let fits = |text: &str| CredentialScope::parse(text).map(|scope| scope.fits("20260225T060000Z", "us-east-1"));
        assert_eq!(fits("AKIA/20260225/us-east-1/iot/aws4_request"), Some(true));
        for other in ["20260224", "2026", "", "20260225T", "20260225T060000Z"] {
            assert_eq!(fits(&format!("AKIA/{other}/us-east-1/iot/aws4_request")), Some(false), "{other:?}");
        }
        assert_eq!(fits("AKIA/20260225/eu-west-1/iot/aws4_request"), Some(false));
        for wrong in
            ["AKIA/20260225/us-east-1/iot", "AKIA/20260225/us-east-1/iot/aws4", "AKIA/20260225/us-east-1/iot/aws4_request/x"]
        {
            assert_eq!(fits(wrong), None, "{wrong}");
        }
    }
}
