//! The one body type of the gateway, for requests and answers alike.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::AsyncReadExt;
use tokio::time::{Sleep, sleep};
use tokio_util::io::ReaderStream;
use tower::BoxError;

/// How much of a file is read at once.
const CHUNK: usize = 64 * 1024;

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

    /// Bytes that come piece by piece; nobody knows how many.
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self::new(StreamBody::new(stream.map_ok(Frame::data)))
    }

    /// Bytes that come piece by piece, `length` of them. Fewer or more is an error: the client must
    /// not take half a file for a whole one.
    pub fn measured<S, E>(stream: S, length: u64) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Self::new(Measured { stream: stream.map_err(Into::into).boxed(), left: length })
    }

    /// `length` bytes of a file, from where it stands.
    pub fn file(file: tokio::fs::File, length: u64) -> Self {
        Self::measured(ReaderStream::with_capacity(file.take(length), CHUNK), length)
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

/// A stream that must hold exactly as much as was announced.
struct Measured {
    stream: BoxStream<'static, Result<Bytes, BoxError>>,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
enum LengthError {
    #[error("the body ended {0} bytes before its announced end")]
    Short(u64),
    #[error("the body is longer than announced")]
    Long,
}

impl http_body::Body for Measured {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(piece) = ready!(self.stream.poll_next_unpin(context)) else {
            let short = std::mem::take(&mut self.left);
            return Poll::Ready((short > 0).then(|| Err(LengthError::Short(short).into())));
        };
        Poll::Ready(Some(piece.and_then(|bytes| {
            self.left = self.left.checked_sub(bytes.len() as u64).ok_or(LengthError::Long)?;
            Ok(Frame::data(bytes))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
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
    use tokio::io::AsyncSeekExt;

    use super::*;

    async fn collect(body: Body) -> Result<Bytes, BoxError> {
        body.collect().await.map(|all| all.to_bytes())
    }

    fn pieces(texts: &'static [&'static str]) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::iter(texts.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))))
    }

    #[tokio::test]
    async fn every_kind_gives_its_bytes_and_tells_its_size() {
        for (name, body, size, bytes) in [
            ("empty", Body::empty(), Some(0), ""),
            ("no text", Body::from(""), Some(0), ""),
            ("text", Body::from("loggia"), Some(6), "loggia"),
            ("stream", Body::stream(pieces(&["log", "gia"])), None, "loggia"),
            ("measured", Body::measured(pieces(&["log", "gia"]), 6), Some(6), "loggia"),
            (
                "patient",
                Body::measured(pieces(&["log", "gia"]), 6).within(Duration::from_secs(1)),
                Some(6),
                "loggia",
            ),
        ] {
            assert_eq!(body.size_hint().exact(), size, "{name}");
            assert_eq!(body.is_end_stream(), size == Some(0), "{name}");
            assert_eq!(collect(body).await.unwrap(), bytes, "{name}");
        }
    }

    #[tokio::test]
    async fn a_part_of_a_file_starts_where_the_file_stands() {
        let mut file = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
        tokio::io::AsyncWriteExt::write_all(&mut file, b"0123456789").await.unwrap();
        file.seek(io::SeekFrom::Start(3)).await.unwrap();
        assert_eq!(collect(Body::file(file, 4)).await.unwrap(), "3456");
    }

    #[tokio::test]
    async fn a_length_that_lies_is_an_error() {
        let short = collect(Body::measured(pieces(&["log"]), 6)).await.unwrap_err();
        insta::assert_snapshot!(short, @"the body ended 3 bytes before its announced end");
        let long = collect(Body::measured(pieces(&["loggia", "!"]), 6)).await.unwrap_err();
        insta::assert_snapshot!(long, @"the body is longer than announced");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_ends_with_an_error() {
        let stalled = Body::stream(stream::pending::<io::Result<Bytes>>()).within(Duration::from_secs(5));
        insta::assert_snapshot!(collect(stalled).await.unwrap_err(), @"the body stalled: nothing came for 5s");
    }
}
