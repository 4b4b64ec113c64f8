//! Connections: accepted up to a limit, served with patience limits, drained at the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::activity::{Activity, STALL, Sent};
use super::warm::Front;
use super::{Body, Peer, Settings};
use crate::telemetry::CONNECTIONS;

/// Requests at a time on one HTTP/2 connection: a wall of tiles, and no more.
pub(super) const STREAMS: u32 = 100;
/// All headers of a request together: large cookies fit.
const HEADERS: u32 = 64 * 1024;
/// Finds HTTP/2 connections whose other end is no more.
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
    /// Time for a request's head, and to stay without asking anything.
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
    app: impl Into<Front>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> Stopped {
    let app = app.into();
    let (http, stopping) = (Arc::new(http(&limits)), CancellationToken::new());
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
        // Answers are written whole; waiting to fill a packet would only delay their ends.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection keeps its delay");
        }
        let conn = Conn { app: app.clone(), peer, activity: Activity::begun() };
        let held = hold(Arc::clone(&http), stream, conn, stopping.clone(), limits.header_timeout);
        open.spawn(async move {
            held.await;
            drop(place);
        });
    }
    // From here on the system refuses new connections.
    drop(queue);
    while open.try_join_next().is_some() {}
    stopping.cancel();
    let (drained, aborted) = drain(open, limits.drain).await;
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

/// Serves one connection to its end: the client's, or that of our patience.
async fn hold<S>(http: Arc<Http>, stream: S, conn: Conn, stop: CancellationToken, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = conn.activity.clone();
    let served = http.serve_connection(TokioIo::new(stream), conn);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
        () = activity.overdue(patience) => {
            // hyper would wait for one that sends nothing at all, or half of HTTP/2's greeting.
            if !activity.asked() {
                return;
            }
            served.as_mut().graceful_shutdown();
            timeout(STALL, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke");
    }
}

/// Waits for connections that were told to finish, and cuts off those that have not when the time is over.
async fn drain(mut open: JoinSet<()>, time: Duration) -> (usize, usize) {
    let mut drained = 0;
    let ends = async {
        while open.join_next().await.is_some() {
            drained += 1;
        }
    };
    // Whoever is left when the time is over is counted below.
    let _ = timeout(time, ends).await;
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
    app: Front,
    peer: SocketAddr,
    activity: Activity,
}

impl hyper::service::Service<Request<Incoming>> for Conn {
    type Response = Response<Sent>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Sent>, Infallible>>;

    fn call(&self, req: Request<Incoming>) -> Self::Future {
        let working = self.activity.request();
        let mut req = req.map(Body::new);
        req.extensions_mut().insert(Peer(self.peer));
        let answer = self.app.clone().oneshot(req);
        Box::pin(async move { Ok(answer.await?.map(|body| working.answered(body))) })
    }
}

#[cfg(test)]
mod tests;
