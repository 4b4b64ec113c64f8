//! Follows redirects, each step through the layers of the host that it leads to.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use tower::{Service, ServiceExt};
use url::Url;

use super::error::{Halt, shown};
use super::stack::Call;
use super::{Answer, Redirects, Request, UpstreamError};

/// A chain that is longer leads in circles.
const MOST: usize = 5;

/// Headers that say what is wanted and not who asks. Nothing else follows to another origin:
/// credentials travel in headers of any name.
const IMPERSONAL: [HeaderName; 6] =
    [ACCEPT, ACCEPT_LANGUAGE, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE];

/// The layer.
#[derive(Clone)]
pub(super) struct Follow<S> {
    inner: S,
}

impl<S> Follow<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S> Service<Call> for Follow<S>
where
    S: Service<Call, Response = Answer, Error = UpstreamError> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Answer, UpstreamError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let inner = self.inner.clone();
        Box::pin(async move {
            let mut steps = 0;
            loop {
                let answer = inner.clone().oneshot(call.clone()).await?;
                if !is_redirect(&answer) {
                    return Ok(answer);
                }
                call.request = onward(call.request, &answer, steps)?;
                steps += 1;
            }
        })
    }
}

/// Not every 3xx is one: 304 answers a conditional request, 300 leaves the choice to people.
fn is_redirect(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) && answer.headers.contains_key(LOCATION)
}

/// The request that a redirect asks for, after `steps` others.
fn onward(request: Request, answer: &Answer, steps: usize) -> Result<Request, UpstreamError> {
    let halt = |halt, to| Err(UpstreamError::Redirected { at: answer.body.at.clone(), to, halt });
    let Some(to) = target(answer) else { return halt(Halt::Unreadable, "?".to_owned()) };
    let elsewhere = to.origin() != request.url.origin();
    let turned = turned(&request.method, answer.status);
    let reason = match request.redirects {
        Redirects::Deny => Some(Halt::Denied),
        Redirects::Login => Some(Halt::Login),
        Redirects::Follow if steps == MOST => Some(Halt::TooMany),
        Redirects::Follow if request.url.scheme() == "https" && to.scheme() != "https" => {
            Some(Halt::Downgrade)
        }
        Redirects::Follow if elsewhere && !turned && request.body.is_some() => Some(Halt::Body),
        Redirects::Follow => None,
    };
    if let Some(reason) = reason {
        return halt(reason, shown(&to));
    }
    let mut next = Request { url: to, ..request };
    if turned {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(CONTENT_TYPE);
    }
    if elsewhere {
        next.headers = impersonal(&next.headers);
    }
    Ok(next)
}

fn target(answer: &Answer) -> Option<Url> {
    answer.url.join(answer.headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// Whether the redirected request becomes a `GET` (*RFC 9110, 15.4*; 301 and 302 as everybody does it).
fn turned(method: &Method, status: StatusCode) -> bool {
    match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    }
}

fn impersonal(headers: &HeaderMap) -> HeaderMap {
    let kept = IMPERSONAL.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
    kept.collect()
}
