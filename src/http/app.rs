//! Who answers what: one `match` on the address of a request.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Method, Request, Response, request};
use tower::Service;

use super::handlers::{documents, image, info};
use super::parts::{Outcome, Parts};
use super::problem::Kind;
use super::{Body, Problem, RouteClass, SourceName, method};
use crate::iiif::address::{Address, AddressError};

/// The gateway's answers, as a tower service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

impl App {
    /// An app that works with these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    async fn answer(self, asked: request::Parts) -> Response<Body> {
        let address = Address::parse(asked.uri.path());
        let labels = address.as_ref().map_or((RouteClass("unknown"), None), labels);
        let outcome = match address {
            // It names a host where others name a path.
            _ if asked.method == Method::CONNECT => Err(Problem::method(method::GET_ONLY)),
            Ok(address) => self.route(address, &asked).await,
            Err(AddressError::Malformed(error)) => Err(Problem::new(Kind::Syntax, error.to_string())),
            Err(error @ AddressError::NotFound(_)) => Err(Problem::new(Kind::NotFound, error.to_string())),
        };
        let mut res = outcome.unwrap_or_else(Response::from);
        res.extensions_mut().insert(labels.0);
        if let Some(source) = labels.1 {
            res.extensions_mut().insert(source);
        }
        res
    }

    async fn route(&self, address: Address, asked: &request::Parts) -> Outcome {
        // Nobody learns here which methods it takes on the listener of operators.
        if matches!(address, Address::Purge { .. }) {
            return Err(Problem::new(Kind::NotFound, "this is not for you"));
        }
        method::reads(&asked.method)?;
        let (parts, headers) = (&*self.0, &asked.headers);
        match address {
            Address::Image { version, source, media, parameters } => {
                image::derivative(parts, headers, version, (&source, &media), &parameters).await
            }
            Address::ImageInfo { version, source, media } => {
                info::info(parts, headers, version, &source, &media).await
            }
            Address::ImageBase { version, source, media } => info::base(parts, version, source, media).await,
            Address::Collection { version, place, part } => {
                documents::collection(parts, headers, version, place, part).await
            }
            Address::Home => Ok(documents::home(parts)),
            Address::Problems => Ok(documents::problems()),
            Address::Item { source, item } => documents::item(parts, source, item).await,
            // Answered by the layer in front of all that may be full.
            Address::Health | Address::Ready | Address::Metrics => {
                Err(Problem::new(Kind::NotFound, "this is not for you"))
            }
            described => documents::described(parts, headers, described).await,
        }
    }
}

/// What the log and the metrics call an address.
fn labels(address: &Address) -> (RouteClass, Option<SourceName>) {
    let (class, source) = match address {
        Address::Home => ("home", None),
        Address::Problems => ("problems", None),
        Address::Image { source, .. } => ("image", Some(source)),
        Address::ImageInfo { source, .. } => ("info", Some(source)),
        Address::ImageBase { source, .. } => ("image-base", Some(source)),
        Address::Manifest { source, .. } => ("manifest", Some(source)),
        Address::Canvas { source, .. } => ("canvas", Some(source)),
        Address::AnnotationPage { source, .. } | Address::Annotation { source, .. } => {
            ("annotations", Some(source))
        }
        Address::Sequence { source, .. } => ("sequence", Some(source)),
        Address::Collection { .. } => ("collection", None),
        Address::Item { source, .. } => ("item", Some(source)),
        Address::Health | Address::Ready | Address::Metrics | Address::Purge { .. } => ("operators", None),
    };
    (RouteClass(class), source.map(|source| SourceName(source.as_str().into())))
}

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Body>) -> Self::Future {
        // Nothing here reads a body: there are no uploads, and no forms yet.
        let (app, (asked, _)) = (self.clone(), req.into_parts());
        Box::pin(async move { Ok(app.answer(asked).await) })
    }
}
