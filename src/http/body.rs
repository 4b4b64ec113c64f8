//! The one body type of the gateway, for requests and answers alike.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Sleep, sleep};
use tower::BoxError;

use super::activity::PIECE;

/// Bytes that are there, or that are still to come.
///
/// A type of its own, not an alias: the boxed body behind an alias makes handlers fail to compile
/// ("implementation of `Send` is not general enough").
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Whole(Bytes),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Any other body, boxed unless it has nothing to say.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match body.is_end_stream() {
            true => Self::empty(),
            false => Self(Kind::Boxed(body.map_err(Into::into).boxed_unsync())),
        }
    }

    /// The bytes, if they are all there.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Whole(bytes) => Some(bytes),
            Kind::Empty | Kind::Boxed(_) => None,
        }
    }

    /// Whether it goes out in one piece: there is nothing to hold back.
    pub(super) fn is_light(&self) -> bool {
        self.whole().is_none_or(|bytes| bytes.len() <= PIECE)
    }

    /// The same bytes; an error ends them when the next piece takes longer than `patience` to come.
    pub fn within(self, patience: Duration) -> Self {
        match self.0 {
            Kind::Boxed(body) => Self::new(Patient { body, patience, waiting: None }),
            kind => Self(kind),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Boxed(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        match bytes.is_empty() {
            true => Self::empty(),
            false => Self(Kind::Whole(bytes)),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Kind::Boxed(body) = &mut self.0 {
            return Pin::new(body).poll_frame(context);
        }
        Poll::Ready(match std::mem::take(&mut self.0) {
            Kind::Whole(bytes) => Some(Ok(Frame::data(bytes))),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

/// A body whose next piece must come in time. tower-http has one too, which forgets the length.
struct Patient {
    body: UnsyncBoxBody<Bytes, BoxError>,
    patience: Duration,
    /// Runs while a piece is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body stalled: nothing came for {0:?}")]
struct StallError(Duration);

impl http_body::Body for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            return Poll::Ready(frame);
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Some(Err(StallError(patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body::Body as _;
    use http_body_util::StreamBody;

    use super::*;

    async fn collect(body: Body) -> Result<Bytes, BoxError> {
        body.collect().await.map(|all| all.to_bytes())
    }

    fn streamed(texts: &'static [&'static str]) -> Body {
        let frames =
            texts.iter().map(|text| Ok::<_, io::Error>(Frame::data(Bytes::from_static(text.as_bytes()))));
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    #[tokio::test]
    async fn every_kind_gives_its_bytes_and_tells_its_size() {
        for (name, body, size, bytes) in [
            ("empty", Body::empty(), Some(0), ""),
            ("no text", Body::from(""), Some(0), ""),
            ("text", Body::from("loggia"), Some(6), "loggia"),
            ("stream", streamed(&["log", "gia"]), None, "loggia"),
            ("patient", streamed(&["log", "gia"]).within(Duration::from_secs(1)), None, "loggia"),
            ("patient with what is there", Body::from("loggia").within(Duration::ZERO), Some(6), "loggia"),
        ] {
            assert_eq!(body.size_hint().exact(), size, "{name}");
            assert_eq!(body.is_end_stream(), size == Some(0), "{name}");
            assert_eq!(collect(body).await.unwrap(), bytes, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_ends_with_an_error() {
        let stalled = Body::new(StreamBody::new(stream::pending::<io::Result<Frame<Bytes>>>()));
        let stalled = stalled.within(Duration::from_secs(5));
        insta::assert_snapshot!(collect(stalled).await.unwrap_err(), @"the body stalled: nothing came for 5s");
    }
}
