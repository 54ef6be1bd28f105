//! X25519 by graviola, the assembler of s2n-bignum, on processors that it knows: half of ring's time. By ring elsewhere.

use rustls::crypto::{SupportedKxGroup, ring};

/// X25519, as fast as this processor can.
pub(super) fn x25519() -> &'static dyn SupportedKxGroup {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if ::graviola::util::is_cpu_supported() {
        return &graviola::X25519;
    }
    ring::kx_group::X25519
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod graviola {
    use graviola::key_agreement::x25519::{PrivateKey, PublicKey};
    use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
    use rustls::ffdhe_groups::FfdheGroup;
    use rustls::{Error, NamedGroup, PeerMisbehaved};

    #[derive(Debug)]
    pub(super) struct X25519;

    struct Exchange {
        private: PrivateKey,
        public: [u8; 32],
    }

    impl SupportedKxGroup for X25519 {
        fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
            let private = PrivateKey::new_random().map_err(|_| GetRandomFailed)?;
            let public = private.public_key().as_bytes();
            Ok(Box::new(Exchange { private, public }))
        }

        fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
            None
        }

        fn name(&self) -> NamedGroup {
            NamedGroup::X25519
        }
    }

    impl ActiveKeyExchange for Exchange {
        fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
            let agreed = PublicKey::try_from_slice(peer).and_then(|peer| self.private.diffie_hellman(&peer));
            agreed.map(|secret| SharedSecret::from(&secret.0[..])).map_err(|_| PeerMisbehaved::InvalidKeyShare.into())
        }

        fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
            None
        }

        fn group(&self) -> NamedGroup {
            NamedGroup::X25519
        }

        fn pub_key(&self) -> &[u8] {
            &self.public
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{Error, NamedGroup, PeerMisbehaved};

    #[test]
    fn it_agrees_with_ring() {
        let (ours, theirs) = (x25519(), ring::kx_group::X25519);
        assert_eq!((ours.name(), ours.ffdhe_group().is_none()), (NamedGroup::X25519, true));
        for _ in 0..20 {
            let (one, other) = (ours.start().unwrap(), theirs.start().unwrap());
            assert_eq!((one.group(), one.pub_key().len(), one.ffdhe_group().is_none()), (NamedGroup::X25519, 32, true));
            let (public, peers) = (one.pub_key().to_vec(), other.pub_key().to_vec());
            let (agreed, expected) = (one.complete(&peers).unwrap(), other.complete(&public).unwrap());
            assert_eq!(agreed.secret_bytes(), expected.secret_bytes());
        }
    }

    #[test]
    fn a_key_share_that_is_none_is_refused() {
        // Of another length; and a point of small order, with which every secret is zero (RFC 7748, section 6.1).
        for share in [&[9; 31][..], &[9; 33], &[], &[0; 32]] {
            let refused = x25519().start().unwrap().complete(share).map(|_| ()).unwrap_err();
            assert_eq!(refused, Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare), "{share:?}");
        }
    }
}
