//! A declared source: a definition, bound to one site.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::ask::{Client, blocking};
use super::definition::{Definition, ListRules};
use super::field::Mismatch;
use super::file::Book;
use super::inputs::{Site, SiteError};
use super::mapping::{Addresses, Mapping, closed, listed};
use super::media_id;
use super::paging::Place;
use crate::adapter::record::{Access, Cursor, ItemId, Listed, MediaId, Page, Record};
use crate::adapter::{Abilities, Adapter, AdapterError, Heard, Media};
use crate::jq::Input;
use crate::upstream::{self, Upstream};

/// A source that speaks a dialect described in TOML.
#[derive(Debug)]
pub struct Declared {
    client: Client,
    book: Book,
}

impl Declared {
    /// Binds a definition to a site, of which the settings tell what the definition declares, secrets read already.
    /// Asks nothing yet.
    pub fn new(
        definition: Arc<Definition>,
        settings: &toml::Table,
        upstream: Upstream,
    ) -> Result<Self, SiteError> {
        let site = definition.site(settings)?;
        let base = definition.base(&site)?;
        let client = Client { definition, site: Arc::new(site), upstream, base };
        Ok(Self { client, book: Book::new() })
    }

    /// The record as its answers describe it.
    async fn described(
        &self,
        id: &ItemId,
        heard: &Heard,
        answers: serde_json::Value,
    ) -> Result<Record, AdapterError> {
        let unheard = if self.client.definition.tells_access() { Access::Unknown } else { Access::Open };
        let (record, told) = self.map(id, heard.access().unwrap_or(unheard), answers).await?;
        if let Some(addresses) = told {
            self.book.remember(id, addresses);
        }
        Ok(record)
    }

    /// The record that the answers describe, and the addresses of its files where they tell them.
    async fn map(
        &self,
        id: &ItemId,
        access: Access,
        answers: serde_json::Value,
    ) -> Result<(Record, Option<Addresses>), AdapterError> {
        let (client, id) = (self.client.clone(), id.clone());
        blocking(move || {
            let definition = &client.definition;
            let mapping = Mapping::new(definition, &id, client.site.source.clone(), access, &answers);
            let record = mapping.record().map_err(|mismatch| client.shape(id.as_str(), mismatch))?;
            let record = record.ok_or_else(|| AdapterError::NotFound(id.to_string()))?;
            let told = definition
                .file
                .resolve
                .as_ref()
                .map(|resolve| client.addresses_in(resolve, &id, &Input::from(&answers[&resolve.fetch])));
            Ok((record, told.transpose()?))
        })
        .await
    }

    /// What is left when a description failed: who may see the item, where that was heard before. A hidden item
    /// needs no description. Where the source was to say who may see it and did not, the failure is `unclear`.
    fn undescribed(
        &self,
        id: &ItemId,
        heard: &Heard,
        error: AdapterError,
        unclear: fn(Box<AdapterError>) -> AdapterError,
    ) -> Result<Record, AdapterError> {
        match heard.access() {
            Some(access @ Access::Hidden) => {
                tracing::warn!(adapter = self.client.definition.adapter.name, item = %id, %error, "an item is hidden, and cannot be described");
                Ok(closed(id, access))
            }
            Some(Access::Unknown) => Err(unclear(Box::new(error))),
            Some(Access::Open | Access::Login | Access::Restricted) | None => Err(error),
        }
    }
}

impl Definition {
    /// How a site of this kind is asked: what the operator wrote, with what the definition knows of the system. The
    /// smaller of two limits holds.
    pub fn upstream(
        &self,
        settings: &toml::Table,
        operator: upstream::Settings,
    ) -> Result<upstream::Settings, SiteError> {
        let http = &self.http;
        let site = self.site(settings)?;
        let agent = http.user_agent.as_ref().map(|agent| agent.text(|name| site.value(name)));
        let agent = agent.filter(|agent| !agent.is_empty());
        let rate = match (operator.rate, http.rate) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(upstream::Settings {
            base: Some(self.base(&site)?),
            hosts: operator.hosts.iter().chain(&http.hosts).cloned().collect(),
            rate,
            concurrency: operator.concurrency.min(http.concurrency.unwrap_or(usize::MAX)),
            user_agent: agent.unwrap_or(operator.user_agent),
            ..operator
        })
    }

    /// Where relative addresses begin.
    fn base(&self, site: &Site) -> Result<Url, SiteError> {
        let text = self.http.base.address(|name| site.value(name)).map_err(|error| error.to_string());
        text.and_then(|text| Url::parse(&text).map_err(|error| format!("`{text}`: {error}")))
            .map_err(SiteError::Base)
    }
}

#[async_trait]
impl Adapter for Declared {
    fn abilities(&self) -> Abilities {
        let definition = &self.client.definition;
        Abilities {
            listing: definition.list.is_some(),
            ranges: definition.file.range,
            ..Abilities::default()
        }
    }

    fn identity(&self) -> String {
        self.client.site.identity.clone()
    }

    async fn record(&self, id: &ItemId, heard: &Heard) -> Result<Record, AdapterError> {
        if id.as_str().is_empty() {
            return Err(AdapterError::NotFound(String::new()));
        }
        let answers = match self.client.answers(id, heard).await {
            Ok(answers) => answers,
            Err(error) => return self.undescribed(id, heard, error, AdapterError::Unclear),
        };
        let described = self.described(id, heard, answers).await;
        described.or_else(|error| self.undescribed(id, heard, error, AdapterError::Senseless))
    }

    fn item_of(&self, id: &MediaId) -> Option<ItemId> {
        media_id::split(self.client.definition.file.id, &id.file()).map(|(item, _)| item)
    }

    async fn media(&self, id: &MediaId, range: Option<Range<u64>>) -> Result<Media, AdapterError> {
        let (item, file) = media_id::split(self.client.definition.file.id, id)
            .ok_or_else(|| AdapterError::NotFound(id.to_string()))?;
        self.client.bytes(&self.book, (&item, &file), id, range).await
    }

    async fn list(&self, after: Option<&Cursor>) -> Result<Page<Listed>, AdapterError> {
        let Some(rules) = &self.client.definition.list else {
            return Err(AdapterError::Unsupported("listing"));
        };
        let place = after.map(|cursor| self.place(cursor)).transpose()?;
        let (rows, next) = self.client.page(rules, place).await?;
        let (client, rules) = (self.client.clone(), rules.clone());
        let items = blocking(move || client.rows(&rules, rows));
        let next = next.map(|place| Cursor::from(serde_json::to_string(&place).expect("plain data")));
        Ok(Page { items: items.await?, next })
    }
}

impl Client {
    /// The rows of one page that are items. A few without an id are left out; when all of them have lost it, the
    /// listing is not what it was.
    fn rows(&self, rules: &ListRules, rows: Vec<serde_json::Value>) -> Result<Vec<Listed>, AdapterError> {
        let (scope, mut items, mut odd) = (self.of_source(), Vec::new(), Vec::new());
        let count = rows.len();
        for (n, row) in rows.into_iter().enumerate() {
            match listed(&self.definition, rules, row, &scope) {
                Ok(item) => items.extend(item),
                Err(mismatch) => {
                    let field = mismatch.field.replacen("list.", &format!("list[{n}]."), 1);
                    odd.push(self.shape("list", Mismatch { field, ..mismatch }));
                }
            }
        }
        if count > 0 && odd.len() == count {
            return Err(odd.swap_remove(0));
        }
        for error in odd {
            tracing::warn!(%error, "a row of the listing is left out");
        }
        Ok(items)
    }
}

impl Declared {
    fn place(&self, cursor: &Cursor) -> Result<Place, AdapterError> {
        serde_json::from_str(cursor.as_str()).map_err(|_| {
            let (field, found) = ("list.paging".to_owned(), format!("`{cursor}`"));
            self.client.shape("list", Mismatch { field, expected: "a cursor of this listing", found })
        })
    }
}
