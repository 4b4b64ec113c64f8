//! What is turned away before anybody reads it.

use std::net::IpAddr;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, Version};

use super::around::Inner;
use super::problem::Kind;
use super::{Body, Problem};

/// The longest path with its query; the deepest folder and the longest search fit many times over.
const LONGEST: usize = 8 * 1024;

/// Refuses addresses so long that only a mistake or an attack makes them (*Image API 3.0, 10*).
pub(super) async fn short_targets(req: Request<Body>, inner: Inner) -> Response<Body> {
    let length = req.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if length > LONGEST {
        let detail = format!("the address has {length} bytes: expected at most {LONGEST}");
        return Problem::new(Kind::TargetTooLong, detail).into();
    }
    inner.run(req).await
}

/// Refuses a request of HTTP/1.1 without its one `Host` (RFC 9112, 3.2): it was made by hand, or to be read differently by
/// a proxy and by us.
pub(super) async fn one_host(req: Request<Body>, inner: Inner) -> Response<Body> {
    let hosts = req.headers().get_all(HOST).iter().count();
    if req.version() == Version::HTTP_11 && hosts != 1 {
        return Problem::new(Kind::Syntax, format!("found {hosts} `Host` headers: expected one")).into();
    }
    inner.run(req).await
}

/// Refuses names that are not this machine's own: a page of anybody's can give its own name the operators' address, and
/// would then read with an operator's browser what only operators should.
pub(super) async fn own_host(req: Request<Body>, inner: Inner) -> Response<Body> {
    let named = req.headers().get(HOST).map(HeaderValue::as_bytes);
    let authority =
        named.map_or_else(|| req.uri().authority().cloned(), |name| Authority::try_from(name).ok());
    if authority.is_none_or(|authority| !is_own(authority.host())) {
        let detail =
            "this listener answers to addresses such as `127.0.0.1` and to `localhost`, not to other names";
        return Problem::new(Kind::NotFound, detail).into();
    }
    inner.run(req).await
}

fn is_own(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_own_names() {
        for (host, own) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("[::1]", true),
            ("LOCALHOST", true),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_own(host), own, "{host}");
        }
    }
}
