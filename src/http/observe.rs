//! One log line and the counts of every request, written when its answer has left.

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

/// The span in which a request's log lines stand, those of its streamed body included. It is on at every log level: an error's line needs
/// the request's id most.
fn span(req: &Request<Body>) -> Span {
    error_span!("request", id = request_id::of(req), method = %req.method(), path = req.uri().path())
}

/// Times the answer and has its body counted.
///
/// tower-http's trace layer is not used: it does not see a client that leaves in the middle of a
/// body, so the body has to be watched here anyway.
pub(super) async fn observed(req: Request<Body>, inner: Inner) -> Response<Body> {
    let (begun, asked) = (Instant::now(), Asked::of(&req));
    let span = span(&req);
    let res = inner.run(req).instrument(span.clone()).await;
    let class = *res.extensions().get().unwrap_or(&NO_CLASS);
    let source = res.extensions().get::<SourceName>().cloned();
    metrics::counter!(HTTP_REQUESTS, "route" => class.0, "status" => res.status().as_str().to_owned())
        .increment(1);
    metrics::histogram!(HTTP_SECONDS, "route" => class.0).record(begun.elapsed());
    let line = Line { asked, begun, head: begun.elapsed(), class, source, status: res.status(), sent: 0 };
    res.map(|body| Body::new(Watched { line, span, body, end: None }))
}

/// What the line tells of the request.
struct Asked {
    method: Method,
    /// Without its query: that may hold tokens.
    path: String,
    request_id: String,
    client: Option<Client>,
}

impl Asked {
    fn of(req: &Request<Body>) -> Self {
        Self {
            method: req.method().clone(),
            path: req.uri().path().to_owned(),
            request_id: request_id::of(req),
            client: req.extensions().get().copied(),
        }
    }
}

/// A log line in the making.
struct Line {
    asked: Asked,
    begun: Instant,
    head: Duration,
    class: RouteClass,
    source: Option<SourceName>,
    status: StatusCode,
    sent: u64,
}

impl Line {
    fn write(&self, end: &'static str) {
        let Asked { method, path, request_id, client } = &self.asked;
        info!(
            target: "loggia::request",
            parent: None,
            %method,
            path,
            status = self.status.as_u16(),
            duration_ms = millis(self.begun.elapsed()),
            head_ms = millis(self.head),
            bytes = self.sent,
            end,
            route = self.class.0,
            source = self.source.as_ref().map(|name| &*name.0),
            client = client.map(|client| tracing::field::display(client.address)),
            peer = client.map(|client| tracing::field::display(client.peer)),
            request_id,
            "{method} {path} {}", self.status.as_u16()
        );
        metrics::counter!(HTTP_BYTES, "route" => self.class.0).increment(self.sent);
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The client has taken all of it.
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

/// Counts a body and writes the line when it is let go, however that happens.
struct Watched {
    line: Line,
    span: Span,
    body: Body,
    end: Option<End>,
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
                this.end = Some(End::Failed);
                this.span.in_scope(|| warn!(%error, "an answer broke off on its way to the client"));
            }
            None => this.end = Some(End::Whole),
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
        let last = if self.body.is_end_stream() { End::Whole } else { End::Cut };
        self.line.write(self.end.unwrap_or(last).name());
    }
}

/// With two decimals: a hit in memory takes less than one millisecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
