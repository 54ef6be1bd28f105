//! What goes wrong on purpose with a thing's connections: the transport's part of the table of faults.

use crate::credentials::Credentials;
use iot_jobs::instant::Mono;
use iot_jobs::limits;
use iot_jobs::wire::payload;
use iot_jobs::wire::topic::Topic;
use std::sync::Arc;
use std::time::Duration;
use thing_faults::{Fault, FaultInjection, FaultSpec, Per, Unit};

/// A slow reader looks for bytes this often, for as many as it may have then.
const READ_TICKS_PER_SECOND: u64 = 10;
/// A thing that no thing of ours is.
const FOREIGN_THING: &str = "somebody-else";

/// Of one thing, over its connections; things whose behaviors have no such faults have none.
pub struct ThingFaults {
    seed: u64,
    thing: u64,
    specs: Arc<[FaultSpec]>,
    /// Shown until so many attempts have been made.
    expired: Option<(Credentials, u32)>,
    sessions: u64,
    had_duplicate: bool,
}

/// Another client with the identity of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateClient {
    /// How long, from the first connection on.
    pub lives: Duration,
    /// How long it waits before it connects again.
    pub again: Duration,
}

impl ThingFaults {
    /// `expired` is what the thing shows first where its certificate is to have expired.
    #[must_use]
    pub fn new(specs: &Arc<[FaultSpec]>, seed: u64, thing: u64, expired: Option<Credentials>) -> Self {
        let attempts = specs.iter().find(|spec| spec.fault == Fault::ExpiredCertificate).map_or(0, |spec| spec.count(0));
        let expired = expired.map(|credentials| (credentials, attempts));
        Self { seed, thing, specs: Arc::clone(specs), expired, sessions: 0, had_duplicate: false }
    }

    /// What the next attempt to connect shows instead of the thing's own certificate.
    pub(super) fn expired(&mut self) -> Option<&Credentials> {
        let (credentials, left) = self.expired.as_mut()?;
        *left = left.checked_sub(1)?;
        Some(credentials)
    }

    /// The other one that lives from the first connection on.
    pub(super) fn duplicate_client(&mut self) -> Option<DuplicateClient> {
        let (spec, mut strike) = self.strike(Fault::DuplicateClientId)?;
        let duplicate_client = DuplicateClient { lives: strike.time(spec.time(0)), again: strike.time(spec.time(1)) };
        (!std::mem::replace(&mut self.had_duplicate, true)).then_some(duplicate_client)
    }

    /// A connection was accepted at `now`: what is wrong with it.
    pub(super) fn begin_session(&mut self, now: Mono) -> Option<Box<SessionFaults>> {
        let mut faults = SessionFaults::default();
        if let Some((spec, mut strike)) = self.strike(Fault::NoPuback) {
            faults.silent_until = Some(now + strike.time(spec.time(0)));
        }
        if let Some((spec, mut strike)) = self.strike(Fault::SlowReader) {
            faults.read_throttle =
                Some(ReadThrottle { bytes_per_s: spec.count(0), lasts: strike.time(spec.time(1)), since: None, taken: 0 });
        }
        if let Some((spec, mut strike)) = self.strike(Fault::Flapping) {
            faults.drop_at = Some(now + strike.time(spec.time(0)));
        }
        self.sessions += 1;
        (faults.silent_until.is_some() || faults.read_throttle.is_some() || faults.drop_at.is_some()).then(|| Box::new(faults))
    }

    fn strike(&self, fault: Fault) -> Option<(&FaultSpec, FaultInjection)> {
        let spec = self.specs.iter().find(|spec| spec.fault == fault)?;
        let session = Unit::session(self.sessions);
        let unit = if spec.per == Per::Session { session } else { Unit::THING };
        let strike = spec.draw(self.seed, self.thing, unit)?;
        // Within a thing that is struck, every session draws its own times.
        Some((spec, if spec.per == Per::Thing { spec.strike(self.seed, self.thing, session) } else { strike }))
    }
}

/// Of one connection.
#[derive(Debug, Default)]
pub struct SessionFaults {
    /// No message is acknowledged before.
    silent_until: Option<Mono>,
    read_throttle: Option<ReadThrottle>,
    drop_at: Option<Mono>,
}

/// Reading slowly.
#[derive(Debug)]
struct ReadThrottle {
    bytes_per_s: u32,
    lasts: Duration,
    /// It begins once the thing has subscribed: nobody could connect otherwise.
    since: Option<Mono>,
    taken: u64,
}

impl ReadThrottle {
    /// Bytes that may be read at `now`; `None`: as many as there are.
    fn room(&self, now: Mono) -> Option<usize> {
        let since = self.since.filter(|since| now < *since + self.lasts)?;
        let room = self.due(since, now).saturating_sub(self.taken).min(self.bytes_per_s.into());
        Some(if room >= self.bytes_per_tick() { usize::try_from(room).unwrap_or(usize::MAX) } else { 0 })
    }

    fn handle_read(&mut self, bytes: usize, now: Mono) {
        if let Some(since) = self.since {
            // What was not read in a second is not read later.
            let missed = self.due(since, now).saturating_sub(u64::from(self.bytes_per_s));
            self.taken = self.taken.max(missed) + bytes as u64;
        }
    }

    /// Bytes that might have been read until `now`.
    fn due(&self, since: Mono, now: Mono) -> u64 {
        u64::try_from(now.since(since).as_nanos() * u128::from(self.bytes_per_s) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    fn bytes_per_tick(&self) -> u64 {
        (u64::from(self.bytes_per_s) / READ_TICKS_PER_SECOND).max(1)
    }

    /// When there will be room again.
    fn next(&self) -> Option<Mono> {
        let since = self.since?;
        let end = since + self.lasts;
        if self.bytes_per_s == 0 {
            return Some(end);
        }
        let nanos = u128::from(self.taken + self.bytes_per_tick()) * 1_000_000_000 / u128::from(self.bytes_per_s) + 1;
        Some((since + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))).min(end))
    }
}

impl SessionFaults {
    /// What is wrong from the beginning, for those who count.
    pub(super) fn struck(&self) -> impl Iterator<Item = Fault> {
        let silent = self.silent_until.map(|_| Fault::NoPuback);
        silent.into_iter().chain(self.read_throttle.as_ref().map(|_| Fault::SlowReader))
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent_until.is_some()
    }

    /// Whether it begins to acknowledge now; it will not say so again.
    pub(super) fn breaks_silence(&mut self, now: Mono) -> bool {
        self.silent_until.take_if(|until| now >= *until).is_some()
    }

    /// Whether the connection is to be dropped now.
    pub(super) fn drops(&self, now: Mono) -> bool {
        self.drop_at.is_some_and(|at| now >= at)
    }

    pub(super) fn handle_subscribed(&mut self, now: Mono) {
        if let Some(read_throttle) = &mut self.read_throttle {
            read_throttle.since.get_or_insert(now);
        }
    }

    /// Bytes that may be read at `now`; `None`: as many as there are.
    pub(super) fn room(&self, now: Mono) -> Option<usize> {
        self.read_throttle.as_ref()?.room(now)
    }

    pub(super) fn handle_read(&mut self, bytes: usize, now: Mono) {
        if let Some(read_throttle) = &mut self.read_throttle {
            read_throttle.handle_read(bytes, now);
        }
    }

    /// When something will change by itself.
    pub(super) fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let read_throttle =
            self.read_throttle.as_ref().filter(|read_throttle| read_throttle.room(now) == Some(0)).and_then(ReadThrottle::next);
        [self.silent_until, read_throttle, self.drop_at].into_iter().flatten().min()
    }
}

/// Topic and payload of a request with `fault` in it.
pub(super) fn corrupt(fault: Fault, topic: Topic<'_>, payload: Vec<u8>) -> (String, Vec<u8>) {
    let topic = match fault {
        Fault::WrongTopic => format!("{topic}s"),
        Fault::ForeignTopic => Topic { thing: FOREIGN_THING, ..topic }.to_string(),
        _ => topic.to_string(),
    };
    (topic, corrupt_payload(fault, payload))
}

/// The payload of a request with `fault` in it.
pub(super) fn corrupt_payload(fault: Fault, mut payload: Vec<u8>) -> Vec<u8> {
    let with_detail = |text: &str| payload::with_status_detail(&payload, "note", text);
    match fault {
        Fault::OversizedDetails => with_detail(&"x".repeat(limits::STATUS_DETAILS_VALUE_CHARS_MAX + 1)),
        Fault::ControlCharacterDetails => with_detail("first line\nsecond line"),
        Fault::BadJson => {
            payload.truncate(payload.len() / 2);
            payload
        }
        _ => payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(5_000_000_000);

    fn read_throttle(bytes_per_s: u32) -> SessionFaults {
        let read_throttle = ReadThrottle { bytes_per_s, lasts: Duration::from_secs(10), since: None, taken: 0 };
        SessionFaults { read_throttle: Some(read_throttle), ..SessionFaults::default() }
    }

    #[test]
    fn a_slow_reader_takes_its_bytes_a_second_and_then_all() {
        let mut faults = read_throttle(100);
        assert_eq!(faults.room(START), None, "not before it has subscribed");
        faults.handle_subscribed(START);
        assert_eq!((faults.room(START), faults.poll_timeout(START)), (Some(0), Some(START + Duration::from_nanos(100_000_001))));
        let later = START + Duration::from_secs(2);
        assert_eq!(faults.room(later), Some(100), "a second's worth");
        faults.handle_read(95, later);
        assert_eq!(faults.room(later), Some(0), "less than a sip is left of the last second");
        assert!(faults.poll_timeout(later).is_some_and(|at| at > later && at < later + Duration::from_millis(200)));
        assert_eq!(faults.room(START + Duration::from_secs(10)), None);
    }

    #[test]
    fn a_reader_that_takes_nothing_wakes_when_it_is_over() {
        let mut faults = read_throttle(0);
        faults.handle_subscribed(START);
        assert_eq!((faults.room(START), faults.poll_timeout(START)), (Some(0), Some(START + Duration::from_secs(10))));
    }

    #[test]
    fn a_silent_thing_breaks_its_silence_once() {
        let mut faults = SessionFaults { silent_until: Some(START), ..SessionFaults::default() };
        assert!(faults.is_silent() && faults.breaks_silence(START) && !faults.breaks_silence(START));
    }
}
