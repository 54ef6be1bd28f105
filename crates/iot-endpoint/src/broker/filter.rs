//! MQTT topic filters, with AWS's deviations (PROTOCOL 13.1 and 13.3).

use iot_jobs::limits;

const SHARE_PREFIX: &str = "$share/";

/// A filter as it stands in a SUBSCRIBE, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter<'a> {
    /// Name of the shared subscription: each message goes to one of those who have it.
    pub(crate) share: Option<&'a str>,
    /// What topics are compared with.
    pub(crate) topics: &'a str,
}

impl<'a> Filter<'a> {
    /// `None` when it is malformed, or over a limit.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let filter = Self::split(text)?;
        let is_valid_share = |name: &str| {
            !name.is_empty() && name.chars().count() <= limits::SHARE_NAME_CHARS_MAX && !name.contains(['#', '+', '\0'])
        };
        (filter.share.is_none_or(is_valid_share) && is_valid_filter(filter.topics)).then_some(filter)
    }

    /// Of a text that was found to be valid.
    pub(crate) fn of_valid(text: &'a str) -> Self {
        Self::split(text).unwrap_or(Self { share: None, topics: text })
    }

    fn split(text: &'a str) -> Option<Self> {
        match text.strip_prefix(SHARE_PREFIX) {
            None => Some(Self { share: None, topics: text }),
            Some(rest) => rest.split_once('/').map(|(name, topics)| Self { share: Some(name), topics }),
        }
    }

    /// Whether it names one topic, which a retained message needs (PROTOCOL 13.9).
    pub(crate) fn is_exact(self) -> bool {
        self.share.is_none() && !self.topics.contains(['#', '+'])
    }
}

/// Topics that belong to the service.
pub(crate) fn is_reserved(topic: &str) -> bool {
    topic.starts_with('$')
}

/// Whether a filter is well formed and within AWS's limits.
fn is_valid_filter(filter: &str) -> bool {
    let last = slashes(filter);
    is_valid_length(filter)
        && levels(filter.as_bytes()).enumerate().all(|(n, level)| match level {
            b"#" => n == last,
            b"+" => true,
            level => is_plain(level),
        })
}

/// Whether a topic may be published to, as far as its form goes.
pub(crate) fn is_valid_topic(topic: &str) -> bool {
    is_valid_length(topic) && is_plain(topic.as_bytes())
}

fn is_valid_length(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::TOPIC_BYTES_MAX && slashes(text) <= limits::TOPIC_SLASHES_MAX
}

/// Levels of a topic or filter, less one.
pub(crate) fn slashes(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'/').count()
}

fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'#' | b'+' | b'\0'))
}

/// As bytes: levels are short, and a search for characters costs more than the comparison.
fn levels(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'/')
}

/// What a processor compares at once.
const WORD: usize = 8;

/// MQTT 3.1.1 section 4.7, except that `x/#` does not match its parent `x`, as on AWS.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let (filter, topic) = (filter.as_bytes(), topic.as_bytes());
    // Filters of a thing begin as its topics do: what is the same in both is passed over, by words, in whole levels. A topic has no
    // wildcards.
    let words = filter.as_chunks::<WORD>().0.iter().zip(topic.as_chunks().0);
    let same = WORD * words.take_while(|(wanted, found)| wanted == found).count();
    let start = filter[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let mut found = levels(&topic[start..]);
    for wanted in levels(&filter[start..]) {
        match (wanted, found.next()) {
            (b"#", rest) => return rest.is_some(),
            (_, None) => return false,
            (b"+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    found.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_match_as_they_do_on_aws() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a/b/c", true),
            ("a/#", "a", false),
            ("#", "a/b", true),
            ("#", "$aws/things/t/jobs/notify", false),
            ("+/things/t/jobs/notify", "$aws/things/t/jobs/notify", false),
            ("$aws/things/t/jobs/#", "$aws/things/t/jobs/notify", true),
            ("$aws/things/t/jobs/+", "$aws/things/t/jobs/notify-next", true),
            ("$aws/things/t/jobs/+/update/+", "$aws/things/t/jobs/fw/update/accepted", true),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    /// By the words of the standard, one level after the other.
    fn matches_plainly(filter: &str, topic: &str) -> bool {
        let (filter, topic): (Vec<&str>, Vec<&str>) = (filter.split('/').collect(), topic.split('/').collect());
        let open = filter.last() == Some(&"#");
        let fixed = filter.len() - usize::from(open);
        let is_long_enough = if open { topic.len() > fixed } else { topic.len() == fixed };
        is_long_enough && filter[..fixed].iter().zip(&topic).all(|(wanted, found)| *wanted == "+" || wanted == found)
    }

    proptest! {
        #[test]
        fn what_is_passed_over_makes_no_difference(
            filter in "(ab?|\\+|abcdefghi?|)(/(ab?|\\+|)){0,3}(/#)?",
            topic in "(ab?|abcdefghi?|)(/(ab?|)){0,4}",
        ) {
            prop_assert_eq!(matches(&filter, &topic), matches_plainly(&filter, &topic));
        }
    }

    #[test]
    fn forms_and_limits() {
        for good in ["a", "a/+/b", "#", "a/#", "+", "$aws/things/t/jobs/+/update/+", "$share/g/a/#"] {
            assert!(Filter::parse(good).is_some(), "{good}");
        }
        let long_name = format!("$share/{}/a", "n".repeat(129));
        for bad in
            ["", "a#", "a/#/b", "a+/b", "a/b/c/d/e/f/g/h/i", &"x".repeat(257), "$share/g", "$share//a", "$share/+/a", &long_name]
        {
            assert!(Filter::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Filter::parse("$share/g/a/#"), Some(Filter { share: Some("g"), topics: "a/#" }));
        assert!(Filter::of_valid("a/b").is_exact() && !Filter::of_valid("a/+").is_exact());
        assert!(is_valid_topic("dt/t/state") && !is_valid_topic("dt/+/state") && !is_valid_topic("dt/#"));
    }
}
