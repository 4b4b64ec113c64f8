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

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    use super::super::doubles::{Outcome, Stub, answer, answer_with, call, url};
    use super::*;

    /// Redirects once, then answers.
    fn once(status: u16, location: &'static str) -> Stub {
        Stub::new(move |n| match n {
            0 => Ok(answer_with(status, LOCATION, location)),
            _ => Ok(answer(200)),
        })
    }

    async fn ask(stub: &Stub, request: Request) -> Outcome {
        Follow::new(stub.clone()).oneshot(Call { request, ..call() }).await
    }

    fn get() -> Request {
        let secret = HeaderName::from_static("x-api-key");
        Request::get(url("https://dam.example.org/x"))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(RANGE, HeaderValue::from_static("bytes=0-99"))
            .header(AUTHORIZATION, HeaderValue::from_static("Bearer secret"))
            .header(secret, HeaderValue::from_static("secret"))
    }

    fn post() -> Request {
        Request { url: url("https://dam.example.org/x"), ..Request::post(get().url, "a=b") }
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
    }

    #[tokio::test]
    async fn headers_stay_within_their_origin() {
        let all = ["accept", "authorization", "range", "x-api-key"];
        let some = ["accept", "range"];
        let cases: [(&str, &'static str, &[&str]); 6] = [
            ("a path", "/y", &all),
            ("the same origin", "https://dam.example.org/y?z=1", &all),
            ("the same origin, its port written", "https://dam.example.org:443/y", &all),
            ("another port", "https://dam.example.org:8443/y", &some),
            ("another host", "https://files.example.net/y", &some),
            ("a host below", "https://files.dam.example.org/y", &some),
        ];
        for (name, location, expected) in cases {
            let stub = once(302, location);
            ask(&stub, get()).await.unwrap();
            let last = stub.last();
            let mut sent: Vec<_> = last.headers.keys().map(HeaderName::as_str).collect();
            sent.sort_unstable();
            assert_eq!(sent, expected, "{name}");
            assert_eq!(last.url, url("https://dam.example.org/x").join(location).unwrap(), "{name}");
        }
    }

    #[tokio::test]
    async fn methods_turn_as_the_specification_says() {
        let head = || Request::head(url("https://dam.example.org/x"));
        let cases = [
            (get(), 301, Method::GET),
            (get(), 307, Method::GET),
            (head(), 302, Method::HEAD),
            (head(), 303, Method::HEAD),
            (post(), 301, Method::GET),
            (post(), 302, Method::GET),
            (post(), 303, Method::GET),
            (post(), 307, Method::POST),
            (post(), 308, Method::POST),
        ];
        for (request, status, expected) in cases {
            let (name, was_post) = (format!("{request:?} {status}"), request.method == Method::POST);
            let stub = once(status, "/y");
            ask(&stub, request).await.unwrap();
            let last = stub.last();
            assert_eq!(last.method, expected, "{name}");
            let keeps_body = was_post && expected == Method::POST;
            assert_eq!(last.body.is_some(), keeps_body, "{name}");
            assert_eq!(last.headers.contains_key(CONTENT_TYPE), keeps_body, "{name}");
        }
    }

    #[tokio::test]
    async fn some_redirects_are_errors() {
        use Redirects::{Deny, Follow, Login};
        let elsewhere = "https://files.example.net/y?sign=secret";
        let cases: [(&str, Request, &'static str, Halt); 6] = [
            ("denied", get().redirects(Deny), "/y", Halt::Denied),
            ("a login page", get().redirects(Login), "/login?back=x", Halt::Login),
            ("without encryption", get(), "http://dam.example.org/y", Halt::Downgrade),
            ("to no web address", get(), "javascript:alert(1)", Halt::Downgrade),
            ("a body for another host", post().redirects(Follow), elsewhere, Halt::Body),
            ("no address", get(), "http://[", Halt::Unreadable),
        ];
        for (name, request, location, expected) in cases {
            let stub = once(307, location);
            let error = ask(&stub, request).await.unwrap_err();
            assert!(
                matches!(error, UpstreamError::Redirected { halt, .. } if halt == expected),
                "{name}: {error}"
            );
            assert!(!error.to_string().contains("secret"), "{name}: {error}");
            assert_eq!(stub.count(), 1, "{name}");
        }
    }

    #[tokio::test]
    async fn five_steps_and_no_more() {
        for (steps, expected) in [(5, true), (6, false)] {
            let stub = Stub::new(move |n| match n {
                n if n < steps => Ok(answer_with(302, LOCATION, "/again")),
                _ => Ok(answer(200)),
            });
            assert_eq!(ask(&stub, get()).await.is_ok(), expected, "{steps}");
        }
    }

    #[tokio::test]
    async fn other_answers_pass() {
        for (status, header) in [(304, LOCATION), (300, LOCATION), (201, LOCATION), (302, ACCEPT)] {
            let stub = Stub::new(move |_| Ok(answer_with(status, header.clone(), "/y")));
            assert_eq!(ask(&stub, get().redirects(Redirects::Deny)).await.unwrap().status, status);
        }
    }

    #[tokio::test]
    async fn the_message_says_where_it_leads() {
        let stub = once(302, "https://login.example.org/start?back=secret#x");
        let error = ask(&stub, get().redirects(Redirects::Login)).await.unwrap_err();
        insta::assert_snapshot!(error, @"`dam.example.org` (source `maps`) redirects to `https://login.example.org/start`: credentials are missing or have expired");
    }
}
