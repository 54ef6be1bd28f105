//! Signatures of files: ECDSA over P-256 and SHA-256, of what was hashed piece by piece (PROTOCOL 17.3).

use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use rand::{CryptoRng, RngExt as _};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a file.
pub type FileDigest = [u8; 32];

/// Hashes a file as it comes.
#[derive(Default)]
pub struct FileHash(Sha256);

impl FileHash {
    /// The next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The SHA-256 of all bytes so far.
    #[must_use]
    pub fn finish(self) -> FileDigest {
        self.0.finalize().into()
    }
}

/// Who signs files.
pub struct FileSigner(SigningKey);

impl FileSigner {
    /// A new key of these random numbers.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        // All but about one in 2^32 numbers are keys.
        std::iter::repeat_with(|| rng.random::<[u8; 32]>())
            .find_map(|bytes| SigningKey::from_slice(&bytes).ok())
            .map(Self)
            .expect("the numbers never end")
    }

    /// # Panics
    /// Never: a SHA-256 is long enough for this curve.
    #[must_use]
    pub fn sign(&self, digest: &FileDigest) -> Vec<u8> {
        let signature: DerSignature = self.0.sign_prehash(digest).expect("a SHA-256 can be signed");
        signature.as_bytes().to_vec()
    }

    /// The key that tells this signer's signatures.
    #[must_use]
    pub fn public(&self) -> SignerKey {
        SignerKey(*self.0.verifying_key())
    }
}

/// Whose signatures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerKey(VerifyingKey);

impl SignerKey {
    /// Of the point of a public key, as SEC1 writes it: compressed or not.
    ///
    /// # Errors
    /// When it is no point of P-256.
    pub fn from_sec1(point: &[u8]) -> Result<Self, String> {
        VerifyingKey::from_sec1_bytes(point).map(Self).map_err(|_other| "its key is not one of ECDSA on P-256".to_owned())
    }

    /// The point of this key as SEC1 writes it, compressed: [`Self::from_sec1`] takes it.
    #[must_use]
    pub fn to_sec1(&self) -> Vec<u8> {
        self.0.to_sec1_point(true).as_bytes().to_vec()
    }

    /// Whether `signature`, DER, is of this key over `digest`.
    #[must_use]
    pub fn verifies(&self, digest: &FileDigest, signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature).is_ok_and(|signature| self.0.verify_prehash(digest, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    fn generate(seed: u64) -> FileSigner {
        FileSigner::generate(&mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn digest(bytes: &[u8]) -> FileDigest {
        let mut hash = FileHash::default();
        bytes.chunks(7).for_each(|chunk| hash.update(chunk));
        hash.finish()
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else() {
        let (signer, other) = (generate(1), generate(2));
        let signature = signer.sign(&digest(b"firmware"));
        assert!(signer.public().verifies(&digest(b"firmware"), &signature));
        assert!(!signer.public().verifies(&digest(b"firmwarf"), &signature));
        assert!(!other.public().verifies(&digest(b"firmware"), &signature));
        assert_eq!(SignerKey::from_sec1(&other.public().to_sec1()), Ok(other.public()));
        for broken in [&b""[..], b"MEUC", &[0x30; 72], &signature[1..], &signature[..signature.len() - 1]] {
            assert!(!signer.public().verifies(&digest(b"firmware"), broken));
        }
    }
}
