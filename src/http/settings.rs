//! `[server]`, and the values in it that have a grammar of their own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use crate::units::Duration;

/// `[server]`: where the gateway listens and what one client may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The address under which clients see the gateway; every address in a document starts with
    /// it. Where it is absent, clients are taken to be on this machine.
    pub public_url: Option<PublicUrl>,
    /// Proxies whose word on a client's address and on request ids is taken.
    pub trusted_proxies: Proxies,
    /// A listener of its own for `/health`, `/ready`, `/metrics` and what operators do.
    pub admin: Option<SocketAddr>,
    /// Open connections per listener; further ones wait in the system's queue.
    pub max_connections: NonZeroUsize,
    /// How long a client may take to send a request's head, and to stay without asking anything.
    pub header_timeout: Duration,
    /// How long an answer's head may take, and each further piece of a body that is streamed.
    pub request_timeout: Duration,
    /// How long running requests may go on once the process was told to stop.
    pub drain: Duration,
}

impl Settings {
    /// The public address of a gateway that listens at `listen`.
    pub fn public_url(&self, listen: SocketAddr) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| listen.into())
    }

    /// Whether clients' address is known before the system has picked a port.
    pub fn knows_its_address(&self) -> bool {
        self.public_url.is_some() || self.listen.port() != 0
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            trusted_proxies: Proxies::default(),
            admin: None,
            max_connections: NonZeroUsize::new(1000).expect("1000 is not zero"),
            header_timeout: Duration::secs(15),
            request_timeout: Duration::secs(60),
            drain: Duration::secs(25),
        }
    }
}

/// The public address of the gateway, without a slash at its end: paths are added to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PublicUrl {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SocketAddr> for PublicUrl {
    /// The address of a listener, as programs on the same machine reach it.
    fn from(mut address: SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Self(format!("http://{address}"))
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = SettingsError;

    fn try_from(text: String) -> Result<Self, SettingsError> {
        let wrong = match Url::parse(&text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                "does not begin with `http://` or `https://`"
            }
            Err(_) if !text.starts_with("http") => "does not begin with `http://` or `https://`",
            Err(_) => "is no address",
            Ok(url) if url.query().is_some() => "has a `?`",
            Ok(url) if url.fragment().is_some() => "has a `#`",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => "has a user name",
            Ok(_) if text.ends_with('/') => "ends with a slash",
            Ok(_) => return Ok(Self(text)),
        };
        Err(SettingsError::PublicUrl { found: text, wrong })
    }
}

/// Addresses and networks of proxies that stand in front of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Proxies(Vec<Proxy>);

impl Proxies {
    /// Whether one of them has this address.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|Proxy(network)| network.contains(&address))
    }
}

/// One of them, parsed on its own so that a mistake is found at its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Proxy(IpNet);

impl TryFrom<String> for Proxy {
    type Error = SettingsError;

    fn try_from(text: String) -> Result<Self, SettingsError> {
        let one = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| one()).map(Self).map_err(|_| SettingsError::Proxy(text))
    }
}

/// A value in `[server]` is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an address under which documents can be asked for.
    #[error(
        "`{found}` {wrong}: expected an address such as `https://iiif.example.org` or `https://example.org/iiif-gateway`"
    )]
    PublicUrl {
        /// What was written.
        found: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// Neither an address nor a network.
    #[error("expected an address such as `10.0.0.7` or a network such as `10.0.0.0/24`, found `{0}`")]
    Proxy(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn settings_have_defaults() {
        let default = settings("").unwrap();
        assert_eq!(default.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(default.public_url(default.listen).as_str(), "http://127.0.0.1:8080");
        assert_eq!((*default.header_timeout).as_secs(), 15);
    }

    #[test]
    fn public_addresses_may_have_a_path_and_nothing_more() {
        for (text, good) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("https://iiif.example.org", true),
            ("https://example.org/iiif", true),
            ("iiif.example.org", false),
            ("ftp://example.org", false),
            ("https://example.org/", false),
            ("https://example.org?a", false),
            ("https://example.org#a", false),
            ("https://u@example.org", false),
            ("https://", false),
            ("", false),
        ] {
            assert_eq!(PublicUrl::try_from(text.to_owned()).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        let proxies = settings("trusted_proxies = ['10.1.0.0/16', '::1']").unwrap().trusted_proxies;
        for (address, trusted) in [("10.1.2.3", true), ("10.2.0.1", false), ("::1", true), ("::2", false)] {
            assert_eq!(proxies.contain(address.parse().unwrap()), trusted, "{address}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let mistake = |text| settings(text).unwrap_err();
        insta::assert_snapshot!(mistake("public_url = 'iiif.example.org'"), @"`iiif.example.org` does not begin with `http://` or `https://`: expected an address such as `https://iiif.example.org` or `https://example.org/iiif-gateway`");
        insta::assert_snapshot!(mistake("public_url = 'https://example.org/?a=b'"), @"`https://example.org/?a=b` has a `?`: expected an address such as `https://iiif.example.org` or `https://example.org/iiif-gateway`");
        insta::assert_snapshot!(mistake("trusted_proxies = ['proxy']"), @"expected an address such as `10.0.0.7` or a network such as `10.0.0.0/24`, found `proxy`");
        insta::assert_snapshot!(mistake("max_connections = 0"), @"invalid value: integer `0`, expected a nonzero usize");
        insta::assert_snapshot!(mistake("header_timeout = 10"), @"invalid type: integer `10`, expected a length of time such as `10s` or `5m` (units: ms, s, m, h, d)");
        insta::assert_snapshot!(mistake("port = 80"), @"unknown field `port`, expected one of `listen`, `public_url`, `trusted_proxies`, `admin`, `max_connections`, `header_timeout`, `request_timeout`, `drain`");
    }
}
