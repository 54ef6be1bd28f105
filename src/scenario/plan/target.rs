//! What a run connects to.

use iot_endpoint::config::EndpointConfig;
use std::fmt;
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq)]
pub enum TargetPlan {
    Emulator(EmulatorPlan),
    /// A broker or service that speaks the contract; its jobs are created by others.
    Mqtt(RemotePlan),
    Aws(AwsPlan),
}

impl TargetPlan {
    #[must_use]
    pub fn link(&self) -> &LinkPlan {
        match self {
            Self::Emulator(emulator) => &emulator.link,
            Self::Mqtt(remote) => &remote.link,
            Self::Aws(aws) => &aws.remote.link,
        }
    }

    /// Where the endpoint is somebody else's.
    #[must_use]
    pub fn remote(&self) -> Option<&RemotePlan> {
        match self {
            Self::Emulator(_) => None,
            Self::Mqtt(remote) => Some(remote),
            Self::Aws(aws) => Some(&aws.remote),
        }
    }
}

/// How connections are made, whatever they lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPlan {
    /// Local addresses that connections leave from, in turn; none: what the kernel chooses.
    pub source_ips: Vec<IpRange>,
    /// Whether a thing keeps a TLS ticket for its next connection.
    pub resumption: bool,
}

/// Addresses of one family, `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    pub first: IpAddr,
    pub last: IpAddr,
}

impl IpRange {
    /// `None` when the ends are of two families, or the first is above the last.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    #[must_use]
    pub fn count(self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }

    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (number(self.first)..=number(self.last)).map(move |address| match self.first {
            IpAddr::V4(_) => IpAddr::V4((address as u32).into()),
            IpAddr::V6(_) => IpAddr::V6(address.into()),
        })
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// The endpoint that a run starts for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmulatorPlan {
    pub link: LinkPlan,
    pub endpoint: EndpointConfig,
}

/// An endpoint of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotePlan {
    /// Things are spread over them. Empty only where the account tells its endpoint.
    pub hosts: Vec<String>,
    /// Of MQTT; `None`: that of the account's endpoint, or [`RemotePlan::PORT`].
    pub port: Option<u16>,
    /// Of HTTPS with certificates.
    pub https_port: u16,
    /// Of all that is signed.
    pub api_port: u16,
    /// Name to verify in the server's certificate and to send as SNI; `None`: the thing's host.
    pub server_name: Option<String>,
    pub alpn: Option<String>,
    /// Path of a PEM file; `None`: the roots of Amazon Trust Services.
    pub ca: Option<String>,
    pub certificates: CertificatesPlan,
    /// Path of a PEM file: the certificate or public key of who signs files.
    pub signer: Option<String>,
    pub link: LinkPlan,
}

impl RemotePlan {
    /// MQTT over TLS.
    pub const PORT: u16 = 8883;
    /// HTTPS with certificates (PROTOCOL 10.3).
    pub const HTTPS_PORT: u16 = 8443;
    /// HTTPS and WebSockets with signatures (PROTOCOL 10.3).
    pub const API_PORT: u16 = 443;
}

/// Where the certificates and keys of the things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificatesPlan {
    /// Path templates: `{thing}`, `{index}`, or one shared file.
    Files { cert: String, key: String },
    /// One packed file; see [`dev_pki::bundle`]. `{slice}` is the number of a worker's slice, for a file each.
    Bundle(String),
    /// Named by the list of things.
    Listed,
    /// Nobody shows one: all things sign.
    None,
}

/// An account at AWS, or what stands in for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsPlan {
    /// `None`: what the environment or the profile says.
    pub region: Option<String>,
    pub profile: Option<String>,
    pub remote: RemotePlan,
}
