//! What is asked and what comes back.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use super::UpstreamError;
use super::body::Body;
use super::error::shown;

/// Enough for every description, too little to hurt; files set their own limit.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// One question to a remote system.
#[derive(Clone)]
pub struct Request {
    /// `GET` mostly.
    pub method: Method,
    /// Whom and what to ask.
    pub url: Url,
    /// Headers beside those of the transport; dropped when a redirect leads to another origin.
    pub headers: HeaderMap,
    /// What to send along.
    pub body: Option<Bytes>,
    /// What a redirect means.
    pub redirects: Redirects,
    /// The longest answer that is read, in bytes after decompression.
    pub max_body: u64,
    /// How long the answer may take.
    pub wanted: Wanted,
    /// Whether asking twice does no harm.
    pub replay: Replay,
}

/// What is asked for, and so how long its answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Wanted {
    /// Something that somebody waits for: its last byte is there within the deadline.
    #[default]
    Description,
    /// Something large: the deadline holds for the head of the answer alone.
    File,
}

/// What becomes of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Redirects {
    /// It is followed as far as the allowed hosts reach.
    #[default]
    Follow,
    /// It is an error.
    Deny,
    /// It leads to a login page: the credentials are missing or have expired.
    Login,
}

/// Whether a request may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It only reads.
    Safe,
    /// It may change something.
    Once,
}

impl Request {
    /// A `GET`, safe to repeat.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url, None)
    }

    /// A `HEAD`, safe to repeat.
    pub fn head(url: Url) -> Self {
        Self::new(Method::HEAD, url, None)
    }

    /// A `POST` that is sent once; one that only reads says so by [`Request::replay`].
    pub fn post(url: Url, body: impl Into<Bytes>) -> Self {
        Self { replay: Replay::Once, ..Self::new(Method::POST, url, Some(body.into())) }
    }

    /// With one more header, in place of one of the same name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With another meaning of redirects.
    pub fn redirects(self, redirects: Redirects) -> Self {
        Self { redirects, ..self }
    }

    /// With another limit on the answer.
    pub fn max_body(self, max_body: u64) -> Self {
        Self { max_body, ..self }
    }

    /// With another word on what is asked for.
    pub fn wanted(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    /// With another word on repeating it.
    pub fn replay(self, replay: Replay) -> Self {
        Self { replay, ..self }
    }

    fn new(method: Method, url: Url, body: Option<Bytes>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body,
            redirects: Redirects::default(),
            max_body: MAX_BODY,
            wanted: Wanted::default(),
            replay: Replay::Safe,
        }
    }
}

/// Headers and query may hold secrets and are left out.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, shown(&self.url))
    }
}

/// The head of an answer, its body still to be read.
pub struct Answer {
    /// As the host sent it.
    pub status: StatusCode,
    /// As the host sent them; those of a decompressed body are gone.
    pub headers: HeaderMap,
    /// Where the answer came from, after redirects.
    pub url: Url,
    pub(super) body: Body,
}

impl Answer {
    /// How long the host asks to be left alone (*RFC 9110, 10.2.3*).
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        // A date is measured against the host's own clock where it shows it.
        let date = |text| httpdate::parse_http_date(text).ok();
        let now = self.headers.get(DATE).and_then(|d| d.to_str().ok()).and_then(date);
        date(text)?.duration_since(now.unwrap_or_else(SystemTime::now)).ok()
    }

    /// The whole body in memory.
    pub async fn bytes(self) -> Result<Bytes, UpstreamError> {
        self.body.collect().await
    }

    /// The body as it arrives. An error ends the stream.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes, UpstreamError>> {
        self.body.stream()
    }
}

/// Headers may hold cookies and tokens and are left out.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.status, shown(&self.url))
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::super::doubles::{answer_with, url};
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |text| answer_with(503, RETRY_AFTER, text).retry_after();
        assert_eq!(seconds("7"), Some(Duration::from_secs(7)));
        assert_eq!(seconds(" 7 "), Some(Duration::from_secs(7)));
        for text in ["", "-7", "7.5", "soon", "99999999999999999999"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        let mut dated = answer_with(503, RETRY_AFTER, "Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(dated.retry_after(), None, "long past");
        dated.headers.insert(DATE, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(dated.retry_after(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn only_what_reads_is_repeated_unless_said_otherwise() {
        let there = || url("https://dam.example.org/x");
        assert_eq!(Request::get(there()).replay, Replay::Safe);
        assert_eq!(Request::head(there()).replay, Replay::Safe);
        assert_eq!(Request::post(there(), "").replay, Replay::Once);
        assert_eq!(Request::post(there(), "").replay(Replay::Safe).replay, Replay::Safe);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let request = Request::get(url("https://me:secret@dam.example.org:81/x/y?key=secret#secret"))
            .header(AUTHORIZATION, HeaderValue::from_static("secret"));
        assert_eq!(format!("{request:?}"), "GET https://dam.example.org:81/x/y");
        let answer = answer_with(200, AUTHORIZATION, "secret");
        assert_eq!(format!("{answer:?}"), "200 OK from https://dam.example.org/x");
    }
}
