//! Where Redis is: one node, a set that Sentinel watches, or a cluster; read from one address.

use std::fmt::{self, Display};
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, RedisConnectionInfo};
use url::{Host, Url};

use crate::secret::Secret;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What an address says. It prints without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) tls: Tls,
    /// Nodes, or sentinels; one where there is no more to choose from.
    nodes: Vec<(String, u16)>,
    user: Option<String>,
    password: Option<Secret>,
    database: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Socket(PathBuf),
    /// The name under which the sentinels know the set.
    Sentinel(String),
    Cluster,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    On,
    Off,
}

/// What is wrong with an address. It quotes nothing that may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Another scheme, or none.
    #[error(
        "expected an address that begins with `redis://`, `redis+unix://`, `redis+sentinel://` or `redis+cluster://`, or `rediss` with TLS"
    )]
    Scheme,
    /// No host where one is needed, or one that is none.
    #[error("expected `host` or `host:port` after `://`, several with commas between them")]
    Host,
    /// A second host where there can be one only.
    #[error("expected one host; several belong to `redis+sentinel://` or `redis+cluster://`")]
    OneHost,
    /// Something else than the number of a database.
    #[error("expected nothing or `/` and the number of a database after the host")]
    Database,
    /// The sentinels watch several sets.
    #[error(
        "expected `/` and the name of the watched service after the sentinels, then nothing or `/` and the number of a database"
    )]
    Service,
    /// A cluster has one database.
    #[error("expected nothing after the hosts of a cluster")]
    Path,
    /// No path of a socket.
    #[error("expected the path of a socket: `redis+unix:///run/redis.sock`")]
    Socket,
}

impl Place {
    /// Reads an address.
    pub(super) fn parse(address: &Secret) -> Result<Self, PlaceError> {
        let (scheme, rest) = address.reveal().split_once("://").ok_or(PlaceError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let tls = if scheme.starts_with("rediss") { Tls::On } else { Tls::Off };
        let (kind, port, database) = match scheme {
            "redis" | "rediss" => (Kind::Node, PORT, database(path).ok_or(PlaceError::Database)?),
            "redis+unix" if path.is_empty() || !hosts.is_empty() => return Err(PlaceError::Socket),
            "redis+unix" => (Kind::Socket(format!("/{path}").into()), PORT, 0),
            "redis+cluster" | "rediss+cluster" if path.is_empty() => (Kind::Cluster, PORT, 0),
            "redis+cluster" | "rediss+cluster" => return Err(PlaceError::Path),
            "redis+sentinel" | "rediss+sentinel" => {
                let (service, path) = path.split_once('/').unwrap_or((path, ""));
                let database = database(path).filter(|_| !service.is_empty()).ok_or(PlaceError::Service)?;
                (Kind::Sentinel(decoded(service)), SENTINEL_PORT, database)
            }
            _ => return Err(PlaceError::Scheme),
        };
        let nodes = match kind {
            Kind::Socket(_) => Ok(Vec::new()),
            _ => hosts.split(',').map(|host| node(host, port).ok_or(PlaceError::Host)).collect(),
        }?;
        if kind == Kind::Node && nodes.len() > 1 {
            return Err(PlaceError::OneHost);
        }
        let given = |text: &str| (!text.is_empty()).then(|| decoded(text));
        Ok(Self {
            kind,
            tls,
            nodes,
            user: given(user),
            password: given(password).map(Secret::from),
            database,
        })
    }

    /// Whether the address itself has the password.
    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Where to connect to, one address for each node.
    pub(super) fn addresses(&self) -> Vec<ConnectionAddr> {
        let node = |(host, port): &(String, u16)| match self.tls {
            Tls::Off => ConnectionAddr::Tcp(host.clone(), *port),
            Tls::On => {
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
            }
        };
        match &self.kind {
            Kind::Socket(path) => vec![ConnectionAddr::Unix(path.clone())],
            _ => self.nodes.iter().map(node).collect(),
        }
    }

    /// How to introduce ourselves, with this password or that of the address.
    pub(super) fn login(&self, password: Option<&Secret>) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(self.database);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = password.or(self.password.as_ref()) {
            login = login.set_password(password.reveal());
        }
        login
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Kind::Socket(path) = &self.kind {
            return write!(f, "{}", path.display());
        }
        let node = |(host, port): &(String, u16)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let nodes: Vec<String> = self.nodes.iter().map(node).collect();
        f.write_str(&nodes.join(","))?;
        match &self.kind {
            Kind::Sentinel(service) => write!(f, "/{service}"),
            Kind::Node | Kind::Cluster | Kind::Socket(_) => Ok(()),
        }
    }
}

fn database(path: &str) -> Option<i64> {
    if path.is_empty() { Some(0) } else { path.parse::<u16>().ok().map(i64::from) }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A host with its port, or the usual one.
fn node(text: &str, port: u16) -> Option<(String, u16)> {
    let url = Url::parse(&format!("redis://{text}")).ok()?;
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let is_bare = url.query().is_none() && url.fragment().is_none();
    (is_bare && !host.is_empty()).then(|| (host, url.port().unwrap_or(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<Place, PlaceError> {
        Place::parse(&address.into())
    }

    #[test]
    fn addresses_say_what_is_there() {
        let service = || Kind::Sentinel("main".to_owned());
        for (address, kind, tls, shown) in [
            ("redis://localhost", Kind::Node, Tls::Off, "localhost:6379"),
            ("rediss://redis.example.org:7000/3", Kind::Node, Tls::On, "redis.example.org:7000"),
            ("redis://user:p%40ss@[::1]:7000", Kind::Node, Tls::Off, "[::1]:7000"),
            (
                "redis+unix:///run/redis.sock",
                Kind::Socket("/run/redis.sock".into()),
                Tls::Off,
                "/run/redis.sock",
            ),
            (
                "redis+unix://:p@/run/redis.sock",
                Kind::Socket("/run/redis.sock".into()),
                Tls::Off,
                "/run/redis.sock",
            ),
            ("redis+sentinel://a,b:7/main", service(), Tls::Off, "a:26379,b:7/main"),
            ("rediss+sentinel://:p@a:1/main/2", service(), Tls::On, "a:1/main"),
            ("redis+cluster://a:1,b", Kind::Cluster, Tls::Off, "a:1,b:6379"),
            ("rediss+cluster://u:p@a", Kind::Cluster, Tls::On, "a:6379"),
        ] {
            let place = parse(address).unwrap();
            assert_eq!(
                (&place.kind, place.tls, place.to_string().as_str()),
                (&kind, tls, shown),
                "{address}"
            );
        }
    }

    #[test]
    fn user_and_password_are_read_and_not_shown() {
        let place = parse("redis://me:p%40ss%3A@localhost/7").unwrap();
        let login = place.login(None);
        assert_eq!((login.username(), login.password(), login.db()), (Some("me"), Some("p@ss:"), 7));
        assert_eq!(place.login(Some(&"other".into())).password(), Some("other"));
        assert!(place.has_password() && !parse("redis://me@localhost").unwrap().has_password());
        assert!(!format!("{place} {place:?}").contains("p@ss"));
        assert_eq!(parse("redis://localhost").unwrap().login(None).password(), None);
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (address, expected) in [
            ("localhost", PlaceError::Scheme),
            ("http://localhost", PlaceError::Scheme),
            ("redis+sentinels://localhost", PlaceError::Scheme),
            ("redis://", PlaceError::Host),
            ("redis://:6379", PlaceError::Host),
            ("redis://a:port", PlaceError::Host),
            ("redis://a:99999", PlaceError::Host),
            ("redis://a?db=1", PlaceError::Host),
            ("redis://a,b", PlaceError::OneHost),
            ("redis://a/b", PlaceError::Database),
            ("redis://a/-1", PlaceError::Database),
            ("redis+sentinel://a", PlaceError::Service),
            ("redis+sentinel://a/main/b", PlaceError::Service),
            ("redis+sentinel://a,/main", PlaceError::Host),
            ("redis+cluster://a/1", PlaceError::Path),
            ("redis+unix://", PlaceError::Socket),
            ("redis+unix://run/redis.sock", PlaceError::Socket),
        ] {
            assert_eq!(parse(address), Err(expected), "{address}");
        }
    }
}
