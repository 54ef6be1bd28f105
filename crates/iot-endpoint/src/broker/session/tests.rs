use super::super::budget::Budget;
use super::super::packet::{RetainHandling, Subscribe, Wanted};
use super::super::stored::Stored;
use super::super::subscriptions::Subscription;
use super::*;
use crate::authority::DevicePolicy;
use crate::authority::permissions::tests::{of_iam_identity, permissions};
use jobs_engine::quotas::Quotas;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::PublishProperties;
use std::num::NonZeroU32;

const START: Mono = Mono(1_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Version; 2] = [Version::V3, Version::V5];

fn ms(ms: u64) -> Mono {
    START + Duration::from_millis(ms)
}

fn id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).unwrap()
}

/// 100,000 bytes of messages for a session, and 125,000 for all.
fn budget() -> Arc<Budget> {
    Budget::new(100_000, 125_000, 10_000)
}

fn no_quotas() -> Meters {
    Meters::new(Quotas::default())
}

fn connect(version: Version) -> Connect {
    Connect {
        version,
        client_id: "t-1".into(),
        clean: true,
        keep_alive: 60,
        session_expiry: 0,
        receive_max: 100,
        packet_bytes_max: None,
        wants_authentication: false,
        wants_reasons: true,
        will: None,
    }
}

fn admission() -> Admission {
    Admission {
        client_id: ClientId::new("t-1"),
        thing: ThingName::new("t-1").ok(),
        permissions: permissions("t-1", &DevicePolicy::built_in().text),
        keep_alive: 60 * SECOND,
        expiry_max: 3_600 * SECOND,
        ends: Mono::FAR_FUTURE,
        resumed: None,
        is_stored: false,
        budget: budget(),
    }
}

fn will() -> Option<Box<Will>> {
    Some(Box::new(Will {
        topic: "lwt".into(),
        payload: (*b"gone").into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Box::default(),
        expiry: None,
        delay: Duration::ZERO,
    }))
}

/// A session, what it has written, and what is stored for it.
struct Rig<'a> {
    session: Session<'a>,
    out: BytesMut,
    now: Mono,
}

/// A packet as it was written: its first byte and its body.
type Written = (u8, Vec<u8>);

impl<'a> Rig<'a> {
    fn new(connect: Connect, admission: Admission, meters: &'a Meters) -> Self {
        let mut out = BytesMut::new();
        let session = Session::begin(connect, admission, meters, START, &mut out);
        let mut rig = Self { session, out, now: START };
        assert_eq!(rig.written().len(), 1, "a CONNACK");
        rig
    }

    fn plain(version: Version, meters: &'a Meters) -> Self {
        Self::new(connect(version), admission(), meters)
    }

    fn handle(&mut self, packet: Inbound) -> Result<Effect, Close> {
        self.session.handle_packet(packet, self.now, &mut self.out)
    }

    /// A packet that asks nothing of others; what it is answered.
    #[track_caller]
    fn answer(&mut self, packet: Inbound) -> Vec<Written> {
        let effect = self.handle(packet).unwrap();
        assert!(matches!(effect, Effect::None), "{effect:?}");
        self.written()
    }

    /// What was written since it was asked last; none of it is longer than 127 bytes.
    fn written(&mut self) -> Vec<Written> {
        let mut bytes = &std::mem::take(&mut self.out)[..];
        let mut packets = Vec::new();
        while let [first, length, rest @ ..] = bytes {
            let (body, rest) = rest.split_at(usize::from(*length));
            packets.push((*first, body.to_vec()));
            bytes = rest;
        }
        packets
    }

    /// Payloads of the messages that were written, which are a byte each.
    fn payloads(&mut self) -> String {
        self.written().iter().map(|(_, body)| char::from(*body.last().unwrap())).collect()
    }

    /// Codes of the SUBACK, and the topics whose retained messages are wanted.
    #[track_caller]
    fn subscribe(&mut self, filters: &[(&str, QoS)]) -> (Vec<u8>, Vec<RetainedWanted>) {
        let wanted = filters.iter().map(|(filter, qos)| wanted(filter, *qos)).collect();
        let effect = self.handle(Inbound::Subscribe(Subscribe { id: id(9), has_identifier: false, wanted })).unwrap();
        let Effect::Subscribe(retained) = effect else { panic!("{effect:?}") };
        let written = self.written();
        assert_eq!((written.len(), written[0].0, &written[0].1[..2]), (1, 0x90, &[0, 9][..]));
        let before = if self.session.version() == Version::V5 { 3 } else { 2 };
        (written[0].1[before..].to_vec(), retained)
    }

    fn deliver(&mut self, message: Message) -> Result<(), Close> {
        self.session.handle_message(Arc::new(message), self.now, &mut self.out)
    }

    /// As its connection does.
    fn draw(&mut self, stored: &mut Stored) {
        while let Some(id) = self.session.poll_draw(self.now) {
            let drawn = stored.draw(id, self.now);
            if let Effect::Acknowledge(id) = self.session.handle_drawn(id, drawn, self.now, &mut self.out) {
                stored.acknowledge(id);
            }
        }
    }

    fn acknowledge(&mut self, id: u16, stored: &mut Stored) {
        let effect = self.handle(Inbound::PublishAck(self::id(id))).unwrap();
        let Effect::Acknowledge(id) = effect else { panic!("{effect:?}") };
        stored.acknowledge(id);
        self.draw(stored);
    }
}

fn wanted(filter: &str, qos: QoS) -> Wanted {
    let subscription = Subscription::new(filter, qos);
    Wanted { subscription, retained: RetainHandling::Always }
}

fn publish(topic: &str, id: Option<u16>, properties: Option<PublishProperties>) -> Inbound {
    Inbound::Publish(Box::new(Publish {
        dup: false,
        retain: false,
        qos: if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        topic: topic.into(),
        packet_id: id.map(self::id),
        payload: "{}".into(),
        properties,
    }))
}

fn message(topic: &str, payload: char) -> Message {
    Message::of_service(topic, payload.to_string().into_bytes())
}

fn reason(result: Result<Effect, Close>) -> Option<Reason> {
    result.unwrap_err().reason()
}

// --------------------------------------------------------------------------------------------------------------- connect

#[test]
fn connack_says_what_was_granted() {
    let meters = no_quotas();
    let accepted = |connect: Connect, resumed: bool| {
        let mut out = BytesMut::new();
        let admission = Admission { resumed: resumed.then(Subscriptions::default), keep_alive: 600 * SECOND, ..admission() };
        Session::begin(connect, admission, &meters, START, &mut out);
        out.to_vec()
    };
    assert_eq!(accepted(connect(Version::V3), false), [0x20, 2, 0, 0]);
    assert_eq!(accepted(connect(Version::V3), true), [0x20, 2, 1, 0]);
    let nameless = Connect { client_id: "".into(), session_expiry: u32::MAX, ..connect(Version::V5) };
    let told = accepted(nameless, false);
    for property in [&[0x11, 0, 0, 0x0e, 0x10][..], &[0x13, 2, 0x58], b"\x12\0\x03t-1"] {
        assert!(told.windows(property.len()).any(|window| window == property), "{property:x?} in {told:x?}");
    }
    assert!(!accepted(connect(Version::V5), false).ends_with(b"t-1"), "who has a client id is told none");
}

#[test]
fn a_client_that_is_silent_for_one_and_a_half_keep_alives_is_cut() {
    let meters = no_quotas();
    let mut rig = Rig::plain(Version::V3, &meters);
    assert_eq!(rig.session.poll_timeout(), START + 90 * SECOND);
    rig.now = START + 89 * SECOND;
    assert_eq!(rig.answer(Inbound::Ping), [(0xd0, vec![])]);
    assert!(rig.session.handle_timeout(START + 90 * SECOND).is_ok());
    assert_eq!(rig.session.poll_timeout(), START + 179 * SECOND);
    let close = rig.session.handle_timeout(START + 179 * SECOND).unwrap_err();
    assert_eq!(close.reason(), Some(Reason::KeepAlive));
}

#[test]
fn a_connections_time_ends_whatever_the_client_does() {
    let meters = no_quotas();
    let mut rig = Rig::new(connect(Version::V5), Admission { ends: ms(700), ..admission() }, &meters);
    rig.now = ms(699);
    rig.answer(Inbound::Ping);
    assert_eq!(rig.session.poll_timeout(), ms(700));
    assert!(rig.session.handle_timeout(ms(699)).is_ok());
    assert_eq!(rig.session.handle_timeout(ms(700)).unwrap_err().reason(), Some(Reason::ShuttingDown));
}

#[test]
fn only_an_orderly_disconnect_leaves_no_will() {
    let meters = no_quotas();
    for (with_will, is_left) in [(false, false), (true, true)] {
        let mut rig = Rig::new(Connect { will: will(), ..connect(Version::V5) }, admission(), &meters);
        let close = rig.handle(Inbound::Disconnect { with_will, session_expiry: None }).unwrap_err();
        assert!(matches!(close, Close::Disconnected) && close.reason().is_none());
        assert_eq!(rig.session.end().1.is_some(), is_left);
    }
    let mut rig = Rig::new(Connect { will: will(), ..connect(Version::V5) }, admission(), &meters);
    assert_eq!(reason(rig.handle(Inbound::Unsupported)), Some(Reason::Protocol));
    let left = rig.session.end().1.unwrap().into_message(START);
    assert_eq!((&*left.topic, &*left.payload), ("lwt", &b"gone"[..]));
}

#[test]
fn a_session_expires_as_the_client_said_last_within_the_limit() {
    let meters = no_quotas();
    let expiry = |connect: u32, disconnect: Option<u32>| {
        let mut rig = Rig::new(Connect { session_expiry: connect, ..self::connect(Version::V5) }, admission(), &meters);
        let close = rig.handle(Inbound::Disconnect { with_will: false, session_expiry: disconnect }).unwrap_err();
        (rig.session.end().0.as_secs(), close.reason())
    };
    assert_eq!(expiry(60, None), (60, None));
    assert_eq!(expiry(u32::MAX, None), (3_600, None));
    assert_eq!(expiry(60, Some(0)), (0, None));
    assert_eq!(expiry(60, Some(9_999)), (3_600, None));
    assert_eq!(expiry(0, Some(9)), (0, Some(Reason::Protocol)));
}

// ------------------------------------------------------------------------------------------------------------- subscribe

#[test]
fn each_filter_has_its_code_and_only_exact_ones_want_what_is_retained() {
    let meters = no_quotas();
    let filters = [
        ("dt/x", QoS::AtLeastOnce),
        ("dt/+", QoS::AtMostOnce),
        ("$aws/things/t-1/jobs/#", QoS::AtLeastOnce),
        ("$aws/things/t-2/jobs/#", QoS::AtLeastOnce),
        ("$aws/events/job/#", QoS::AtMostOnce),
        ("dt/#/x", QoS::AtMostOnce),
    ];
    let not_denied = [filters[0], filters[1], filters[2], filters[5]];
    for (version, filters, codes) in
        [(Version::V3, &not_denied[..], &[1, 0, 1, 0x80][..]), (Version::V5, &filters[..], &[1, 0, 1, 0x87, 0x87, 0x8f])]
    {
        let mut rig = Rig::plain(version, &meters);
        let (granted, retained) = rig.subscribe(filters);
        assert_eq!(granted, codes);
        assert_eq!(retained, [RetainedWanted { topic: "dt/x".into(), qos: QoS::AtLeastOnce }]);
        let kept = Arc::new(Message { retain: true, ..message("dt/x", 'r') });
        rig.session.handle_retained(kept, QoS::AtLeastOnce, START, &mut rig.out).unwrap();
        let [(first, body)] = &rig.written()[..] else { panic!("one message") };
        assert_eq!((*first, body.last()), (0x33, Some(&b'r')), "QoS 1, RETAIN");
    }
}

/// Every way to write a filter that would match what is not the thing's.
#[test]
fn a_thing_hears_its_own_jobs_and_no_events_and_who_signs_hears_all() {
    let meters = no_quotas();
    let filters = [
        "$aws/events/#",
        "$aws/events/job/+/completed",
        "$share/g/$aws/events/#",
        "$aws/#",
        "$aws/+/job/#",
        "$aws/things/#",
        "$aws/things/+/jobs/#",
        "$aws/things/t-2/jobs/notify",
        "$share/g/$aws/things/t-2/jobs/#",
        "$aws/things/t-1/shadow/#",
        "$SYS/#",
    ];
    for filter in filters {
        let mut rig = Rig::plain(Version::V5, &meters);
        assert_eq!(rig.subscribe(&[(filter, QoS::AtMostOnce)]).0, [0x87], "{filter}");
        let mut signs = Rig::new(connect(Version::V5), Admission { permissions: of_iam_identity(), ..admission() }, &meters);
        assert_eq!(signs.subscribe(&[(filter, QoS::AtMostOnce)]).0, [0], "{filter}");
    }
}

/// PROTOCOL-CORE 7, vectors 15 to 20, 24 and 28: what a client sees of it.
#[test]
fn a_denied_client_is_answered_as_was_measured() {
    let meters = no_quotas();
    let statement = |action: &str, resource: &str| {
        format!(r#"{{"Effect":"Allow","Action":"iot:{action}","Resource":"arn:aws:iot:*:*:{resource}"}}"#)
    };
    let allowed =
        [("Publish", "topic/p/o*"), ("Receive", "topic/p/ok"), ("Subscribe", "topicfilter/p/ok"), ("Subscribe", "topicfilter/p/+")];
    let statements = allowed.map(|(action, resource)| statement(action, resource)).join(",");
    let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    let rig =
        |version| Rig::new(connect(version), Admission { permissions: permissions("t-1", &document), ..admission() }, &meters);
    let retained = |id| match publish("p/ok", id, None) {
        Inbound::Publish(publish) => Inbound::Publish(Box::new(Publish { retain: true, ..*publish })),
        other => other,
    };
    for version in BOTH {
        let mut rig = rig(version);
        assert_eq!(rig.subscribe(&[("p/ok", QoS::AtLeastOnce), ("p/+", QoS::AtMostOnce)]).0, [1, 0]);
        assert!(matches!(rig.handle(publish("p/ok", Some(7), None)), Ok(Effect::Publish { .. })));
        assert!(matches!(rig.handle(publish("p/other", Some(8), None)), Ok(Effect::Publish { .. })));
        rig.written();
        rig.deliver(message("p/other", 'x')).unwrap();
        assert_eq!(rig.written(), [], "not received, and nobody is told");
        rig.deliver(message("p/ok", 'x')).unwrap();
        assert_eq!(rig.written().len(), 1);
        let denials = rig.session.permissions().take_denials();
        assert_eq!(denials.iter().map(|denial| denial.action).collect::<Vec<_>>(), [Action::Receive]);
    }
    let mut of_v5 = rig(Version::V5);
    assert_eq!(of_v5.subscribe(&[("p/ok", QoS::AtLeastOnce), ("p/nope", QoS::AtMostOnce)]).0, [1, 0x87], "one code each");
    assert_eq!(of_v5.answer(publish("p/nope", Some(7), None)), [(0x40, vec![0, 7, 0x87])]);
    assert_eq!(of_v5.answer(retained(Some(8))), [(0x40, vec![0, 8, 0x87])]);
    assert_eq!(reason(of_v5.handle(publish("p/nope", None, None))), Some(Reason::NotAuthorized));
    let wanted = |filters: &[&str]| {
        let wanted = filters
            .iter()
            .map(|filter| Wanted { subscription: Subscription::new(filter, QoS::AtMostOnce), retained: RetainHandling::Always });
        Inbound::Subscribe(Subscribe { id: id(9), has_identifier: false, wanted: wanted.collect() })
    };
    for denied in [wanted(&["p/ok", "p/nope"]), publish("p/nope", Some(7), None), publish("p/nope", None, None), retained(Some(8))]
    {
        let mut of_v3 = rig(Version::V3);
        assert_eq!(reason(of_v3.handle(denied)), Some(Reason::NotAuthorized));
        assert_eq!(of_v3.written(), [], "the connection is closed without a word");
        assert!(of_v3.session.subscriptions().is_empty());
    }
}

#[test]
fn what_was_unsubscribed_is_heard_no_more() {
    let meters = no_quotas();
    let mut rig = Rig::plain(Version::V5, &meters);
    rig.subscribe(&[("a", QoS::AtMostOnce), ("b", QoS::AtMostOnce)]);
    let filters = vec!["a".into(), "never".into(), "x#".into()];
    assert!(
        matches!(rig.handle(Inbound::Unsubscribe { id: id(3), filters }), Ok(Effect::Subscribe(retained)) if retained.is_empty())
    );
    assert_eq!(rig.written(), [(0xb0, vec![0, 3, 0, 0, 0, 0x8f])]);
    for topic in ["a", "b"] {
        rig.deliver(message(topic, 'x')).unwrap();
    }
    assert_eq!(rig.written().len(), 1);
    assert!(!rig.session.subscriptions().is_empty());
}

#[test]
fn subscriptions_have_a_number_and_an_account_has_a_rate_of_them() {
    let meters = Meters::new(Quotas { subscriptions: Some(2), subscribes_per_second: Some(4), ..Quotas::default() });
    let mut rig = Rig::plain(Version::V5, &meters);
    let filters = ["a", "b", "c", "a", "e"].map(|filter| (filter, QoS::AtMostOnce));
    assert_eq!(rig.subscribe(&filters).0, [0, 0, 0x97, 0, 0x97], "the third is one too many, the fifth too fast");
    rig.now = ms(1_000);
    assert_eq!(rig.subscribe(&[("b", QoS::AtMostOnce)]).0, [0]);
}

#[test]
fn qos_2_gets_silence_or_a_disconnect() {
    let meters = no_quotas();
    let subscribe =
        || Inbound::Subscribe(Subscribe { id: id(9), has_identifier: false, wanted: vec![wanted("a", QoS::ExactlyOnce)] });
    assert!(Rig::plain(Version::V3, &meters).answer(subscribe()).is_empty());
    assert_eq!(reason(Rig::plain(Version::V5, &meters).handle(subscribe())), Some(Reason::Qos));
}

// --------------------------------------------------------------------------------------------------------- a client's own

#[test]
fn a_request_is_acknowledged_and_its_answer_has_the_granted_qos() {
    let meters = no_quotas();
    for version in BOTH {
        let mut rig = Rig::plain(version, &meters);
        for (granted, first) in [(None, 0x32), (Some(QoS::AtMostOnce), 0x30), (Some(QoS::AtLeastOnce), 0x32)] {
            if let Some(qos) = granted {
                rig.subscribe(&[("$aws/things/t-1/jobs/get/+", qos)]);
            }
            let effect = rig.handle(publish("$aws/things/t-1/jobs/get", Some(7), None)).unwrap();
            let Effect::Request(request) = effect else { panic!("{effect:?}") };
            assert_eq!(rig.written(), [(0x40, vec![0, 7])]);
            assert_eq!((request.received, request.payload(), request.topic().is_some()), (START, &b"{}"[..], true));
            let answer = request.answer(true, b"{}".to_vec());
            assert_eq!(answer.topic, "$aws/things/t-1/jobs/get/accepted");
            rig.session.handle_answer(answer, START, &mut rig.out).unwrap();
            assert_eq!(rig.written()[0].0, first, "{granted:?}");
        }
        let effect = rig.handle(publish("$aws/things/t-1/jobs/no-such", None, None)).unwrap();
        let Effect::Request(request) = effect else { panic!("{effect:?}") };
        assert!(rig.written().is_empty() && request.topic().is_none());
        assert_eq!(request.answer(false, vec![]).topic, "$aws/things/t-1/jobs/no-such/rejected");
    }
}

#[test]
fn a_topic_of_another_thing_is_refused() {
    let meters = no_quotas();
    let other = |id| publish("$aws/things/t-2/jobs/get", id, None);
    assert_eq!(reason(Rig::plain(Version::V3, &meters).handle(other(Some(7)))), Some(Reason::NotAuthorized));
    let mut rig = Rig::plain(Version::V5, &meters);
    assert_eq!(rig.answer(other(Some(7))), [(0x40, vec![0, 7, 0x87])]);
    assert_eq!(reason(rig.handle(other(None))), Some(Reason::NotAuthorized));
    assert_eq!(reason(rig.handle(publish("$aws/nothing", None, None))), Some(Reason::TopicInvalid));
}

#[test]
fn a_message_for_others_is_acknowledged_when_it_was_routed_and_otherwise_like_one_over_a_rate() {
    let meters = no_quotas();
    for (version, is_routed, ack) in [
        (Version::V5, true, Some(vec![0, 7])),
        (Version::V5, false, Some(vec![0, 7, 0x97])),
        (Version::V3, true, Some(vec![0, 7])),
        (Version::V3, false, None),
    ] {
        let mut rig = Rig::plain(version, &meters);
        let expiry = PublishProperties { message_expiry_interval: NonZeroU32::new(5), ..PublishProperties::default() };
        let effect = rig.handle(publish("dt/x", Some(7), Some(expiry))).unwrap();
        let Effect::Publish { message, id } = effect else { panic!("{effect:?}") };
        assert!(rig.written().is_empty(), "not yet");
        assert_eq!((&*message.topic, message.expires), ("dt/x", Some(START + 5 * SECOND)));
        rig.session.handle_published(id, is_routed, &mut rig.out);
        assert_eq!(rig.written(), ack.into_iter().map(|ack| (0x40, ack)).collect::<Vec<_>>());
    }
}

#[test]
fn an_alias_stands_for_the_topic_it_came_with_last() {
    let meters = no_quotas();
    let mut rig = Rig::plain(Version::V5, &meters);
    let aliased = |topic: &str, alias: u16| {
        let alias = PublishProperties { topic_alias: NonZeroU16::new(alias), ..PublishProperties::default() };
        publish(topic, None, Some(alias))
    };
    for (topic, alias, expected) in [("a", 1, "a"), ("b", 8, "b"), ("", 1, "a"), ("c", 1, "c"), ("", 1, "c"), ("", 8, "b")] {
        let effect = rig.handle(aliased(topic, alias)).unwrap();
        assert!(matches!(&effect, Effect::Publish { message, .. } if &*message.topic == expected), "{effect:?}");
    }
    assert_eq!(reason(rig.handle(aliased("", 2))), Some(Reason::Protocol));
    assert_eq!(reason(rig.handle(aliased("a", 9))), Some(Reason::AliasInvalid));
}

#[test]
fn a_topic_or_a_payload_that_may_not_be_ends_the_connection() {
    let meters = no_quotas();
    for topic in ["", "a/+", "a/b/c/d/e/f/g/h/i"] {
        assert_eq!(
            reason(Rig::plain(Version::V5, &meters).handle(publish(topic, None, None))),
            Some(Reason::TopicInvalid),
            "{topic}"
        );
    }
    let Inbound::Publish(mut large) = publish("dt/x", None, None) else { unreachable!() };
    large.payload = vec![b'x'; limits::PAYLOAD_BYTES_MAX + 1].into();
    assert!(reason(Rig::plain(Version::V5, &meters).handle(Inbound::Publish(large))).is_some());
}

// ---------------------------------------------------------------------------------------------------------------- quotas

#[test]
fn messages_over_the_connections_rate_are_discarded_in_both_directions() {
    let meters = Meters::new(Quotas { publishes_per_second: Some(3), ..Quotas::default() });
    for version in BOTH {
        let mut rig = Rig::plain(version, &meters);
        rig.subscribe(&[("dt/x", QoS::AtMostOnce)]);
        rig.deliver(message("dt/x", 'a')).unwrap();
        for _ in 0..2 {
            assert!(matches!(rig.handle(publish("dt/y", Some(7), None)), Ok(Effect::Publish { .. })));
        }
        assert_eq!(rig.payloads(), "a");
        let refused = if version == Version::V5 { vec![(0x40, vec![0, 7, 0x97])] } else { vec![] };
        assert_eq!(rig.answer(publish("dt/y", Some(7), None)), refused);
        rig.deliver(message("dt/x", 'b')).unwrap();
        assert!(rig.written().is_empty());
        rig.now = ms(334);
        rig.deliver(message("dt/x", 'c')).unwrap();
        assert_eq!(rig.payloads(), "c", "a third of a second is one message");
    }
}

#[test]
fn what_is_over_the_accounts_rate_is_discarded_whoever_sent_it() {
    let meters = Meters::new(Quotas { inbound_publishes_per_second: Some(1), ..Quotas::default() });
    let (mut one, mut other) = (Rig::plain(Version::V3, &meters), Rig::plain(Version::V3, &meters));
    assert!(matches!(one.handle(publish("dt/y", Some(7), None)), Ok(Effect::Publish { .. })));
    assert!(other.answer(publish("dt/y", Some(7), None)).is_empty());
    other.now = ms(1_000);
    assert!(matches!(other.handle(publish("dt/y", Some(7), None)), Ok(Effect::Publish { .. })));
}

#[test]
fn bytes_over_the_rate_make_the_connection_rest() {
    let meters = Meters::new(Quotas { bytes_per_second: Some(1_000), ..Quotas::default() });
    let mut rig = Rig::plain(Version::V3, &meters);
    assert_eq!(rig.session.rest(1_000, START), Duration::ZERO);
    assert_eq!(rig.session.rest(500, START), Duration::from_millis(500));
    assert_eq!(Rig::plain(Version::V3, &no_quotas()).session.rest(usize::MAX, START), Duration::ZERO);
}

// ------------------------------------------------------------------------------------------------------------ out to it

#[test]
fn no_more_goes_out_than_the_client_takes_without_acknowledging() {
    let meters = no_quotas();
    let mut rig = Rig::new(Connect { receive_max: 2, ..connect(Version::V5) }, admission(), &meters);
    rig.subscribe(&[("dt/x", QoS::AtLeastOnce), ("dt/low", QoS::AtMostOnce)]);
    for payload in ['a', 'b', 'c', 'd'] {
        rig.deliver(message("dt/x", payload)).unwrap();
    }
    rig.deliver(message("dt/low", 'l')).unwrap();
    assert_eq!(rig.payloads(), "abl", "QoS 0 needs no room");
    rig.answer_ack(77);
    assert!(rig.written().is_empty(), "an acknowledgement of nothing makes no room");
    rig.answer_ack(2);
    assert_eq!(rig.payloads(), "c");
    rig.answer_ack(1);
    assert_eq!(rig.payloads(), "d");
}

impl Rig<'_> {
    /// A PUBACK to a session that is not stored.
    #[track_caller]
    fn answer_ack(&mut self, id: u16) {
        assert!(matches!(self.handle(Inbound::PublishAck(self::id(id))), Ok(Effect::None)));
    }
}

#[test]
fn a_client_that_acknowledges_nothing_is_cut_in_the_end() {
    let meters = no_quotas();
    let mut rig = Rig::new(Connect { receive_max: 1, ..connect(Version::V5) }, admission(), &meters);
    rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
    let close = (0..2_000).find_map(|_| rig.deliver(message("dt/x", 'x')).err()).unwrap();
    assert_eq!(close.reason(), Some(Reason::Quota));
}

#[test]
fn packet_ids_are_never_zero_and_never_one_in_use() {
    let meters = no_quotas();
    let mut rig = Rig::plain(Version::V3, &meters);
    rig.subscribe(&[("t", QoS::AtLeastOnce)]);
    let next = |rig: &mut Rig<'_>| {
        rig.deliver(message("t", 'x')).unwrap();
        let (_, body) = rig.written().pop().unwrap();
        u16::from_be_bytes([body[3], body[4]])
    };
    assert_eq!(next(&mut rig), 1);
    for expected in 2..=u16::MAX {
        assert_eq!(next(&mut rig), expected);
        rig.answer_ack(expected);
    }
    assert_eq!(next(&mut rig), 2, "0 is none, and 1 is in use");
}

#[test]
fn a_message_over_the_clients_packet_size_is_as_good_as_delivered() {
    let meters = no_quotas();
    let mut rig = Rig::new(Connect { receive_max: 1, packet_bytes_max: Some(20), ..connect(Version::V5) }, admission(), &meters);
    rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
    rig.deliver(Message::of_service("dt/x", vec![b'x'; 20])).unwrap();
    rig.deliver(message("dt/x", 'a')).unwrap();
    assert_eq!(rig.payloads(), "a");
}

#[test]
fn what_waits_for_acknowledgements_has_a_number_of_bytes_for_a_session_and_one_for_all() {
    let meters = no_quotas();
    let shared = budget();
    let begin = || {
        let admission = Admission { budget: Arc::clone(&shared), ..admission() };
        let mut rig = Rig::new(Connect { receive_max: 1, ..connect(Version::V5) }, admission, &meters);
        rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
        rig.deliver(message("dt/x", 'a')).unwrap();
        rig
    };
    let large = || Message::of_service("dt/x", vec![b'x'; 20_000]);
    let fill = |rig: &mut Rig<'_>| (0..100).find(|_| rig.deliver(large()).is_err()).unwrap();
    let (mut first, mut second) = (begin(), begin());
    assert_eq!([fill(&mut first), fill(&mut second)], [4, 3], "the first alone has as much as one may have, both as much as all");
    let mut third = begin();
    third.deliver(message("dt/x", 'b')).expect("a share is kept for everybody");
    assert_eq!(third.deliver(large()).unwrap_err().reason(), Some(Reason::Quota));
    drop(first);
    assert_eq!(fill(&mut third), 4);
}

#[test]
fn what_no_client_could_take_does_not_leave_in_any_version() {
    let meters = no_quotas();
    for version in BOTH {
        let mut rig = Rig::plain(version, &meters);
        rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
        rig.deliver(Message::of_service("dt/x", vec![b'x'; limits::PACKET_BYTES_MAX])).unwrap();
        assert!(rig.written().is_empty());
    }
}

#[test]
fn a_message_is_told_what_is_left_of_its_life_and_leaves_none_when_it_is_over() {
    let meters = no_quotas();
    let mut rig = Rig::new(Connect { receive_max: 1, ..connect(Version::V5) }, admission(), &meters);
    rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
    let short = || Message { expires: Some(START + 5 * SECOND), ..message("dt/x", 's') };
    rig.now = ms(2_500);
    rig.deliver(short()).unwrap();
    let (_, body) = rig.written().pop().unwrap();
    assert_eq!(body[8..14], [5, 2, 0, 0, 0, 2], "properties: 2 seconds");
    rig.deliver(short()).unwrap();
    rig.deliver(message("dt/x", 'l')).unwrap();
    rig.now = ms(5_000);
    rig.answer_ack(1);
    assert_eq!(rig.payloads(), "l", "what was held back for too long takes no room");
}

// ---------------------------------------------------------------------------------------------------------------- stored

fn stored_session(resumed: Option<Subscriptions>, meters: &Meters) -> Rig<'_> {
    Rig::new(
        Connect { clean: false, session_expiry: 60, ..connect(Version::V3) },
        Admission { resumed, is_stored: true, ..admission() },
        meters,
    )
}

fn stored(messages: &str) -> Stored {
    let mut stored = Stored::new(Version::V3, &budget());
    for payload in messages.chars() {
        assert!(stored.enqueue(Arc::new(message("dt/x", payload))));
    }
    stored
}

#[test]
fn what_was_not_acknowledged_comes_again_when_the_session_is_resumed() {
    let meters = no_quotas();
    let (mut stored, mut rig) = (stored(""), stored_session(None, &meters));
    rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
    rig.draw(&mut stored);
    assert_eq!(rig.session.poll_draw(START), None, "nothing is stored, as it knows");
    for payload in ['a', 'b'] {
        stored.enqueue(Arc::new(message("dt/x", payload)));
        rig.session.handle_waiting();
        rig.draw(&mut stored);
    }
    let written = rig.written();
    let ids: Vec<u16> = written.iter().map(|(_, body)| u16::from_be_bytes([body[6], body[7]])).collect();
    assert_eq!(written.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0x32, 0x32]);
    rig.acknowledge(ids[1], &mut stored);
    let resumed = rig.session.subscriptions().clone();

    stored.resume();
    let mut rig = stored_session(Some(resumed), &meters);
    rig.draw(&mut stored);
    assert_eq!(rig.payloads(), "a");
    rig.now = ms(1_000);
    rig.acknowledge(1, &mut stored);
    assert!(rig.written().is_empty());
    stored.resume();
    assert!(stored.draw(id(1), START).is_none(), "all have arrived");
}

#[test]
fn what_is_from_before_comes_at_ten_a_second_and_what_is_new_at_once() {
    let meters = no_quotas();
    let mut rig = stored_session(None, &meters);
    rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
    let resumed = Some(rig.session.subscriptions().clone());
    let mut stored = stored("abc");
    stored.resume();
    let mut rig = stored_session(resumed, &meters);
    stored.enqueue(Arc::new(message("dt/x", 'n')));
    stored.enqueue(Arc::new(message("dt/x", 'm')));
    let mut told = String::new();
    for (at, expected) in [(0, "a"), (50, "a"), (99, "a"), (100, "ab"), (150, "ab"), (250, "abc"), (349, "abc"), (350, "abcnm")] {
        rig.now = ms(at);
        rig.session.handle_timeout(rig.now).unwrap();
        rig.draw(&mut stored);
        told += &rig.payloads();
        assert_eq!(told, expected, "at {at} ms");
    }
    assert_eq!(rig.session.poll_timeout(), START + 90 * SECOND, "nothing waits any more");
}

#[test]
fn a_backlog_wakes_its_session_when_the_next_is_due_and_only_if_there_is_room() {
    let meters = no_quotas();
    let mut rig = stored_session(None, &meters);
    rig.subscribe(&[("dt/x", QoS::AtLeastOnce)]);
    let resumed = Some(rig.session.subscriptions().clone());
    let mut stored = stored("ab");
    stored.resume();
    let connect = Connect { clean: false, session_expiry: 60, receive_max: 1, ..connect(Version::V3) };
    let mut rig = Rig::new(connect, Admission { resumed, is_stored: true, ..admission() }, &meters);
    rig.draw(&mut stored);
    assert_eq!((rig.payloads().as_str(), rig.session.poll_timeout()), ("a", ms(100)));
    rig.now = ms(100);
    rig.draw(&mut stored);
    assert!(rig.written().is_empty(), "the first one is not acknowledged");
    assert_eq!(rig.session.poll_timeout(), START + 90 * SECOND, "an acknowledgement will wake it");
    rig.acknowledge(1, &mut stored);
    assert_eq!(rig.payloads(), "b");
}

#[test]
fn stored_messages_that_nobody_wants_any_more_are_given_up() {
    let meters = no_quotas();
    let mut rig = stored_session(None, &meters);
    let mut stored = stored("ab");
    rig.draw(&mut stored);
    assert!(rig.written().is_empty());
    stored.resume();
    assert!(stored.draw(id(1), START).is_none());
}
