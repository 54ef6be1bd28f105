//! Sizes and quotas of AWS IoT Jobs and of the broker around it, named, with units (PROTOCOL 3 and 15).

use std::time::Duration;

/// Of `thingName`, and of a thing group's name, in characters (PROTOCOL 3).
pub const THING_NAME_CHARS_MAX: usize = 128;
/// Of `jobId`, in characters (PROTOCOL 3).
pub const JOB_ID_CHARS_MAX: usize = 64;
/// Of a job document (PROTOCOL 3).
pub const DOCUMENT_BYTES_MAX: usize = 32_768;
/// Of `statusDetails` (PROTOCOL 3).
pub const STATUS_DETAILS_PAIRS_MAX: usize = 10;
/// Of a key of `statusDetails`, in characters (PROTOCOL 3).
pub const STATUS_DETAILS_KEY_CHARS_MAX: usize = 128;
/// Of a value of `statusDetails`, in characters (PROTOCOL 3).
pub const STATUS_DETAILS_VALUE_CHARS_MAX: usize = 1_024;
/// Step and in-progress timeouts, in minutes.
pub const TIMEOUT_MINUTES_MAX: i64 = 10_080;
/// `stepTimeoutInMinutes` that cancels the step timer.
pub const STEP_TIMEOUT_CANCEL: i64 = -1;
/// Executions shown in `get` and `notify`.
pub const PENDING_SHOWN_MAX: usize = 10;
/// The same, when one of them has a scheduling configuration.
pub const PENDING_SHOWN_SCHEDULED_MAX: usize = 15;
/// Of CreateJob, unless an account's quota says otherwise (PROTOCOL 15.3).
pub const TARGETS_PER_JOB_MAX: u32 = 100;
/// Thing groups a thing can be in.
pub const GROUPS_PER_THING_MAX: usize = 10;
/// Of `description` and `comment`, in characters (PROTOCOL 3).
pub const DESCRIPTION_CHARS_MAX: usize = 2_028;
/// Of `reasonCode`, in characters (PROTOCOL 3).
pub const REASON_CODE_CHARS_MAX: usize = 128;
/// Of one thing on one job, for failures and timeouts together.
pub const RETRIES_MAX: u32 = 10;
/// `baseRatePerMinute`: executions a minute (PROTOCOL 11.2).
pub const BASE_RATE_MAX: u32 = 1_000;
/// `incrementFactor` in tenths, from and to.
pub const INCREMENT_TENTHS: (u32, u32) = (11, 50);
/// The shortest life of a presigned URL, in seconds (PROTOCOL 11.2).
pub const PRESIGNED_S_MIN: u64 = 60;
/// The longest life of a presigned URL, in seconds (PROTOCOL 11.2).
pub const PRESIGNED_S_MAX: u64 = 3_600;
/// A start time is at least this many minutes ahead, an end time as much after the start.
pub const SCHEDULE_MINUTES_MIN: u32 = 30;
/// A start time is at most this many days ahead, an end time twice as many.
pub const SCHEDULE_START_DAYS_MAX: u32 = 366;
/// How long a maintenance window is open at most, in minutes: less than a day (PROTOCOL-CORE 2.3).
pub const WINDOW_MINUTES_MAX: u32 = 1_430;
/// Maintenance windows to come that DescribeJob tells of (PROTOCOL-CORE 2.3).
pub const WINDOWS_TOLD: usize = 7;
/// Of `namespaceId`, in characters.
pub const NAMESPACE_CHARS_MAX: usize = 64;
/// Of one resource (PROTOCOL-CORE 2.5).
pub const TAGS_MAX: usize = 50;
/// Of a tag's key, in characters (PROTOCOL-CORE 2.5).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Of a tag's value, in characters (PROTOCOL-CORE 2.5).
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// `maxResults` of a list (PROTOCOL 15.3).
pub const LIST_PAGE_MAX: usize = 250;

/// The bill counts messages in units of so many bytes, begun ones as whole ones (PROTOCOL 16; that 5 KB are 5,120
/// bytes is inferred, PROTOCOL-CORE 6.2).
pub const METERED_UNIT_BYTES: usize = 5 * 1_024;

/// Units of the bill that a message or a body of this length is.
#[must_use]
pub fn metered_units(bytes: usize) -> u64 {
    bytes.div_ceil(METERED_UNIT_BYTES).max(1) as u64
}

/// Minutes of the bill that a connection of this length is: begun ones as whole ones (PROTOCOL 16).
#[must_use]
pub fn metered_minutes(connected: Duration) -> u64 {
    const MINUTE: Duration = Duration::from_secs(60);
    connected.as_nanos().div_ceil(MINUTE.as_nanos()).max(1) as u64
}

/// Of a topic in UTF-8 (PROTOCOL 15.2).
pub const TOPIC_BYTES_MAX: usize = 256;
/// Slashes in a topic (PROTOCOL 15.2).
pub const TOPIC_SLASHES_MAX: usize = 7;
/// Of an MQTT client id in UTF-8 (PROTOCOL 15.2).
pub const CLIENT_ID_BYTES_MAX: usize = 128;
/// Of a message, without its topic and properties (PROTOCOL 15.2).
pub const PAYLOAD_BYTES_MAX: usize = 128 * 1024;
/// A whole packet, MQTT 5's properties included.
pub const PACKET_BYTES_MAX: usize = 146 * 1024;
/// The least that an MQTT 5 client may ask for as its Maximum Packet Size.
pub const CLIENT_PACKET_BYTES_MIN: u32 = 512;
/// Of an MQTT 5 connection (PROTOCOL 15.2).
pub const TOPIC_ALIASES_MAX: u16 = 8;
/// Of an MQTT 5 message's content type (PROTOCOL 13.6).
pub const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// Of an MQTT 5 message's correlation data (PROTOCOL 13.6).
pub const CORRELATION_DATA_BYTES_MAX: usize = 8 * 1024;
/// Names and values of a message's user properties together.
pub const USER_PROPERTIES_BYTES_MAX: usize = 8 * 1024;
/// Of an MQTT 5 message (PROTOCOL 15.2).
pub const MESSAGE_EXPIRY_MAX: Duration = Duration::from_secs(604_800);
/// Of the name in `$share/{name}/{filter}`, in characters (PROTOCOL 13.9).
pub const SHARE_NAME_CHARS_MAX: usize = 128;
/// QoS 1 messages without a PUBACK, each way.
pub const UNACKNOWLEDGED_MAX: u16 = 100;
/// How long a session outlives its connection, unless the account has more.
pub const SESSION_EXPIRY_MAX: Duration = Duration::from_secs(3_600);
/// Messages that were stored for a client that was away, once it is back.
pub const STORED_MESSAGES_PER_SECOND_MAX: u32 = 10;
/// Topic filters in one SUBSCRIBE (PROTOCOL 13.3).
pub const FILTERS_PER_SUBSCRIBE_MAX: usize = 8;
/// A shorter keep-alive is treated as this (PROTOCOL 13.2).
pub const KEEP_ALIVE_MIN: Duration = Duration::from_secs(30);
/// A longer keep-alive, or none, is treated as this (PROTOCOL 13.2).
pub const KEEP_ALIVE_MAX: Duration = Duration::from_secs(1_200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_billed_in_units_of_five_kilobytes() {
        assert_eq!([0, 1, 5_120, 5_121, 10_241, 32_768].map(metered_units), [1, 1, 1, 2, 3, 7]);
    }

    #[test]
    fn connections_are_billed_in_begun_minutes() {
        assert_eq!([0, 1, 60_000, 60_001, 120_001].map(|ms| metered_minutes(Duration::from_millis(ms))), [1, 1, 1, 2, 3]);
    }
}
