//! The origins that a plugin may go to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{Reach, reach};
use super::url::{Host, Origin};

/// Origins that may be listed for one plugin.
const MAX_ORIGINS: usize = 256;

/// In front of an origin whose name may stand for private addresses.
const PRIVATE: &str = "private:";

/// The list of origins.
#[derive(Clone, Debug)]
pub(super) struct Grants(Vec<Grant>);

/// One line of it.
#[derive(Clone, Debug)]
struct Grant {
    origin: Origin,
    private: bool,
}

/// Which addresses a listed origin may be connected at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// This one and no other.
    Exactly(IpAddr),
    /// Those of this machine.
    Loopback,
    /// Those that the name resolves to, if all are public.
    Public,
    /// Those that the name resolves to, if all are public or private.
    Private,
}

impl Grants {
    /// Reads a list such as `https://idp.example`, `http://127.0.0.1:8080`, `http://localhost`,
    /// `private:https://idp.internal`.
    pub(super) fn parse(origins: &[String]) -> Result<Self, String> {
        if origins.len() > MAX_ORIGINS {
            return Err(format!("{} origins are too many", origins.len()));
        }
        let grant = |text: &String| {
            let (private, origin) = match text.strip_prefix(PRIVATE) {
                Some(origin) => (true, origin),
                None => (false, text.as_str()),
            };
            let origin = Origin::parse(origin)?;
            Ok(Grant { origin, private })
        };
        origins
            .iter()
            .map(grant)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter().map(|grant| &grant.origin)
    }

    /// Where this origin may be connected; none if it is not listed.
    pub(super) fn addresses(&self, origin: &Origin) -> Option<Addresses> {
        let mut grants = self.0.iter().filter(|grant| grant.origin == *origin);
        let first = grants.next()?;
        let private = first.private || grants.any(|grant| grant.private);
        Some(match &origin.host {
            Host::Address(address) => Addresses::Exactly(*address),
            // It is this machine wherever it is asked (RFC 6761, 6.3), so nobody is asked.
            Host::Name(name) if name == "localhost" => Addresses::Loopback,
            Host::Name(_) if private => Addresses::Private,
            Host::Name(_) => Addresses::Public,
        })
    }
}

impl Addresses {
    /// The addresses, if no name has to be resolved for them.
    pub(super) fn known(self) -> Option<Vec<IpAddr>> {
        match self {
            Self::Exactly(address) => Some(vec![address]),
            Self::Loopback => Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            Self::Public | Self::Private => None,
        }
    }

    /// Whether a name may have led to this address.
    pub(super) fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Exactly(listed) => listed == address,
            Self::Loopback => address.is_loopback(),
            Self::Public => reach(address) == Reach::Public,
            Self::Private => reach(address) != Reach::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(listed: &[&str], origin: &str) -> Option<Addresses> {
        let listed: Vec<String> = listed.iter().map(|text| (*text).to_owned()).collect();
        let grants = Grants::parse(&listed).unwrap();
        grants.addresses(&Origin::parse(origin).unwrap())
    }

    #[test]
    fn scheme_host_and_port_must_all_be_the_listed_ones() {
        let listed = ["https://idp.example", "http://idp.example:8080"];
        for origin in [
            "https://idp.example:443",
            "https://IDP.example",
            "http://idp.example:8080",
        ] {
            assert_eq!(
                addresses(&listed, origin),
                Some(Addresses::Public),
                "{origin}"
            );
        }
        for origin in [
            "http://idp.example",
            "https://idp.example:8080",
            "https://a.idp.example",
            "https://idp.example.evil",
            "https://10.0.0.1",
        ] {
            assert_eq!(addresses(&listed, origin), None, "{origin}");
        }
    }

    #[test]
    fn a_literal_permits_itself_and_a_name_what_its_entry_says() {
        let listed = [
            "http://10.0.0.1",
            "http://localhost",
            "private:http://idp.internal",
        ];
        let exactly = addresses(&listed, "http://10.0.0.1").unwrap();
        assert!(exactly.permits("10.0.0.1".parse().unwrap()));
        assert!(!exactly.permits("10.0.0.2".parse().unwrap()));
        let localhost = addresses(&listed, "http://localhost").unwrap();
        assert_eq!(localhost, Addresses::Loopback);
        let private = addresses(&listed, "http://idp.internal").unwrap();
        assert!(private.permits("10.0.0.2".parse().unwrap()));
        assert!(!private.permits("169.254.169.254".parse().unwrap()));
        assert!(!Addresses::Public.permits("10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn a_bad_entry_is_refused() {
        for entry in [
            "https://idp.example/path",
            "*",
            "private:",
            "https://a:b",
            "",
        ] {
            assert!(Grants::parse(&[entry.to_owned()]).is_err(), "{entry}");
        }
        assert!(Grants::parse(&vec!["https://a".to_owned(); 257]).is_err());
    }
}
