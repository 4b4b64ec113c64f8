//! Where the bytes of files are, and how they are fetched. Addresses may expire and are asked for again.

use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{StreamExt, TryStreamExt};
use http::StatusCode;
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
    RANGE,
};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::ask::{Client, blocking, unexpected};
use super::auth::Query;
use super::definition::Resolve;
use super::mapping::{Addresses, addresses};
use super::request::Names;
use crate::adapter::record::{ItemId, MediaId};
use crate::adapter::{AdapterError, Content, Heard, Media};
use crate::jq::Input;
use crate::upstream::{Halt, UpstreamError, Wanted};
use crate::weighed;

/// Addresses kept in memory for all items of a source: some 20 MiB of them at most.
const REMEMBERED: u64 = 100_000;

/// The largest file that is fetched: larger than any master, smaller than any disk.
const MAX_FILE: u64 = 64 * 1024 * 1024 * 1024;

/// The addresses that a source told, by item. Never part of a record: they may hold credentials, and expire.
#[derive(Debug)]
pub(super) struct Book(Cache<ItemId, Arc<Addresses>, ByCount>);

#[derive(Clone, Copy, Debug)]
struct ByCount;

impl Weighter<ItemId, Arc<Addresses>> for ByCount {
    fn weight(&self, _: &ItemId, addresses: &Arc<Addresses>) -> u64 {
        addresses.len() as u64 + 1
    }
}

impl Book {
    pub(super) fn new() -> Self {
        Self(weighed::cache(REMEMBERED, REMEMBERED / 1000, REMEMBERED / 4, ByCount))
    }

    /// Keeps what an answer told.
    pub(super) fn remember(&self, item: &ItemId, addresses: Addresses) {
        self.0.insert(item.clone(), Arc::new(addresses));
    }

    /// Forgets what turned out to be stale, unless somebody has asked again since.
    fn forget(&self, item: &ItemId, stale: &Arc<Addresses>) {
        if self.0.peek(item).is_some_and(|known| Arc::ptr_eq(&known, stale)) {
            self.0.remove(item);
        }
    }
}

/// What became of one attempt.
enum Attempt {
    Here(Media),
    Refused(AdapterError),
}

impl Client {
    /// The bytes of one file of an item.
    pub(super) async fn bytes(
        &self,
        book: &Book,
        (item, file): (&ItemId, &str),
        id: &MediaId,
        range: Option<Range<u64>>,
    ) -> Result<Media, AdapterError> {
        let Some(resolve) = &self.definition.file.resolve else {
            let names = Names { file, ..self.names(item.as_str()) };
            let template = self.definition.file.url.as_ref().expect("a definition has `url` or `resolve`");
            let address = self.address(template, names)?;
            return match self.attempt(&address, id, range).await? {
                Attempt::Here(media) => Ok(media),
                Attempt::Refused(error) => Err(error),
            };
        };
        let known = self.addresses(book, resolve, item).await?;
        let refused = match known.get(file) {
            Some(address) => match self.attempt(address.as_str(), id, range.clone()).await? {
                Attempt::Here(media) => return Ok(media),
                Attempt::Refused(error) if self.renews(resolve) => error,
                Attempt::Refused(error) => return Err(error),
            },
            None => AdapterError::NotFound(id.to_string()),
        };
        book.forget(item, &known);
        match self.addresses(book, resolve, item).await?.get(file) {
            Some(address) => match self.attempt(address.as_str(), id, range).await? {
                Attempt::Here(media) => Ok(media),
                Attempt::Refused(error) => Err(error),
            },
            None => Err(refused),
        }
    }

    /// The addresses in an answer that is at hand.
    pub(super) fn addresses_in(
        &self,
        resolve: &Resolve,
        item: &ItemId,
        answer: &Input,
    ) -> Result<Addresses, AdapterError> {
        addresses(resolve, &self.base, answer, &self.of_item(item))
            .map_err(|mismatch| self.shape(item.as_str(), mismatch))
    }

    /// The addresses of an item, asked for once however many want them.
    async fn addresses(
        &self,
        book: &Book,
        resolve: &Resolve,
        item: &ItemId,
    ) -> Result<Arc<Addresses>, AdapterError> {
        book.0
            .get_or_insert_async(item, async {
                let fetch = self.definition.fetch_named(&resolve.fetch).expect("`parse` looked it up");
                let answer = self.answer(fetch, item, &Heard::default()).await?;
                let (client, resolve, item) = (self.clone(), resolve.clone(), item.clone());
                let found = blocking(move || client.addresses_in(&resolve, &item, &Input::from(&answer)));
                Ok(Arc::new(found.await?))
            })
            .await
    }

    fn renews(&self, resolve: &Resolve) -> bool {
        self.definition.fetch_named(&resolve.fetch).is_some_and(|fetch| fetch.volatile)
    }

    async fn attempt(
        &self,
        address: &str,
        id: &MediaId,
        range: Option<Range<u64>>,
    ) -> Result<Attempt, AdapterError> {
        let rules = &self.definition.file;
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut request =
            self.request(path, Query::from(query), rules.auth)?.max_body(MAX_FILE).wanted(Wanted::File);
        if let Some(range) = range.filter(|range| rules.range && range.start < range.end) {
            // Many servers refuse an end that no file can have.
            let text = match range.end {
                u64::MAX => format!("bytes={}-", range.start),
                end => format!("bytes={}-{}", range.start, end - 1),
            };
            let value = HeaderValue::try_from(text).expect("digits and a dash");
            request = request.header(RANGE, value);
        }
        let refused = AdapterError::Denied(id.to_string());
        let answer = match self.upstream.send(request).await {
            Ok(answer) => answer,
            // An expired address leads to the login page.
            Err(UpstreamError::Redirected { halt: Halt::Login, .. }) => return Ok(Attempt::Refused(refused)),
            Err(error) => return Err(error.into()),
        };
        match answer.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if is_page(&answer.headers) => {
                Ok(Attempt::Refused(refused))
            }
            StatusCode::OK => Ok(Attempt::Here(media(answer, 0, None))),
            StatusCode::PARTIAL_CONTENT => match content_range(&answer.headers) {
                Some((start, total)) => Ok(Attempt::Here(media(answer, start, total))),
                None => Err(unexpected(&answer, "file")),
            },
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                Ok(Attempt::Refused(AdapterError::NotFound(id.to_string())))
            }
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Ok(Attempt::Refused(refused)),
            _ => Err(unexpected(&answer, "file")),
        }
    }
}

/// The bytes of an answer as they arrive.
fn media(answer: crate::upstream::Answer, start: u64, total: Option<u64>) -> Media {
    let text = |name| text(&answer.headers, name).map(str::to_owned);
    let length = || text(CONTENT_LENGTH)?.parse().ok();
    let format = text(CONTENT_TYPE).filter(|kind| !kind.starts_with("application/octet-stream"));
    Media {
        total: total.or_else(|| if start == 0 && answer.status == StatusCode::OK { length() } else { None }),
        version: text(ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(LAST_MODIFIED)),
        format,
        start,
        content: Content::Stream(answer.stream().map_err(AdapterError::from).boxed()),
    }
}

/// First byte and, where it is told, length of the whole (*RFC 9110, 14.4*).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (part, total) = text(headers, CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = part.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// A page for people where a file was expected: a login form, or an excuse.
fn is_page(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn a_content_range_tells_the_first_byte_and_the_length() {
        let parse = |value: &'static str| {
            content_range(&HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(value))]))
        };
        assert_eq!(parse("bytes 10-19/100"), Some((10, Some(100))));
        assert_eq!(parse("bytes 10-19/*"), Some((10, None)));
        assert_eq!(parse("bytes */100"), None);
        assert_eq!(parse("rows 1-2/3"), None);
    }

    #[test]
    fn stale_addresses_are_forgotten_once() {
        let (book, item) = (Book::new(), ItemId::from("1"));
        let address = |text: &str| Addresses::from([("a".to_owned(), Url::parse(text).unwrap())]);
        book.remember(&item, address("https://dam.example.org/old"));
        let old = book.0.get(&item).unwrap();
        book.remember(&item, address("https://dam.example.org/new"));
        book.forget(&item, &old);
        assert!(book.0.get(&item).is_some(), "somebody has asked again since");
        let new = book.0.get(&item).unwrap();
        book.forget(&item, &new);
        assert!(book.0.get(&item).is_none());
    }
}
