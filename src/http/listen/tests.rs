//! Connections over real sockets on the loopback address.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::service_fn;

use super::*;
use crate::http::Stack;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: loggia\r\n\r\n";
const LIMITS: Limits =
    Limits { connections: 10, header_timeout: Duration::from_secs(3600), drain: Duration::from_secs(3600) };

/// A listener at work, and the means to stop it.
struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    end: JoinHandle<Stopped>,
}

impl Served {
    async fn start(limits: Limits, app: Stack) -> Self {
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let end = tokio::spawn(serve(listener, app, limits, async {
            let _ = stopped.await;
        }));
        Self { address, stop, end }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) -> Stopped {
        self.stop.send(()).unwrap();
        self.end.await.unwrap()
    }
}

fn app<A>(answer: impl Fn(Request<Body>) -> A + Clone + Send + Sync + 'static) -> Stack
where
    A: Future<Output = Response<Body>> + Send + 'static,
{
    Stack::new(service_fn(move |req| {
        let answer = answer(req);
        async move { Ok::<_, Infallible>(answer.await) }
    }))
}

fn hello() -> Stack {
    app(async |_| Response::new("hello".into()))
}

/// An app that reports each request and waits for a word before it answers.
fn held() -> (Stack, mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    let (asked, requests) = mpsc::unbounded_channel();
    let app = app(move |_| {
        let (go, word) = oneshot::channel();
        asked.send(go).unwrap();
        async {
            let _ = word.await;
            Response::new("hello".into())
        }
    });
    (app, requests)
}

/// Everything until the other end closes, however it does that.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 15];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn clients_that_dawdle_are_shown_out() {
    let limits = Limits { header_timeout: Duration::from_secs(15), ..LIMITS };
    for (name, sent, answered) in [
        ("nothing", &b""[..], false),
        ("one letter of either protocol", b"P", false),
        ("half of HTTP/2's greeting", b"PRI * HTTP/2.0\r\n", false),
        ("HTTP/2's greeting and nothing more", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false),
        ("half a head", b"GET / HTTP/1.1\r\nhost: log", false),
        ("a request, then nothing", ASK, true),
        ("a request, then half a head", b"GET / HTTP/1.1\r\nhost: loggia\r\n\r\nGET /", true),
    ] {
        let served = Served::start(limits, hello()).await;
        let begun = Instant::now();
        let mut stream = served.connect().await;
        stream.write_all(sent).await.unwrap();
        let told = rest(stream).await;
        assert_eq!(told.ends_with("hello"), answered, "{name}: {told}");
        let waited = begun.elapsed().as_secs();
        assert!((15..=30).contains(&waited), "{name}: {waited}");
        served.stop().await;
    }
}

#[tokio::test]
async fn stopping_lets_a_request_finish_and_takes_no_new_one() {
    let (app, mut requests) = held();
    let served = Served::start(LIMITS, app).await;
    let mut stream = served.connect().await;
    stream.write_all(ASK).await.unwrap();
    let go = requests.recv().await.unwrap();
    let idle = served.connect().await;

    served.stop.send(()).unwrap();
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rest(idle).await, "");
    go.send(()).unwrap();
    let told = rest(stream).await;
    assert!(told.starts_with("HTTP/1.1 200 OK") && told.ends_with("hello"), "{told}");
    let stopped = served.end.await.unwrap();
    assert_eq!((stopped.aborted, requests.recv().await.is_none()), (0, true));
    assert!(stopped.drained >= 1, "{stopped:?}");
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_off() {
    let (app, mut requests) = held();
    let served = Served::start(Limits { drain: Duration::from_millis(20), ..LIMITS }, app).await;
    let mut stream = served.connect().await;
    stream.write_all(ASK).await.unwrap();
    let _go = requests.recv().await.unwrap();
    assert_eq!(served.stop().await, Stopped { accepted: 1, drained: 0, aborted: 1 });
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn at_the_limit_clients_wait_for_their_turn() {
    let (app, mut requests) = held();
    let served = Served::start(Limits { connections: 1, ..LIMITS }, app).await;
    let mut first = served.connect().await;
    first.write_all(ASK).await.unwrap();
    let go = requests.recv().await.unwrap();
    let mut second = served.connect().await;
    second.write_all(ASK).await.unwrap();
    // Longer would prove more, but a gateway without a limit is caught by this nearly always.
    assert!(timeout(Duration::from_millis(50), requests.recv()).await.is_err());

    go.send(()).unwrap();
    assert_eq!(first_line(&mut first).await, "HTTP/1.1 200 OK");
    drop(first);
    requests.recv().await.unwrap().send(()).unwrap();
    assert_eq!(first_line(&mut second).await, "HTTP/1.1 200 OK");
    drop(second);
    assert_eq!(served.stop().await.accepted, 2);
}

#[tokio::test]
async fn http2_is_spoken_without_tls() {
    let app = app(async |req| {
        let peer = req.extensions().get::<Peer>().unwrap().0.ip();
        Response::new(format!("{:?} from {peer}", req.version()).into())
    });
    let served = Served::start(LIMITS, app).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let res = client.get(format!("http://{}/", served.address)).send().await.unwrap();
    assert_eq!(res.version(), http::Version::HTTP_2);
    assert_eq!(res.text().await.unwrap(), "HTTP/2.0 from 127.0.0.1");
    served.stop().await;
}

/// A connection without a network, which the paused clock would run ahead of, and a client on it that speaks HTTP/2 and
/// has room for so many bytes of each answer.
async fn http2(app: Stack, patience: Duration, window: u32) -> (SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let (ours, theirs) = duplex(1 << 16);
    let conn = Conn { app: app.into(), peer: (Ipv4Addr::LOCALHOST, 9).into(), activity: Activity::begun() };
    let held = tokio::spawn(hold(Arc::new(http(&LIMITS)), ours, conn, CancellationToken::new(), patience));
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(window);
    let (asking, conn) = client.handshake(TokioIo::new(theirs)).await.unwrap();
    tokio::spawn(conn);
    (asking, held)
}

async fn ask(asking: &mut SendRequest<Empty<Bytes>>) -> Response<Incoming> {
    let req = Request::get("http://loggia/").body(Empty::new()).unwrap();
    asking.send_request(req).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn idle_connections_of_http2_are_shown_out() {
    let (mut asking, held) = http2(hello(), Duration::from_secs(15), 65_535).await;
    let begun = Instant::now();
    for pause in [0, 10, 10] {
        sleep(Duration::from_secs(pause)).await;
        let answer = ask(&mut asking).await.into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "hello");
    }
    held.await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 35);
}

#[tokio::test(start_paused = true)]
async fn clients_that_ask_and_take_nothing_are_shown_out() {
    let app = app(async |_| Response::new(vec![0; 1 << 20].into()));
    for window in [0, 1000, 100_000] {
        let (mut asking, held) = http2(app.clone(), Duration::from_secs(15), window).await;
        let begun = Instant::now();
        let res = ask(&mut asking).await;
        held.await.unwrap();
        let waited = begun.elapsed();
        assert!((STALL..=2 * STALL).contains(&waited), "{window}: {waited:?}");
        assert!(res.into_body().collect().await.is_err(), "{window}: not whole");
    }
    let (ours, mut theirs) = duplex(1 << 16);
    let begun = Instant::now();
    theirs.write_all(ASK).await.unwrap();
    let conn = Conn { app: app.into(), peer: (Ipv4Addr::LOCALHOST, 9).into(), activity: Activity::begun() };
    hold(Arc::new(http(&LIMITS)), ours, conn, CancellationToken::new(), Duration::from_secs(15)).await;
    // hyper takes one more piece into its own buffer whenever it is woken, until that is full.
    assert!((STALL..=3 * STALL).contains(&begun.elapsed()), "HTTP/1.1: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = Served::start(LIMITS, hello()).await;
    let mut stream = served.connect().await;
    let head = format!("GET / HTTP/1.1\r\nhost: loggia\r\nx: {}\r\n\r\n", "a".repeat(HEADERS as usize));
    // The answer may come, and the connection close, before all is sent.
    let _ = stream.write_all(head.as_bytes()).await;
    assert_eq!(first_line(&mut stream).await, "HTTP/1.1 431 Re");
    served.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let error = bind(taken.local_addr().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{}`", taken.local_addr().unwrap()));
}
