//! Warm answers: given before, still allowed, given again as they were, without the stack.
//!
//! The stack decides about everything once. What it answered to a plain GET is kept with what the decision rests on; as
//! long as that stands, the same question gets the same answer, under its own request id, with its own log line and
//! counts. So do questions for other tiles of the same image, where those lie in a pyramid and need no more than to be
//! read. Whatever is not plain goes the long way.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use metrics::Counter;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tower::Service;
use tracing::Span;

use super::conditional::{Validator, not_modified};
use super::gather::Gathered;
use super::handlers::image::Neighbours;
use super::observe::{Counts, Head, Line};
use super::request_id::{self, X_REQUEST_ID};
use super::stack::Outer;
use super::weight::Scales;
use super::{Body, Client, Proxies, Stack};
use crate::iiif::address::Parameters;
use crate::iiif::image::quality::Format;
use crate::serve::gate::{Gate, Standing};
use crate::serve::remembered::Stands;
use crate::telemetry::HTTP_WARM;
use crate::weighed;

/// What an answer takes beside what is written in it and asked for it: structures, the cache's own tables.
const BESIDE: u64 = 1024;
/// How large most answers are. Only the size of the cache's tables is derived from it.
const USUAL: u64 = 16 << 10;
/// An answer larger than one in so many parts of the room would push out too much else.
const SHARE: u64 = 16;

/// Images whose other tiles are found at once.
const IMAGES: usize = 1024;

/// Questions that are known again: the tiles of a hundred large images.
const ASKED: usize = 1 << 16;

/// Headers that the stack decides by.
const DECIDING: [HeaderName; 5] = [AUTHORIZATION, COOKIE, CONTENT_LENGTH, TRANSFER_ENCODING, X_REQUEST_ID];

/// The handler's word, in an answer's extensions, that it may be given again as long as a decision stands.
#[derive(Clone, Debug)]
pub(super) struct Repeatable {
    /// The decision.
    pub(super) standing: Standing,
    /// The answer's body.
    pub(super) body: Bytes,
}

/// Answers in memory, in front of the stack that makes them.
#[derive(Debug)]
pub struct Warm {
    answers: Cache<Asked, Arc<Answer>, ByWeight>,
    /// By the part of a path that all pictures of an image have in common.
    images: Cache<Box<str>, Arc<Image>>,
    largest: u64,
    once: Once,
    /// Purges after which it was looked what still stands.
    purges: AtomicU64,
    gate: Gate,
    proxies: Proxies,
    scales: Scales,
}

/// What was asked: the address, and the headers that a document's form depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    path: Box<str>,
    accept: Option<HeaderValue>,
    encoding: Option<HeaderValue>,
}

#[derive(Hash)]
struct AskedNow<'a> {
    path: &'a str,
    accept: Option<&'a HeaderValue>,
    encoding: Option<&'a HeaderValue>,
}

impl Equivalent<Asked> for AskedNow<'_> {
    fn equivalent(&self, key: &Asked) -> bool {
        (self.path, self.accept, self.encoding) == (&*key.path, key.accept.as_ref(), key.encoding.as_ref())
    }
}

#[derive(Clone, Debug)]
struct Answer {
    headers: HeaderMap,
    body: Bytes,
    standing: Standing,
    head: Head,
    counts: Counts,
    warm: Counter,
}

/// An image of which a tile was asked for, with the answer that was given, but for its body.
#[derive(Debug)]
struct Image {
    neighbours: Neighbours,
    first: Answer,
}

#[derive(Clone, Debug)]
struct ByWeight;

impl Weighter<Asked, Arc<Answer>> for ByWeight {
    fn weight(&self, asked: &Asked, answer: &Arc<Answer>) -> u64 {
        let headers = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        BESIDE + (written(asked) + headers.sum::<usize>() + answer.body.len()) as u64
    }
}

/// Bytes of what was asked. Much of the path stands in what the decision rests on, too.
fn written(asked: &Asked) -> usize {
    let forms = [&asked.accept, &asked.encoding].into_iter().flatten().map(HeaderValue::len);
    2 * asked.path.len() + forms.sum::<usize>()
}

impl Warm {
    /// Room for so many bytes of answers. `gate` tells whether a decision stands.
    pub fn new(bytes: u64, gate: Gate, outer: &Outer) -> Self {
        let answers = weighed::cache(bytes, USUAL, bytes / SHARE, ByWeight);
        let (proxies, scales) = (outer.proxies.clone(), outer.scales.clone());
        let (images, purges) = (Cache::new(IMAGES), AtomicU64::new(gate.purges()));
        Self { answers, images, largest: bytes / SHARE, once: Once::default(), purges, gate, proxies, scales }
    }

    /// Lets go of what will never be given again, as soon as somebody asks after a purge.
    fn tidy(&self) {
        let purges = self.gate.purges();
        if self.purges.load(Ordering::Relaxed) != purges
            && self.purges.swap(purges, Ordering::Relaxed) != purges
        {
            let may = |standing: &Standing| self.gate.stands(standing) != Stands::NoLonger;
            self.answers.retain(|_, answer| may(&answer.standing));
            self.images.retain(|_, image| may(image.neighbours.standing()));
        }
    }

    /// The answer that was given before or can be given at once, if it may be given.
    fn get(&self, req: &Request<Body>) -> Option<Response<Body>> {
        self.tidy();
        let asked = AskedNow::plainly(req)?;
        let answer = match self.answers.get(&asked) {
            Some(answer) => match self.gate.stands(&answer.standing) {
                Stands::Still => {
                    answer.warm.increment(1);
                    answer
                }
                Stands::Perhaps => return None,
                Stands::NoLonger => {
                    self.answers.remove(&asked);
                    return None;
                }
            },
            None => {
                let answer = self.neighbour(asked.path)?;
                if answer.body.len() as u64 <= self.largest && self.once.is_again(&asked) {
                    self.answers.insert(asked.kept(), Arc::clone(&answer));
                }
                answer
            }
        };
        let body = Body::from(answer.body.clone());
        let body = match body.is_light() {
            true => body,
            // One that is too much now goes the long way, where that is said.
            false => self.scales.weigh(Client::of(req, &self.proxies).address, body).ok()?,
        };
        Some(answer.again(req, body, &self.proxies))
    }

    /// Another tile of an image of which one was handed out.
    fn neighbour(&self, path: &str) -> Option<Arc<Answer>> {
        let (base, parameters) = Parameters::cut(path)?;
        let image = self.images.get(base)?;
        match self.gate.stands(image.neighbours.standing()) {
            Stands::Still if !image.neighbours.are_gone() => {}
            Stands::Perhaps => return None,
            Stands::Still | Stands::NoLonger => {
                self.images.remove(base);
                return None;
            }
        }
        let mut headers = image.first.headers.clone();
        let body = image.neighbours.find(&parameters, &mut headers)?;
        Some(Arc::new(Answer { headers, body, ..image.first.clone() }))
    }

    /// Keeps an answer that its handler says may be given again.
    fn keep(self: &Arc<Self>, asked: Option<Asked>, res: &mut Response<Body>) {
        let neighbours = res.extensions_mut().remove::<Neighbours>();
        let Some(Repeatable { standing, body }) = res.extensions_mut().remove() else { return };
        let Some(asked) = asked.filter(|_| res.status() == StatusCode::OK) else { return };
        if body.len() as u64 > self.largest {
            return;
        }
        let mut headers = res.headers().clone();
        headers.remove(X_REQUEST_ID);
        let class = res.extensions().get().copied();
        let source = res.extensions().get().cloned();
        let head = Head::new(class, source, StatusCode::OK);
        let counts = Counts::of(&head);
        let warm = metrics::counter!(HTTP_WARM);
        let answer = Answer { headers, body, standing, head, counts, warm };
        if let Some(neighbours) = neighbours
            && let Some((base, _)) = Parameters::cut(&asked.path)
        {
            let first = Answer { body: Bytes::new(), ..answer.clone() };
            self.images.insert(base.into(), Arc::new(Image { neighbours, first }));
        }
        if !res.headers().contains_key(CONTENT_ENCODING) {
            self.answers.insert(asked, Arc::new(answer));
            return;
        }
        // As it goes out: it is not compressed again.
        let (warm, most) = (Arc::clone(self), answer.body.len());
        let then = move |body| warm.answers.insert(asked, Arc::new(Answer { body, ..answer }));
        *res.body_mut() = Body::new(Gathered::new(mem::take(res.body_mut()), most, then));
    }
}

/// What was asked for of late. What lies in a pyramid is kept when it is asked for again: who looks at everything once
/// pushes out nothing, and nothing is copied to a place of its own for that.
#[derive(Debug)]
struct Once {
    marks: Box<[AtomicU32]>,
    hasher: RandomState,
}

impl Default for Once {
    fn default() -> Self {
        Self { marks: (0..ASKED).map(|_| AtomicU32::new(0)).collect(), hasher: RandomState::default() }
    }
}

impl Once {
    /// Whether the same was asked for before. Now and then something else was, or it is forgotten: both cost little.
    fn is_again(&self, asked: &AskedNow<'_>) -> bool {
        let hash = self.hasher.hash_one(asked);
        let (place, mark) = (hash as usize % self.marks.len(), (hash >> 32) as u32);
        self.marks[place].swap(mark, Ordering::Relaxed) == mark
    }
}

impl<'a> AskedNow<'a> {
    /// `None` where the stack has something to decide besides: who asks, which method, whether the request is sound.
    fn plainly(req: &'a Request<Body>) -> Option<Self> {
        let (headers, uri) = (req.headers(), req.uri());
        let special = || DECIDING.iter().any(|name| headers.contains_key(name));
        let one_host = req.version() != Version::HTTP_11 || single(headers, &HOST)?.is_some();
        if req.method() != Method::GET || uri.query().is_some() || !one_host || special() {
            return None;
        }
        // Only documents come in several forms, and none ends like a picture, however its address is written.
        let is_picture = uri.path().rsplit_once('.').is_some_and(|(_, end)| Format::parse(end).is_ok());
        let (accept, encoding) = match is_picture {
            true => (None, None),
            false => (single(headers, &ACCEPT)?, single(headers, &ACCEPT_ENCODING)?),
        };
        Some(Self { path: uri.path(), accept, encoding })
    }

    fn kept(&self) -> Asked {
        Asked { path: self.path.into(), accept: self.accept.cloned(), encoding: self.encoding.cloned() }
    }
}

/// The only line of a header, if there is one; outer `None` where there are several.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a HeaderValue>> {
    let mut lines = headers.get_all(name).into_iter();
    let first = lines.next();
    lines.next().is_none().then_some(first)
}

impl Answer {
    fn again(&self, req: &Request<Body>, body: Body, proxies: &Proxies) -> Response<Body> {
        let id = request_id::random();
        let mut line = Line::of(req, || (id.clone(), Client::of(req, proxies)));
        let mut res = Response::new(body);
        *res.headers_mut() = self.headers.clone();
        let known = Validator::on(&res).is_some_and(|validator| validator.known_to(req.headers()));
        if known {
            res = not_modified(res);
            line.answered(Head { status: StatusCode::NOT_MODIFIED, ..self.head.clone() }, None);
        } else {
            line.answered(self.head.clone(), Some(self.counts.clone()));
        }
        res.headers_mut().insert(X_REQUEST_ID, id);
        line.watch(Span::none(), res)
    }
}

/// The whole gateway: warm answers, and the stack for all others.
#[derive(Clone, Debug)]
pub struct Front {
    warm: Option<Arc<Warm>>,
    stack: Stack,
}

impl Front {
    /// `warm` in front of `stack`.
    pub fn new(warm: Warm, stack: Stack) -> Self {
        Self { warm: Some(Arc::new(warm)), stack }
    }
}

impl From<Stack> for Front {
    /// A stack that answers all by itself.
    fn from(stack: Stack) -> Self {
        Self { warm: None, stack }
    }
}

/// A warm answer is there at once.
type Answering = Either<Ready<Rescued>, BoxFuture<'static, Rescued>>;
type Rescued = Result<Response<Body>, Infallible>;

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Body>) -> Answering {
        let Some(warm) = &self.warm else { return Either::Right(self.stack.call(req)) };
        if let Some(res) = warm.get(&req) {
            return Either::Left(ready(Ok(res)));
        }
        let (warm, asked) = (Arc::clone(warm), AskedNow::plainly(&req).map(|asked| asked.kept()));
        let answer = self.stack.call(req);
        Either::Right(Box::pin(async move {
            let mut res = answer.await?;
            warm.keep(asked, &mut res);
            Ok(res)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Option<Asked> {
        let mut req = Request::get("/iiif/3/image/maps/a/info.json").body(Body::empty()).unwrap();
        for (name, value) in headers {
            req.headers_mut().append(*name, value.parse().unwrap());
        }
        AskedNow::plainly(&req).map(|asked| asked.kept())
    }

    #[test]
    fn only_plain_requests_are_answered_so() {
        let host = ("host", "a");
        for (name, headers, plain) in [
            ("a viewer's", vec![host, ("accept", "*/*"), ("accept-encoding", "gzip")], true),
            ("with conditions", vec![host, ("if-none-match", "\"x\"")], true),
            ("without a host", vec![], false),
            ("with two", vec![host, host], false),
            ("with a token", vec![host, ("authorization", "Bearer x")], false),
            ("with a cookie", vec![host, ("cookie", "a=b")], false),
            ("with a body", vec![host, ("content-length", "3")], false),
            ("with a name", vec![host, ("x-request-id", "7")], false),
            ("of two minds", vec![host, ("accept", "a/b"), ("accept", "c/d")], false),
        ] {
            assert_eq!(asked(&headers).is_some(), plain, "{name}");
        }
    }

    /// What a client may make long takes room that is counted.
    #[test]
    fn wishes_of_any_length_are_weighed() {
        let long = "x".repeat(60_000);
        let short = asked(&[("host", "a"), ("accept", "*/*")]).unwrap();
        let long = asked(&[("host", "a"), ("accept", &long)]).unwrap();
        assert!(written(&long) > written(&short) + 59_000);
    }
}
