use super::*;
use std::future::poll_fn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

const START: Mono = Mono(1_000_000_000_000);
const PLACES: usize = PLACES_MIN;

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn ms(ms: u64) -> Mono {
    START + Duration::from_millis(ms)
}

fn pending_clients() -> Arc<PendingClients> {
    PendingClients::new(0)
}

/// A listener whose places are taken by clients of one address that are silent from `START` on.
fn full(last: u8) -> (Arc<PendingClients>, Vec<Place>) {
    let pending_clients = pending_clients();
    let places = (0..PLACES).map(|_| pending_clients.try_admit(address(last), START).expect("a place")).collect::<Vec<_>>();
    places.iter().for_each(|place| place.pending_client.begin_pause(START));
    (pending_clients, places)
}

#[test]
fn places_follow_the_descriptors() {
    for (descriptors, places) in [(0, PLACES_MIN), (1_000, 125), (1_000_000, PLACES_MAX), (u64::MAX, PLACES_MAX)] {
        assert_eq!(PendingClients::new(descriptors).max, places, "{descriptors}");
    }
}

/// Whose place a client of another address gets, and when: all places are taken by clients in the same state.
#[test]
fn who_keeps_the_endpoint_waiting_loses_its_place() {
    type State = fn(&PendingClient);
    let states: [(&str, State, Option<Duration>, Option<Duration>); 3] = [
        ("silent", |_| {}, Some(SILENCE_MAX), Some(SHARE_PAUSE_MAX)),
        (
            "has spoken",
            |pending_client| pending_client.has_spoken.store(true, Ordering::Relaxed),
            Some(PAUSE_MAX),
            Some(SHARE_PAUSE_MAX),
        ),
        ("waits for the endpoint", PendingClient::end_pause, None, None),
    ];
    for (name, state, of_the_same_address, of_another) in states {
        for (newcomer, expected) in [(1, of_the_same_address), (2, of_another)] {
            let (pending_clients, places) = full(1);
            places.iter().for_each(|place| state(&place.pending_client));
            let found = (0..20_000).step_by(50).find(|at| pending_clients.try_admit(address(newcomer), ms(*at)).is_some());
            assert_eq!(found.map(Duration::from_millis), expected, "{name}, a client of address {newcomer}");
            assert_eq!(pending_clients.turned_away(), u64::from(expected.is_some()));
        }
    }
}

#[test]
fn the_silent_go_first_and_the_slowest_of_them_before_others() {
    let (pending_clients, places) = full(1);
    for (n, place) in places.iter().enumerate() {
        place.pending_client.end_pause();
        place.pending_client.begin_pause(ms(100 * (PLACES - n) as u64));
        place.pending_client.has_spoken.store(n >= PLACES / 2, Ordering::Relaxed);
    }
    let gone = |place: &Place| place.pending_client.is_turned_away.load(Ordering::Relaxed);
    let mut order = Vec::new();
    let newcomers: Vec<Place> = (0..PLACES)
        .map(|_| {
            let newcomer = pending_clients.try_admit(address(1), ms(60_000)).expect("a place");
            order.extend(
                places.iter().position(|place| gone(place) && !place.pending_client.has_left.swap(true, Ordering::Relaxed)),
            );
            newcomer
        })
        .collect();
    let slowest_first = |range: std::ops::Range<usize>| range.rev();
    assert!(order.iter().copied().eq(slowest_first(0..PLACES / 2).chain(slowest_first(PLACES / 2..PLACES))), "{order:?}");
    assert!(pending_clients.try_admit(address(1), ms(60_000)).is_none(), "the newcomers were not waited for yet");
    drop(newcomers);
    assert!(
        pending_clients.lock().taken.is_empty() && pending_clients.lock().by_address.is_empty(),
        "nobody is remembered who has gone"
    );
}

#[test]
fn who_is_known_needs_no_place() {
    let (pending_clients, places) = full(1);
    places[3].leave();
    assert!(places[3].is_known());
    let newcomer = pending_clients.try_admit(address(1), START).expect("the place that was left");
    assert!(pending_clients.try_admit(address(1), START).is_none());
    drop(newcomer);
    assert!(pending_clients.try_admit(address(1), START).is_some());
    assert_eq!(pending_clients.turned_away(), 0);
}

fn watched() -> (Place, Watched<DuplexStream>, DuplexStream) {
    let place = pending_clients().try_admit(address(1), START).expect("a place");
    let (stream, client) = duplex(64);
    let watched = place.watch(stream);
    (place, watched, client)
}

#[tokio::test]
async fn a_stream_tells_who_waits_for_whom() {
    let (place, mut stream, mut client) = watched();
    let waits = || place.pending_client.pause(clock::mono()).is_some();
    assert!(!waits(), "nobody has asked it for anything");
    let mut bytes = [0; 8];
    let mut read = std::pin::pin!(stream.read(&mut bytes));
    assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
    assert!(waits() && !place.pending_client.has_spoken.load(Ordering::Relaxed));
    client.write_all(b"hello").await.unwrap();
    assert!(!waits(), "from when its bytes are there, not from when they are read");
    assert_eq!(read.await.unwrap(), 5);
    assert!(place.pending_client.has_spoken.load(Ordering::Relaxed));
    stream.write_all(&[0; 64]).await.unwrap();
    let mut write = std::pin::pin!(stream.write_all(b"more than it takes"));
    assert!(poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx).is_pending())).await);
    assert!(waits(), "one that takes nothing keeps the endpoint waiting, too");
}

#[tokio::test]
async fn a_stream_whose_place_was_given_away_fails_and_that_of_a_known_client_does_not() {
    let (place, mut stream, _client) = watched();
    let reading = tokio::spawn(async move { stream.read(&mut [0; 8]).await });
    while place.pending_client.pause(clock::mono()).is_none() {
        tokio::task::yield_now().await;
    }
    place.pending_client.turn_away();
    assert_eq!(reading.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);

    let (place, mut stream, mut client) = watched();
    place.leave();
    client.write_all(b"hello").await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 5);
    assert!(stream.pending_client.is_none(), "nothing is kept of it");
}
