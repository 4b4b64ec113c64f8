//! The outer stack: what happens to every request, in which order, and why there.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveHeadersLayer;
use tower_http::timeout::TimeoutLayer;

use super::around::around;
use super::health::Health;
use super::listen::STREAMS;
use super::request_id::{self, X_REQUEST_ID};
use super::rescue::{RescueLayer, panicked};
use super::weight::Scales;
use super::{Body, Client, Proxies, PublicUrl, Settings, Stack};
use super::{compression, cors, door, health, method, observe, problem, weight};

/// Forms and tokens fit in many times over; there are no uploads.
const BODY: usize = 64 * 1024;

/// What the layers need to know.
#[derive(Clone, Debug)]
pub struct Outer {
    /// Where the page about problems is found.
    pub public_url: PublicUrl,
    /// Whose word on clients is taken.
    pub proxies: Proxies,
    /// How long an answer's head may take, and each further piece of a body that is streamed.
    pub timeout: Duration,
    /// How many requests may be in work.
    pub concurrency: usize,
    /// What operators get.
    pub health: Health,
    /// Weighs answers on their way.
    pub(super) scales: Scales,
}

impl Outer {
    /// As the settings say. As many requests as connections and their streams can bring: the real
    /// limits lie further in, where it is known what a request costs.
    pub fn new(settings: &Settings, public_url: PublicUrl, health: Health) -> Self {
        let requests = settings.max_connections.get().saturating_mul(STREAMS as usize);
        Self {
            public_url,
            proxies: settings.trusted_proxies.clone(),
            timeout: *settings.request_timeout,
            concurrency: requests.min(Semaphore::MAX_PERMITS),
            health,
            scales: Scales::default(),
        }
    }
}

/// Puts the layers around the app. The order is a contract; each line says what would break elsewhere.
///
/// In three groups, boxed at the end of each: one long chain of types makes the compiler slow, and
/// its messages unreadable.
pub fn stack<A>(app: A, outer: Outer) -> Stack
where
    A: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    A::Error: Into<BoxError>,
    A::Future: Send,
{
    let public = Arc::new(outer.public_url);
    let work = limited(app, outer.concurrency, outer.timeout, outer.scales);
    let answers = readable(work, Arc::clone(&public));
    told(operated(answers, outer.health, public), outer.proxies)
}

/// The operators' own stack, for their own listener: nothing but what they ask. There is no timeout: what was begun here
/// goes on, whoever waits for it.
pub fn operators(app: Stack, outer: Outer) -> Stack {
    let public = Arc::new(outer.public_url);
    let caught = ServiceBuilder::new()
        .map_response(|res: Response<_>| res.map(Body::new))
        .layer(CatchPanicLayer::custom(panicked))
        .service(app);
    let answers = operated(Stack::new(caught), outer.health, Arc::clone(&public));
    let stack = ServiceBuilder::new()
        .layer(around(move |req, inner| problem::spell_out(Arc::clone(&public), req, inner)))
        .layer(around(door::short_targets))
        .layer(around(door::one_host))
        .layer(around(door::own_host))
        .service(answers);
    told(Stack::new(stack), outer.proxies)
}

/// Layers 9 to 13: how much work there may be, and for how long.
fn limited<A>(app: A, concurrency: usize, timeout: Duration, scales: Scales) -> Stack
where
    A: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    A::Error: Into<BoxError>,
    A::Future: Send,
{
    let stack = ServiceBuilder::new()
        // 9. Ends at the answer's head; streamed bodies have a deadline for each piece instead. Outside
        //    the limits, so that a request that is given up gives its permit back.
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, timeout))
        .map_response(move |res: Response<_>| res.map(|body| Body::new(body).within(timeout)))
        // 10. Before any handler can start to read.
        .layer(around(door::short_targets))
        .layer(around(door::one_host))
        .map_response(|res: Response<_>| res.map(Body::new))
        .layer(RequestBodyLimitLayer::new(BODY))
        .map_request(|req: Request<_>| req.map(Body::new))
        // Inside of 9, which ends at the head; what lies further out has no large answers of its own.
        .layer(around(move |req, inner| weight::weighed(scales.clone(), req, inner)))
        // 11. Further out nothing fails any more, there are answers only.
        .layer(RescueLayer)
        // 12. Refuses at once what 13 would let wait without anybody seeing it.
        .layer(LoadShedLayer::new())
        // 13. A backstop. A permit ends with the answer's head, not with its body.
        .layer(ConcurrencyLimitLayer::new(concurrency))
        .service(app);
    Stack::new(stack)
}

/// Layers 6 to 8: that a client can read whatever comes out, failures too.
fn readable(work: Stack, public: Arc<PublicUrl>) -> Stack {
    let stack = ServiceBuilder::new()
        // 6. Outside of all that can fail: a viewer must be able to read a 401, a 503 and a 504.
        .layer(cors::layer())
        // 7. Inside of 6, whose answers to preflights have no body. Outside of the problems, which are
        //    JSON too.
        .map_response(|res: Response<_>| res.map(Body::new))
        .layer(compression::layer())
        .map_response(compression::vary)
        // Here the request's id is known, and everything that can go wrong lies further in.
        .layer(around(move |req, inner| problem::spell_out(Arc::clone(&public), req, inner)))
        // 8. A bug becomes a logged 500 of this one request.
        .map_response(|res: Response<_>| res.map(Body::new))
        .layer(CatchPanicLayer::custom(panicked))
        .service(work);
    Stack::new(stack)
}

/// Layer 5: must answer when everything further in is full.
fn operated(answers: Stack, health: Health, public: Arc<PublicUrl>) -> Stack {
    let operators = (Arc::new(health), public);
    let short_cut = around(move |req, inner| health::short_cut(operators.clone(), req, inner));
    Stack::new(short_cut.layer(answers))
}

/// Layers 1 to 4: who asks, under which name, and what is told about it.
fn told(answers: Stack, proxies: Proxies) -> Stack {
    let stack = ServiceBuilder::new()
        // 1. Before anything could log them.
        .layer(SetSensitiveHeadersLayer::new([AUTHORIZATION, COOKIE, SET_COOKIE]))
        // Before 2, because only proxies that we trust may bring an id along.
        .map_request(move |mut req: Request<Body>| {
            let client = Client::of(&req, &proxies);
            request_id::keep_trusted(&mut req, &client, &proxies);
            req.extensions_mut().insert(client);
            req
        })
        // 2. Every later line in the log and every problem can name the request.
        .layer(SetRequestIdLayer::new(X_REQUEST_ID, request_id::Random))
        // 3. Sees every outcome, also of requests that were refused or panicked.
        .layer(around(observe::observed))
        // 4. On the answer too, so that a user can tell us which request it was.
        .layer(PropagateRequestIdLayer::new(X_REQUEST_ID))
        // HEAD and OPTIONS, before 5, which answers HEAD too; outside of 7, whose compressor would
        // work for a body that nobody gets.
        .layer(around(method::bodiless))
        .service(answers);
    Stack::new(stack)
}

#[cfg(test)]
mod tests;
