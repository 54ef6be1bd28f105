//! JSON that others wrote: UTF-8 throughout, also in members that nobody reads, and an object where an object is meant. What serde
//! derives takes an array for an object, and `serde_json` skips what is not read byte by byte.

use super::control::invalid;
use super::model;
use crate::ControlError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;
use std::marker::PhantomData;

/// A `T` that is read from an object, and from nothing else.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(OfMap(PhantomData)).map(Self)
    }
}

/// Reads an object.
///
/// # Errors
/// For bytes that are no UTF-8, no JSON, or another value, and for members that are not those of `T`.
pub(super) fn object<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> serde_json::Result<T> {
    let no_utf8 = |error: std::str::Utf8Error| {
        serde_json::Error::custom(format_args!("byte {} begins no character of UTF-8", error.valid_up_to() + 1))
    };
    let text = std::str::from_utf8(bytes).map_err(no_utf8)?;
    serde_json::from_str::<Object<T>>(text).map(|object| object.0)
}

/// The members of the body of a call of the control plane, as AWS's model wants them; no body is an empty object.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub(super) fn members(operation: &str, body: &[u8]) -> Result<Map<String, Value>, ControlError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let members = object(body).map_err(|error| refused(operation, &error))?;
    model::check_body(operation, &members)?;
    Ok(members)
}

/// As [`members`], read as a `T`.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub(super) fn body<T: DeserializeOwned>(operation: &str, body: &[u8]) -> Result<T, ControlError> {
    let members = members(operation, body)?;
    serde_json::from_value(Value::Object(members)).map_err(|error| refused(operation, &error))
}

fn refused(operation: &str, error: &serde_json::Error) -> ControlError {
    invalid(format!("the body of {operation}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Read {
        name: String,
        number: u8,
    }

    #[test]
    fn only_an_object_of_utf_8_is_read() {
        let read = |bytes: &[u8]| object::<Read>(bytes).map_err(|error| error.to_string());
        assert_eq!(read(br#" {"number": 2, "other": [1, {"a": null}]}"#), Ok(Read { name: String::new(), number: 2 }));
        for array in ["[]", r#"["a", 1]"#, " [ ] ", r#""a""#, "1", "null", "true"] {
            let why = read(array.as_bytes()).unwrap_err();
            assert!(why.contains("expected an object"), "{array}: {why}");
        }
        for bytes in
            [&b"{\"name\":\"\xff\"}"[..], b"{\"other\":\"\xff\"}", b"{\"\xff\":1}", b"{\"other\":[{\"x\":\"\xc3\"}]}", b"\xef"]
        {
            let why = read(bytes).unwrap_err();
            assert!(why.contains("UTF-8"), "{bytes:?}: {why}");
        }
        assert!(read(b"{").is_err() && read(b"").is_err() && read(b"{}{}").is_err());
    }

    #[test]
    fn objects_in_objects_are_no_arrays_either() {
        #[derive(Deserialize)]
        struct Outer {
            inner: Option<Object<Read>>,
        }
        let read = |text: &str| object::<Outer>(text.as_bytes()).map(|outer| outer.inner.map(|inner| inner.0.number));
        assert_eq!(read(r#"{"inner":{"number":2}}"#).unwrap(), Some(2));
        assert_eq!(read(r#"{"inner":null}"#).unwrap(), None);
        assert!(read(r#"{"inner":["a",2]}"#).is_err());
    }
}
