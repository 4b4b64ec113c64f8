//! Whom the gateway may ask: hosts by name, addresses after name resolution.
//!
//! Addresses of files come from the remote system's own records, so whoever can write there could
//! make the gateway ask anybody. Two questions stand against that. *Is this host allowed?* is asked
//! before anything is sent, for redirects too. *Is this a public address?* is asked of the very
//! addresses that the connection is then made to, so a name cannot answer twice and differently.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::error::{Cause, Place};
use super::{Settings, UpstreamError};

/// What one source may ask.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) source: Arc<str>,
    /// The source's own host and port, at whatever address.
    own: Option<Pattern>,
    others: Vec<Pattern>,
    addresses: Addresses,
}

/// Where the other hosts may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    Any,
    Public,
}

impl Guard {
    pub(super) fn new(source: &Arc<str>, settings: &Settings) -> Result<Self, UpstreamError> {
        let wrong = |problem| UpstreamError::Settings { name: source.to_string(), problem };
        let own = settings.base.as_ref().map(Pattern::own).transpose().map_err(wrong)?;
        let others = settings
            .hosts
            .iter()
            .map(|host| Pattern::parse(host))
            .collect::<Result<_, _>>()
            .map_err(wrong)?;
        let addresses = if settings.allow_private { Addresses::Any } else { Addresses::Public };
        Ok(Self { source: Arc::clone(source), own, others, addresses })
    }

    /// Refuses what may not be asked; otherwise tells which setting lets it in. There are few of
    /// those, so they make good metric labels where hosts would not.
    pub(super) fn admit(&self, url: &Url) -> Result<Arc<str>, UpstreamError> {
        let refuse = |hint: String| UpstreamError::HostRefused { at: self.place(url), hint };
        let (Some(host), "http" | "https") = (url.host(), url.scheme()) else {
            return Err(refuse(format!("`{}:` is no http or https address", url.scheme())));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "user and password belong into the source's settings, not into an address".to_owned(),
            ));
        }
        let Some(pattern) = self.own.iter().chain(&self.others).find(|pattern| pattern.matches(url)) else {
            let at = self.place(url);
            return Err(refuse(format!(
                "add `{}` to `hosts` of source `{}` if its files lie there",
                at.host, self.source
            )));
        };
        // Literal addresses are never resolved, so the resolver does not see them.
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
        };
        match literal {
            Some(ip) if !self.may_connect(&host.to_string(), ip) => Err(refuse(self.private(ip))),
            _ => Ok(Arc::clone(&pattern.text)),
        }
    }

    /// The host of `url`, asked on behalf of this source.
    pub(super) fn place(&self, url: &Url) -> Place {
        Place::new(&self.source, url)
    }

    /// What to tell of a refused address.
    fn private(&self, ip: IpAddr) -> String {
        format!("`{ip}` is no public address; `allow_private` of source `{}` would allow it", self.source)
    }

    fn may_connect(&self, host: &str, ip: IpAddr) -> bool {
        let own = || self.own.as_ref().is_some_and(|own| own.host == host);
        self.addresses == Addresses::Any || is_public(ip) || own()
    }
}

/// A host that may be asked, as written in the settings.
#[derive(Clone, Debug)]
struct Pattern {
    text: Arc<str>,
    host: String,
    /// Whether `host` stands for all names below it instead.
    below: bool,
    /// The scheme's own port if absent.
    port: Option<u16>,
}

impl Pattern {
    fn own(base: &Url) -> Result<Self, String> {
        let host = base
            .host_str()
            .ok_or_else(|| format!("`{}:` has no host, expected http or https", base.scheme()))?;
        let port = base.port_or_known_default();
        Ok(Self { text: host.into(), host: bare(host).to_owned(), below: false, port })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let expected =
            || format!("host `{text}`: expected `name`, `name:port` or `*.name`, without scheme and path");
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, Some(port.parse().map_err(|_| expected())?)),
            _ => (rest, None),
        };
        let host = Host::parse(name).map_err(|_| expected())?;
        if below && !matches!(host, Host::Domain(_)) {
            return Err(expected());
        }
        Ok(Self { text: text.into(), host: bare(&host.to_string()).to_owned(), below, port })
    }

    fn matches(&self, url: &Url) -> bool {
        let host = bare(url.host_str().unwrap_or_default());
        let named = if self.below {
            host.strip_suffix(&self.host).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.'))
        } else {
            host == self.host
        };
        // `host` alone opens the two web ports only: else every service there could be probed.
        let port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        named && port
    }
}

/// A host name without the dot that may end it.
fn bare(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Resolves names and withholds the addresses that may not be connected to.
pub(super) struct Resolver<R> {
    guard: Guard,
    names: Arc<R>,
}

impl<R> Resolver<R> {
    pub(super) fn new(guard: Guard, names: R) -> Self {
        Self { guard, names: Arc::new(names) }
    }
}

impl<R: Resolve + 'static> Resolve for Resolver<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, names) = (self.guard.clone(), Arc::clone(&self.names));
        Box::pin(async move {
            let host = bare(name.as_str()).to_owned();
            let (open, closed): (Vec<_>, Vec<_>) =
                names.resolve(name).await?.partition(|address| guard.may_connect(&host, address.ip()));
            match closed.first() {
                Some(closed) if open.is_empty() => {
                    Err(Cause::from(PrivateAddress(guard.private(closed.ip()))))
                }
                _ => Ok(Box::new(open.into_iter()) as Addrs),
            }
        })
    }
}

/// A name that leads to private addresses only.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct PrivateAddress(pub(super) String);

/// The system's own name resolution.
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 makes the client fill in the one of the address.
            let found: io::Result<Vec<SocketAddr>> =
                tokio::net::lookup_host((name.as_str(), 0)).await.map(Iterator::collect);
            Ok(Box::new(found?.into_iter()) as Addrs)
        })
    }
}

/// Networks that are not the public internet (*IANA special-purpose address registry*).
const NOT_PUBLIC_V4: [Ipv4Net; 15] = [
    net4([0, 0, 0, 0], 8),       // this network
    net4([10, 0, 0, 0], 8),      // private
    net4([100, 64, 0, 0], 10),   // carrier-grade NAT
    net4([127, 0, 0, 0], 8),     // loopback
    net4([169, 254, 0, 0], 16),  // link-local, cloud metadata
    net4([172, 16, 0, 0], 12),   // private
    net4([192, 0, 0, 0], 24),    // protocol assignments
    net4([192, 0, 2, 0], 24),    // documentation
    net4([192, 88, 99, 0], 24),  // 6to4 relays
    net4([192, 168, 0, 0], 16),  // private
    net4([198, 18, 0, 0], 15),   // benchmarks
    net4([198, 51, 100, 0], 24), // documentation
    net4([203, 0, 113, 0], 24),  // documentation
    net4([224, 0, 0, 0], 4),     // multicast
    net4([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// The only part of IPv6 that is given out; all else (loopback, unique-local, link-local,
/// multicast, ...) lies outside.
const GLOBAL_V6: Ipv6Net = net6([0x2000, 0], 3);

/// Parts of it that are not the public internet.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    net6([0x2001, 0], 23),      // protocol assignments, Teredo
    net6([0x2001, 0x0db8], 32), // documentation
    net6([0x2002, 0], 16),      // 6to4: hides an IPv4 address
    net6([0x3fff, 0], 20),      // documentation
];

/// NAT64: the last 32 bits are an IPv4 address (*RFC 6052, 2.1*).
const NAT64: Ipv6Net = net6([0x0064, 0xff9b], 96);

const fn net4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn net6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// Whether an address belongs to the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(inner) => is_public(IpAddr::V4(inner)),
            None if NAT64.contains(&ip) => {
                let [.., a, b, c, d] = ip.octets();
                is_public(IpAddr::from([a, b, c, d]))
            }
            None => GLOBAL_V6.contains(&ip) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&ip)),
        },
    }
}
