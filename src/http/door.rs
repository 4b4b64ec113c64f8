//! What is turned away before anybody reads it.

use std::net::IpAddr;

use http::header::{COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Request, Response, Version};

use super::around::Inner;
use super::problem::Kind;
use super::{Body, Problem};

/// The longest path with its query; the deepest folder and the longest search fit many times over.
const LONGEST: usize = 8 * 1024;
/// Where a browser says that a request comes from (*Fetch Metadata Request Headers, 2.3*).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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

/// Refuses what a page of somebody else has a browser ask: for a request that changes something, nobody has to read the
/// answer. Browsers say where such a request comes from; who says nothing of that is no browser, and has no cookies.
pub(super) fn own_page(req: &Request<Body>) -> Result<(), Problem> {
    let all = |name: &HeaderName| req.headers().get_all(name).iter().collect::<Vec<_>>();
    let is_own = match (all(&ORIGIN)[..].as_ref(), all(&SEC_FETCH_SITE)[..].as_ref()) {
        ([], []) => !req.headers().contains_key(COOKIE),
        ([], [site]) => *site == "same-origin",
        ([origin], []) => is_origin(origin, req),
        ([origin], [site]) => is_origin(origin, req) && *site == "same-origin",
        _ => false,
    };
    let foreign = || {
        Problem::new(
            Kind::Foreign,
            "this is asked by a page of another site, or by a browser that does not say which",
        )
    };
    is_own.then_some(()).ok_or_else(foreign)
}

/// Whether an origin is where the request went to; a proxy in front may have ended TLS.
fn is_origin(origin: &HeaderValue, req: &Request<Body>) -> bool {
    let host = req.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| req.uri().authority().map(Authority::as_str));
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
    origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

fn is_own(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_elses_page_changes_anything() {
        let own = "http://127.0.0.1:9090";
        for (name, headers, good) in [
            ("no browser", &[][..], true),
            ("our own page", &[("origin", own), ("sec-fetch-site", "same-origin")][..], true),
            ("our own page, an older browser", &[("origin", own)], true),
            ("our own page, signed in", &[("origin", own), ("cookie", "a=b")], true),
            ("our own page behind TLS", &[("origin", "https://127.0.0.1:9090")], true),
            ("a form elsewhere", &[("origin", "https://evil.example")], false),
            ("a sandbox", &[("origin", "null")], false),
            ("another port", &[("origin", "http://127.0.0.1:9091")], false),
            ("no port", &[("origin", "http://127.0.0.1")], false),
            ("a longer name", &[("origin", "http://127.0.0.1:9090.evil.example")], false),
            ("a lie in one of two", &[("origin", own), ("sec-fetch-site", "cross-site")], false),
            ("the same site", &[("sec-fetch-site", "same-site")], false),
            ("a bookmark", &[("sec-fetch-site", "none")], false),
            ("of two minds", &[("origin", own), ("origin", "https://evil.example")], false),
            ("a browser that hides where it is", &[("cookie", "a=b")], false),
        ] {
            let mut req = Request::post("/admin/purge/maps").header("host", "127.0.0.1:9090");
            for (name, value) in headers {
                req = req.header(*name, *value);
            }
            assert_eq!(own_page(&req.body(Body::empty()).unwrap()).is_ok(), good, "{name}");
        }
    }

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
