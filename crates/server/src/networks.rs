//! Sets of IP networks, as configuration names them.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Networks by the names that Express has for them.
const NAMED: [(&str, &[&str]); 3] = [
    ("loopback", &["127.0.0.0/8", "::1/128"]),
    ("linklocal", &["169.254.0.0/16", "fe80::/10"]),
    (
        "uniquelocal",
        &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
    ),
];

/// A set of addresses and networks; empty by default. An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`)
/// is the IPv4 address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// What is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{network}` is no address, network (10.0.0.0/8) or one of loopback, linklocal and uniquelocal")]
pub struct NetworkError {
    /// What was given.
    pub network: String,
}

impl Networks {
    /// Addresses (`192.0.2.1`), networks (`10.0.0.0/8`, `2001:db8::/32`), and the names that Express has for some:
    /// `loopback`, `linklocal` and `uniquelocal`.
    ///
    /// # Errors
    /// The first that is none of these.
    ///
    /// ```
    /// use gatewire_server::Networks;
    ///
    /// let networks = Networks::new(["loopback", "192.0.2.1", "2001:db8::/32"])?;
    /// assert!(networks.contains("127.0.0.1".parse().unwrap()));
    /// assert!(!networks.contains("192.0.2.2".parse().unwrap()));
    /// # Ok::<(), gatewire_server::NetworkError>(())
    /// ```
    pub fn new<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Result<Self, NetworkError> {
        let mut all = Vec::new();
        for network in networks {
            let network = network.as_ref();
            match NAMED.iter().find(|(name, _)| *name == network) {
                Some((_, named)) => all.extend(named.iter().filter_map(|net| net.parse::<IpNet>().ok())),
                None => all.push(parse(network)?),
            }
        }
        Ok(Self(all))
    }

    /// The addresses of this machine by which it reaches itself.
    #[must_use]
    pub fn loopback() -> Self {
        Self::new(["loopback"]).unwrap_or_default()
    }

    /// Whether an address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn parse(network: &str) -> Result<IpNet, NetworkError> {
    let alone = IpAddr::from_str(network).map(|address| IpNet::from(address.to_canonical()));
    alone
        .or_else(|_| IpNet::from_str(network))
        .map_err(|_| NetworkError {
            network: network.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_network_is_told() {
        for wrong in [
            "",
            "proxy.example",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "10.0.0",
            "Loopback",
            "1.2.3.4:80",
        ] {
            let error = Networks::new(["::1", wrong]).unwrap_err();
            assert_eq!(error.network, wrong);
        }
    }

    #[test]
    fn addresses_are_looked_for_in_either_form() {
        let networks = Networks::new(["10.0.0.0/8", "::ffff:192.0.2.1", "fe80::/10"]).unwrap();
        for (address, is_in) in [
            ("10.255.0.1", true),
            ("::ffff:10.255.0.1", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("fe80::1", true),
            ("::1", false),
        ] {
            assert_eq!(networks.contains(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()));
        assert!(Networks::loopback().contains("::1".parse().unwrap()));
    }
}
