//! What a client certificate says about its holder: common name and subject, as text.
//!
//! The text is what Mosquitto's `use_subject_as_username` gives (OpenSSL's `XN_FLAG_RFC2253`), so
//! that user names in existing password and ACL files keep matching: the most specific part first,
//! bytes outside of ASCII escaped. That is a valid RFC 4514 string. The certificate was verified
//! before, so its outer structure is sound; the names inside are checked here.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;

/// The subject of a client certificate that was verified against `tls.client_ca`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The first common name of the subject, if it has one that is text without U+0000.
    pub common_name: Option<String>,
    /// The whole subject (RFC 4514): `CN=sensor 7,O=Example`.
    pub subject: String,
}

impl ClientCertificate {
    /// `None` when the subject is no sequence of names.
    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        Self::from_subject(certificate.subject())
    }

    /// `subject` is the content of an X.501 `Name`: a sequence of sets of attributes.
    fn from_subject(mut subject: &[u8]) -> Option<Self> {
        let mut attributes = Vec::new();
        while !subject.is_empty() {
            let mut set = Element::expect(&mut subject, TAG_SET)?;
            let mut joined_to_previous = false;
            while !set.is_empty() {
                let mut attribute = Element::expect(&mut set, TAG_SEQUENCE)?;
                let oid = Element::expect(&mut attribute, TAG_OID)?;
                let value = Element::take(&mut attribute)?;
                attributes.push(Attribute {
                    oid,
                    value,
                    joined_to_previous,
                });
                joined_to_previous = true;
            }
        }
        let common_name = attributes
            .iter()
            .find(|attribute| attribute.oid == OID_COMMON_NAME);
        Some(Self {
            common_name: common_name
                .and_then(|attribute| attribute.value.text())
                .filter(|name| !name.contains('\0')),
            subject: subject_text(&attributes),
        })
    }
}

struct Attribute<'a> {
    oid: &'a [u8],
    value: Element<'a>,
    /// In one set with the attribute before it.
    joined_to_previous: bool,
}

fn subject_text(attributes: &[Attribute<'_>]) -> String {
    let mut text = String::new();
    for attribute in attributes.iter().rev() {
        let name = NAMES
            .iter()
            .find(|(oid, _)| *oid == attribute.oid)
            .map(|(_, name)| *name);
        match (name, attribute.value.text()) {
            (Some(name), Some(value)) => {
                text.push_str(name);
                text.push('=');
                push_escaped(&mut text, &value);
            }
            (name, _) => {
                text.push_str(&name.map_or_else(|| dotted(attribute.oid), str::to_owned));
                text.push_str("=#");
                attribute
                    .value
                    .encoded
                    .iter()
                    .for_each(|byte| push_hex(&mut text, *byte));
            }
        }
        text.push(if attribute.joined_to_previous {
            '+'
        } else {
            ','
        });
    }
    text.pop();
    text
}

fn push_escaped(text: &mut String, value: &str) {
    let last = value.len().wrapping_sub(1);
    for (index, byte) in value.bytes().enumerate() {
        let escaped = match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => true,
            b' ' => index == 0 || index == last,
            b'#' => index == 0,
            _ => false,
        };
        if escaped {
            text.push('\\');
        }
        if (b' '..=b'~').contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('\\');
            push_hex(text, byte);
        }
    }
}

fn push_hex(text: &mut String, byte: u8) {
    write!(text, "{byte:02X}").expect("writing to a String cannot fail");
}

/// An object identifier in numbers (X.690, 8.19).
fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0u128;
    for byte in oid {
        number = (number << 7) | u128::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let first = numbers.first().copied().unwrap_or_default();
    let root = (first / 40).min(2);
    let mut text = format!("{root}.{}", first - root * 40);
    for number in numbers.iter().skip(1) {
        write!(text, ".{number}").expect("writing to a String cannot fail");
    }
    text
}

const TAG_OID: u8 = 0x06;
const TAG_SEQUENCE: u8 = 0x30;
const TAG_SET: u8 = 0x31;

/// One DER element.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// Tag, length and content.
    encoded: &'a [u8],
}

impl<'a> Element<'a> {
    fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let whole = *bytes;
        let (&tag, rest) = whole.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = match short {
            0..=0x7F => (usize::from(short), rest),
            // A certificate fits into 16 MiB (RFC 8446, 4.4.2), so three bytes of length do.
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(short & 0x7F))?;
                (
                    length
                        .iter()
                        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)),
                    rest,
                )
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        *bytes = rest;
        Some(Self {
            tag,
            content,
            encoded: &whole[..whole.len() - rest.len()],
        })
    }

    fn expect(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
        Self::take(bytes)
            .filter(|element| element.tag == tag)
            .map(|element| element.content)
    }

    /// The value of a character string (RFC 5280, 4.1.2.4 and appendix A).
    fn text(&self) -> Option<String> {
        match self.tag {
            // UTF8String, NumericString, PrintableString, IA5String, VisibleString
            0x0C | 0x12 | 0x13 | 0x16 | 0x1A => String::from_utf8(self.content.to_vec()).ok(),
            // TeletexString, which everybody fills with Latin 1
            0x14 => Some(self.content.iter().copied().map(char::from).collect()),
            // BMPString
            0x1E => {
                let units = self.content.chunks(2).map(|pair| match *pair {
                    [high, low] => Some(u16::from_be_bytes([high, low])),
                    _ => None,
                });
                String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
            }
            _ => None,
        }
    }
}

const OID_COMMON_NAME: &[u8] = &[0x55, 0x04, 3];

/// The short names that OpenSSL prints.
const NAMES: &[(&[u8], &str)] = &[
    (OID_COMMON_NAME, "CN"),
    (&[0x55, 0x04, 4], "SN"),
    (&[0x55, 0x04, 5], "serialNumber"),
    (&[0x55, 0x04, 6], "C"),
    (&[0x55, 0x04, 7], "L"),
    (&[0x55, 0x04, 8], "ST"),
    (&[0x55, 0x04, 9], "street"),
    (&[0x55, 0x04, 10], "O"),
    (&[0x55, 0x04, 11], "OU"),
    (&[0x55, 0x04, 12], "title"),
    (&[0x55, 0x04, 13], "description"),
    (&[0x55, 0x04, 15], "businessCategory"),
    (&[0x55, 0x04, 17], "postalCode"),
    (&[0x55, 0x04, 41], "name"),
    (&[0x55, 0x04, 42], "GN"),
    (&[0x55, 0x04, 43], "initials"),
    (&[0x55, 0x04, 44], "generationQualifier"),
    (&[0x55, 0x04, 45], "x500UniqueIdentifier"),
    (&[0x55, 0x04, 46], "dnQualifier"),
    (&[0x55, 0x04, 65], "pseudonym"),
    (&[0x55, 0x04, 97], "organizationIdentifier"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x01],
        "UID",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x19],
        "DC",
    ),
    (
        &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x01],
        "emailAddress",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 0x80, "short form only");
        [&[tag, content.len() as u8], content].concat()
    }

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        element(
            TAG_SEQUENCE,
            &[element(TAG_OID, oid), element(tag, value)].concat(),
        )
    }

    fn read(sets: &[&[Vec<u8>]]) -> Option<ClientCertificate> {
        let sets: Vec<u8> = sets
            .iter()
            .flat_map(|set| element(TAG_SET, &set.concat()))
            .collect();
        ClientCertificate::from_subject(&sets)
    }

    fn common_name(tag: u8, value: &[u8]) -> ClientCertificate {
        read(&[&[attribute(OID_COMMON_NAME, tag, value)]]).expect("a subject")
    }

    #[test]
    fn a_subject_reads_from_its_most_specific_part() {
        let subject = read(&[
            &[attribute(&[0x55, 4, 6], 0x13, b"DE")],
            &[attribute(&[0x55, 4, 10], 0x0C, b"Example, Inc.")],
            &[
                attribute(OID_COMMON_NAME, 0x0C, b"sensor 7"),
                attribute(NAMES[21].0, 0x0C, b"s7"),
            ],
        ]);
        let subject = subject.expect("a subject");
        assert_eq!(subject.common_name.as_deref(), Some("sensor 7"));
        assert_eq!(subject.subject, r"UID=s7+CN=sensor 7,O=Example\, Inc.,C=DE");
    }

    #[test]
    fn values_are_escaped_as_openssl_escapes_them() {
        let subject = |value: &str| common_name(0x0C, value.as_bytes()).subject;
        assert_eq!(subject(r#"a+b"c\d<e>f;g"#), r#"CN=a\+b\"c\\d\<e\>f\;g"#);
        assert_eq!(subject(" # "), r"CN=\ #\ ");
        assert_eq!(subject("#1"), r"CN=\#1");
        assert_eq!(subject("Zoë\n"), r"CN=Zo\C3\AB\0A");
        assert_eq!(subject(" "), r"CN=\ ");
    }

    #[test]
    fn every_kind_of_string_becomes_text() {
        assert_eq!(
            common_name(0x14, b"Zo\xEB").common_name.as_deref(),
            Some("Zoë")
        );
        assert_eq!(
            common_name(0x1E, b"\0Z\0o\0\xEB").common_name.as_deref(),
            Some("Zoë")
        );
        assert_eq!(common_name(0x1E, b"\0Z\0").common_name, None);
        assert_eq!(common_name(0x0C, b"\xFF").subject, "CN=#0C01FF");
        assert_eq!(common_name(0x04, b"octets").common_name, None);
    }

    #[test]
    fn a_name_cut_short_by_a_zero_is_no_name() {
        assert_eq!(common_name(0x0C, b"admin\0.example.org").common_name, None);
    }

    #[test]
    fn unknown_attributes_are_dumped_under_their_number() {
        let oid = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x86, 0x8D, 0x1F];
        let subject = read(&[&[attribute(&oid, 0x0C, b"x")]]).expect("a subject");
        assert_eq!(subject.subject, "1.3.6.1.4.1.99999=#0C0178");
        assert_eq!(subject.common_name, None);
    }

    #[test]
    fn a_broken_subject_is_none_and_an_empty_one_is_empty() {
        let whole = element(TAG_SET, &attribute(OID_COMMON_NAME, 0x0C, b"sensor"));
        for cut in 1..whole.len() {
            assert_eq!(
                ClientCertificate::from_subject(&whole[..cut]),
                None,
                "{cut}"
            );
        }
        assert_eq!(read(&[]).expect("a subject").subject, "");
    }
}
