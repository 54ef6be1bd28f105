//! MQTT topic filters, with AWS's deviations (spec sections 13.1 and 13.3).

use crate::jobs::limits;

/// Whether a filter is well formed and within AWS's limits.
pub(super) fn is_valid_filter(filter: &str) -> bool {
    let last = filter.split('/').count() - 1;
    is_valid_length(filter)
        && filter.split('/').enumerate().all(|(n, level)| match level {
            "#" => n == last,
            "+" => true,
            level => !level.contains(['#', '+', '\0']),
        })
}

/// Whether a topic may be published to, as far as its form goes.
pub(super) fn is_valid_topic(topic: &str) -> bool {
    is_valid_length(topic) && !topic.contains(['#', '+', '\0'])
}

fn is_valid_length(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::TOPIC_BYTES_MAX && text.matches('/').count() <= limits::TOPIC_SLASHES_MAX
}

/// MQTT 3.1.1 section 4.7, except that `x/#` does not match its parent `x`, as on AWS.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", rest) => return rest.is_some(),
            (_, None) => return false,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn forms_and_limits() {
        for good in ["a", "a/+/b", "#", "a/#", "+", "$aws/things/t/jobs/+/update/+"] {
            assert!(is_valid_filter(good), "{good}");
        }
        for bad in ["", "a#", "a/#/b", "a+/b", "a/b/c/d/e/f/g/h/i", &"x".repeat(257)] {
            assert!(!is_valid_filter(bad), "{bad}");
        }
        assert!(is_valid_topic("dt/t/state") && !is_valid_topic("dt/+/state") && !is_valid_topic("dt/#"));
    }
}
