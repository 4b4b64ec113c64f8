//! What is turned away before anybody reads it.

use http::{Request, Response};

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
