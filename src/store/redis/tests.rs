//! The store on live servers of every kind, and what becomes of one that does not answer.

use std::sync::Arc;

use futures_util::FutureExt;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, ConnectionAddr, IntoConnectionInfo, RedisResult, Value};
use tokio::net::TcpListener;
use tokio::task::yield_now;

use super::*;
use crate::store::suite;

#[path = "../../../tests/it/support/port.rs"]
mod port;
#[path = "../../../tests/it/support/redis.rs"]
mod server;

use server::{Role, Server};

const MINUTE: Duration = Duration::from_secs(60);

fn at(url: &str) -> Settings {
    Settings { url: Some(url.into()), ..Settings::default() }
}

fn key(name: &str) -> Key {
    Key::new(["tile", name])
}

/// A store whose first connection was tried.
async fn open(settings: &Settings) -> Redis {
    let store = Redis::open("redis", settings).unwrap().unwrap();
    settled(&store, |standing| *standing != Standing::Trying).await;
    store
}

/// Waits until things stand like this.
async fn settled(store: &Redis, wanted: impl Fn(&Standing) -> bool) {
    while !wanted(&store.standing()) {
        yield_now().await;
    }
}

/// Somebody who looks after a server, past the store.
struct Operator(MultiplexedConnection);

impl Operator {
    async fn of(server: &Server) -> Self {
        let address = ConnectionAddr::Tcp("127.0.0.1".to_owned(), server.port());
        let client = Client::open(address.into_connection_info().unwrap()).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    async fn say<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_to_say(words).await.unwrap()
    }

    async fn try_to_say<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = Cmd::new();
        command.arg(words);
        command.query_async(&mut self.0.clone()).await
    }

    /// Redis has no clock that could be moved: every end comes nearer instead.
    async fn let_pass(&self, time: Duration) {
        let keys: Vec<Vec<u8>> = self.say(&["KEYS", "loggia:*"]).await;
        for key in keys {
            let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut self.0.clone()).await.unwrap();
            let mut sooner = redis::cmd("PEXPIRE");
            sooner.arg(&key).arg(left - time.as_millis() as i64);
            let _: Value = sooner.query_async(&mut self.0.clone()).await.unwrap();
        }
    }
}

/// Everything that every store must do, at this address, where `server` holds the values.
async fn passes_the_suite(url: &str, server: &Server) {
    let store = open(&at(url)).await;
    assert_eq!(store.standing(), Standing::Up, "{url}");
    let operator = Operator::of(server).await;
    suite::run(Arc::new(store), async |time| operator.let_pass(time).await).await;
}

#[tokio::test]
async fn passes_the_suite_on_one_node() {
    let Some(server) = Server::start(&[]) else { return };
    passes_the_suite(&server.url(), &server).await;
    passes_the_suite(&format!("redis://127.0.0.1:{}", server.port()), &server).await;
}

#[tokio::test]
async fn passes_the_suite_by_way_of_a_sentinel() {
    let Some(node) = Server::start(&[]) else { return };
    let Some(sentinel) = Server::start_as(Role::Sentinel(node.port()), &[]) else { return };
    // The first one is not there.
    let url = format!("redis+sentinel://127.0.0.1:1,127.0.0.1:{}/main", sentinel.port());
    passes_the_suite(&url, &node).await;
}

/// Makes one node of a cluster the replica of another, which tells clients of it.
async fn follow(replica: &Operator, primary: &Operator, port: u16) {
    let nodes: String = primary.say(&["CLUSTER", "NODES"]).await;
    let (id, at) = nodes.split_once(' ').unwrap();
    let bus = at.split(['@', ',', ' ']).nth(1).unwrap();
    let _: Value = replica.say(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), bus]).await;
    // Refused until the two have met.
    while replica.try_to_say::<Value>(&["CLUSTER", "REPLICATE", id]).await.is_err() {
        yield_now().await;
    }
    while primary.say::<Vec<Vec<Value>>>(&["CLUSTER", "SLOTS"]).await[0].len() < 4 {
        yield_now().await;
    }
}

#[tokio::test]
async fn passes_the_suite_on_a_cluster_with_a_replica() {
    let at_once = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
    let Some(server) = Server::start_as(Role::Cluster, &at_once) else { return };
    let Some(replica) = Server::start_as(Role::Cluster, &at_once) else { return };
    let operator = Operator::of(&server).await;
    let _: Value = operator.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !operator.say::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        yield_now().await;
    }
    follow(&Operator::of(&replica).await, &operator, server.port()).await;
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    passes_the_suite(&url, &server).await;
    let store = open(&at(&url)).await;
    let mut ear = store.listen();
    assert_eq!(ear.next().await, Some(News::Gap));
    assert_eq!(store.say(b"hello").await.unwrap(), 1);
    assert_eq!(ear.next().await, Some(News::Said(Bytes::from_static(b"hello"))));
}

#[tokio::test]
async fn everything_ends_and_lies_under_one_prefix() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, operator) = (open(&at(&server.url())).await, Operator::of(&server).await);
    store.put(&key("a"), Bytes::from_static(b"v"), MINUTE).await.unwrap();
    store.put(&key("b"), Bytes::from_static(b"v"), Duration::MAX).await.unwrap();
    assert!(store.put_new(&key("c"), Bytes::from_static(b"v"), Duration::from_nanos(1)).await.unwrap());
    store.put(&key("d"), Bytes::from(vec![0; LARGEST + 1]), MINUTE).await.unwrap();
    store.touch(&key("a"), Duration::MAX).await.unwrap();
    let keys: Vec<String> = operator.say(&["KEYS", "*"]).await;
    for name in ["loggia:tile/a", "loggia:tile/b"] {
        assert!(keys.iter().any(|key| key == name), "{keys:?}");
    }
    for key in &keys {
        assert!(key.starts_with("loggia:tile/") && key != "loggia:tile/d", "{key}");
        let left: i64 = operator.say(&["PTTL", key]).await;
        assert_ne!(left, -1, "`{key}` has no end");
    }
    // What somebody else wrote without an end is not ours to believe in.
    let _: Value = operator.say(&["SET", "loggia:tile/e", "v"]).await;
    assert_eq!(store.look(&key("e")).await.unwrap(), None);
}

#[tokio::test]
async fn a_full_redis_refuses_what_is_new_and_gives_what_it_has() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else { return };
    let (store, operator) = (open(&at(&server.url())).await, Operator::of(&server).await);
    store.put(&key("a"), Bytes::from_static(b"v"), MINUTE).await.unwrap();
    let _: Value = operator.say(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = store.put(&key("b"), Bytes::from_static(b"v"), MINUTE).await.unwrap_err().to_string();
    assert!(refused.contains("OOM"), "{refused}");
    assert_eq!(store.get(&key("a")).await.unwrap(), Some(Bytes::from_static(b"v")));
    assert!(store.put(&key("a"), Bytes::from_static(b"w"), MINUTE).await.is_err());
    assert_eq!(store.get(&key("a")).await.unwrap(), None, "the old value must not stay");
    assert_eq!(store.standing(), Standing::Up);
}

#[tokio::test]
async fn a_redis_that_is_gone_costs_nothing_and_is_seen_when_it_is_back() {
    let Some(mut server) = Server::start(&[]) else { return };
    let store = open(&at(&server.url())).await;
    store.put(&key("a"), Bytes::from_static(b"v"), MINUTE).await.unwrap();
    server.stop();
    assert!(store.get(&key("a")).await.is_err());
    assert!(matches!(store.standing(), Standing::Down(_)));
    server.run();
    settled(&store, |standing| *standing == Standing::Up).await;
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
    store.put(&key("a"), Bytes::from_static(b"w"), MINUTE).await.unwrap();
    assert_eq!(store.get(&key("a")).await.unwrap(), Some(Bytes::from_static(b"w")));
}

#[tokio::test]
async fn a_redis_that_hangs_costs_one_timeout() {
    let Some(server) = Server::start(&[]) else { return };
    let store = open(&Settings { timeout: units::Duration::millis(100), ..at(&server.url()) }).await;
    let operator = Operator::of(&server).await;
    let _: Value = operator.say(&["CLIENT", "PAUSE", "2000"]).await;
    let all = futures_util::future::join_all((0..20).map(|n| {
        let store = &store;
        async move { store.get(&key(&n.to_string())).await }
    }));
    assert!(all.await.iter().all(Result::is_err));
    for _ in 0..100 {
        let error =
            store.get(&key("a")).now_or_never().expect("nobody waits for it").unwrap_err().to_string();
        assert!(error.contains("no answer within 100 ms"), "{error}");
    }
    settled(&store, |standing| *standing == Standing::Up).await;
    assert_eq!(store.get(&key("a")).await.unwrap(), None);
}

/// Whoever accepts and says nothing is never asked anything.
#[tokio::test]
async fn a_listener_that_says_nothing_is_never_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let store = Redis::open("redis", &Settings { timeout: units::Duration::millis(50), ..at(&url) });
    let store = store.unwrap().unwrap();
    assert!(store.get(&key("a")).now_or_never().expect("nobody waits for it").is_err());
    settled(&store, |standing| matches!(standing, Standing::Down(_))).await;
}

/// Encrypted, the certificate has to be one that the system trusts.
#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    let (certificate, secret) = (format!("{tls}/host.pem"), format!("{tls}/host.key"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let arguments = ["--tls-port", &free, "--tls-cert-file", &certificate, "--tls-key-file", &secret];
    let more = ["--tls-ca-cert-file", &certificate, "--tls-auth-clients", "no"];
    let Some(_server) = Server::start(&[arguments.as_slice(), &more].concat()) else { return };
    let scheme_and_host = format!("rediss://localhost:{free}");
    let store = open(&at(&scheme_and_host)).await;
    let Standing::Down(reason) = store.standing() else { panic!("{:?}", store.standing()) };
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn the_password_is_read_anew_and_told_to_nobody() {
    let Some(server) = Server::start(&["--requirepass", "s3cret"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "wr0ng\n").unwrap();
    let settings = Settings { password_file: Some(file.clone()), ..at(&server.url()) };
    let store = open(&settings).await;
    let refused = Standing::Down("it wants another user name or password".to_owned());
    assert_eq!(store.standing(), refused);
    std::fs::write(&file, "s3cret\n").unwrap();
    settled(&store, |standing| *standing == Standing::Up).await;

    let in_url = server.url().replace("://", "://:s3cret@");
    let store = open(&at(&in_url)).await;
    assert_eq!(store.standing(), Standing::Up);
    assert!(!format!("{store:?} {:?}", at(&in_url)).contains("s3cret"));
    assert_eq!(open(&at(&server.url())).await.standing(), refused);
}

/// Who is told that somebody else was first has stored nothing.
#[tokio::test]
async fn what_is_counted_is_what_happened() {
    let Some(server) = Server::start(&[]) else { return };
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let counts = recorder.handle();
    let _counting = ::metrics::set_default_local_recorder(&recorder);
    let store = open(&at(&server.url())).await;
    for expected in [true, false, false] {
        assert_eq!(store.put_new(&key("a"), Bytes::new(), MINUTE).await.unwrap(), expected);
    }
    store.put(&key("b"), Bytes::new(), MINUTE).await.unwrap();
    store.put(&key("c"), Bytes::from(vec![0; LARGEST + 1]), MINUTE).await.unwrap();
    assert_eq!(
        (store.get(&key("a")).await.unwrap(), store.get(&key("c")).await.unwrap()),
        (Some(Bytes::new()), None)
    );
    let page = counts.render();
    let mut lines: Vec<_> = page.lines().filter(|line| line.starts_with("loggia_store_requests")).collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    loggia_store_requests_total{store="redis",outcome="hit"} 1
    loggia_store_requests_total{store="redis",outcome="miss"} 1
    loggia_store_requests_total{store="redis",outcome="refused"} 1
    loggia_store_requests_total{store="redis",outcome="stored"} 2
    "#);
}

/// What is said at one gateway is heard at all, by way of every kind of server; a lost connection is a gap.
#[tokio::test]
async fn news_are_heard_and_a_gap_is_told() {
    let Some(mut server) = Server::start(&[]) else { return };
    let Some(sentinel) = Server::start_as(Role::Sentinel(server.port()), &[]) else { return };
    let store = open(&at(&server.url())).await;
    let by_sentinel = open(&at(&format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port()))).await;
    let (mut one, mut other) = (store.listen(), by_sentinel.listen());
    for ear in [&mut one, &mut other] {
        assert_eq!(ear.next().await, Some(News::Gap));
    }
    assert_eq!(store.say(&vec![b'x'; 1 << 20]).await.unwrap(), 2);
    assert_eq!(by_sentinel.say(b"hello").await.unwrap(), 2);
    for ear in [&mut one, &mut other] {
        assert_eq!(ear.next().await, Some(News::Said(Bytes::from_static(b"hello"))));
    }
    server.stop();
    assert_eq!(one.next().await, Some(News::Lost));
    server.run();
    assert_eq!(one.next().await, Some(News::Gap));
    while store.say(b"again").await.is_err() {
        yield_now().await;
    }
    assert_eq!(one.next().await, Some(News::Said(Bytes::from_static(b"again"))));
}
