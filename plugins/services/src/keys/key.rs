//! A key, and the signatures that it verifies.

use ring::{hmac, signature};

use super::algorithm::{Algorithm, Kind};

/// Bytes that a shared secret has at least: as many as HS256 makes of it (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Bytes of the modulus of an RSA key: 2,048 to 8,192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A key that verifies.
#[derive(Clone)]
pub(super) struct Key {
    material: Material,
    /// What a token calls it; none fits any name.
    id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    only: Option<Algorithm>,
}

#[derive(Clone)]
enum Material {
    Secret(Vec<u8>),
    Rsa(signature::RsaPublicKeyComponents<Vec<u8>>),
    /// A point of one of the curves, as `ring` takes it.
    Point(Kind, Vec<u8>),
}

impl Key {
    pub(super) fn secret(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < MIN_SECRET_BYTES {
            let length = secret.len();
            return Err(format!(
                "a secret of {length} bytes is too short: it needs {MIN_SECRET_BYTES}"
            ));
        }
        Ok(Self::of(Material::Secret(secret.to_vec())))
    }

    /// From modulus and exponent, big-endian.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, String> {
        let trim = |bytes: &[u8]| -> Vec<u8> {
            // Some issuers put the sign byte of DER in front.
            bytes
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect()
        };
        let (n, e) = (trim(n), trim(e));
        if !RSA_BYTES.contains(&n.len()) || (n.len() == *RSA_BYTES.start() && n[0] < 0x80) {
            return Err("an RSA key must have 2,048 to 8,192 bits".to_owned());
        }
        if !(1..=4).contains(&e.len()) || e.last().is_none_or(|last| last % 2 == 0) || e == [1] {
            return Err("this exponent does not fit an RSA key".to_owned());
        }
        let components = signature::RsaPublicKeyComponents { n, e };
        Ok(Self::of(Material::Rsa(components)))
    }

    /// From the coordinates of a point on P-256 or P-384, big-endian and of full length.
    pub(super) fn ec(kind: Kind, x: &[u8], y: &[u8]) -> Result<Self, String> {
        // Uncompressed (SEC 1, 2.3.3).
        let mut point = vec![4];
        point.extend_from_slice(x);
        point.extend_from_slice(y);
        if x.len() != y.len() {
            return Err("the coordinates of an EC key must be of full length".to_owned());
        }
        Self::point(kind, point)
    }

    /// From the bytes that stand for a point on a curve.
    pub(super) fn point(kind: Kind, point: Vec<u8>) -> Result<Self, String> {
        let fits = match kind {
            Kind::P256 => point.len() == 65 && point[0] == 4,
            Kind::P384 => point.len() == 97 && point[0] == 4,
            Kind::Ed25519 => point.len() == 32,
            Kind::Secret | Kind::Rsa => false,
        };
        if !fits {
            return Err(format!("not a point for a key of kind {kind:?}"));
        }
        Ok(Self::of(Material::Point(kind, point)))
    }

    fn of(material: Material) -> Self {
        Self {
            material,
            id: None,
            only: None,
        }
    }

    /// The same key, called this by tokens.
    pub(super) fn named(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    /// The same key, for this algorithm only.
    pub(super) fn only(self, only: Option<Algorithm>) -> Self {
        Self { only, ..self }
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.material {
            Material::Secret(_) => Kind::Secret,
            Material::Rsa(_) => Kind::Rsa,
            Material::Point(kind, _) => *kind,
        }
    }

    /// Whether a token that names its key like this may mean this one.
    pub(super) fn is_called(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        }
    }

    /// Whether the key has exactly this name.
    pub(super) fn is_exactly(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    /// Whether this is the signature of the message by this key. False, too, if the algorithm is
    /// not for this kind of key.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        if algorithm.kind() != self.kind() || self.only.is_some_and(|only| only != algorithm) {
            return false;
        }
        match &self.material {
            Material::Secret(secret) => algorithm.hmac().is_some_and(|algorithm| {
                let key = hmac::Key::new(algorithm, secret);
                // In constant time.
                hmac::verify(&key, message, signed).is_ok()
            }),
            Material::Rsa(components) => algorithm
                .rsa()
                .is_some_and(|parameters| components.verify(parameters, message, signed).is_ok()),
            Material::Point(_, point) => algorithm.curve().is_some_and(|algorithm| {
                let key = signature::UnparsedPublicKey::new(algorithm, point);
                key.verify(message, signed).is_ok()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_secrets_and_weak_keys_are_refused() {
        assert!(Key::secret(&[7; 31]).is_err());
        assert!(Key::secret(&[7; 32]).is_ok());
        let e = [1, 0, 1];
        assert!(Key::rsa(&[0xff; 128], &e).is_err());
        assert!(Key::rsa(&[0x7f; 256], &e).is_err());
        assert!(Key::rsa(&[0xff; 1025], &e).is_err());
        assert!(Key::rsa(&[0xff; 256], &e).is_ok());
        assert!(Key::rsa(&[&[0], &[0xff; 256][..]].concat(), &e).is_ok());
        for e in [&[][..], &[1], &[2], &[0], &[1, 0, 0, 0, 1]] {
            assert!(Key::rsa(&[0xff; 256], e).is_err(), "{e:?}");
        }
    }

    #[test]
    fn points_have_the_length_of_their_curve() {
        assert!(Key::ec(Kind::P256, &[1; 32], &[1; 32]).is_ok());
        assert!(Key::ec(Kind::P256, &[1; 31], &[1; 33]).is_err());
        assert!(Key::ec(Kind::P384, &[1; 32], &[1; 32]).is_err());
        assert!(Key::ec(Kind::P384, &[1; 48], &[1; 48]).is_ok());
        assert!(Key::point(Kind::Ed25519, vec![1; 32]).is_ok());
        assert!(Key::point(Kind::Ed25519, vec![1; 33]).is_err());
        assert!(Key::point(Kind::P256, vec![2; 33]).is_err());
        assert!(Key::point(Kind::Rsa, vec![4; 65]).is_err());
    }
}
