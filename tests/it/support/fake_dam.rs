//! A whole remote system on a loopback port: answers that were recorded, counted, and broken on demand.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A system that answers from `routes.toml` in a folder. A request that no route knows fails the test.
#[derive(Clone)]
pub(crate) struct FakeDam {
    address: String,
    state: Arc<State>,
}

/// What goes wrong with every answer to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is ever answered.
    Silent,
    /// The body breaks off.
    Cut,
    /// Of a file, when all of it is asked for, the first half comes.
    Half,
    /// 429 with `Retry-After: 7`.
    TooMany,
    /// 503 with `Retry-After: 9`.
    Away,
    /// 500.
    Broken,
    /// A redirect to another host.
    Elsewhere,
    /// A page for people instead of JSON.
    Html,
    /// An empty object instead of what was recorded.
    Shape,
    /// Of a file all comes, whatever part is asked for.
    Deaf,
    /// Of a file all comes, and nobody says how long it is.
    Endless,
    /// Parts of a file are said to be of a longer one.
    Longer,
    /// Parts of a file are shorter than they are said to be.
    Shorter,
}

/// `routes.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Routes {
    /// The placeholder that stands for the system in recorded answers.
    host: String,
    /// How addresses of files expire, if they do.
    expiring: Option<Expiring>,
    route: Vec<Route>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expiring {
    /// The query parameter that has to be current.
    param: String,
    /// What stands for its value in recorded answers.
    placeholder: String,
    /// Where expired addresses lead.
    login: String,
}

/// One request and its answer. The first route that fits answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    #[serde(default = "get")]
    method: String,
    path: String,
    /// Parameters that the query must have, among others; `*` is any value.
    #[serde(default)]
    query: HashMap<String, String>,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    /// The answer: a recorded file,
    file: Option<PathBuf>,
    /// or a text (JSON unless the headers say otherwise),
    text: Option<String>,
    /// or the bytes of an image, served with ranges,
    bytes: Option<String>,
    /// or those of an image that lies beside `routes.toml`.
    image: Option<PathBuf>,
}

struct State {
    folder: PathBuf,
    routes: Routes,
    changing: Mutex<Changing>,
    /// Requests with this in their line wait.
    held: watch::Sender<Option<&'static str>>,
}

#[derive(Default)]
struct Changing {
    requests: Vec<String>,
    unknown: Vec<String>,
    fault: Option<(Fault, &'static str)>,
    epoch: usize,
    sent: usize,
}

impl FakeDam {
    /// Serves the fixture folder until the test ends.
    pub(crate) async fn start(folder: &Path) -> Self {
        let path = folder.join("routes.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let routes = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let state = Arc::new(State {
            folder: folder.to_owned(),
            routes,
            changing: Mutex::default(),
            held: watch::Sender::new(None),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let dam = Self { address, state };
        tokio::spawn(dam.clone().serve(listener));
        dam
    }

    /// A recorded text with the placeholder of the host replaced by our own address.
    pub(crate) fn here(&self, text: &str) -> String {
        text.replace(&self.state.routes.host, &self.address)
    }

    /// The opposite: our address becomes the placeholder.
    pub(crate) fn recorded(&self, text: &str) -> String {
        text.replace(&self.address, &self.state.routes.host)
    }

    /// From now on every answer has this fault, or none.
    pub(crate) fn fault(&self, fault: Option<Fault>) {
        self.state.changing.lock().unwrap().fault = fault.map(|fault| (fault, ""));
    }

    /// From now on answers to requests with `part` in their line have this fault.
    pub(crate) fn fault_at(&self, part: &'static str, fault: Fault) {
        self.state.changing.lock().unwrap().fault = Some((fault, part));
    }

    /// From now on requests with `part` in their line wait until [`FakeDam::release`].
    pub(crate) fn hold(&self, part: &'static str) {
        self.state.held.send_replace(Some(part));
    }

    /// Answers all who wait.
    pub(crate) fn release(&self) {
        self.state.held.send_replace(None);
    }

    /// Whether its addresses can expire.
    pub(crate) fn expires(&self) -> bool {
        self.state.routes.expiring.is_some()
    }

    /// All addresses of files that were given out are void now.
    pub(crate) fn expire(&self) {
        self.state.changing.lock().unwrap().epoch += 1;
    }

    /// How many requests were made since this was last asked.
    pub(crate) fn requests(&self) -> usize {
        std::mem::take(&mut self.state.changing.lock().unwrap().requests).len()
    }

    /// How many requests with `part` in their line were made and not taken by [`FakeDam::requests`].
    pub(crate) fn asked(&self, part: &str) -> usize {
        let changing = self.state.changing.lock().unwrap();
        changing.requests.iter().filter(|line| line.contains(part)).count()
    }

    /// How many bytes of images were sent.
    pub(crate) fn sent(&self) -> usize {
        self.state.changing.lock().unwrap().sent
    }

    /// Fails the test if a request was made that no route knows.
    pub(crate) fn assert_all_known(&self) {
        let unknown = &self.state.changing.lock().unwrap().unknown;
        assert!(
            unknown.is_empty(),
            "no route in {} for:\n{}",
            self.state.folder.display(),
            unknown.join("\n")
        );
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let dam = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let dam = dam.clone();
                    async move { Ok::<_, Infallible>(dam.answer(&request).await) }
                });
                // A client that hangs up, or a body that is cut on purpose, is no fault of the fake.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let line = format!("{} {}", request.method(), request.uri());
        let fault = {
            let mut changing = self.state.changing.lock().unwrap();
            changing.requests.push(line.clone());
            changing.fault.filter(|(_, part)| line.contains(part)).map(|(fault, _)| fault)
        };
        let mut held = self.state.held.subscribe();
        let _ = held.wait_for(|held| held.is_none_or(|part| !line.contains(part))).await;
        match fault {
            None | Some(Fault::Half | Fault::Deaf | Fault::Endless | Fault::Longer | Fault::Shorter) => {}
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::Cut) => return cut(b"{\"begin", 1000),
            Some(Fault::TooMany) => {
                return plain(StatusCode::TOO_MANY_REQUESTS, &[(RETRY_AFTER, "7")], "slow down");
            }
            Some(Fault::Away) => {
                return plain(StatusCode::SERVICE_UNAVAILABLE, &[(RETRY_AFTER, "9")], "out for lunch");
            }
            Some(Fault::Broken) => return plain(StatusCode::INTERNAL_SERVER_ERROR, &[], "oh no"),
            Some(Fault::Elsewhere) => {
                return plain(StatusCode::FOUND, &[(LOCATION, "http://elsewhere.example.net/")], "");
            }
            Some(Fault::Html) => return plain(StatusCode::OK, &[(CONTENT_TYPE, "text/html")], "<html>Hello"),
            Some(Fault::Shape) => return plain(StatusCode::OK, &[(CONTENT_TYPE, "application/json")], "{}"),
        }
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let fits = |route: &&Route| {
            let has = |(name, value): (&String, &String)| {
                query.iter().any(|(n, v)| n == name && (value == "*" || v == value))
            };
            route.method == request.method().as_str()
                && route.path == request.uri().path()
                && route.query.iter().all(has)
        };
        match self.state.routes.route.iter().find(fits) {
            Some(route) => self.routed(route, &query, request.headers(), fault),
            None => {
                self.state.changing.lock().unwrap().unknown.push(line.clone());
                plain(StatusCode::NOT_IMPLEMENTED, &[], &line)
            }
        }
    }

    fn routed(
        &self,
        route: &Route,
        query: &[(String, String)],
        asked: &HeaderMap,
        fault: Option<Fault>,
    ) -> Response<Body> {
        let status = StatusCode::from_u16(route.status).unwrap();
        let mut response = match (&route.file, &route.text, &route.bytes, &route.image) {
            (Some(file), None, None, None) => {
                let path = self.state.folder.join(file);
                let text =
                    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                plain(status, &[(CONTENT_TYPE, "application/json")], &self.current(&text))
            }
            (None, Some(text), None, None) => {
                plain(status, &[(CONTENT_TYPE, "application/json")], &self.current(text))
            }
            (None, None, None, Some(image)) => {
                let bytes = std::fs::read(self.state.folder.join(image)).unwrap();
                let answer = match fault {
                    Some(Fault::Half) if !asked.contains_key(RANGE) => {
                        cut(&bytes[..bytes.len() / 2], bytes.len())
                    }
                    Some(Fault::Deaf) => file(&bytes, &HeaderMap::new()),
                    Some(Fault::Endless) => file(&bytes, &HeaderMap::new()).map(of_no_length),
                    Some(fault @ (Fault::Longer | Fault::Shorter)) => lie(file(&bytes, asked), fault),
                    _ => file(&bytes, asked),
                };
                let length = answer.body().size_hint().exact().unwrap_or_default();
                self.state.changing.lock().unwrap().sent += length as usize;
                answer
            }
            (None, None, Some(bytes), None) => match &self.state.routes.expiring {
                Some(expiring) if !self.is_current(expiring, query) => {
                    return plain(StatusCode::FOUND, &[(LOCATION, &expiring.login)], "");
                }
                _ => file(bytes.as_bytes(), asked),
            },
            _ => panic!("route `{}` needs one of `file`, `text`, `bytes` and `image`", route.path),
        };
        for (name, value) in &route.headers {
            let name = HeaderName::try_from(name).unwrap();
            response.headers_mut().insert(name, HeaderValue::try_from(self.current(value)).unwrap());
        }
        response
    }

    fn current(&self, text: &str) -> String {
        let text = self.here(text);
        let epoch = self.state.changing.lock().unwrap().epoch;
        match &self.state.routes.expiring {
            Some(expiring) => text.replace(&expiring.placeholder, &format!("epoch-{epoch}")),
            None => text.replace("EPOCH", &epoch.to_string()),
        }
    }

    fn is_current(&self, expiring: &Expiring, query: &[(String, String)]) -> bool {
        let epoch = self.state.changing.lock().unwrap().epoch;
        query.iter().any(|(name, value)| *name == expiring.param && *value == format!("epoch-{epoch}"))
    }
}

/// A file, or the part of it that was asked for.
fn file(bytes: &[u8], asked: &HeaderMap) -> Response<Body> {
    let range =
        asked.get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let Some((start, end)) = range else {
        return raw(StatusCode::OK, &[(CONTENT_TYPE, "image/jpeg")], bytes);
    };
    let start: usize = start.parse().unwrap();
    let last = bytes.len() - 1;
    // As many servers do, ours takes an end beyond what a file can have for a mistake.
    let end = match end {
        "" => Some(last),
        end => end.parse::<i64>().ok().and_then(|end| usize::try_from(end).ok()).map(|end| end.min(last)),
    };
    let Some(end) = end.filter(|end| start <= *end) else {
        return plain(StatusCode::RANGE_NOT_SATISFIABLE, &[], "no such range");
    };
    let part = format!("bytes {start}-{end}/{}", bytes.len());
    let headers = [(CONTENT_TYPE, "image/jpeg"), (CONTENT_RANGE, part.as_str())];
    raw(StatusCode::PARTIAL_CONTENT, &headers, &bytes[start..=end])
}

/// A part of a file that is not what it is said to be.
fn lie(mut answer: Response<Body>, fault: Fault) -> Response<Body> {
    let Some(range) = answer.headers().get(CONTENT_RANGE) else { return answer };
    let (part, total) = range.to_str().unwrap().split_once('/').unwrap();
    let total = total.parse::<u64>().unwrap() + u64::from(fault == Fault::Longer);
    let range = HeaderValue::try_from(format!("{part}/{total}")).unwrap();
    answer.headers_mut().insert(CONTENT_RANGE, range);
    if fault == Fault::Shorter {
        let short = Full::new(Bytes::from_static(b"short")).map_err(|never| match never {});
        *answer.body_mut() = BodyExt::boxed_unsync(short);
    }
    answer
}

/// The same bytes, of which nobody says how many there are.
fn of_no_length(body: Body) -> Body {
    BodyExt::boxed_unsync(StreamBody::new(body.into_data_stream().map_ok(Frame::data)))
}

/// An answer that announces more than it sends.
fn cut(sent: &[u8], announced: usize) -> Response<Body> {
    let begin = stream::iter([Ok(Frame::data(Bytes::copy_from_slice(sent)))]);
    // What was written so far goes out while the stream has nothing to give.
    let end = stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::other("cut"))
    });
    let body = StreamBody::new(begin.chain(end).boxed());
    Response::builder().header("content-length", announced).body(BodyExt::boxed_unsync(body)).unwrap()
}

fn plain(status: StatusCode, headers: &[(HeaderName, &str)], text: &str) -> Response<Body> {
    raw(status, headers, text.as_bytes())
}

fn raw(status: StatusCode, headers: &[(HeaderName, &str)], bytes: &[u8]) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(bytes)).map_err(|never| match never {});
    let mut response = Response::new(BodyExt::boxed_unsync(body));
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().insert(name.clone(), HeaderValue::from_str(value).unwrap());
    }
    response
}

fn get() -> String {
    "GET".to_owned()
}

fn ok() -> u16 {
    200
}
