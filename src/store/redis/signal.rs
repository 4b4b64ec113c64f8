//! What one gateway tells all others at once: said once, heard by who listens at that moment.
//!
//! A task keeps a connection of its own for listening. Whoever loses it cannot know what was said until it is back, and
//! is told that there was a gap.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use redis::Value;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::link::{CONNECTING, Plan, late, pauses, reason};
use crate::store::seldom::Seldom;

/// Where it is said.
pub(super) const CHANNEL: &str = "loggia:news";
/// Nothing longer is listened to; an id has sixteen KiB at most, escaped three times as many.
const LONGEST: usize = 128 << 10;
/// How often it is tried whether somebody is still there.
const BEAT: Duration = Duration::from_secs(10);
/// Pieces of news that wait to be taken; Redis keeps the next ones, and hangs up when those get too many.
const QUEUE: usize = 256;

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Somebody said this. Whoever can write to Redis may have.
    Said(Bytes),
    /// From here on everything is heard. Nobody knows what was said before.
    Gap,
    /// From here on nothing is heard, until there was a gap.
    Lost,
}

/// Hears as long as it lives.
#[derive(Debug)]
pub struct Listener {
    news: mpsc::Receiver<News>,
    keeper: JoinHandle<()>,
}

impl Listener {
    pub(super) fn open(name: &'static str, plan: Plan) -> Self {
        let (said, news) = mpsc::channel(QUEUE);
        Self { news, keeper: tokio::spawn(keep(name, plan, said)) }
    }

    /// The next piece of news; there are no more where this is `None`.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(name: &'static str, plan: Plan, said: mpsc::Sender<News>) {
    let (mut pauses, complaints) = (pauses(), Seldom::default());
    loop {
        match timeout(CONNECTING, listen(&plan)).await.unwrap_or_else(|_| Err(late(CONNECTING))) {
            Ok((sink, stream)) => {
                if said.send(News::Gap).await.is_err() {
                    return;
                }
                pauses.reset();
                hear(&plan, sink, stream, &said).await;
                if said.send(News::Lost).await.is_err() {
                    return;
                }
            }
            Err(reason) if complaints.is_due() => {
                warn!(store = name, reason, "what other gateways purge is not heard through Redis");
            }
            Err(_) => {}
        }
        pauses.pass().await;
    }
}

async fn listen(plan: &Plan) -> Result<(PubSubSink, PubSubStream), String> {
    let mut failed = "there is nobody to listen to".to_owned();
    for client in plan.listeners().await? {
        let listening = async {
            let (mut sink, stream) = client.get_async_pubsub().await?.split();
            sink.subscribe(CHANNEL).await?;
            Ok((sink, stream))
        };
        match timeout(plan.timeout, listening).await {
            Ok(Ok(listening)) => return Ok(listening),
            Ok(Err(error)) => failed = reason(&error, plan.timeout),
            Err(_) => failed = late(plan.timeout),
        }
    }
    Err(failed)
}

/// Until the connection ends.
async fn hear(plan: &Plan, mut sink: PubSubSink, mut stream: PubSubStream, said: &mpsc::Sender<News>) {
    loop {
        tokio::select! {
            message = stream.next() => {
                let Some(message) = message else { return };
                let bytes = message.get_payload_bytes();
                if bytes.len() > LONGEST {
                    debug!(size_bytes = bytes.len(), "news through Redis are too long to be ours");
                } else if said.send(News::Said(Bytes::copy_from_slice(bytes))).await.is_err() {
                    return;
                }
            }
            () = sleep(BEAT) => {
                let answer = timeout(plan.timeout, sink.ping::<Value>()).await;
                if !matches!(answer, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
