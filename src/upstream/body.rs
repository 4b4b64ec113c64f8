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
    /// To the last byte. Catches the host that sends one byte a second for ever.
    pub(super) whole: Duration,
    /// From when that counts; from the first look at the body if absent.
    pub(super) since: Option<Instant>,
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
        let end = self.limits.since.unwrap_or_else(Instant::now) + self.limits.whole;
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
        let Limits { bytes: limit, whole, piece, .. } = self.body.limits;
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

#[cfg(test)]
mod tests {
    use super::super::doubles::place;
    use super::*;

    const LIMITS: Limits =
        Limits { bytes: 10, whole: Duration::from_secs(60), since: None, piece: Duration::from_secs(10) };

    /// Pieces with a pause in seconds before each.
    fn body(pieces: Vec<(u64, Result<&'static str, &'static str>)>) -> Body {
        let pieces = stream::iter(pieces).then(|(pause, piece)| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            piece.map(Bytes::from).map_err(Cause::from)
        });
        Body { at: place(), pieces: pieces.boxed(), length: None, limits: LIMITS }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_within_its_limits_comes_whole() {
        let cases: [(&[&'static str], &str); 4] =
            [(&[], ""), (&["abc"], "abc"), (&["a", "b"], "ab"), (&["abcd", "", "efg", "hij"], "abcdefghij")];
        for (pieces, expected) in cases {
            let pieces = pieces.iter().map(|piece| (5, Ok(*piece))).collect();
            assert_eq!(body(pieces).collect().await.unwrap(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_beyond_their_limits_are_errors() {
        let endless = || (0..100).map(|_| (9, Ok(""))).collect();
        let announced = |length| Body { length: Some(length), ..body(vec![(0, Ok("abc"))]) };
        let cases = [
            ("one byte too many", body(vec![(0, Ok("abcdefgh")), (0, Ok("ijk"))])),
            ("announced as too long", announced(11)),
            ("silent", body(vec![(0, Ok("abc")), (11, Ok("d"))])),
            ("a trickle", body(endless())),
            ("cut", body(vec![(0, Ok("abc")), (0, Err("connection reset"))])),
        ];
        let mut messages = Vec::new();
        for (name, body) in cases {
            messages.push(format!("{name}: {}", body.collect().await.unwrap_err()));
        }
        insta::assert_snapshot!(messages.join("\n"), @r"
        one byte too many: the answer of `dam.example.org` (source `maps`) is longer than 10 bytes
        announced as too long: the answer of `dam.example.org` (source `maps`) is longer than 10 bytes
        silent: `dam.example.org` (source `maps`) fell silent in the middle of its answer and sent nothing more within 10s
        a trickle: `dam.example.org` (source `maps`) did not finish its answer within 60s
        cut: the answer of `dam.example.org` (source `maps`) broke off after 3 bytes: connection reset
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_may_count_too() {
        let asked = Instant::now();
        tokio::time::sleep(Duration::from_secs(50)).await;
        let body = || Body {
            limits: Limits { since: Some(asked), ..LIMITS },
            ..body(vec![(8, Ok("abc")), (8, Ok("def"))])
        };
        let error = body().collect().await.unwrap_err();
        assert_eq!(asked.elapsed(), LIMITS.whole);
        insta::assert_snapshot!(error, @"`dam.example.org` (source `maps`) did not finish its answer within 60s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_its_first_error() {
        let mut pieces = body(vec![(0, Ok("abc")), (0, Err("reset")), (0, Ok("def"))]).stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "abc");
        assert!(pieces.next().await.unwrap().is_err());
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_the_hosts_fault() {
        let mut pieces = body(vec![(0, Ok("abc")), (1, Ok("def"))]).stream();
        pieces.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(pieces.next().await.unwrap().unwrap(), "def");
    }
}
