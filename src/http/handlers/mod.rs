//! From addresses to use cases, and from what they give to answers. Thin: what is decided, is decided in `serve`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::conditional::Validator;
use super::problem::Kind;
use super::rescue;
use super::warm::Repeatable;
use super::{Body, Problem};
use crate::serve::ServeError;
use crate::serve::gate::Standing;

pub(super) mod documents;
pub(super) mod image;
pub(super) mod info;

impl From<ServeError> for Problem {
    fn from(error: ServeError) -> Self {
        /// Without a word from the source: long enough for a restart.
        const SOON: Duration = Duration::from_secs(30);
        let detail = error.to_string();
        match error {
            ServeError::Impossible(_) => Self::new(Kind::Syntax, detail),
            ServeError::NeedsLogin(_) => {
                // RFC 9110, 15.5.2: a 401 says how; a token in the header is how IIIF does it.
                Self::new(Kind::SignIn, detail)
                    .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            ServeError::NotFound { .. } => Self::new(Kind::NotFound, detail),
            ServeError::NotOffered(_) => Self::new(Kind::NotOffered, detail),
            ServeError::TooLarge(_) => Self::new(Kind::OverLimit, detail),
            ServeError::Busy | ServeError::Damaged(_) => Self::busy(detail),
            ServeError::Unreachable { retry_after, .. } => {
                Self::new(Kind::SourceAway, detail).with_retry_after(retry_after.unwrap_or(SOON))
            }
            ServeError::Timeout { .. } => Self::new(Kind::SourceSlow, detail).with_retry_after(SOON),
            ServeError::BadAnswer { name, message, found } => {
                if found.is_some() {
                    tracing::warn!(error = detail, "a source answered something else than expected");
                }
                Self::new(Kind::BadSource, format!("source `{name}`: {message}"))
            }
            ServeError::Changed { .. } => Self::new(Kind::BadSource, detail),
            // It may say that nobody is to know of it.
            ServeError::Unreadable { .. } => Self::new(Kind::NotFound, "there is nothing at this address"),
            ServeError::Internal(cause) => rescue::internal(&*cause),
        }
    }
}

/// The weak tag of a document: the same words, the same tag, whatever they were made of.
fn tag_of(body: impl AsRef<[u8]>) -> Validator {
    Validator::weak(&hex::encode(&Sha256::digest(body)[..16]))
}

/// 303 to an absolute address, which holds for as long as the settings do.
fn see_other(location: &str) -> Response<Body> {
    const FOR: Duration = Duration::from_secs(600);
    let mut res = Response::new(Body::empty());
    *res.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::try_from(location) {
        res.headers_mut().insert(LOCATION, location);
    }
    cacheable(&mut res, FOR);
    res
}

/// The answer with its body; it may be given again as long as the decision stands.
fn repeatable(res: Response<Body>, standing: Standing, body: Bytes) -> Response<Body> {
    let mut res = res.map(|_| Body::from(body.clone()));
    res.extensions_mut().insert(Repeatable { standing, body });
    res
}

/// Caches may keep an answer for so long without asking again.
fn cacheable(res: &mut Response<Body>, max_age: Duration) {
    let value = format!("public, max-age={}", max_age.as_secs());
    res.headers_mut().insert(CACHE_CONTROL, HeaderValue::try_from(value).expect("letters and digits"));
}
