//! What is in a source: its collections, or where it knows none, its whole listing as one.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::ServeError;
use super::records::Records;
use super::remembered::{Remembered, Weigh};
use super::source::Source;
use crate::access::{Action, Verdict, decide};
use crate::adapter::AdapterError;
use crate::adapter::record::{Collection, Cursor, Leaf, Member, Page, Parent, Record};
use crate::clock::Clock;
use crate::store::Store;

/// Collections in memory, in bytes of their JSON.
const IN_MEMORY: u64 = 64 << 20;
/// Members that are read of one collection, in parts of a thousand: more than anybody looks
/// through, few enough to be asked for while somebody waits.
const MOST: usize = 20_000;
/// Pages that are read of one collection: a listing that goes round in circles has an end.
const PAGES: usize = 1_000;
/// Records that are asked for at the same time where a listing does not tell access.
const ASKED: usize = 8;

/// Collections of all sources.
#[derive(Clone, Debug)]
pub struct Collections {
    remembered: Remembered<Collected>,
    records: Records,
}

/// A collection, as far as everybody may know of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Collected {
    /// What is told of it; the label may be empty.
    pub about: Record,
    /// What it is part of, within its source; the source itself is part of all.
    pub parent: Option<Parent>,
    /// What is directly in it.
    pub members: Vec<Member>,
}

impl Weigh for Collected {
    fn weight(&self) -> u64 {
        /// Id and label of a member, with what holds them.
        const MEMBER: u64 = 300;
        let about = serde_json::to_vec(&self.about).map_or(0, |json| json.len() as u64);
        about + MEMBER * (1 + self.members.len() as u64)
    }
}

impl Collections {
    /// Collections that outlive a restart in `store`. Access that a listing does not tell is read from `records`.
    pub fn new(store: Arc<dyn Store>, records: Records, clock: Arc<dyn Clock>) -> Self {
        Self { remembered: Remembered::new("collection", IN_MEMORY, store, clock), records }
    }

    /// A collection. While its source does not answer, an older state of it is told.
    pub async fn get(&self, source: &Arc<Source>, leaf: &Leaf) -> Result<Arc<Collected>, ServeError> {
        let (this, asked, wanted) = (self.clone(), Arc::clone(source), leaf.clone());
        let ask = move || async move { this.read(&asked, &wanted).await };
        self.remembered.get(source, leaf.as_str(), ask).await
    }

    async fn read(&self, source: &Arc<Source>, leaf: &Leaf) -> Result<Collected, ServeError> {
        let found = all(source, leaf).await;
        let Collection { about, parent, members } = found.map_err(|error| match error {
            // It may say that the collection is hidden.
            AdapterError::Description { .. } => missing(leaf),
            error => ServeError::from_adapter(&source.name, "collection", error),
        })?;
        // Made before the stream: a closure inside of it could not be sent between threads.
        let asked: Vec<_> = members.items.into_iter().map(|member| self.visible(source, member)).collect();
        let visible: Vec<Option<Member>> = stream::iter(asked).buffered(ASKED).try_collect().await?;
        Ok(Collected { about, parent, members: visible.into_iter().flatten().collect() })
    }

    async fn visible(&self, source: &Arc<Source>, mut member: Member) -> Result<Option<Member>, ServeError> {
        let Member::Item(listed) = &mut member else { return Ok(Some(member)) };
        // To look into every file of a list would cost too much; what is known is known.
        listed.thumbnail.take_if(|media| self.records.refuses(source, media));
        let access = match listed.access {
            Some(access) => access,
            None => match self.records.get(source, &listed.id).await {
                Ok(known) => known.record().access,
                Err(
                    error @ (ServeError::NotFound { .. }
                    | ServeError::BadAnswer { .. }
                    | ServeError::Unreadable { .. }),
                ) => {
                    tracing::debug!(source = %source.name, item = %listed.id, %error, "an item is left out of its collection");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            },
        };
        Ok((decide(access, Action::Discover) == Verdict::Allowed).then_some(member))
    }
}

fn missing(leaf: &Leaf) -> ServeError {
    ServeError::NotFound { kind: "collection", id: leaf.to_string() }
}

/// All pages of a collection as one, up to [`MOST`] members.
async fn all(source: &Source, leaf: &Leaf) -> Result<Collection, AdapterError> {
    let mut whole = page(source, leaf, None).await?;
    for _ in 1..PAGES {
        let members = &mut whole.members;
        let Some(after) = members.next.take() else { break };
        if members.items.len() > MOST {
            break;
        }
        let more = page(source, leaf, Some(&after)).await?.members;
        members.items.extend(more.items);
        members.next = more.next;
    }
    let members = &mut whole.members;
    if members.items.len() > MOST || members.next.is_some() {
        tracing::warn!(source = %source.name, collection = %leaf, "a collection is cut after {MOST} members");
        members.items.truncate(MOST);
    }
    Ok(whole)
}

/// One page of a collection; of a source without collections the root is its listing.
async fn page(source: &Source, leaf: &Leaf, after: Option<&Cursor>) -> Result<Collection, AdapterError> {
    let abilities = source.adapter.abilities();
    if abilities.collections {
        return source.adapter.collection(leaf, after).await;
    }
    if !leaf.is_root() {
        return Err(AdapterError::NotFound(leaf.to_string()));
    }
    let members = match abilities.listing {
        true => source.adapter.list(after).await?,
        false => Page { items: Vec::new(), next: None },
    };
    let members = Page { items: members.items.into_iter().map(Member::Item).collect(), next: members.next };
    Ok(Collection::root(members))
}
