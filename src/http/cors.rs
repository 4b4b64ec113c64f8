//! Cross-origin access: every viewer on every site may read every public answer, errors included.

use std::time::Duration;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, ETAG, LINK, RETRY_AFTER};
use http::{HeaderName, Method};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use super::request_id::X_REQUEST_ID;

/// Browsers keep a preflight's answer for two hours at most.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// What a script on another site may read besides the few headers that are always open to it.
const EXPOSED: [HeaderName; 8] =
    [ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, ETAG, LINK, RETRY_AFTER, X_REQUEST_ID];

/// Any origin, without credentials (*Image API 3.0, 7.1*).
///
/// Nothing in an answer depends on the origin, so it does not vary by it: caches in front keep one
/// copy of a tile, not one per site.
pub(super) fn layer() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::OPTIONS])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE)
        .vary([])
}
