//! HEAD and OPTIONS, which no handler needs to know about, and the methods that addresses take.

use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;

use super::around::Inner;
use super::{Body, Problem};

/// The methods of everything that is only read: all IIIF documents and images.
pub const GET_ONLY: &str = "GET, HEAD, OPTIONS";

/// Whether a request only reads; the problem names the methods that do.
pub fn reads(method: &Method) -> Result<(), Problem> {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => Ok(()),
        _ => Err(Problem::method(GET_ONLY)),
    }
}

/// Answers HEAD as GET without its body, and gives the answer to OPTIONS its proper form.
///
/// hyper drops such bodies on HTTP/1.1 by itself; here they are dropped for HTTP/2 and for tests
/// too, and before a compressor starts on them.
pub(super) async fn bodiless(req: Request<Body>, inner: Inner) -> Response<Body> {
    let method = req.method().clone();
    let mut res = inner.run(req).await;
    match method {
        Method::HEAD => {
            let length = res.body().size_hint().exact();
            // A compressed answer's length is unknown; 204 and 304 have none (RFC 9110, 8.6).
            let has_length = !matches!(res.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            if let (Some(length), true) = (length, has_length) {
                res.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
            }
            *res.body_mut() = Body::empty();
        }
        Method::OPTIONS if res.status() == StatusCode::OK => {
            *res.status_mut() = StatusCode::NO_CONTENT;
            res.headers_mut().remove(CONTENT_LENGTH);
            res.headers_mut().insert(ALLOW, HeaderValue::from_static(GET_ONLY));
        }
        _ => {}
    }
    res
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_is_reading() {
        for (method, good) in [
            (Method::GET, true),
            (Method::HEAD, true),
            (Method::OPTIONS, true),
            (Method::POST, false),
            (Method::PUT, false),
            (Method::DELETE, false),
            (Method::TRACE, false),
            (Method::from_bytes(b"BREW").unwrap(), false),
        ] {
            assert_eq!(reads(&method).is_ok(), good, "{method}");
        }
    }
}
