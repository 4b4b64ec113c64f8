//! The name of a request in logs, answers and problems.

use http::{HeaderName, HeaderValue, Request};
use tower_http::request_id::MakeRequestId;
use uuid::{Builder, Uuid};

use super::{Body, Client, Proxies};

pub use tower_http::request_id::RequestId;

/// The header that carries it.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones would only fill the log.
const LONGEST: usize = 64;

/// Makes an id for a request that brings none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Random;

impl MakeRequestId for Random {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        Some(RequestId::new(random()))
    }
}

/// A new id. Nobody must be able to guess what comes next, but it need not be asked of the system each time.
pub(super) fn random() -> HeaderValue {
    let id = Builder::from_random_bytes(rand::random()).into_uuid().simple();
    HeaderValue::from_str(id.encode_lower(&mut Uuid::encode_buffer())).expect("digits and letters")
}

/// Takes away an id that a stranger sent, or that does not look like one: it goes into every log line.
pub(super) fn keep_trusted(req: &mut Request<Body>, client: &Client, proxies: &Proxies) {
    let headers = req.headers_mut();
    let good = headers.get(X_REQUEST_ID).is_some_and(looks_like_one);
    if !(good && proxies.contain(client.peer)) {
        headers.remove(X_REQUEST_ID);
    }
}

/// The id of a request that passed the stack's second layer.
pub(super) fn of(req: &Request<Body>) -> String {
    let id = req.extensions().get::<RequestId>();
    id.and_then(|id| id.header_value().to_str().ok()).unwrap_or_default().to_owned()
}

fn looks_like_one(value: &HeaderValue) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=LONGEST).contains(&value.len()) && value.as_bytes().iter().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_short_word() {
        for (text, good) in [
            ("8d0d6f9c-9a4b-4f0e-8a51-64c7d9a9e3b2", true),
            ("1-67891233-abcdef012345678912345678", true),
            ("", false),
            ("two words", false),
            ("a\"b", false),
            (&*"x".repeat(65), false),
        ] {
            assert_eq!(looks_like_one(&text.parse().unwrap()), good, "{text}");
        }
    }

    #[test]
    fn made_ids_differ_and_look_like_ids() {
        let id = || Random.make_request_id(&Request::new(())).unwrap().into_header_value();
        let (one, other) = (id(), id());
        assert!(looks_like_one(&one));
        assert_ne!(one, other);
    }
}
