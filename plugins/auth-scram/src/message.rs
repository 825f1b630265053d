//! The client's messages (RFC 5802, section 7).

use base64::{Engine, prelude::BASE64_STANDARD};

/// At most so many bytes of a client's message are looked at.
const MAX_MESSAGE: usize = 4096;

/// `client-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// What the next message repeats as channel binding.
    pub gs2_header: &'a str,
    /// Whether it wants to bind the channel.
    pub binds_channel: bool,
    /// `authzid`: as whom it wants to act.
    pub authorize_as: Option<String>,
    /// Everything after the header.
    pub bare: &'a str,
    /// Who it says it is.
    pub username: String,
    /// The client's part.
    pub nonce: &'a str,
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// What it bound: the header of the first message.
    pub channel_binding: Vec<u8>,
    /// Both parts.
    pub nonce: &'a str,
    /// Everything before the proof.
    pub without_proof: &'a str,
    /// That it knows the password.
    pub proof: [u8; 32],
}

impl<'a> ClientFirst<'a> {
    /// `None` if it is none, or has an extension that must be understood.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',')?;
        let (authorize_as, bare) = rest.split_once(',')?;
        let binds_channel = match flag {
            "n" | "y" => false,
            _ => flag.strip_prefix("p=").map(|_| true)?,
        };
        let authorize_as = match authorize_as {
            "" => None,
            name => Some(name_of(name.strip_prefix("a=")?)?),
        };
        // An `m=` first would be an extension that is not known here.
        let mut fields = bare.split(',');
        let username = name_of(fields.next()?.strip_prefix("n=")?)?;
        let nonce = nonce(fields.next()?)?;
        Some(ClientFirst {
            gs2_header: &text[..text.len() - bare.len()],
            binds_channel,
            authorize_as,
            bare,
            username,
            nonce,
        })
    }
}

impl<'a> ClientFinal<'a> {
    /// `None` if it is none.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let (without_proof, proof) = text(message)?.rsplit_once(",p=")?;
        let mut fields = without_proof.split(',');
        let channel_binding = fields.next()?.strip_prefix("c=")?;
        Some(ClientFinal {
            channel_binding: BASE64_STANDARD.decode(channel_binding).ok()?,
            nonce: nonce(fields.next()?)?,
            without_proof,
            proof: BASE64_STANDARD.decode(proof).ok()?.try_into().ok()?,
        })
    }
}

fn text(message: &[u8]) -> Option<&str> {
    let text = str::from_utf8(message).ok()?;
    (text.len() <= MAX_MESSAGE && !text.contains('\0')).then_some(text)
}

/// Printable ASCII but the comma.
fn nonce(field: &str) -> Option<&str> {
    let nonce = field.strip_prefix("r=")?;
    let printable = nonce.bytes().all(|byte| byte.is_ascii_graphic());
    (printable && !nonce.is_empty()).then_some(nonce)
}

/// A `saslname`: `=2C` stands for a comma and `=3D` for an equals sign, and neither for itself.
fn name_of(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut pieces = text.split('=');
    name.push_str(pieces.next()?);
    for piece in pieces {
        let (letter, rest) = match piece.strip_prefix("2C") {
            Some(rest) => (',', rest),
            None => ('=', piece.strip_prefix("3D")?),
        };
        name.push(letter);
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_message_is_taken_apart() {
        let first = ClientFirst::read(b"y,a=a=2Cb,n=a=3Db=2C,r=xyz,k=more").unwrap();
        let expected = ClientFirst {
            gs2_header: "y,a=a=2Cb,",
            binds_channel: false,
            authorize_as: Some("a,b".into()),
            bare: "n=a=3Db=2C,r=xyz,k=more",
            username: "a=b,".into(),
            nonce: "xyz",
        };
        assert_eq!(first, expected);
        assert!(
            ClientFirst::read(b"p=tls-exporter,,n=a,r=x")
                .unwrap()
                .binds_channel
        );
    }

    #[test]
    fn what_is_no_message_is_none() {
        let first: [&[u8]; 11] = [
            b"",
            b"n,,",
            b"n,,n=a",
            b"n,,n=,r=x",
            b"n,,n=a,r=",
            b"n,,n=a=b,r=x",
            b"x,,n=a,r=x",
            b"n,b=c,n=a,r=x",
            b"n,,m=x,n=a,r=x",
            b"n,,n=a\0,r=x",
            b"n,,n=\xff,r=x",
        ];
        for message in first {
            assert_eq!(ClientFirst::read(message), None, "{message:?}");
        }
        let last: [&[u8]; 5] = [
            b"",
            b"c=biws,r=x",
            b"c=biws,r=x,p=AAAA",
            b"c=!,r=x,p=AA==",
            b"r=x,c=biws,p=",
        ];
        for message in last {
            assert_eq!(ClientFinal::read(message), None, "{message:?}");
        }
        let long = format!("n,,n=a,r={}", "x".repeat(MAX_MESSAGE));
        assert_eq!(ClientFirst::read(long.as_bytes()), None);
    }
}
