//! What is in a source: its collections, or where it knows none, its whole listing as one.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::{Deserialize, Serialize};

use super::ServeError;
use super::records::Records;
use super::remembered::{Kept, Of, Remembered};
use super::replicas::Replicas;
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
/// Pages that are read of one collection, empty ones among them.
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
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// What is told of it; the label may be empty.
    pub about: Record,
    /// What it is part of, within its source; the source itself is part of all.
    pub parent: Option<Parent>,
    /// What is directly in it.
    pub members: Vec<Member>,
}

impl Kept for Collected {
    fn weight(&self) -> u64 {
        /// Id and label of a member, with what holds them.
        const MEMBER: u64 = 300;
        let about = serde_json::to_vec(&self.about).map_or(0, |json| json.len() as u64);
        about + MEMBER * (1 + self.members.len() as u64)
    }
}

impl Collections {
    /// Collections that outlive a restart in `store`. Access that a listing does not tell is read from `records`.
    pub fn new(store: Arc<dyn Store>, replicas: Replicas, records: Records, clock: Arc<dyn Clock>) -> Self {
        let kept = (store, records.epochs().clone());
        let remembered = Remembered::new(("collection", Of::Lists), IN_MEMORY, kept, replicas, clock);
        Self { remembered, records }
    }

    /// What was told, see [`Remembered::drop_told`].
    pub(super) fn told(&self) -> &Remembered<Collected> {
        &self.remembered
    }

    /// A collection. While its source does not answer, an older state of it is told.
    pub async fn get(&self, source: &Arc<Source>, leaf: &Leaf) -> Result<Arc<Collected>, ServeError> {
        let (this, asked, wanted) = (self.clone(), Arc::clone(source), leaf.clone());
        let ask = move |_| async move { this.read(&asked, &wanted).await };
        self.remembered.get(source, leaf.as_str(), ask).await
    }

    async fn read(&self, source: &Arc<Source>, leaf: &Leaf) -> Result<Collected, ServeError> {
        let Collection { about, parent, members } = all(source, leaf).await?;
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

/// All pages of a collection as one, up to [`MOST`] members. A listing that leads back to where it was, or brings
/// nothing but what was there, would go on like that.
async fn all(source: &Source, leaf: &Leaf) -> Result<Collection, ServeError> {
    let mut whole = page(source, leaf, None).await?;
    let (mut members, mut seen) = (Members::default(), Vec::new());
    loop {
        let brought = members.take(std::mem::take(&mut whole.members.items));
        let Some(after) = whole.members.next.take() else { break };
        if members.0.len() > MOST || seen.len() + 1 == PAGES {
            tracing::warn!(source = %source.name, collection = %leaf, "a collection is cut after {MOST} members");
            break;
        }
        if brought == Brought::Repeats || seen.contains(&after) {
            let message = "its listing goes round in circles".to_owned();
            let found = Some(format!("a page {} that leads to `{after}`", seen.len() + 1));
            return Err(ServeError::BadAnswer { name: source.name.clone(), message, found });
        }
        whole.members = page(source, leaf, Some(&after)).await?.members;
        seen.push(after);
    }
    whole.members.items = members.0.into_values().take(MOST).collect();
    Ok(whole)
}

/// Members in their order, each once: something put in between two questions moves others onto the next page.
#[derive(Default)]
struct Members(IndexMap<(&'static str, String), Member>);

/// What a page added to those before it.
#[derive(PartialEq, Eq)]
enum Brought {
    /// Something, or it was empty.
    News,
    /// Nothing but what was there.
    Repeats,
}

impl Members {
    fn take(&mut self, page: Vec<Member>) -> Brought {
        let (before, rows) = (self.0.len(), page.len());
        for member in page {
            let name = match &member {
                Member::Item(listed) => ("item", listed.id.to_string()),
                Member::Collection { leaf, .. } => ("collection", leaf.to_string()),
            };
            match self.0.entry(name) {
                Entry::Vacant(place) => _ = place.insert(member),
                Entry::Occupied(mut known) => narrow(known.get_mut(), &member),
            }
        }
        if rows > 0 && self.0.len() == before { Brought::Repeats } else { Brought::News }
    }
}

/// An item that is listed twice is as closed as the stricter of its rows.
fn narrow(known: &mut Member, again: &Member) {
    if let (Member::Item(known), Member::Item(again)) = (known, again) {
        known.access = known.access.zip(again.access).map(|(one, other)| one.max(other));
    }
}

/// One page of a collection; of a source without collections the root is its listing.
async fn page(source: &Source, leaf: &Leaf, after: Option<&Cursor>) -> Result<Collection, ServeError> {
    let failed = |error| match error {
        // It may say that the collection is hidden.
        AdapterError::Description { .. } => missing(leaf),
        error => ServeError::from_adapter(&source.name, "collection", error),
    };
    let abilities = source.adapter.abilities();
    if abilities.collections {
        return source.adapter.collection(leaf, after).await.map_err(failed);
    }
    if !leaf.is_root() {
        return Err(missing(leaf));
    }
    let members = match abilities.listing {
        true => source.adapter.list(after).await.map_err(failed)?,
        false => Page { items: Vec::new(), next: None },
    };
    let members = Page { items: members.items.into_iter().map(Member::Item).collect(), next: members.next };
    Ok(Collection::root(members))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::adapter::record::{Access, ItemId, Listed, MediaId};
    use crate::adapter::{Abilities, Adapter, Heard, Media};
    use crate::serve::source::tests::source;

    /// By the cursor of a page, its rows and the cursor of the next one.
    type Pages = fn(&str) -> (Vec<(&'static str, Access)>, Option<&'static str>);

    /// A source that lists what a test says.
    #[derive(Debug)]
    struct Listing {
        pages: Pages,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Adapter for Listing {
        fn abilities(&self) -> Abilities {
            Abilities { listing: true, ..Abilities::default() }
        }

        async fn record(&self, id: &ItemId, _: &Heard) -> Result<Record, AdapterError> {
            Err(AdapterError::NotFound(id.to_string()))
        }

        fn item_of(&self, _: &MediaId) -> Option<ItemId> {
            None
        }

        async fn media(&self, id: &MediaId, _: Option<std::ops::Range<u64>>) -> Result<Media, AdapterError> {
            Err(AdapterError::NotFound(id.to_string()))
        }

        async fn list(&self, after: Option<&Cursor>) -> Result<Page<Listed>, AdapterError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let (rows, next) = (self.pages)(after.map_or("", Cursor::as_str));
            let listed = |(id, access): (&str, Access)| Listed {
                id: id.into(),
                version: None,
                label: None,
                access: Some(access),
                thumbnail: None,
            };
            Ok(Page { items: rows.into_iter().map(listed).collect(), next: next.map(Cursor::from) })
        }
    }

    /// Its members, and how often it was asked.
    async fn read(pages: Pages) -> (Result<Vec<(String, Option<Access>)>, ServeError>, usize) {
        let listing = Arc::new(Listing { pages, asked: AtomicUsize::new(0) });
        let source = Source { adapter: listing.clone(), ..source("maps") };
        let member = |member| match member {
            Member::Item(listed) => (listed.id.to_string(), listed.access),
            Member::Collection { .. } => panic!("a listing has items"),
        };
        let whole = all(&source, &Leaf::root()).await;
        let members = whole.map(|whole| whole.members.items.into_iter().map(member).collect());
        (members, listing.asked.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_row_that_moved_onto_the_next_page_is_one_member_and_its_stricter_word_holds() {
        use Access::{Hidden, Open};
        let (members, _) = read(|after| match after {
            "" => (vec![("a", Open), ("b", Open)], Some("2")),
            "2" => (vec![("b", Hidden), ("c", Open)], Some("3")),
            // Whatever was on it, the definition leaves it out.
            "3" => (Vec::new(), Some("4")),
            _ => (vec![("d", Open)], None),
        })
        .await;
        let expected = [("a", Open), ("b", Hidden), ("c", Open), ("d", Open)];
        let expected = expected.map(|(id, access)| (id.to_owned(), Some(access)));
        assert_eq!(members.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_listing_that_goes_round_in_circles_is_left_at_once() {
        use Access::Open;
        let (back_and_forth, asked) = read(|after| match after {
            "" => (vec![("a", Open)], Some("B")),
            "B" => (Vec::new(), Some("C")),
            _ => (Vec::new(), Some("B")),
        })
        .await;
        insta::assert_snapshot!(back_and_forth.unwrap_err(), @"source `maps`: its listing goes round in circles, found a page 3 that leads to `B`");
        assert_eq!(asked, 3);
        let (counting, asked) = read(|after| match after {
            "" => (vec![("a", Open)], Some("2")),
            "2" => (vec![("a", Open)], Some("3")),
            _ => (vec![("a", Open)], Some("4")),
        })
        .await;
        insta::assert_snapshot!(counting.unwrap_err(), @"source `maps`: its listing goes round in circles, found a page 2 that leads to `3`");
        assert_eq!(asked, 2);
    }
}
