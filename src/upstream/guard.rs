//! Whom the gateway may ask: hosts by name, addresses after name resolution.
//!
//! Addresses of files come from the remote system's own records, so whoever can write there could
//! make the gateway ask anybody. Two questions stand against that. *Is this host allowed?* is asked
//! before anything is sent, for redirects too. *Is this a public address?* is asked of the very
//! addresses that the connection is then made to, so a name cannot answer twice and differently.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::addresses::is_public;
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
            return Err(refuse(format!(
                "if its files lie there, add it to `hosts` of source `{}`: `hosts = [\"{}\"]`",
                self.source,
                self.place(url).host
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
pub(super) struct Pattern {
    text: Arc<str>,
    host: String,
    /// Whether `host` stands for all names below it instead.
    below: bool,
    /// The scheme's own port if absent.
    port: Option<u16>,
}

impl Pattern {
    pub(super) fn own(base: &Url) -> Result<Self, String> {
        let host = base
            .host_str()
            .ok_or_else(|| format!("`{}:` has no host, expected http or https", base.scheme()))?;
        let port = base.port_or_known_default();
        Ok(Self { text: host.into(), host: bare(host).to_owned(), below: false, port })
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected `name`, `name:port` or `*.name`, without scheme and path, found `{text}`");
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, Some(port.parse().map_err(|_| expected())?)),
            _ => (rest, None),
        };
        let host = Host::parse(name).map_err(|_| expected())?;
        if name.contains('*') || below && !matches!(host, Host::Domain(_)) {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::super::doubles::url;
    use super::*;

    fn guard(base: &str, hosts: &[&str], allow_private: bool) -> Guard {
        let hosts = hosts.iter().map(|host| host.to_string()).collect();
        let settings = Settings { base: Some(url(base)), hosts, allow_private, ..Settings::default() };
        Guard::new(&"maps".into(), &settings).unwrap()
    }

    #[test]
    fn patterns_match_hosts_and_ports() {
        let cases = [
            ("a.org", "https://a.org/x", true),
            ("a.org", "http://a.org/x", true),
            ("a.org", "https://A.ORG./x", true),
            ("a.org", "https://a.org:8443/x", false),
            ("a.org", "https://b.a.org/x", false),
            ("a.org", "https://a.org.evil.net/x", false),
            ("a.org", "https://eviLa.org/x", false),
            ("A.org", "https://a.org/x", true),
            ("bücher.example", "https://xn--bcher-kva.example/x", true),
            ("a.org:8443", "https://a.org:8443/x", true),
            ("a.org:8443", "https://a.org/x", false),
            ("a.org:443", "https://a.org/x", true),
            ("a.org:443", "http://a.org/x", false),
            ("*.a.org", "https://b.a.org/x", true),
            ("*.a.org", "https://c.b.a.org/x", true),
            ("*.a.org", "https://a.org/x", false),
            ("*.a.org", "https://.a.org/x", false),
            ("*.a.org", "https://eviLa.org/x", false),
            ("*.a.org:81", "https://b.a.org:81/x", true),
            ("[2a00::1]", "https://[2a00::1]/x", true),
            ("[2a00::1]:81", "https://[2a00::1]:81/x", true),
            ("8.8.8.8", "https://8.8.8.8/x", true),
            ("8.8.8.8", "https://0x08080808/x", true),
        ];
        for (pattern, address, expected) in cases {
            let found = Pattern::parse(pattern).unwrap().matches(&url(address));
            assert_eq!(found, expected, "{pattern} and {address}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_in_the_settings() {
        let cases = [
            "",
            "*",
            "*.",
            "https://a.org",
            "a.org/x",
            "a.org:",
            "a.org:70000",
            "a b",
            "*.8.8.8.8",
            "*.[::1]",
        ];
        for text in cases {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        let error = Pattern::parse("https://a.org").unwrap_err();
        insta::assert_snapshot!(error, @"expected `name`, `name:port` or `*.name`, without scheme and path, found `https://a.org`");
    }

    #[test]
    fn only_allowed_hosts_are_admitted() {
        let cases = [
            ("its own", "https://dam.example.org/x", true),
            ("its own, another port", "https://dam.example.org:8443/x", false),
            ("a file server", "https://files.example.net/x", true),
            ("a stranger", "https://evil.example.com/x", false),
            ("another scheme", "ftp://dam.example.org/x", false),
            ("no host", "data:text/plain,x", false),
            ("a file", "file:///etc/passwd", false),
            ("user and password", "https://a:b@dam.example.org/x", false),
            ("listed, public", "https://8.8.8.8/x", true),
            ("listed, private", "https://10.0.0.7/x", false),
            ("the same as a number", "https://167772167/x", false),
            ("listed, private, v6", "https://[::ffff:10.0.0.7]/x", false),
        ];
        let guard = guard(
            "https://dam.example.org/api",
            &["*.example.net", "8.8.8.8", "10.0.0.7", "[::ffff:10.0.0.7]"],
            false,
        );
        for (name, address, expected) in cases {
            assert_eq!(guard.admit(&url(address)).is_ok(), expected, "{name}");
        }
    }

    #[test]
    fn its_own_address_may_be_private_on_its_own_port() {
        for base in ["http://127.0.0.1:8080/w", "http://[fd00::7]:8080/w"] {
            let guard = guard(base, &[], false);
            assert!(guard.admit(&url(base)).is_ok(), "{base}");
            assert!(guard.admit(&url(&base.replace("8080", "6379"))).is_err(), "{base}");
        }
    }

    #[test]
    fn allow_private_opens_listed_hosts_only() {
        let guard = guard("https://dam.example.org/", &["10.0.0.7"], true);
        assert!(guard.admit(&url("http://10.0.0.7/x")).is_ok());
        assert!(guard.admit(&url("http://10.0.0.8/x")).is_err());
    }

    #[test]
    fn refusals_name_the_setting_and_hide_the_query() {
        let guard = guard("https://dam.example.org/", &["10.0.0.7"], false);
        let told = |address| guard.admit(&url(address)).unwrap_err().to_string();
        insta::assert_snapshot!(told("https://cdn.example.com:8443/x?key=secret"), @r#"`cdn.example.com:8443` (source `maps`) may not be asked: if its files lie there, add it to `hosts` of source `maps`: `hosts = ["cdn.example.com:8443"]`"#);
        insta::assert_snapshot!(told("http://10.0.0.7/x"), @"`10.0.0.7` (source `maps`) may not be asked: `10.0.0.7` is no public address; `allow_private` of source `maps` would allow it");
        insta::assert_snapshot!(told("https://me:pass@dam.example.org/"), @"`dam.example.org` (source `maps`) may not be asked: user and password belong into the source's settings, not into an address");
    }

    /// Names that answer differently every time.
    struct Fickle {
        answers: Vec<Vec<&'static str>>,
        asked: AtomicUsize,
    }

    impl Resolve for Fickle {
        fn resolve(&self, _: Name) -> Resolving {
            let answer = &self.answers[self.asked.fetch_add(1, Ordering::SeqCst)];
            let found: Vec<SocketAddr> =
                answer.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
            Box::pin(async { Ok(Box::new(found.into_iter()) as Addrs) })
        }
    }

    /// What `name` leads to, one after the other.
    async fn resolved(
        guard: Guard,
        name: &str,
        answers: &[&[&'static str]],
    ) -> Vec<Result<Vec<String>, String>> {
        let count = answers.len();
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        let resolver = Resolver::new(guard, Fickle { answers, asked: AtomicUsize::new(0) });
        let mut results = Vec::new();
        for _ in 0..count {
            let result = resolver.resolve(name.parse().unwrap()).await;
            let result = result.map(|found| found.map(|address| address.ip().to_string()).collect());
            results.push(result.map_err(|error| error.downcast::<PrivateAddress>().unwrap().to_string()));
        }
        results
    }

    #[tokio::test]
    async fn a_name_that_turns_private_is_refused_when_it_does() {
        let guard = guard("https://dam.example.org/", &["files.example.net"], false);
        let results = resolved(
            guard,
            "files.example.net",
            &[
                &["8.8.8.8"],
                &["127.0.0.1"],
                &["169.254.169.254", "1.1.1.1"],
                &["::ffff:10.0.0.1", "fd00::1"],
                &[],
            ],
        );
        insta::assert_debug_snapshot!(results.await, @r#"
        [
            Ok(
                [
                    "8.8.8.8",
                ],
            ),
            Err(
                "`127.0.0.1` is no public address; `allow_private` of source `maps` would allow it",
            ),
            Ok(
                [
                    "1.1.1.1",
                ],
            ),
            Err(
                "`::ffff:10.0.0.1` is no public address; `allow_private` of source `maps` would allow it",
            ),
            Ok(
                [],
            ),
        ]
        "#);
    }

    #[tokio::test]
    async fn its_own_name_and_allow_private_may_lead_to_private_addresses() {
        let own = guard("http://dam.intranet:8080/", &[], false);
        assert!(resolved(own, "dam.intranet.", &[&["10.0.0.7"]]).await[0].is_ok());
        let open = guard("https://dam.example.org/", &["files.intranet"], true);
        assert!(resolved(open, "files.intranet", &[&["10.0.0.7"]]).await[0].is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_refused(text in "\\PC{0,40}") {
            let _ = Pattern::parse(&text);
        }
    }
}
