//! One log line and the counts of every request, written when its answer has left or nobody waits for it any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;
use tower::BoxError;
use tracing::{Instrument, Span, error_span, info, warn};

use super::around::Inner;
use super::{Body, Client, request_id};
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
    let mut line = Line::of(&req);
    let res = inner.run(req).instrument(span.clone()).await;
    line.answered(&res);
    res.map(|body| Body::new(Watched { line, span, body }))
}

/// The log line of one request and its counts, written when it is let go, however that happens.
struct Line {
    method: Method,
    path: String,
    request_id: String,
    client: Option<Client>,
    begun: Instant,
    head: Option<Head>,
    sent: u64,
    end: End,
}

/// What is known when an answer begins.
struct Head {
    after: Duration,
    class: RouteClass,
    source: Option<SourceName>,
    status: StatusCode,
}

impl Line {
    fn of(req: &Request<Body>) -> Self {
        Self {
            method: req.method().clone(),
            path: path(req).to_owned(),
            request_id: request_id::of(req),
            client: req.extensions().get().copied(),
            begun: Instant::now(),
            head: None,
            sent: 0,
            end: End::Cut,
        }
    }

    fn answered(&mut self, res: &Response<Body>) {
        let class = *res.extensions().get().unwrap_or(&NO_CLASS);
        let source = res.extensions().get::<SourceName>().cloned();
        self.head = Some(Head { after: self.begun.elapsed(), class, source, status: res.status() });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Self { method, path, request_id, client, begun, head, sent, end } = self;
        let route = head.as_ref().map_or(NO_CLASS, |head| head.class).0;
        let status = head.as_ref().map(|head| head.status);
        info!(
            target: "loggia::request",
            parent: None,
            %method,
            path,
            status = status.map(|status| status.as_u16()),
            duration_ms = millis(begun.elapsed()),
            head_ms = head.as_ref().map(|head| millis(head.after)),
            bytes = *sent,
            end = end.name(),
            route,
            source = head.as_ref().and_then(|head| head.source.as_ref()).map(|name| &*name.0),
            client = client.map(|client| tracing::field::display(client.address)),
            peer = client.map(|client| tracing::field::display(client.peer)),
            request_id,
        );
        let status = status.map_or_else(|| "none".to_owned(), |status| status.as_str().to_owned());
        metrics::counter!(HTTP_REQUESTS, "route" => route, "status" => status).increment(1);
        metrics::counter!(HTTP_BYTES, "route" => route).increment(*sent);
        if let Some(head) = head {
            metrics::histogram!(HTTP_SECONDS, "route" => route).record(head.after);
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
