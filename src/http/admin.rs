//! What operators may do, beside looking: on the listener of their own, nowhere else.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;

use super::parts::Outcome;
use super::problem::Kind;
use super::{Body, Problem, RouteClass, SourceName, Stack, door};
use crate::iiif::address::Address;
use crate::serve::purge::Purge;

/// Answers at the addresses of operators.
#[derive(Clone, Debug)]
pub struct Admin {
    purge: Purge,
}

impl Admin {
    /// That purges with this.
    pub fn new(purge: Purge) -> Self {
        Self { purge }
    }

    /// As the inside of [`super::stack::operators`].
    pub fn into_stack(self) -> Stack {
        Stack::new(tower::service_fn(move |req| {
            let admin = self.clone();
            async move { Ok(admin.answer(req).await) }
        }))
    }

    async fn answer(self, req: Request<Body>) -> Response<Body> {
        let Ok(Address::Purge { source, item }) = Address::parse(req.uri().path()) else {
            return Problem::new(Kind::NotFound, "this listener is for operators").into();
        };
        let allowed = allow(&req);
        drop(req);
        let outcome = match allowed {
            Ok(()) => self.purge(&source, item.as_deref()).await,
            Err(problem) => Err(problem),
        };
        let mut res = outcome.unwrap_or_else(Response::from);
        res.extensions_mut().insert(RouteClass("purge"));
        res.extensions_mut().insert(SourceName(source.into()));
        res
    }

    async fn purge(&self, source: &str, item: Option<&str>) -> Outcome {
        let purged = self.purge.run(source, item).await?;
        let body = serde_json::to_string(&purged).expect("texts and numbers are always JSON");
        let mut res = Response::new(Body::from(body));
        res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        res.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(res)
    }
}

fn allow(req: &Request<Body>) -> Result<(), Problem> {
    if req.method() != Method::POST {
        return Err(Problem::method("POST"));
    }
    door::own_page(req)?;
    // Passed over, a query that names an item would purge all of its source.
    if req.uri().query().is_some() {
        let detail = "a purge takes no query: the item is a part of the path, `/admin/purge/{source}/{item}`";
        return Err(Problem::new(Kind::Syntax, detail));
    }
    // Whatever it says, nobody would read it.
    match req.body().is_end_stream() {
        true => Ok(()),
        false => Err(Problem::new(Kind::BodyTooLarge, "a purge takes no body")),
    }
}
