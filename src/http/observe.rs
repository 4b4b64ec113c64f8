//! One log line and the counts of every request, written when its answer has left or nobody waits for it any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use metrics::{Counter, Histogram};
use tokio::time::Instant;
use tower::BoxError;
use tracing::{Instrument, Level, Span, error_span, info, warn};

use super::around::Inner;
use super::{Body, Client, RequestId, request_id};
use crate::telemetry::{HTTP_BYTES, HTTP_REQUESTS, HTTP_SECONDS};

/// The class of an address, such as `image` or `manifest`: a label of metrics, so there must be
/// few. The app puts it into the answer's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteClass(pub &'static str);

/// The source a request was about, where there is one, for the log. The app puts it into the
/// answer's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName(pub Arc<str>);

/// The class of answers that the app did not make: shed, timed out, panicked, or the operators'.
const NO_CLASS: RouteClass = RouteClass("none");

/// The span in which a request's log lines stand, those of its streamed body included. It is on at every log level: an
/// error's line needs the request's id most.
fn span(req: &Request<Body>) -> Span {
    error_span!("request", id = request_id::of(req), method = %req.method(), path = path(req))
}

/// Times the answer and has its body counted.
///
/// tower-http's trace layer is not used: it sees neither a client that leaves while its answer is made, nor one that
/// leaves in the middle of a body.
pub(super) async fn observed(req: Request<Body>, inner: Inner) -> Response<Body> {
    let span = span(&req);
    let mut line = Line::of(&req, || {
        let id = req.extensions().get::<RequestId>().map(|id| id.header_value().clone());
        let client = req.extensions().get().copied().unwrap_or(Client::NOBODY);
        (id.unwrap_or(HeaderValue::from_static("")), client)
    });
    let res = inner.run(req).instrument(span.clone()).await;
    let (class, source) = (res.extensions().get().copied(), res.extensions().get().cloned());
    line.answered(Head::new(class, source, res.status()), None);
    line.watch(span, res)
}

/// The log line of one request and its counts, written when it is let go, however that happens.
pub(super) struct Line {
    /// Unless nobody reads it.
    words: Option<Words>,
    begun: Instant,
    head: Option<(Head, Duration)>,
    counts: Option<Counts>,
    sent: u64,
    end: End,
}

/// What the line tells of a request.
struct Words {
    method: Method,
    path: String,
    request_id: HeaderValue,
    client: Client,
}

/// What is known when an answer begins.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) class: RouteClass,
    pub(super) source: Option<SourceName>,
    pub(super) status: StatusCode,
}

impl Head {
    /// A class that nobody told is that of answers which the app did not make.
    pub(super) fn new(class: Option<RouteClass>, source: Option<SourceName>, status: StatusCode) -> Self {
        Self { class: class.unwrap_or(NO_CLASS), source, status }
    }
}

/// Where answers of one kind are counted.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    requests: Counter,
    bytes: Counter,
    seconds: Histogram,
}

impl Counts {
    /// Those of answers like this.
    pub(super) fn of(head: &Head) -> Self {
        Self::under(head.class, head.status.as_str())
    }

    fn under(RouteClass(route): RouteClass, status: &str) -> Self {
        Self {
            requests: metrics::counter!(HTTP_REQUESTS, "route" => route, "status" => status.to_owned()),
            bytes: metrics::counter!(HTTP_BYTES, "route" => route),
            seconds: metrics::histogram!(HTTP_SECONDS, "route" => route),
        }
    }
}

impl Line {
    /// Begins the line of a request; who asks, and under which id, is found out if it is going to be told.
    pub(super) fn of(req: &Request<Body>, who: impl FnOnce() -> (HeaderValue, Client)) -> Self {
        let words = || {
            let (request_id, client) = who();
            Words { method: req.method().clone(), path: path(req).to_owned(), request_id, client }
        };
        Self {
            words: tracing::enabled!(target: "loggia::request", Level::INFO).then(words),
            begun: Instant::now(),
            head: None,
            counts: None,
            sent: 0,
            end: End::Cut,
        }
    }

    /// The answer begins; `counts` where it is known where to count it.
    pub(super) fn answered(&mut self, head: Head, counts: Option<Counts>) {
        self.head = Some((head, self.begun.elapsed()));
        self.counts = counts;
    }

    /// Has an answer's body counted.
    pub(super) fn watch(self, span: Span, res: Response<Body>) -> Response<Body> {
        res.map(|body| Body::new(Watched { line: self, span, body }))
    }

    fn tell(&self, Words { method, path, request_id, client }: &Words) {
        let head = self.head.as_ref();
        info!(
            target: "loggia::request",
            parent: None,
            %method,
            path,
            status = head.map(|(head, _)| head.status.as_u16()),
            duration_ms = millis(self.begun.elapsed()),
            head_ms = head.map(|(_, after)| millis(*after)),
            bytes = self.sent,
            end = self.end.name(),
            route = head.map_or(NO_CLASS, |(head, _)| head.class).0,
            source = head.and_then(|(head, _)| head.source.as_ref()).map(|name| &*name.0),
            client = %client.address,
            peer = %client.peer,
            request_id = request_id.to_str().unwrap_or_default(),
        );
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(words) = &self.words {
            self.tell(words);
        }
        let counts = self.counts.take().unwrap_or_else(|| match &self.head {
            Some((head, _)) => Counts::of(head),
            None => Counts::under(NO_CLASS, "none"),
        });
        counts.requests.increment(1);
        counts.bytes.increment(self.sent);
        if let Some((_, after)) = &self.head {
            counts.seconds.record(*after);
        }
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All of it was handed over.
    Whole,
    /// The client left, or the process stopped.
    Cut,
    /// Its source failed on the way.
    Failed,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Cut => "cut",
            Self::Failed => "failed",
        }
    }
}

/// Counts a body.
struct Watched {
    line: Line,
    span: Span,
    body: Body,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = ready!(this.span.in_scope(|| Pin::new(&mut this.body).poll_frame(context)));
        match &frame {
            Some(Ok(frame)) => this.line.sent += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                this.line.end = End::Failed;
                this.span.in_scope(|| warn!(%error, "an answer broke off on its way to the client"));
            }
            None => this.line.end = End::Whole,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // hyper does not ask again when a body has said by itself that it is at its end.
        if self.line.end == End::Cut && self.body.is_end_stream() {
            self.line.end = End::Whole;
        }
    }
}

/// Without its query, which may hold tokens, and no longer than a line should be.
fn path(req: &Request<Body>) -> &str {
    const LONGEST: usize = 2048;
    let path = req.uri().path();
    let end = (0..=LONGEST.min(path.len())).rev().find(|end| path.is_char_boundary(*end));
    &path[..end.unwrap_or(0)]
}

/// With two decimals: a hit in memory takes less than one millisecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
