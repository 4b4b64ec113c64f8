//! Errors as documents: problem details (RFC 9457), `application/problem+json`.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use serde::Serialize;

use super::around::Inner;
use super::{Body, PublicUrl, request_id};
use crate::iiif::address::Address;

/// The page that explains every kind.
pub const PAGE: &str = include_str!("../../docs/problems.md");

/// The content type of a problem.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request gets no answer, in words for the person who asked.
///
/// A detail may quote what the client sent. With a status from 500 on it may name a source and a
/// field, but never quotes what a source answered: that may be secret, and it is not ours.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status of the answer, by its kind unless set otherwise.
    pub status: StatusCode,
    /// What kind of problem.
    pub kind: Kind,
    /// What is the matter with this request.
    pub detail: String,
    /// When it makes sense to ask again.
    pub retry_after: Option<Duration>,
    /// Further headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The kinds of problems; each has its paragraph on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request breaks a grammar.
    Syntax,
    /// More pixels asked for than are given out.
    OverLimit,
    /// Who asks is not signed in.
    SignIn,
    /// A page of another site asks for what only our own may.
    Foreign,
    /// No such thing here.
    NotFound,
    /// This address does not take that method.
    Method,
    /// The request's body is too large.
    BodyTooLarge,
    /// The request's address is too long.
    TargetTooLong,
    /// A mistake of ours.
    Internal,
    /// Valid, but not offered.
    NotOffered,
    /// A source answered nonsense.
    BadSource,
    /// Too much to do at the moment.
    Busy,
    /// A source cannot be reached.
    SourceAway,
    /// A source took too long.
    SourceSlow,
    /// The gateway took too long.
    Slow,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Syntax,
        Self::OverLimit,
        Self::SignIn,
        Self::Foreign,
        Self::NotFound,
        Self::Method,
        Self::BodyTooLarge,
        Self::TargetTooLong,
        Self::Internal,
        Self::NotOffered,
        Self::BadSource,
        Self::Busy,
        Self::SourceAway,
        Self::SourceSlow,
        Self::Slow,
    ];

    /// The status that goes with it.
    pub fn status(self) -> StatusCode {
        self.facts().0
    }

    /// Its anchor on the page.
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// The same words each time it occurs.
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Syntax => (StatusCode::BAD_REQUEST, "syntax", "The request is malformed"),
            Self::OverLimit => (StatusCode::BAD_REQUEST, "over-limit", "More is asked for than is given out"),
            Self::SignIn => (StatusCode::UNAUTHORIZED, "sign-in", "Signing in is required"),
            Self::Foreign => (StatusCode::FORBIDDEN, "foreign", "This is not for pages of other sites"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "method", "This address does not take that method")
            }
            Self::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The request's body is too large")
            }
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "target-too-long", "The address is too long"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The gateway made a mistake"),
            Self::NotOffered => (StatusCode::NOT_IMPLEMENTED, "not-offered", "This is not offered"),
            Self::BadSource => (StatusCode::BAD_GATEWAY, "bad-source", "The source's answer makes no sense"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "The gateway is busy"),
            Self::SourceAway => {
                (StatusCode::SERVICE_UNAVAILABLE, "source-away", "The source cannot be reached")
            }
            Self::SourceSlow => (StatusCode::GATEWAY_TIMEOUT, "source-slow", "The source took too long"),
            Self::Slow => (StatusCode::GATEWAY_TIMEOUT, "slow", "The answer took too long"),
        }
    }
}

impl Problem {
    /// A problem with the status that goes with its kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, detail) = (kind.status(), detail.into());
        Self { status, kind, detail, retry_after: None, headers: Vec::new() }
    }

    /// A method that an address does not take; `allow` lists those that it takes.
    pub fn method(allow: &'static str) -> Self {
        let problem = Self::new(Kind::Method, format!("expected one of the methods {allow}"));
        problem.with_header(ALLOW, HeaderValue::from_static(allow))
    }

    /// Too much to do: come back in a moment.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(Kind::Busy, detail).with_retry_after(Duration::from_secs(2))
    }

    /// With another status, where two versions of a specification disagree.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With a time after which to ask again.
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// With one more header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The document, in the name of one request.
    pub(super) fn document(&self, public: &PublicUrl, request_id: &str) -> String {
        let internal = || format!("The log has the cause under the request id {request_id}.");
        let document = Document {
            kind: format!("{public}{}#{}", Address::PROBLEMS, self.kind.name()),
            title: self.kind.title(),
            status: self.status.as_u16(),
            detail: if self.kind == Kind::Internal { &internal() } else { &self.detail },
            instance: request_id,
        };
        serde_json::to_string(&document).expect("strings and a number are always JSON")
    }
}

/// Status and headers; the words follow where the request's id is known, in `spell_out`.
impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Self {
        let mut res = Response::new(Body::empty());
        *res.status_mut() = problem.status;
        let headers = res.headers_mut();
        for (name, value) in &problem.headers {
            headers.append(name, value.clone());
        }
        // Some errors may be stored by default (RFC 9110, 15.1), for as long as a cache likes.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if let Some(wait) = problem.retry_after {
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            headers.insert(RETRY_AFTER, seconds.into());
        }
        res.extensions_mut().insert(Arc::new(problem));
        res
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
}

/// Gives every problem from further in its document, and the bare refusals of foreign layers too.
pub(super) async fn spell_out(public: Arc<PublicUrl>, req: Request<Body>, inner: Inner) -> Response<Body> {
    let id = request_id::of(&req);
    written(named(inner.run(req).await), &public, &id)
}

/// A problem's answer, with its document as the body; any other answer as it is.
pub(super) fn written(mut res: Response<Body>, public: &PublicUrl, request_id: &str) -> Response<Body> {
    if let Some(problem) = res.extensions_mut().remove::<Arc<Problem>>() {
        *res.body_mut() = problem.document(public, request_id).into();
        res.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    }
    res
}

/// The body limit and the timeout answer with a bare status; these are the words for them.
fn named(res: Response<Body>) -> Response<Body> {
    let problem = match res.status() {
        _ if res.extensions().get::<Arc<Problem>>().is_some() => return res,
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::BodyTooLarge, "the gateway takes forms and tokens only, up to 64 KiB")
        }
        StatusCode::GATEWAY_TIMEOUT => {
            Problem::new(Kind::Slow, "the answer was not ready in time; a further try may find it done")
                .with_retry_after(Duration::from_secs(5))
        }
        _ => return res,
    };
    problem.into()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn told(problem: Problem) -> String {
        let public = PublicUrl::try_from("https://iiif.example.org".to_owned()).unwrap();
        let (head, body) = written(problem.into(), &public, "4711").into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let headers =
            head.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
        format!("{}\n{}{body:#}", head.status, headers.collect::<String>())
    }

    #[tokio::test]
    async fn a_problem_becomes_a_document() {
        let problem = Problem::new(Kind::Syntax, "size `0,` is empty: width must be at least 1");
        insta::assert_snapshot!(told(problem).await, @r#"
        400 Bad Request
        cache-control: no-store
        content-type: application/problem+json
        {
          "type": "https://iiif.example.org/docs/problems#syntax",
          "title": "The request is malformed",
          "status": 400,
          "detail": "size `0,` is empty: width must be at least 1",
          "instance": "4711"
        }
        "#);
        insta::assert_snapshot!(told(Problem::method("GET, HEAD, OPTIONS")).await, @r#"
        405 Method Not Allowed
        allow: GET, HEAD, OPTIONS
        cache-control: no-store
        content-type: application/problem+json
        {
          "type": "https://iiif.example.org/docs/problems#method",
          "title": "This address does not take that method",
          "status": 405,
          "detail": "expected one of the methods GET, HEAD, OPTIONS",
          "instance": "4711"
        }
        "#);
    }

    #[tokio::test]
    async fn waiting_is_told_in_whole_seconds() {
        let away = Problem::new(Kind::SourceAway, "source `maps` cannot be reached");
        insta::assert_snapshot!(told(away.with_retry_after(Duration::from_millis(1500))).await, @r#"
        503 Service Unavailable
        cache-control: no-store
        retry-after: 2
        content-type: application/problem+json
        {
          "type": "https://iiif.example.org/docs/problems#source-away",
          "title": "The source cannot be reached",
          "status": 503,
          "detail": "source `maps` cannot be reached",
          "instance": "4711"
        }
        "#);
    }

    #[tokio::test]
    async fn an_internal_problem_tells_nothing_but_the_request_id() {
        insta::assert_snapshot!(told(Problem::new(Kind::Internal, "password is hunter2")).await, @r#"
        500 Internal Server Error
        cache-control: no-store
        content-type: application/problem+json
        {
          "type": "https://iiif.example.org/docs/problems#internal",
          "title": "The gateway made a mistake",
          "status": 500,
          "detail": "The log has the cause under the request id 4711.",
          "instance": "4711"
        }
        "#);
    }

    #[test]
    fn every_kind_has_its_paragraph() {
        let page = include_str!("../../docs/problems.md");
        for kind in Kind::ALL {
            let heading = format!("\n## {}\n", kind.name());
            assert!(page.contains(&heading), "{heading}");
        }
        assert_eq!(page.matches("\n## ").count(), Kind::ALL.len());
    }
}
