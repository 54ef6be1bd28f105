//! Where the NATS server of a run is, and what has to be given for it: nothing on this host, TLS and an identity elsewhere. Pure.

use host::address::bare;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of NATS.
const PORT: u16 = 4222;

/// `nats://host:port` or `tls://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsAddress {
    pub is_tls: bool,
    pub host: String,
    pub port: u16,
}

/// Who this process is to the server, and whom it trusts to be it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatsIdentity {
    /// Certificates of CAs; `None`: those of the host.
    pub ca: Option<PathBuf>,
    /// A certificate and its key.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// A file of credentials, as `nsc` makes them.
    pub creds: Option<PathBuf>,
}

impl NatsAddress {
    /// This host, over a port of its own.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self { is_tls: false, host: "127.0.0.1".into(), port }
    }

    /// Whether what is sent there leaves this host.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = bare(&self.host);
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether a run may be led there like that.
    ///
    /// # Errors
    /// With what is missing; for people.
    pub fn check(&self, identity: &NatsIdentity) -> Result<(), String> {
        if !self.is_tls && !self.is_loopback() {
            return Err(format!(
                "--over {self}: without TLS only on this host; write tls://{}:{}, and name the CA with --nats-ca unless the host knows it",
                self.host, self.port
            ));
        }
        if !self.is_loopback() && identity.pair.is_none() && identity.creds.is_none() {
            return Err(format!(
                "--over {self}: say who this is, with --nats-cert FILE --nats-key FILE or with --nats-creds FILE: whoever may write to the \
                 subjects of a run leads it"
            ));
        }
        if !self.is_tls && (identity.ca.is_some() || identity.pair.is_some()) {
            return Err(format!("--over {self}: certificates are for TLS; write tls://{}:{}", self.host, self.port));
        }
        Ok(())
    }
}

impl fmt::Display for NatsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.is_tls { "tls" } else { "nats" }, self.host, self.port)
    }
}

impl FromStr for NatsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unfit = |why: &str| {
            format!(
                "{text:?} is no address of a NATS server ({why}); write it like tls://nats.example:4222 or nats://127.0.0.1:4222"
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| unfit("it has no nats:// or tls://"))?;
        let is_tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return Err(unfit(&format!("{scheme}:// is not spoken"))),
        };
        if rest.contains('@') {
            return Err(unfit("passwords do not belong into an address, which others see; use --nats-creds or --nats-cert"));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| unfit("its port is no number"))?),
            _ => (rest, PORT),
        };
        let is_host = !host.is_empty() && !host.contains(['/', ',', ' ']) && (host.starts_with('[') || !host.contains(':'));
        if !is_host || port == 0 {
            return Err(unfit("it names no host and port"));
        }
        Ok(Self { is_tls, host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> NatsAddress {
        text.parse().unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn addresses_are_read_and_others_are_refused() {
        for (text, shown) in [
            ("nats://127.0.0.1:4333", "nats://127.0.0.1:4333"),
            ("tls://nats.example", "tls://nats.example:4222"),
            ("nats://[::1]:4222/", "nats://[::1]:4222"),
            ("nats://[::1]", "nats://[::1]:4222"),
        ] {
            assert_eq!(address(text).to_string(), shown);
        }
        for (text, why) in [
            ("127.0.0.1:4222", "no nats:// or tls://"),
            ("ws://h", "ws:// is not spoken"),
            ("nats://u:p@h", "--nats-creds"),
            ("nats://h:x", "no number"),
            ("nats://:4222", "no host"),
            ("nats://a,b", "no host"),
            ("nats://::1", "no host"),
        ] {
            let told = text.parse::<NatsAddress>().unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn only_this_host_is_spoken_to_in_the_clear_and_by_nobody() {
        let (nobody, file) = (NatsIdentity::default(), PathBuf::from("x"));
        let pair = NatsIdentity { pair: Some((file.clone(), file.clone())), ..NatsIdentity::default() };
        let creds = NatsIdentity { creds: Some(file.clone()), ..NatsIdentity::default() };
        for text in ["nats://127.0.0.1", "nats://127.8.0.1", "nats://[::1]:1", "nats://localhost", "tls://localhost"] {
            assert_eq!(address(text).check(&nobody), Ok(()), "{text}");
        }
        assert_eq!(address("tls://h").check(&pair), Ok(()));
        assert_eq!(address("tls://h").check(&creds), Ok(()));
        for (text, identity, why) in [
            ("nats://h", &pair, "write tls://h:4222"),
            ("nats://127.0.0.1.example", &creds, "without TLS only on this host"),
            ("tls://h", &nobody, "say who this is"),
            ("nats://127.0.0.1", &pair, "certificates are for TLS"),
        ] {
            let told = address(text).check(identity).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
