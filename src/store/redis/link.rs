//! The connection to Redis: nobody who asks ever waits for one, and an answer that does not come in time ends it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisError, RedisFuture, TlsMode, Value,
};
use tokio::time::timeout;

use super::PREFIX;
use super::place::{Kind, Place, Tls};
use crate::secret::{Reference, Secret};
use crate::store::watch::{Pauses, Standing, Watch};

/// How long all the steps to a line may take together; sentinels and clusters need several.
pub(super) const CONNECTING: Duration = Duration::from_secs(10);
/// Commands that may be on their way at once before the next one waits.
const QUEUE: usize = 1024;
/// Answers after which another line may lead to a node that can do it.
const ELSEWHERE: [&str; 5] = ["CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOAUTH", "READONLY"];

/// Who of a cluster is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Whoever has the key of the question; where there is one node, that one.
    Any,
    /// The primary node of a slot.
    OfSlot(u16),
}

/// A Redis that is back is seen within ten seconds.
pub(super) fn pauses() -> Pauses {
    Pauses::new(Duration::from_millis(100), Duration::from_secs(10))
}

/// All that is needed to connect.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) place: Place,
    /// Read before each connection, so that a password may change while we run.
    pub(super) password_file: Option<PathBuf>,
    /// How long a connection and each answer may take.
    pub(super) timeout: Duration,
}

/// See above.
pub(super) struct Link {
    watch: Watch<Line>,
    at: String,
    timeout: Duration,
}

impl Link {
    /// Begins to connect in the background.
    pub(super) fn open(name: &'static str, plan: Plan) -> Self {
        let (at, limit) = (plan.place.to_string(), plan.timeout);
        let plan = Arc::new(plan);
        let connect = move || {
            let plan = Arc::clone(&plan);
            async move { timeout(CONNECTING, plan.connect()).await.unwrap_or_else(|_| Err(late(CONNECTING))) }
        };
        let watch = Watch::open(name, format!("Redis at `{at}`"), pauses(), connect);
        Self { watch, at, timeout: limit }
    }

    /// Where Redis is, without what is secret.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    pub(super) fn standing(&self) -> Standing {
        self.watch.standing()
    }

    /// The answers to some commands, or why there are none.
    pub(super) async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, String> {
        self.ask_at(Node::Any, commands).await
    }

    /// The nodes that hold everything between them.
    pub(super) async fn nodes(&self) -> Result<Vec<Node>, String> {
        if !matches!(self.watch.line()?, (Line::Cluster(_), _)) {
            return Ok(vec![Node::Any]);
        }
        let mut slots = redis::pipe();
        slots.cmd("CLUSTER").arg("SLOTS");
        let (ranges,): (Vec<Vec<Value>>,) = self.ask(&slots).await?;
        primaries(&ranges).ok_or_else(|| "it does not say which nodes have its slots".to_owned())
    }

    /// The answers of one node to some commands, or why there are none.
    pub(super) async fn ask_at<T: FromRedisValue>(
        &self,
        node: Node,
        commands: &Pipeline,
    ) -> Result<T, String> {
        let (line, era) = self.watch.line()?;
        let mut line = line.to(node);
        let reason = match timeout(self.timeout, commands.query_async(&mut line)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !ends_the_line(&error) => {
                let reason = reason(&error, self.timeout);
                self.watch.complain(&reason);
                return Err(reason);
            }
            Ok(Err(error)) => reason(&error, self.timeout),
            Err(_) => late(self.timeout),
        };
        self.watch.end(era, &reason);
        Err(reason)
    }
}

impl Plan {
    /// A line on which Redis has answered a question as it will be asked.
    async fn connect(&self) -> Result<Line, String> {
        let password = self.password().await?;
        let mut line = self.line(password.as_ref()).await.map_err(|error| reason(&error, self.timeout))?;
        let mut probe = Cmd::new();
        probe.arg("GET").arg(format!("{PREFIX}probe"));
        let answer = timeout(self.timeout, probe.query_async::<Value>(&mut line)).await;
        answer.map_err(|_| late(self.timeout))?.map_err(|error| reason(&error, self.timeout))?;
        Ok(line)
    }

    async fn password(&self) -> Result<Option<Secret>, String> {
        let Some(file) = self.password_file.clone() else { return Ok(None) };
        let read = || Reference::File(file).resolve("".as_ref(), &Default::default());
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
        read.map(Some).map_err(|error| error.to_string())
    }

    async fn line(&self, password: Option<&Secret>) -> Result<Line, RedisError> {
        let login = self.place.login(password);
        let mut addresses = self.place.addresses().into_iter();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        match &self.place.kind {
            Kind::Node | Kind::Socket(_) => {
                let address = addresses.next().expect("a place has a node");
                let client = Client::open(address.into_connection_info()?.set_redis_settings(login))?;
                client.get_multiplexed_async_connection_with_config(&config).await.map(Line::Node)
            }
            Kind::Sentinel(service) => self
                .sentinel(service, &login)?
                .get_async_connection_with_config(&config)
                .await
                .map(Line::Node),
            Kind::Cluster => {
                let nodes = addresses
                    .map(|address| Ok(address.into_connection_info()?.set_redis_settings(login.clone())))
                    .collect::<Result<Vec<_>, RedisError>>()?;
                // One more try where a slot has moved; who waits in vain has the timeout of his question.
                let builder = ClusterClientBuilder::new(nodes).retries(1).connection_timeout(self.timeout);
                let client = builder.response_timeout(CONNECTING).build()?;
                client.get_async_connection().await.map(|line| Line::Cluster(Box::new(line)))
            }
        }
    }
}

impl Plan {
    /// The clients of all places where what is published is heard; one after the other is tried.
    pub(super) async fn listeners(&self) -> Result<Vec<Client>, String> {
        let password = self.password().await?;
        let login = self.place.login(password.as_ref());
        let told = |error: RedisError| reason(&error, self.timeout);
        if let Kind::Sentinel(service) = &self.place.kind {
            let mut sentinel = self.sentinel(service, &login).map_err(told)?;
            return Ok(vec![sentinel.async_get_client().await.map_err(told)?]);
        }
        // Any node of a cluster tells what was said at any other.
        let client = |address: ConnectionAddr| {
            Client::open(address.into_connection_info()?.set_redis_settings(login.clone()))
        };
        self.place.addresses().into_iter().map(client).collect::<Result<_, _>>().map_err(told)
    }

    fn sentinel(&self, service: &str, login: &RedisConnectionInfo) -> Result<SentinelClient, RedisError> {
        let addresses = self.place.addresses();
        let mut builder = SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?
            .set_client_to_redis_db(login.db());
        if let Some(user) = login.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = login.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if self.place.tls == Tls::On {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        builder.build()
    }
}

pub(super) fn late(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}

/// What Redis says, in its own words but for those about credentials, which come in several.
pub(super) fn reason(error: &RedisError, limit: Duration) -> String {
    let is_unknown = error.kind() == ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| matches!(code, "NOAUTH" | "WRONGPASS"));
    match error {
        _ if is_unknown => "it wants another user name or password".to_owned(),
        error if error.is_timeout() => late(limit),
        error => error.to_string(),
    }
}

fn ends_the_line(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || error.code().is_some_and(|code| ELSEWHERE.contains(&code))
}

/// A connection, to one node or to as many as a cluster has. Clones share it.
#[derive(Clone)]
enum Line {
    Node(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
    /// To the primary node of a slot.
    Member(Box<ClusterConnection>, u16),
}

impl Line {
    /// The same line, to one node.
    fn to(self, node: Node) -> Self {
        match (self, node) {
            (Self::Cluster(line), Node::OfSlot(slot)) => Self::Member(line, slot),
            (line, _) => line,
        }
    }
}

/// The nodes of such ranges of slots, each once: a range is its first slot, its last, its primary node and any replicas.
fn primaries(ranges: &[Vec<Value>]) -> Option<Vec<Node>> {
    let (mut seen, mut nodes) = (Vec::new(), Vec::new());
    for range in ranges {
        let [first, _, primary, ..] = &range[..] else { return None };
        if !seen.contains(&primary) {
            seen.push(primary);
            nodes.push(Node::OfSlot(u16::from_redis_value_ref(first).ok()?));
        }
    }
    Some(nodes)
}

/// The way to the primary node of a slot.
fn way(slot: u16) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master))
}

impl ConnectionLike for Line {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(line) => line.req_packed_command(cmd),
            Self::Cluster(line) => line.req_packed_command(cmd),
            Self::Member(line, slot) => {
                Box::pin(line.route_command(cmd.clone(), RoutingInfo::SingleNode(way(*slot))))
            }
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(line) => line.req_packed_commands(pipeline, offset, count),
            Self::Cluster(line) => line.req_packed_commands(pipeline, offset, count),
            Self::Member(line, slot) => {
                Box::pin(line.route_pipeline(pipeline.clone(), offset, count, way(*slot)))
            }
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(line) => line.get_db(),
            Self::Cluster(line) | Self::Member(line, _) => line.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_primary_is_named_once_however_many_replicas_it_has() {
        let range = |first, nodes: &[i64]| {
            let head = [Value::Int(first), Value::Int(first + 99)];
            let nodes = nodes.iter().map(|node| Value::Array(vec![Value::Int(*node)]));
            head.into_iter().chain(nodes).collect::<Vec<_>>()
        };
        let ranges = [range(0, &[1]), range(100, &[2, 3]), range(200, &[4, 5, 6]), range(300, &[2, 3])];
        let nodes = [0, 100, 200].map(Node::OfSlot).to_vec();
        assert_eq!(primaries(&ranges), Some(nodes));
        assert_eq!(primaries(&[range(0, &[])]), None);
    }
}
