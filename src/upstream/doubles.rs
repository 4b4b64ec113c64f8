//! Stand-ins for tests: answers out of thin air, and an innermost service without a network.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::time::Instant;
use tower::Service;
use url::Url;

use super::body::{Body, Limits};
use super::error::{Phase, Place};
use super::stack::Call;
use super::{Answer, Request, UpstreamError};

pub(super) type Outcome = Result<Answer, UpstreamError>;

/// A `GET` whose caller waits for half a minute.
pub(super) fn call() -> Call {
    call_for(Duration::from_secs(30))
}

/// A `GET` whose caller waits this long.
pub(super) fn call_for(patience: Duration) -> Call {
    Call { request: Request::get(url("https://dam.example.org/x")), deadline: Instant::now() + patience }
}

pub(super) fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

pub(super) fn place() -> Place {
    Place { source: "maps".into(), host: "dam.example.org".into() }
}

/// An answer without a body.
pub(super) fn answer(status: u16) -> Answer {
    let second = Duration::from_secs(1);
    let limits = Limits { bytes: 0, whole: second, since: None, piece: second };
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        url: url("https://dam.example.org/x"),
        body: Body { at: place(), pieces: stream::empty().boxed(), length: None, limits },
    }
}

/// An answer with one header and no body.
pub(super) fn answer_with(status: u16, name: HeaderName, value: &str) -> Answer {
    let mut answer = answer(status);
    answer.headers.insert(name, value.parse().unwrap());
    answer
}

pub(super) fn unreachable() -> UpstreamError {
    UpstreamError::Unreachable { at: place(), cause: "connection refused".into() }
}

pub(super) fn timeout(phase: Phase) -> UpstreamError {
    UpstreamError::Timeout { at: place(), phase, after: Duration::from_secs(10) }
}

/// An innermost service that notes when and what it was asked, and answers by a closure that is
/// given the number of the call, from 0, and the request.
#[derive(Clone)]
pub(super) struct Stub {
    asked: Arc<Mutex<Vec<(Instant, Request)>>>,
    reply: Arc<dyn Fn(usize, Request) -> BoxFuture<'static, Outcome> + Send + Sync>,
}

impl Stub {
    /// Answers at once.
    pub(super) fn new(reply: impl Fn(usize) -> Outcome + Send + Sync + 'static) -> Self {
        Self::slow(move |n, _| {
            let outcome = reply(n);
            Box::pin(async { outcome })
        })
    }

    /// Answers in its own time.
    pub(super) fn slow(
        reply: impl Fn(usize, Request) -> BoxFuture<'static, Outcome> + Send + Sync + 'static,
    ) -> Self {
        Self { asked: Arc::default(), reply: Arc::new(reply) }
    }

    /// How often it was asked.
    pub(super) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// When it was asked, in milliseconds since `start`.
    pub(super) fn times(&self, start: Instant) -> Vec<u128> {
        self.asked.lock().unwrap().iter().map(|(at, _)| at.duration_since(start).as_millis()).collect()
    }

    /// What it was asked last.
    pub(super) fn last(&self) -> Request {
        self.asked.lock().unwrap().last().unwrap().1.clone()
    }
}

impl Service<Call> for Stub {
    type Response = Answer;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Outcome>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let mut asked = self.asked.lock().unwrap();
        asked.push((Instant::now(), call.request.clone()));
        (self.reply)(asked.len() - 1, call.request)
    }
}
