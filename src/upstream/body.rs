//! The body of an answer: bounded in bytes and in time, and an error when it is cut.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout_at};

use super::error::{Cause, Phase, Place, UpstreamError};

/// A body that is still to be read.
pub(super) struct Body {
    /// Whom it comes from.
    pub(super) at: Place,
    /// Decompressed already: a small answer that unpacks to gigabytes meets the limit too.
    pub(super) pieces: BoxStream<'static, Result<Bytes, Cause>>,
    /// As announced, where nothing is compressed.
    pub(super) length: Option<u64>,
    pub(super) limits: Limits,
}

/// Where reading a body ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes after decompression.
    pub(super) bytes: u64,
    /// From now to the last byte. Catches the host that sends one byte a second for ever.
    pub(super) whole: Duration,
    /// Between two pieces. Catches the host that died quietly.
    pub(super) piece: Duration,
}

impl Body {
    /// The whole body in memory.
    pub(super) async fn collect(self) -> Result<Bytes, UpstreamError> {
        let mut pieces = self.stream();
        let Some(first) = pieces.try_next().await? else { return Ok(Bytes::new()) };
        let Some(second) = pieces.try_next().await? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(piece) = pieces.try_next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The body as it arrives; the first error ends it.
    pub(super) fn stream(self) -> BoxStream<'static, Result<Bytes, UpstreamError>> {
        let end = Instant::now() + self.limits.whole;
        let reading = Reading { body: self, received: 0, end };
        stream::try_unfold(Some(reading), |reading| async {
            let Some(mut reading) = reading else { return Ok(None) };
            let piece = reading.next().await?;
            Ok(piece.map(|piece| (piece, Some(reading))))
        })
        .boxed()
    }
}

/// A body half read.
struct Reading {
    body: Body,
    received: u64,
    end: Instant,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let Limits { bytes: limit, whole, piece } = self.body.limits;
        let at = || self.body.at.clone();
        let too_large = || UpstreamError::BodyTooLarge { at: at(), limit };
        if self.body.length.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let silence = Instant::now() + piece;
        let until = silence.min(self.end);
        let Ok(next) = timeout_at(until, self.body.pieces.next()).await else {
            let (phase, after) = if until == silence { (Phase::Piece, piece) } else { (Phase::Body, whole) };
            return Err(UpstreamError::Timeout { at: at(), phase, after });
        };
        let Some(next) = next else { return Ok(None) };
        let next = next.map_err(|cause| UpstreamError::Cut { at: at(), received: self.received, cause })?;
        self.received = self.received.saturating_add(next.len() as u64);
        if self.received > limit { Err(too_large()) } else { Ok(Some(next)) }
    }
}
