//! Sizes and quotas of AWS IoT Jobs and of the broker around it, named, with units (PROTOCOL 3 and 15).

use std::time::Duration;

pub const THING_NAME_CHARS_MAX: usize = 128;
pub const JOB_ID_CHARS_MAX: usize = 64;
pub const DOCUMENT_BYTES_MAX: usize = 32_768;
pub const STATUS_DETAILS_PAIRS_MAX: usize = 10;
pub const STATUS_DETAILS_KEY_CHARS_MAX: usize = 128;
pub const STATUS_DETAILS_VALUE_CHARS_MAX: usize = 1_024;
/// Step and in-progress timeouts, in minutes.
pub const TIMEOUT_MINUTES_MAX: i64 = 10_080;
/// `stepTimeoutInMinutes` that cancels the step timer.
pub const STEP_TIMEOUT_CANCEL: i64 = -1;
/// Executions shown in `get` and `notify`.
pub const PENDING_SHOWN_MAX: usize = 10;
/// The same, when one of them has a scheduling configuration.
pub const PENDING_SHOWN_SCHEDULED_MAX: usize = 15;
pub const TARGETS_PER_JOB_MAX: u32 = 100;
/// Thing groups a thing can be in.
pub const GROUPS_PER_THING_MAX: usize = 10;
pub const DESCRIPTION_CHARS_MAX: usize = 2_028;
pub const REASON_CODE_CHARS_MAX: usize = 128;
/// Of one thing on one job, for failures and time-outs together.
pub const RETRIES_MAX: u32 = 10;
pub const BASE_RATE_MAX: u32 = 1_000;
/// `incrementFactor` in tenths, from and to.
pub const INCREMENT_TENTHS: (u32, u32) = (11, 50);
pub const PRESIGNED_S_MIN: u64 = 60;
pub const PRESIGNED_S_MAX: u64 = 3_600;
/// A start time is at least this many minutes ahead, an end time as much after the start.
pub const SCHEDULE_MINUTES_MIN: u32 = 30;
/// A start time is at most this many days ahead, an end time twice as many.
pub const SCHEDULE_START_DAYS_MAX: u32 = 366;
pub const LIST_PAGE_MAX: usize = 250;

pub const TOPIC_BYTES_MAX: usize = 256;
pub const TOPIC_SLASHES_MAX: usize = 7;
pub const CLIENT_ID_BYTES_MAX: usize = 128;
pub const PAYLOAD_BYTES_MAX: usize = 128 * 1024;
/// A whole packet, MQTT 5's properties included.
pub const PACKET_BYTES_MAX: usize = 146 * 1024;
/// The least that an MQTT 5 client may ask for as its Maximum Packet Size.
pub const CLIENT_PACKET_BYTES_MIN: u32 = 512;
pub const TOPIC_ALIASES_MAX: u16 = 8;
pub const CONTENT_TYPE_BYTES_MAX: usize = 256;
pub const CORRELATION_DATA_BYTES_MAX: usize = 8 * 1024;
/// Names and values of a message's user properties together.
pub const USER_PROPERTIES_BYTES_MAX: usize = 8 * 1024;
pub const MESSAGE_EXPIRY_MAX: Duration = Duration::from_secs(604_800);
pub const SHARE_NAME_CHARS_MAX: usize = 128;
/// QoS 1 messages without a PUBACK, each way.
pub const UNACKNOWLEDGED_MAX: u16 = 100;
/// How long a session outlives its connection, unless the account has more.
pub const SESSION_EXPIRY_MAX: Duration = Duration::from_secs(3_600);
/// Messages that were stored for a client that was away, once it is back.
pub const STORED_MESSAGES_PER_SECOND_MAX: u32 = 10;
pub const FILTERS_PER_SUBSCRIBE_MAX: usize = 8;
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 50;
pub const KEEP_ALIVE_MIN: Duration = Duration::from_secs(30);
pub const KEEP_ALIVE_MAX: Duration = Duration::from_secs(1_200);
