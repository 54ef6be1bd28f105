//! Texts that each thing has its own of: `"dt/{thing}/state"`, `"{thing}-{index}"`.

use iot_jobs::ThingName;
use std::fmt::{self, Write as _};

/// A text with fields for the thing's name and its number, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Thing,
    Index,
}

impl ThingTemplate {
    /// # Errors
    /// With what is wrong with its fields.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, field)) = rest.split_once('{') {
            parts.push(Part::Text(before.to_owned()));
            let (name, after) = field.split_once('}').ok_or("a { has no }")?;
            parts.push(match name {
                "thing" => Part::Thing,
                "index" => Part::Index,
                other => return Err(format!("there is no field {{{other}}}, only {{thing}} and {{index}}")),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        if parts.is_empty() {
            return Err("it is empty".to_owned());
        }
        if parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('}'))) {
            return Err("a } has no {".to_owned());
        }
        Ok(Self(parts))
    }

    /// One that no two things have in common, such as a client id.
    ///
    /// # Errors
    /// With what is wrong with its fields, or that it has none.
    pub fn parse_unique(text: &str) -> Result<Self, String> {
        let template = Self::parse(text)?;
        let is_unique = template.0.iter().any(|part| matches!(part, Part::Thing | Part::Index));
        if is_unique { Ok(template) } else { Err("all things would have the same: put {thing} or {index} into it".to_owned()) }
    }

    /// The text of a thing.
    #[must_use]
    pub fn text(&self, thing: &ThingName, index: u64) -> String {
        let mut text = String::with_capacity(64);
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Thing => text.push_str(thing.as_str()),
                Part::Index => write!(text, "{index}").expect("a String takes everything"),
            }
        }
        text
    }
}

impl fmt::Display for ThingTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Thing => f.write_str("{thing}"),
            Part::Index => f.write_str("{index}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_text_has_a_field() {
        let thing = ThingName::new("t-7").unwrap();
        assert_eq!(ThingTemplate::parse_unique("{thing}-{index}").unwrap().text(&thing, 7), "t-7-7");
        for (text, why) in [
            ("gateway", "all things would have the same"),
            ("", "empty"),
            ("{name}", "no field {name}"),
            ("a}{index}", "a } has no {"),
        ] {
            assert!(ThingTemplate::parse_unique(text).unwrap_err().contains(why), "{text}");
        }
    }
}
