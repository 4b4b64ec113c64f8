//! Large files in a bucket of S3, or of a server that speaks as S3 does, which several replicas share.
//!
//! A bucket that is slow, full, gone or refuses us means errors at once, which are as good as misses. Every wait has an
//! end, and after the first failure nobody asks until it answers again. An object is there as a whole or not at all.
//! Nothing is ever dropped to make room: the bucket is the operator's.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{GetResult, MultipartUpload, ObjectStore, ObjectStoreExt, RetryConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout, timeout_at};

mod place;
mod reason;
mod wire;

pub use place::PlaceError;

use super::metrics::{self, Outcome};
use super::watch::{Pauses, Standing, Watch};
use super::{File, Files, Key, StoreError};
use crate::secret::Secret;
use crate::units;
use place::Place;
use reason::{is_missing, is_refused, late, reason};
use wire::Wire;

/// What is sent at once, and so what one upload holds in memory. S3 takes ten thousand pieces of 5 MiB or more.
const PIECE: u64 = 8 << 20;
/// Bytes a second: what is slower than this is made sooner than it is fetched.
const SLOWEST: u64 = 256 << 10;
/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause: a bucket that is back is seen within twenty seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// An object that nobody writes. Its absence is told only to those who may read and list.
const PROBE: &str = "probe";

/// `[cache.bucket]`: where several replicas keep their pyramids together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The bucket and perhaps a prefix, `s3://name/prefix`.
    pub url: Option<String>,
    /// The server; Amazon's where this is absent.
    pub endpoint: Option<String>,
    /// The region; most servers other than Amazon's do not care.
    pub region: String,
    /// Who we are.
    pub access_key: Option<Secret>,
    /// What proves it.
    pub secret_key: Option<Secret>,
    /// How long a connection and each answer may take, and a transfer stand still.
    pub timeout: units::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: None,
            secret_key: None,
            timeout: units::Duration::secs(5),
        }
    }
}

impl Settings {
    /// What is wrong with the address of the bucket.
    pub fn check_url(&self) -> Result<(), PlaceError> {
        self.url.as_deref().map_or(Ok(()), |url| place::named(url).map(drop))
    }

    /// What is wrong with the address of the server.
    pub fn check_endpoint(&self) -> Result<(), PlaceError> {
        self.endpoint.as_deref().map_or(Ok(()), |endpoint| place::server(endpoint).map(drop))
    }
}

/// Why there is no way to a bucket.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address leads to none.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// No client can be made for it.
    #[error("no client for the bucket: {0}")]
    Client(String),
}

/// Files in a bucket, under keys. Cloning it is cheap.
#[derive(Clone)]
pub struct Bucket {
    name: &'static str,
    place: Arc<Place>,
    objects: AmazonS3,
    watch: Arc<Watch<()>>,
    patience: Duration,
}

/// The names of what lay in a bucket when it was looked through: sixteen bytes each.
#[derive(Debug, Default)]
pub struct Inventory(HashSet<[u8; 16]>);

/// What a refusal says of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Who may not read has no use of it.
    Read,
    /// Who may not write may still read.
    Write,
}

impl Bucket {
    /// The bucket that these settings name; `name` labels its metrics. Whether it answers is found
    /// out in the background.
    pub fn open(name: &'static str, settings: &Settings) -> Result<Self, OpenError> {
        let place = Place::parse(settings.url.as_deref().unwrap_or_default(), settings.endpoint.as_deref())?;
        let patience = *settings.timeout;
        let objects = client(&place, settings)?;
        let probe = {
            let (objects, path) = (objects.clone(), Path::from(place.within(PROBE)));
            move || {
                let (objects, path) = (objects.clone(), path.clone());
                async move { probe(&objects, &path, patience).await }
            }
        };
        let pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        let watch = Arc::new(Watch::open(name, format!("the bucket `{place}`"), pauses, probe));
        Ok(Self { name, place: Arc::new(place), objects, watch, patience })
    }

    /// How things stand with it just now.
    pub fn standing(&self) -> Standing {
        self.watch.standing()
    }

    /// Whether there is something under a key.
    pub async fn has(&self, key: &Key) -> Result<bool, StoreError> {
        let path = self.path(key);
        let found = self.ask(Question::Read, self.patience, self.objects.head(&path)).await?;
        metrics::request(self.name, if found.is_some() { Outcome::Hit } else { Outcome::Miss });
        Ok(found.is_some())
    }

    /// Copies what lies under a key to the same key of `files`, if it is there. One that is larger than all of them may
    /// be is left where it is.
    pub async fn fetch(&self, key: &Key, files: &Files) -> Result<Option<File>, StoreError> {
        let path = self.path(key);
        let Some(found) = self.ask(Question::Read, self.patience, self.objects.get(&path)).await? else {
            metrics::request(self.name, Outcome::Miss);
            return Ok(None);
        };
        let (_, room) = files.room();
        if found.meta.size > room {
            metrics::request(self.name, Outcome::Refused);
            return Ok(None);
        }
        let file = self.receive(found, key, files).await?;
        metrics::request(self.name, Outcome::Hit);
        Ok(Some(file))
    }

    /// Chunk by chunk: none may be long in coming, nor all of them together.
    async fn receive(&self, found: GetResult, key: &Key, files: &Files) -> Result<File, StoreError> {
        let era = self.watch.line().map_err(|reason| self.failed(reason))?.1;
        let (length, mut received) = (found.meta.size, 0);
        let end = Instant::now() + self.time_for(length);
        let (mut draft, mut chunks) = (files.create(key).await?, found.into_stream());
        let broken = loop {
            let soon = end.min(Instant::now() + self.patience);
            match timeout_at(soon, chunks.next()).await {
                Ok(Some(Ok(chunk))) if received + chunk.len() as u64 <= length => {
                    received += chunk.len() as u64;
                    draft.append(chunk).await?;
                }
                Ok(None) if received == length => return draft.commit().await,
                Ok(None | Some(Ok(_))) => {
                    break "its answer has another length than was announced".to_owned();
                }
                Ok(Some(Err(error))) => break reason(&error),
                Err(_) => break "its answer stands still".to_owned(),
            }
        };
        self.watch.end(era, &broken);
        Err(self.failed(broken))
    }

    /// Puts a file under a key. Nobody sees it before it is whole.
    pub async fn send(&self, key: &Key, file: &File) -> Result<(), StoreError> {
        let path = self.path(key);
        if file.bytes() <= PIECE {
            let bytes = self.piece(file, 0).await?;
            self.write(self.time_for(PIECE), self.objects.put(&path, bytes.into())).await?;
        } else {
            let mut upload = self.write(self.patience, self.objects.put_multipart(&path)).await?;
            if let Err(error) = self.send_pieces(&mut *upload, file).await {
                // If that fails, too, the rules of the bucket clear it away some day.
                _ = timeout(self.patience, upload.abort()).await;
                return Err(error);
            }
        }
        metrics::request(self.name, Outcome::Stored);
        Ok(())
    }

    async fn send_pieces(&self, upload: &mut dyn MultipartUpload, file: &File) -> Result<(), StoreError> {
        let mut at = 0;
        while at < file.bytes() {
            let bytes = self.piece(file, at).await?;
            at += bytes.len() as u64;
            self.write(self.time_for(PIECE), upload.put_part(bytes.into())).await?;
        }
        self.write(self.time_for(PIECE), upload.complete()).await.map(drop)
    }

    async fn piece(&self, file: &File, at: u64) -> Result<bytes::Bytes, StoreError> {
        let part = at..file.bytes().min(at + PIECE);
        file.read(part).await.map_err(StoreError::io("read", std::path::Path::new(self.name)))
    }

    /// Removes what turned out to be damaged.
    pub async fn discard(&self, key: &Key) -> Result<(), StoreError> {
        metrics::request(self.name, Outcome::Broken);
        self.remove(key).await
    }

    /// Removes what lies under a key.
    pub async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let path = self.path(key);
        self.ask(Question::Write, self.patience, self.objects.delete(&path)).await.map(drop)
    }

    /// What there is of a kind and a source.
    pub async fn inventory(&self, kind: &str, source: &str) -> Result<Inventory, StoreError> {
        let folder = Path::from(self.place.within(&folder(kind, source, None)));
        let (mut inventory, mut listed) = (Inventory::default(), self.objects.list(Some(&folder)));
        while let Some(object) = self.next(self.patience, &mut listed).await? {
            inventory.0.extend(object.location.filename().and_then(Inventory::parse));
        }
        Ok(inventory)
    }

    /// Removes all that belongs to a source, or to one item of it; how many there were. The kind is the first part of
    /// keys, the source the second, the item the fourth. A thousand go at a time.
    pub async fn remove_all(&self, kind: &str, source: &str, item: Option<&str>) -> Result<u64, StoreError> {
        let folder = Path::from(self.place.within(&folder(kind, source, item)));
        let found = self.objects.list(Some(&folder)).map_ok(|object| object.location);
        let (mut removed, mut going) = (0, self.objects.delete_stream(found.boxed()));
        // The first of a thousand is told when all of them are gone.
        while self.next(self.time_for(PIECE), &mut going).await?.is_some() {
            removed += 1;
        }
        Ok(removed)
    }

    async fn next<T>(
        &self,
        limit: Duration,
        stream: &mut BoxStream<'_, object_store::Result<T>>,
    ) -> Result<Option<T>, StoreError> {
        self.write(limit, stream.try_next()).await
    }

    async fn write<T>(
        &self,
        limit: Duration,
        question: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        let missing = || self.failed("what was begun is gone".to_owned());
        self.ask(Question::Write, limit, question).await?.ok_or_else(missing)
    }

    /// The answer to a question; `None` where nothing is there.
    async fn ask<T>(
        &self,
        kind: Question,
        limit: Duration,
        question: impl Future<Output = object_store::Result<T>>,
    ) -> Result<Option<T>, StoreError> {
        let era = self.watch.line().map_err(|reason| self.failed(reason))?.1;
        let (reason, is_refused) = match timeout(limit, question).await {
            Ok(Ok(answer)) => return Ok(Some(answer)),
            Ok(Err(error)) if is_missing(&error) => return Ok(None),
            Ok(Err(error)) => (reason(&error), is_refused(&error)),
            Err(_) => (late(limit), false),
        };
        match kind {
            Question::Write if is_refused => self.watch.complain(&reason),
            _ => self.watch.end(era, &reason),
        }
        Err(self.failed(reason))
    }

    fn failed(&self, reason: String) -> StoreError {
        metrics::request(self.name, Outcome::Failed);
        StoreError::Bucket { at: self.place.to_string(), reason }
    }

    /// How long so many bytes may take.
    fn time_for(&self, bytes: u64) -> Duration {
        self.patience.saturating_add(Duration::from_secs(bytes / SLOWEST))
    }

    fn path(&self, key: &Key) -> Path {
        Path::from(self.place.within(&name(key)))
    }
}

impl Inventory {
    /// Whether there was something under a key.
    pub fn holds(&self, key: &Key) -> bool {
        self.0.contains(&digest(key.as_str()))
    }

    fn parse(name: &str) -> Option<[u8; 16]> {
        let mut digest = [0; 16];
        hex::decode_to_slice(name, &mut digest).ok().map(|()| digest)
    }
}

impl Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.place)
    }
}

fn client(place: &Place, settings: &Settings) -> Result<AmazonS3, OpenError> {
    let reveal = |secret: &Option<Secret>| secret.as_ref().map(Secret::reveal).unwrap_or_default().to_owned();
    // Nothing is repeated behind our back: what fails is counted, and tried again by who knows whether it is wanted.
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(Wire::new(place, *settings.timeout))
        .with_retry(once)
        .with_bucket_name(&place.bucket)
        .with_region(&settings.region)
        .with_access_key_id(reveal(&settings.access_key))
        .with_secret_access_key(reveal(&settings.secret_key))
        .with_allow_http(place.is_plain());
    if let Some(endpoint) = &place.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    builder.build().map_err(|error| OpenError::Client(reason(&error)))
}

/// Whether we may read there.
async fn probe(objects: &AmazonS3, path: &Path, patience: Duration) -> Result<(), String> {
    match timeout(patience, objects.get(path)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if is_missing(&error) => Ok(()),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err(late(patience)),
    }
}

/// The name of an object: what belongs to a source, or to an item of it, lies in one folder. Ids are hashed: they may be
/// longer than names of objects, and of letters that servers do not agree about.
fn name(key: &Key) -> String {
    let mut parts = key.as_str().split('/');
    let (kind, source) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let item = parts.nth(1).unwrap_or_default();
    format!("{kind}/{source}/{}/{}", hash(item), hash(key.as_str()))
}

/// The part of names that all have which belong to a source, or to an item of it.
fn folder(kind: &str, source: &str, item: Option<&str>) -> String {
    match item {
        Some(item) => format!("{kind}/{source}/{}", hash(Key::new([item]).as_str())),
        None => format!("{kind}/{source}"),
    }
}

fn hash(text: &str) -> String {
    hex::encode(digest(text))
}

/// Sixteen bytes, which no two will ever share.
fn digest(text: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(text)[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_what_they_belong_to() {
        let key = |source: &str, item: &str, rest: &str| Key::new(["pyramid", source, "id", item, rest]);
        let own = name(&key("maps", "a/b", "1"));
        assert!(own.starts_with(&format!("{}/", folder("pyramid", "maps", None))));
        assert!(own.starts_with(&format!("{}/", folder("pyramid", "maps", Some("a/b")))));
        assert!(!own.starts_with(&folder("pyramid", "maps", Some("a"))));
        assert!(!own.starts_with(&format!("{}/", folder("pyramid", "map", None))));
        let others = [key("maps", "a/b", "2"), key("maps", "a", "1"), key("dam", "a/b", "1")];
        assert!(others.iter().all(|other| name(other) != own));
        let long = name(&key("maps", &"ü".repeat(4000), "1"));
        assert!(long.len() < 200 && long.is_ascii());
    }

    #[test]
    fn settings_tell_nobody_their_secrets() {
        let settings: Settings =
            toml::from_str("url = 's3://pyramids'\naccess_key = 'AKIA'\nsecret_key = 's3cret'").unwrap();
        assert!(!format!("{settings:?}").contains("s3cret") && !format!("{settings:?}").contains("AKIA"));
    }
}
