//! A body that is handed on as it comes, and told as a whole when it has ended well.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tower::BoxError;

use super::Body;

/// See above.
pub(super) struct Gathered {
    body: Body,
    seen: BytesMut,
    most: usize,
    then: Option<Box<dyn FnOnce(Bytes) + Send>>,
}

impl Gathered {
    /// `then` is told all bytes; never, if they are more than `most`, break off, or are not taken to their end.
    pub(super) fn new(body: Body, most: usize, then: impl FnOnce(Bytes) + Send + 'static) -> Self {
        Self { body, seen: BytesMut::new(), most, then: Some(Box::new(then)) }
    }

    fn see(&mut self, frame: &Frame<Bytes>) {
        let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
        if self.seen.len() + data.len() > self.most {
            self.then = None;
        }
        if self.then.is_some() {
            self.seen.extend_from_slice(data);
        }
    }

    fn end(&mut self) {
        if let Some(then) = self.then.take() {
            then(std::mem::take(&mut self.seen).freeze());
        }
    }
}

impl http_body::Body for Gathered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => self.see(frame),
            Some(Err(_)) => self.then = None,
            None => self.end(),
        }
        // Who knows that this was the last frame asks for no other.
        if self.body.is_end_stream() {
            self.end();
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// What is told of a body of these frames of which so many are taken.
    async fn told(frames: Vec<Result<&'static str, &'static str>>, taken: usize) -> Option<Bytes> {
        let frames = frames.into_iter().map(|frame| frame.map(|data| Frame::data(Bytes::from(data))));
        let told = Arc::new(Mutex::new(None));
        let then = {
            let told = Arc::clone(&told);
            move |bytes| *told.lock().unwrap() = Some(bytes)
        };
        let body = Body::new(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())));
        let mut body = Gathered::new(body, 6, then);
        for _ in 0..taken {
            let _ = body.frame().await;
        }
        drop(body);
        told.lock().unwrap().take()
    }

    #[tokio::test]
    async fn only_what_ends_well_is_told() {
        assert_eq!(told(vec![Ok("abc"), Ok("def")], 3).await.as_deref(), Some(&b"abcdef"[..]));
        assert_eq!(told(vec![Ok("abc"), Ok("def")], 2).await, None, "not taken to its end");
        assert_eq!(told(vec![Ok("abc"), Ok("defg")], 3).await, None, "too long");
        assert_eq!(told(vec![Ok("abc"), Err("gone")], 3).await, None, "broken off");
    }
}
