//! Who asks: the address on the other end of the connection, or the one a trusted proxy vouches for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, Request};

use super::{Body, Proxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers that a proxy leaves behind: a request with one of them was not made on this machine,
/// whatever the connection's address says.
const TRACES: [HeaderName; 6] = [
    FORWARDED,
    X_FORWARDED_FOR,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
    http::header::VIA,
];

/// The other end of the connection; the listener tells it with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The client of a request, found in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The other end of the connection, maybe a proxy.
    pub peer: IpAddr,
    /// The client itself; `0.0.0.0` where trusted proxies do not agree on it.
    pub address: IpAddr,
    /// Whether the request came directly or passed a proxy, by its headers.
    pub route: Route,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// No header speaks of a proxy.
    Direct,
    /// At least one header does.
    Forwarded,
}

impl Client {
    /// Nobody's address: it lies in no network that a rule could name.
    pub(super) const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    /// Nobody that we know.
    pub(super) const NOBODY: Self =
        Self { peer: Self::UNKNOWN, address: Self::UNKNOWN, route: Route::Forwarded };

    /// Finds out who sends `req`.
    pub(super) fn of(req: &Request<Body>, proxies: &Proxies) -> Self {
        let peer =
            req.extensions().get::<Peer>().map_or(Client::UNKNOWN, |Peer(peer)| peer.ip().to_canonical());
        let headers = req.headers();
        let forwarded = TRACES.iter().any(|name| headers.contains_key(name));
        Self {
            peer,
            address: address(peer, headers, proxies),
            route: if forwarded { Route::Forwarded } else { Route::Direct },
        }
    }
}

/// The rightmost address that is not itself a trusted proxy: everything left of it was written by
/// somebody whom we do not trust.
///
/// A proxy usually writes one of the two headers and lets the other through as the client sent it.
/// So if both are there they must say the same, else nobody is believed.
fn address(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> IpAddr {
    if !proxies.contain(peer) {
        return peer;
    }
    let ours = |hops: Vec<Option<IpAddr>>| rightmost(hops, proxies);
    match (hops(headers, &X_FORWARDED_FOR).map(ours), hops(headers, &FORWARDED).map(ours)) {
        (None, None) => peer,
        (Some(one), None) | (None, Some(one)) => one,
        (Some(one), Some(other)) if one == other => one,
        _ => Client::UNKNOWN,
    }
}

fn rightmost(hops: Vec<Option<IpAddr>>, proxies: &Proxies) -> IpAddr {
    let client = hops.iter().rev().find(|hop| hop.is_none_or(|address| !proxies.contain(address)));
    // All of them trusted: the request began at the first of them.
    client.or(hops.first()).copied().flatten().unwrap_or(Client::UNKNOWN)
}

/// The addresses in all lines of one header, nearest proxy last; `None` where one is hidden or broken.
fn hops(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<Option<IpAddr>>> {
    headers.contains_key(name).then(|| {
        let lines = headers.get_all(name).into_iter().map(|line| line.to_str().unwrap_or_default());
        let entries = lines.flat_map(|line| line.split(','));
        entries.map(|entry| if name == FORWARDED { forwarded_for(entry) } else { hop(entry) }).collect()
    })
}

/// The `for` of one element of `Forwarded` (RFC 7239). A comma inside a quoted string would cut the
/// element in two broken halves; addresses have none.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| hop(value.trim().trim_matches('"')))?
    })
}

/// An address with or without a port, IPv6 with or without brackets.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse::<IpAddr>().or_else(|_| with_port()).ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::Settings;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> Client {
        let proxies =
            toml::from_str::<Settings>("trusted_proxies = ['10.0.0.0/8', '::1']").unwrap().trusted_proxies;
        let mut req = Request::new(Body::empty());
        req.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 4711)));
        for (name, value) in headers {
            req.headers_mut().append(*name, value.parse().unwrap());
        }
        Client::of(&req, &proxies)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let xff = "x-forwarded-for";
        for (name, peer, headers, address) in [
            ("no proxy", "192.0.2.1", vec![], "192.0.2.1"),
            ("a stranger's word", "192.0.2.1", vec![(xff, "10.0.0.9")], "192.0.2.1"),
            ("a proxy's own request", "10.0.0.1", vec![], "10.0.0.1"),
            ("one hop", "10.0.0.1", vec![(xff, "192.0.2.7")], "192.0.2.7"),
            ("invented by the client", "10.0.0.1", vec![(xff, "10.0.0.9, 192.0.2.7")], "192.0.2.7"),
            ("two proxies", "10.0.0.1", vec![(xff, "192.0.2.7, 10.0.0.2")], "192.0.2.7"),
            ("two lines", "10.0.0.1", vec![(xff, "198.51.100.1"), (xff, "192.0.2.7")], "192.0.2.7"),
            ("only proxies", "10.0.0.1", vec![(xff, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            ("broken last hop", "10.0.0.1", vec![(xff, "192.0.2.7, nonsense")], "0.0.0.0"),
            ("empty", "10.0.0.1", vec![(xff, "")], "0.0.0.0"),
            ("with a port", "10.0.0.1", vec![(xff, "192.0.2.7:99")], "192.0.2.7"),
            ("forwarded", "::1", vec![("forwarded", "proto=https;For=\"[2001:db8::1]:99\"")], "2001:db8::1"),
            ("forwarded, hidden", "::1", vec![("forwarded", "for=_secret")], "0.0.0.0"),
            ("forwarded, no for", "::1", vec![("forwarded", "proto=https")], "0.0.0.0"),
            ("both agree", "::1", vec![("forwarded", "for=192.0.2.7"), (xff, "192.0.2.7")], "192.0.2.7"),
            ("both differ", "::1", vec![("forwarded", "for=10.9.9.9"), (xff, "192.0.2.7")], "0.0.0.0"),
            ("v4 in v6", "::ffff:10.0.0.1", vec![(xff, "::ffff:192.0.2.7")], "192.0.2.7"),
        ] {
            assert_eq!(client(peer, &headers).address.to_string(), address, "{name}");
        }
    }

    #[test]
    fn every_proxy_header_counts_as_forwarded() {
        assert_eq!(client("::1", &[]).route, Route::Direct);
        for name in TRACES {
            let mut req = Request::new(Body::empty());
            req.headers_mut().insert(name.clone(), "x".parse().unwrap());
            assert_eq!(Client::of(&req, &Proxies::default()).route, Route::Forwarded, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(line in "[ -~]{0,80}") {
            client("10.0.0.1", &[("forwarded", &line)]);
            client("10.0.0.1", &[("x-forwarded-for", &line)]);
        }
    }
}
