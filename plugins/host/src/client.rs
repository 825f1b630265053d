//! A client in the words of the contract.

use std::{
    fmt::{self, Write},
    net::SocketAddr,
};

use dunlin_auth::{Details, Principal};
use dunlin_codec::{Properties, Qos};

use crate::bindings::dunlin::plugin::types::{Client, Qos as ContractQos};

/// The longest address: `[` 39 `%` 10 `]:65535`.
const ADDRESS_BYTES: usize = 64;

/// What is borrowed while a plugin is asked about a client. Nothing is allocated for a client
/// without attributes.
pub(crate) struct Described<'a> {
    who: &'a Principal,
    attributes: Vec<(&'a str, &'a str)>,
    address: Option<AddressText>,
}

impl<'a> Described<'a> {
    pub(crate) fn new(who: &'a Principal) -> Self {
        let details = who.details();
        let attributes = |details: &'a Details| {
            let pairs = details.attributes.iter();
            pairs.map(|(name, value)| (&**name, &**value)).collect()
        };
        Described {
            who,
            attributes: details.map(attributes).unwrap_or_default(),
            address: details
                .and_then(|details| details.address)
                .map(AddressText::new),
        }
    }

    pub(crate) fn client(&self) -> Client<'_> {
        Client {
            client_id: self.who.client_id(),
            username: self.who.username(),
            attributes: &self.attributes,
            address: self.address.as_ref().map(AddressText::as_str),
            listener: self.who.details().map_or("", |details| &details.listener),
        }
    }
}

/// An address as text, without an allocation.
pub(crate) struct AddressText {
    bytes: [u8; ADDRESS_BYTES],
    length: usize,
}

impl AddressText {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut text = AddressText {
            bytes: [0; ADDRESS_BYTES],
            length: 0,
        };
        // It fits, see `ADDRESS_BYTES`.
        let _ = write!(text, "{address}");
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        // Always valid: only whole strings are added.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

pub(crate) fn contract_qos(qos: Qos) -> ContractQos {
    match qos {
        Qos::AtMostOnce => ContractQos::AtMostOnce,
        Qos::AtLeastOnce => ContractQos::AtLeastOnce,
        Qos::ExactlyOnce => ContractQos::ExactlyOnce,
    }
}

pub(crate) fn codec_qos(qos: ContractQos) -> Qos {
    match qos {
        ContractQos::AtMostOnce => Qos::AtMostOnce,
        ContractQos::AtLeastOnce => Qos::AtLeastOnce,
        ContractQos::ExactlyOnce => Qos::ExactlyOnce,
    }
}

/// User properties, in their order.
pub(crate) fn user_properties<'a>(properties: Properties<'a>) -> Vec<(&'a str, &'a str)> {
    match properties.is_empty() {
        true => Vec::new(),
        false => properties.user_properties().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_address_fits() {
        for address in [
            "127.0.0.1:1",
            "[::1]:65535",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
        ] {
            let parsed: SocketAddr = address.parse().expect("an address");
            assert_eq!(AddressText::new(parsed).as_str(), address);
        }
    }
}
