//! Addresses as people write them, and which of them to try (RFC 8305).

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::net::SocketAddr;
use std::time::Duration;

/// How long an attempt has before the next address is tried beside it: the recommended "Connection Attempt Delay" of RFC 8305, section 5.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A host without the brackets in which an IPv6 address stands before a port.
#[must_use]
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// A host as it stands before a port: an IPv6 address in brackets, without its zone, which means nothing to others.
#[must_use]
pub fn bracketed(host: &str) -> String {
    let host = without_zone(bare(host));
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// A host without the zone of a link-local address (`fe80::1%eth0`).
#[must_use]
pub fn without_zone(host: &str) -> &str {
    host.split_once('%').map_or(host, |(address, _zone)| address)
}

/// The addresses of a host by family: first those of the family that the resolver puts first (RFC 6724), then the others.
#[must_use]
pub fn by_family(resolved: Vec<SocketAddr>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let is_ipv4 = resolved.first().is_some_and(SocketAddr::is_ipv4);
    resolved.into_iter().partition(|address| address.is_ipv4() == is_ipv4)
}

/// Addresses in the order in which one connection tries them: the families take turns (RFC 8305, section 4).
#[must_use]
pub fn interleaved((first, second): (Vec<SocketAddr>, Vec<SocketAddr>)) -> Vec<SocketAddr> {
    let mut order = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

/// The first of the addresses to which `connect` gets through: each next one is tried when the one before has failed, or has taken
/// [`ATTEMPT_DELAY`]. `addresses` must not be empty.
///
/// # Errors
/// With the failure that came last, when all have failed.
pub async fn first_to_connect<T, E, F>(addresses: &[SocketAddr], connect: impl Fn(SocketAddr) -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut rest = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    attempts.extend(rest.next().map(&connect));
    loop {
        let next = async { if rest.len() > 0 { tokio::time::sleep(ATTEMPT_DELAY).await } else { std::future::pending().await } };
        let failure = tokio::select! {
            Some(ended) = attempts.next() => match ended {
                Ok(connected) => return Ok(connected),
                Err(failure) => Some(failure),
            },
            () = next => None,
        };
        attempts.extend(rest.next().map(&connect));
        if let Some(failure) = failure.filter(|_| attempts.is_empty()) {
            return Err(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_has_two_spellings() {
        for (spelled, plain, before_a_port) in [
            ("::1", "::1", "[::1]"),
            ("[::1]", "::1", "[::1]"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
            ("broker.example", "broker.example", "broker.example"),
            ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1]"),
            ("[broken", "[broken", "[broken"),
        ] {
            assert_eq!((bare(spelled), &*bracketed(spelled)), (plain, before_a_port), "{spelled}");
        }
    }

    #[test]
    fn the_resolver_says_which_family_comes_first_and_the_families_take_turns() {
        let of = |texts: &[&str]| interleaved(by_family(addresses(texts)));
        assert_eq!(of(&["[::2]:1", "127.0.0.1:1", "[::1]:1"]), addresses(&["[::2]:1", "127.0.0.1:1", "[::1]:1"]));
        assert_eq!(of(&["127.0.0.2:1", "[::1]:1", "127.0.0.1:1"]), addresses(&["127.0.0.2:1", "[::1]:1", "127.0.0.1:1"]));
        assert_eq!(of(&["127.0.0.1:1"]), addresses(&["127.0.0.1:1"]));
        assert_eq!(of(&[]), []);
    }

    #[derive(Clone, Copy)]
    enum Does {
        Connects,
        Fails,
        Hangs,
    }

    /// Which of the addresses, by place, one connection reaches, and which it tried.
    async fn reached(manners: &[Does]) -> (Result<usize, usize>, Vec<usize>) {
        let all: Vec<SocketAddr> = (0..manners.len()).map(|n| SocketAddr::from(([127, 0, 0, 1], n as u16))).collect();
        let tried = RefCell::new(Vec::new());
        let connect = |address: SocketAddr| {
            let place = usize::from(address.port());
            tried.borrow_mut().push(place);
            async move {
                match manners[place] {
                    Does::Connects => Ok(place),
                    Does::Fails => Err(place),
                    Does::Hangs => std::future::pending().await,
                }
            }
        };
        let result = first_to_connect(&all, connect).await;
        (result, tried.into_inner())
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_fails_or_is_slow() {
        use Does::{Connects, Fails, Hangs};
        for (manners, expected, tried) in [
            (&[Connects, Connects][..], Ok(0), &[0][..]),
            (&[Fails, Connects], Ok(1), &[0, 1]),
            (&[Hangs, Connects], Ok(1), &[0, 1]),
            (&[Hangs, Fails, Connects], Ok(2), &[0, 1, 2]),
            (&[Fails, Fails], Err(1), &[0, 1]),
            (&[Fails], Err(0), &[0]),
        ] {
            assert_eq!(reached(manners).await, (expected, tried.to_vec()));
        }
    }
}
