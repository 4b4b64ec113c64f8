//! How an answer is renewed, and what is told while the source thinks, fails or forbids.

use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::{Kept, Question, Remembered, State, Told, good};
use crate::access::{Action, Verdict, decide};
use crate::adapter::Heard;
use crate::adapter::record::Access;
use crate::serve::replicas::{HELD, Turn};
use crate::serve::source::Source;
use crate::serve::{Earlier, ServeError, metrics};

/// How long "there is nothing" and "that makes no sense" are believed, unless an answer is good for less.
pub(super) const REFUSED: Duration = Duration::from_secs(30);
/// How long a source that failed is left alone while there is an older answer.
pub(super) const PAUSE: Duration = Duration::from_secs(10);
/// How long a source may think while there is an older answer; after that it is told, and the source thinks on.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long nobody waits for a source that thinks. Its answer ends this, whatever it is.
pub(super) const THINKING: Duration = Duration::from_secs(10 * 60);

impl<V> Remembered<V>
where
    V: Kept + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The answer of now: one of another replica that is fresh, or what the source tells.
    pub(super) async fn renew(
        &self,
        source: &Source,
        question: &Question,
        heard: Heard,
        ask: impl Future<Output = Result<V, ServeError>>,
    ) -> Result<Told<V>, ServeError> {
        let now = self.clock.now();
        let mut earlier = self.earlier(source, question).await;
        if let Some(told) = earlier.clone().filter(|told| self.is_fresh(source, told)) {
            self.remember(question, State::Told(told.clone()));
            return Ok(told);
        }
        earlier.take_if(|told| told.age(now) >= good(source));
        // Who has an earlier answer asks at once: what is heard against it has to hold at once.
        let _stint = match earlier {
            None if source.record_ttl > HELD => {
                let fresh = || async {
                    let told = self.written(source, question).await?;
                    (told.age(self.clock.now()) < source.record_ttl).then_some(told)
                };
                match self.replicas.turn(&self.key(source, question), fresh).await {
                    Turn::Done(told) => {
                        self.remember(question, State::Told(told.clone()));
                        return Ok(told);
                    }
                    Turn::Ours(stint) => Some(stint),
                }
            }
            // An answer that is over sooner than a lock is not worth waiting for.
            _ => None,
        };
        let outcome = self.ask(source, question, earlier.as_ref(), &heard, ask).await;
        let label = if outcome.is_ok() { "ok" } else { "error" };
        let told = match outcome {
            Ok(mut value) => {
                value.begin(question.epoch);
                // The same answer again is the same value: what rests on it stands.
                let is_same = |told: &&Told<V>| told.epoch == question.epoch && *told.value == value;
                let same = earlier.as_ref().filter(is_same).map(|told| Arc::clone(&told.value));
                let is_changed = earlier.is_some() && same.is_none();
                let told = match same {
                    Some(value) => {
                        value.told_again();
                        question.told(value, now)
                    }
                    None => question.told(Arc::new(value), now),
                };
                // Who finds nothing newer would let stand in what was told before: it may have been open to more people.
                if self.write(source, question, &told).await.is_err() && is_changed {
                    self.retract(source, question).await;
                }
                self.remember(question, State::Told(told.clone()));
                Ok(told)
            }
            Err(error) => {
                // Forgotten when the word was heard, which was none.
                if let (ServeError::Unreadable { earlier: Earlier::Kept, .. }, Some(told)) =
                    (&error, &earlier)
                {
                    let _ = self.write(source, question, told).await;
                }
                earlier.take_if(|_| heard.access() > Some(Access::Open) || self.is_void(question));
                self.instead(source, question, earlier, error).await
            }
        };
        ::metrics::counter!(metrics::ASKED, "source" => source.name.clone(), "kind" => self.kind, "outcome" => label)
            .increment(1);
        told
    }

    /// The last answer, which may have been given to another replica.
    async fn earlier(&self, source: &Source, question: &Question) -> Option<Told<V>> {
        let own = match self.memory.get(&question.name) {
            Some(State::Told(told) | State::StandIn(told, ..)) => Some(told),
            Some(State::Refused(..)) | None => None,
        };
        let own = own.filter(|told| !told.epoch.is_over(question.epoch));
        if own.is_some() && self.replicas.is_alone() {
            return own;
        }
        match (own, self.written(source, question).await) {
            // The very same: nobody has taken it back.
            (Some(own), Some(theirs)) if own.at == theirs.at => Some(Told { gap: theirs.gap, ..own }),
            (Some(own), Some(theirs)) if own.at > theirs.at => Some(own),
            (own, theirs) => theirs.or(own),
        }
    }

    /// Asks, and lets an earlier answer stand in when that takes long; until something is heard against it.
    async fn ask(
        &self,
        source: &Source,
        question: &Question,
        earlier: Option<&Told<V>>,
        heard: &Heard,
        ask: impl Future<Output = Result<V, ServeError>>,
    ) -> Result<V, ServeError> {
        let (mut ask, mut patience) = (pin!(ask), pin!(sleep(PATIENCE)));
        while let Some(told) = earlier {
            tokio::select! {
                biased;
                access = heard.stricter(Access::Open) => {
                    self.withdraw(source, question, access).await;
                    break;
                }
                outcome = &mut ask => {
                    // The word and a failure may come at once.
                    if heard.access() > Some(Access::Open) {
                        self.retract(source, question).await;
                    }
                    return outcome;
                }
                () = &mut patience, if !patience.is_elapsed() => {
                    self.stand_in(source, question, told, THINKING, &"no answer yet");
                }
            }
        }
        ask.await
    }

    /// An earlier answer may have been told to more people than may see it now. Nobody waits to hear that there is
    /// nothing for them; who may hear more waits for it.
    async fn withdraw(&self, source: &Source, question: &Question, access: Access) {
        let name = &question.name;
        match decide(access, Action::Describe) {
            Verdict::Missing => {
                let error = ServeError::NotFound { kind: "item", id: name.1.clone() };
                self.remember(question, State::Refused(error, self.clock.now() + THINKING));
                self.news.notify_waiters();
            }
            Verdict::Allowed | Verdict::NeedsLogin => _ = self.memory.remove(name),
        }
        self.retract(source, question).await;
    }

    /// Tells an earlier answer for a while.
    fn stand_in(
        &self,
        source: &Source,
        question: &Question,
        told: &Told<V>,
        period: Duration,
        reason: &dyn Display,
    ) {
        let now = self.clock.now();
        let (kind, age_s, id) = (self.kind, told.age(now).as_secs(), &question.name.1);
        ::metrics::counter!(metrics::STALE, "source" => source.name.clone()).increment(1);
        tracing::warn!(source = %source.name, id, age_s, error = %reason, "an older {kind} stands in");
        self.remember(question, State::StandIn(told.clone(), now + period, question.gap));
        self.news.notify_waiters();
    }

    /// What is told when the source gave no answer: the earlier one, if it may still stand in.
    async fn instead(
        &self,
        source: &Source,
        question: &Question,
        earlier: Option<Told<V>>,
        error: ServeError,
    ) -> Result<Told<V>, ServeError> {
        let (now, was_told) = (self.clock.now(), earlier.is_some());
        if let Some(told) = earlier.filter(|_| error.is_temporary()) {
            self.stand_in(source, question, &told, PAUSE, &error);
            return Ok(told);
        }
        match error {
            // Nothing was said, or nothing that means anything.
            ServeError::Busy
            | ServeError::Unreachable { .. }
            | ServeError::Timeout { .. }
            | ServeError::Unreadable { earlier: Earlier::Kept, .. } => {}
            _ if was_told => self.retract(source, question).await,
            _ => self.forget(source, question).await,
        }
        self.memory.remove(&question.name);
        if matches!(
            error,
            ServeError::NotFound { .. } | ServeError::BadAnswer { .. } | ServeError::Unreadable { .. }
        ) {
            tracing::debug!(source = %source.name, id = question.name.1, %error, "no {}", self.kind);
            self.remember(question, State::Refused(error.clone(), now + REFUSED.min(source.record_ttl)));
        }
        Err(error)
    }
}
