//! A store in Redis or Valkey, which several replicas share.
//!
//! Redis that is slow, full, restarted or gone means errors at once, which every user of a cache takes for
//! misses. Everything is written with an end, and under one prefix.

use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{FromRedisValue, Pipeline};
use serde::Deserialize;

mod link;
mod place;
mod signal;
mod sweep;

pub use place::PlaceError;
pub use signal::{Listener, News};

use super::metrics::{self, Outcome};
use super::{Dropped, Found, Key, Scope, Standing, Store, StoreError};
use crate::secret::Secret;
use crate::units;
use link::{Link, Plan};
use place::Place;

/// All our keys begin with it: others may use the same Redis.
const PREFIX: &str = "loggia:";
/// All values share a connection, and one that is late ends its use for all: a larger one is made again instead, or
/// asked for.
const LARGEST: usize = 1 << 20;
/// The furthest end that Redis is given, in milliseconds: a hundred years.
const FURTHEST: u64 = 100 * 365 * 86_400 * 1000;

/// `[redis]`: a store that several replicas share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where it is; there is none where this is absent.
    pub url: Option<Secret>,
    /// The file that holds the password; read anew for each connection.
    pub password_file: Option<PathBuf>,
    /// How long a connection and each answer may take.
    pub timeout: units::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { url: None, password_file: None, timeout: units::Duration::millis(500) }
    }
}

impl Settings {
    /// What is wrong with the address.
    pub fn check(&self) -> Result<(), PlaceError> {
        self.place().map(drop)
    }

    /// Whether the password is given twice.
    pub fn has_two_passwords(&self) -> bool {
        let in_url = self.place().ok().flatten().is_some_and(|place| place.has_password());
        in_url && self.password_file.is_some()
    }

    fn place(&self) -> Result<Option<Place>, PlaceError> {
        self.url.as_ref().map(Place::parse).transpose()
    }
}

/// A store in Redis.
pub struct Redis {
    name: &'static str,
    link: Link,
    plan: Plan,
}

impl Redis {
    /// The store that these settings name, if they name one; `name` labels its metrics. The connection is made in
    /// the background, and again whenever it is lost.
    pub fn open(name: &'static str, settings: &Settings) -> Result<Option<Self>, PlaceError> {
        let Some(place) = settings.place()? else { return Ok(None) };
        let password_file = settings.password_file.clone();
        let plan = Plan { place, password_file, timeout: *settings.timeout };
        Ok(Some(Self { name, link: Link::open(name, plan.clone()), plan }))
    }

    /// Says something to all who listen at this moment; how many those are, of a cluster as far as one node knows.
    pub async fn say(&self, news: &[u8]) -> Result<u64, StoreError> {
        let mut publish = redis::pipe();
        publish.cmd("PUBLISH").arg(signal::CHANNEL).arg(news);
        let (heard,) = self.ask(&publish).await?;
        Ok(heard)
    }

    /// Hears what others say, and oneself.
    pub fn listen(&self) -> Listener {
        Listener::open(self.name, self.plan.clone())
    }

    /// How things stand with it just now.
    pub fn standing(&self) -> Standing {
        self.link.standing()
    }

    async fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        self.link.ask(commands).await.map_err(|reason| self.failed(reason))
    }

    fn failed(&self, reason: String) -> StoreError {
        metrics::request(self.name, Outcome::Failed);
        StoreError::Redis { at: self.link.at().to_owned(), reason }
    }

    /// Writes a value with its end, on this condition. One that is too large or already over is not written.
    async fn set<T: FromRedisValue>(
        &self,
        key: &Key,
        value: &Bytes,
        ttl: Duration,
        condition: Option<&str>,
    ) -> Result<Option<T>, StoreError> {
        if ttl.is_zero() || value.len() > LARGEST {
            metrics::request(self.name, Outcome::Refused);
            return Ok(None);
        }
        let mut set = redis::pipe();
        set.cmd("SET").arg(name(key)).arg(&**value).arg("PX").arg(millis(ttl)).arg(condition);
        let (answer,) = self.ask(&set).await?;
        Ok(Some(answer))
    }

    fn tell<T>(&self, found: Option<T>) -> Option<T> {
        metrics::request(self.name, if found.is_some() { Outcome::Hit } else { Outcome::Miss });
        found
    }
}

#[async_trait]
impl Store for Redis {
    async fn look(&self, key: &Key) -> Result<Option<Found>, StoreError> {
        let (mut look, name) = (redis::pipe(), name(key));
        look.cmd("GET").arg(&name).cmd("PTTL").arg(&name);
        let (value, left): (Option<Vec<u8>>, i64) = self.ask(&look).await?;
        // Less than nothing is left of what ended between the two, and of what somebody else wrote without an end.
        let left = u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis);
        let found = value.zip(left).map(|(value, left)| Found { value: value.into(), left });
        Ok(self.tell(found))
    }

    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        match self.set::<()>(key, &value, ttl, None).await {
            Ok(Some(())) => {
                metrics::request(self.name, Outcome::Stored);
                Ok(())
            }
            // The old value must not stay in place of the new one.
            Ok(None) => self.remove(key).await,
            Err(error) => {
                // A full Redis takes nothing and lets go all the same; where there is no line this costs nothing.
                let _ = self.remove(key).await;
                Err(error)
            }
        }
    }

    async fn take(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let mut take = redis::pipe();
        take.cmd("GETDEL").arg(name(key));
        let (value,): (Option<Vec<u8>>,) = self.ask(&take).await?;
        Ok(self.tell(value.map(Bytes::from)))
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let mut remove = redis::pipe();
        remove.cmd("UNLINK").arg(name(key)).ignore();
        self.ask(&remove).await
    }

    async fn touch(&self, key: &Key, ttl: Duration) -> Result<(), StoreError> {
        let mut touch = redis::pipe();
        touch.cmd("PEXPIRE").arg(name(key)).arg(millis(ttl)).ignore();
        self.ask(&touch).await
    }

    async fn put_new(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, StoreError> {
        let placed: Option<Option<String>> = self.set(key, &value, ttl, Some("NX")).await?;
        let is_placed = placed.flatten().is_some();
        if is_placed {
            metrics::request(self.name, Outcome::Stored);
        }
        Ok(is_placed)
    }

    async fn purge(&self, scope: &Scope) -> Result<Dropped, StoreError> {
        sweep::sweep(&self.link, scope).await.map_err(|reason| self.failed(reason))
    }
}

impl Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.link.at())
    }
}

fn name(key: &Key) -> String {
    format!("{PREFIX}{key}")
}

/// What is over sooner than Redis can count lives for the least that it can.
fn millis(ttl: Duration) -> u64 {
    match ttl.is_zero() {
        true => 0,
        false => u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, FURTHEST),
    }
}

#[cfg(test)]
mod tests;
