//! What goes on on one connection: requests in work, answers on their way, and when anything last moved.
//!
//! hyper ends a connection of HTTP/1.1 on which nobody asks anything. It does not end one of HTTP/2, and on neither
//! does it mind a client that asks and never reads: both would hold their place, and the second its answers, for ever.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use super::Body;

/// A client that takes nothing of an answer for so long has gone, or means harm.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// What is handed over at once. More would lie in buffers where nobody sees whether the client takes it.
pub(super) const PIECE: usize = 64 * 1024;

/// One connection's. Clones see the same.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests so far; each one's number is its name.
    asked: u64,
    /// Requests whose answers have not begun.
    working: usize,
    /// Answers on their way, and when the client last took something of them.
    sending: HashMap<u64, Instant>,
    /// When a request last began or ended.
    moved: Instant,
}

impl Activity {
    pub(super) fn begun() -> Self {
        let state = State { asked: 0, working: 0, sending: HashMap::new(), moved: Instant::now() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Whether a request has come.
    pub(super) fn asked(&self) -> bool {
        self.state().asked > 0
    }

    /// A request has come.
    pub(super) fn request(&self) -> Working {
        let mut state = self.state();
        state.asked += 1;
        state.working += 1;
        state.moved = Instant::now();
        Working { activity: self.clone(), number: state.asked }
    }

    /// Ends when nothing was asked for as long as `patience`, or nothing taken of an answer for as long as [`STALL`].
    pub(super) async fn overdue(&self, patience: Duration) {
        loop {
            let (due, now) = (self.state().due(patience), Instant::now());
            if due <= now {
                return;
            }
            // What begins meanwhile may be due earlier.
            sleep_until(due.min(now + STALL)).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn due(&self, patience: Duration) -> Instant {
        match (self.sending.values().min(), self.working) {
            (Some(taken), _) => *taken + STALL,
            // Work has its own time limit.
            (None, 1..) => Instant::now() + STALL,
            (None, 0) => self.moved + patience,
        }
    }
}

/// A request in work, until its answer begins or nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Working {
    activity: Activity,
    number: u64,
}

impl Working {
    /// The answer begins.
    pub(super) fn answered(self, body: Body) -> Sent {
        let (activity, number) = (self.activity.clone(), self.number);
        activity.state().sending.insert(number, Instant::now());
        Sent { activity, number, body, rest: Bytes::new() }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.working -= 1;
        state.moved = Instant::now();
    }
}

/// A body on its way to the client, in small pieces.
#[derive(Debug)]
pub(super) struct Sent {
    activity: Activity,
    number: u64,
    body: Body,
    /// What is left of the last frame.
    rest: Bytes,
}

impl Sent {
    fn piece(&mut self) -> Frame<Bytes> {
        Frame::data(self.rest.split_to(PIECE.min(self.rest.len())))
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        // hyper asks for more when the client has taken what it was given.
        this.activity.state().sending.insert(this.number, Instant::now());
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(this.piece())));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        Poll::Ready(match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(bytes))) => {
                this.rest = bytes;
                Some(Ok(this.piece()))
            }
            Some(Ok(Err(other))) => Some(Ok(other)),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, hint) = (self.rest.len() as u64, self.body.size_hint());
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.sending.remove(&self.number);
        state.moved = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn bodies_go_out_in_pieces_and_whole() {
        let bytes: Bytes = (0..PIECE * 2 + 5).map(|n| n as u8).collect();
        let mut sent = Activity::begun().request().answered(Body::from(bytes.clone()));
        let (mut pieces, mut told) = (Vec::new(), Vec::new());
        while let Some(frame) = sent.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            told.push((piece.len(), http_body::Body::size_hint(&sent).exact()));
            pieces.extend(piece);
        }
        assert_eq!(pieces, bytes);
        assert_eq!(told, [(PIECE, Some(PIECE as u64 + 5)), (PIECE, Some(5)), (5, Some(0))]);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_for_the_idle_and_for_those_who_take_nothing() {
        const PATIENCE: Duration = Duration::from_secs(15);
        let begun = Instant::now();
        let activity = Activity::begun();
        let waited = async || {
            activity.overdue(PATIENCE).await;
            begun.elapsed().as_secs()
        };
        assert_eq!(waited().await, 15);
        let work = activity.request();
        tokio::select! {
            _ = waited() => panic!("a request in work is no reason"),
            () = tokio::time::sleep(Duration::from_secs(500)) => {}
        }
        let mut sent = work.answered(Body::from(vec![0; 2 * PIECE]));
        tokio::time::sleep(STALL / 2).await;
        sent.frame().await.unwrap().unwrap();
        assert_eq!(waited().await, 15 + 500 + 30 + STALL.as_secs());
        drop(sent);
        assert_eq!(waited().await, 15 + 500 + 30 + STALL.as_secs() + 15);
    }
}
