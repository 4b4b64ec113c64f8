//! Connections: accepted up to a limit, served with patience limits, drained at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;
use tower::util::Oneshot;
use tracing::{debug, warn};

use super::stall::Unstalled;
use super::{Body, Peer, Settings, Stack};
use crate::telemetry::CONNECTIONS;

/// Requests at a time on one HTTP/2 connection: a wall of tiles, and no more.
pub(super) const STREAMS: u32 = 100;
/// All headers of a request together: large cookies fit, and a thousand connections cost 64 MB at most.
const HEADERS: u32 = 64 * 1024;
/// A client that takes nothing for so long has gone, or means harm.
const STALL: Duration = Duration::from_secs(60);
/// HTTP/2 connections may idle; this finds those whose other end is no more.
const PING: Duration = Duration::from_secs(20);
/// How long accepting rests when the system has no descriptors left.
const REST: Duration = Duration::from_millis(200);
/// One warning a minute is enough.
const QUIET: Duration = Duration::from_secs(60);

/// What one listener allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Time for a request's head, and for the first one to begin.
    pub header_timeout: Duration,
    /// Time for running requests after the stop.
    pub drain: Duration,
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Self {
            connections: settings.max_connections.get(),
            header_timeout: *settings.header_timeout,
            drain: *settings.drain,
        }
    }
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// What became of the connections of a listener that was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Accepted since the start.
    pub accepted: u64,
    /// Open at the stop, and ended by themselves in time.
    pub drained: usize,
    /// Cut off at the deadline.
    pub aborted: usize,
}

/// Takes an address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, source })
}

/// Serves HTTP/1.1 and HTTP/2 without TLS until `stop` ends, then drains.
///
/// At the limit it stops accepting, and clients wait in the system's queue. Refusing would fail
/// tiles of a picture that is half shown; waiting costs them some milliseconds, because idle
/// connections end after the header timeout.
pub async fn serve(
    listener: TcpListener,
    app: Stack,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> Stopped {
    let (http, graceful) = (Arc::new(http(&limits)), GracefulShutdown::new());
    let (mut queue, mut open, mut accepted) = (Queue::new(listener, limits.connections), JoinSet::new(), 0);
    tokio::pin!(stop);
    loop {
        let (stream, peer, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = queue.next() => next,
        };
        while open.try_join_next().is_some() {}
        accepted += 1;
        let conn = Conn { app: app.clone(), peer, asked: Arc::default() };
        let held = hold(Arc::clone(&http), stream, conn, graceful.watcher(), limits.header_timeout);
        open.spawn(async move {
            held.await;
            drop(place);
        });
    }
    // From here on the system refuses new connections.
    drop(queue);
    while open.try_join_next().is_some() {}
    let (drained, aborted) = drain(open, graceful, limits.drain).await;
    Stopped { accepted, drained, aborted }
}

/// Connections that want to come in, and the places that are left for them.
struct Queue {
    listener: TcpListener,
    places: Arc<Semaphore>,
    warned: Option<Instant>,
}

impl Queue {
    fn new(listener: TcpListener, places: usize) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))), warned: None }
    }

    /// The next connection, once there is a place for it.
    async fn next(&mut self) -> (TcpStream, SocketAddr, Place) {
        if self.places.available_permits() == 0 {
            self.warn("all connections are taken, new ones wait", None);
        }
        let places = Arc::clone(&self.places);
        let place = places.acquire_owned().await.expect("nobody closes the semaphore");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return (stream, peer, Place::taken(place)),
                Err(error) if of_the_client(&error) => debug!(%error, "a client left before it came in"),
                Err(error) => {
                    self.warn("connections cannot be accepted", Some(error));
                    sleep(REST).await;
                }
            }
        }
    }

    fn warn(&mut self, what: &'static str, error: Option<io::Error>) {
        if self.warned.is_none_or(|last| last.elapsed() > QUIET) {
            self.warned = Some(Instant::now());
            warn!(error = error.map(tracing::field::display), "{what}");
        }
    }
}

/// One open connection, given back and no longer counted however it ends.
struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn taken(permit: OwnedSemaphorePermit) -> Self {
        metrics::gauge!(CONNECTIONS).increment(1);
        Self { _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!(CONNECTIONS).decrement(1);
    }
}

/// Errors of one connection only; others, such as too many open files, are ours.
fn of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

type Http = auto::Builder<TokioExecutor>;

fn http(limits: &Limits) -> Http {
    let mut http = Http::new(TokioExecutor::new());
    // Without a timer hyper does not keep its time limits.
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEADERS as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    http
}

/// Serves one connection to its end.
///
/// hyper's header timeout begins when it knows which protocol is spoken; a client that sends nothing
/// at all, or half of HTTP/2's greeting, is shown out here.
async fn hold(http: Arc<Http>, stream: TcpStream, conn: Conn, stop: Watcher, patience: Duration) {
    // Answers are written whole; waiting to fill a packet would only delay their ends.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection keeps its delay");
    }
    let asked = Arc::clone(&conn.asked);
    let io = TokioIo::new(Unstalled::new(stream, STALL));
    let served = stop.watch(http.serve_connection(io, conn));
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = sleep(patience) => match asked.load(Ordering::Relaxed) {
            true => served.await,
            false => return,
        },
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke");
    }
}

/// Tells all connections to finish, and cuts off those that have not when the time is over.
async fn drain(mut open: JoinSet<()>, graceful: GracefulShutdown, time: Duration) -> (usize, usize) {
    let mut drained = 0;
    let ends = async {
        while open.join_next().await.is_some() {
            drained += 1;
        }
    };
    let all = async { tokio::join!(graceful.shutdown(), ends) };
    // Whoever is left when the time is over is counted below.
    let _ = timeout(time, all).await;
    while open.try_join_next().is_some() {
        drained += 1;
    }
    let aborted = open.len();
    open.shutdown().await;
    (drained, aborted)
}

/// The gateway as one connection sees it. A named type: a closure here fails with a lifetime error.
#[derive(Debug)]
struct Conn {
    app: Stack,
    peer: SocketAddr,
    /// Whether a request has come.
    asked: Arc<AtomicBool>,
}

impl hyper::service::Service<Request<Incoming>> for Conn {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Oneshot<Stack, Request<Body>>;

    fn call(&self, req: Request<Incoming>) -> Self::Future {
        self.asked.store(true, Ordering::Relaxed);
        let mut req = req.map(Body::new);
        req.extensions_mut().insert(Peer(self.peer));
        self.app.clone().oneshot(req)
    }
}

#[cfg(test)]
mod tests;
