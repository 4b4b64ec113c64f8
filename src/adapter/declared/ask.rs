//! Asking one source: requests are built here, sent, and their answers read as the definition says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use http::header::{HeaderMap, LINK};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use url::Url;

use super::definition::{Definition, Fetch, Format, ListRules, Method};
use super::expression::{OfItem, OfSource, field};
use super::field::{Mismatch, cut};
use super::inputs::Site;
use super::judge::{Judge, Said};
use super::paging::{Paging, Place, Turn};
use super::request::Names;
use crate::adapter::record::ItemId;
use crate::adapter::{AdapterError, Heard};
use crate::jq::Input;
use crate::upstream::{Answer, Request, Upstream};

/// More elements of an `each` than one record can sensibly have.
const MOST: usize = 1000;

/// More pages of one fetch than a record can sensibly have.
const MOST_PAGES: usize = 200;

/// All answers about one item together. A client waits for half of it; who asks later finds what came of the rest.
const LONGEST: Duration = Duration::from_secs(120);

/// Requests for one record at a time; the upstream has its own limit for all of a host.
const ABREAST: usize = 8;

/// A definition, the settings of a site, and the way there.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) definition: Arc<Definition>,
    pub(super) site: Arc<Site>,
    pub(super) upstream: Upstream,
    /// Relative addresses begin here; credentials go to its origin only.
    pub(super) base: Url,
}

/// One page that was read.
struct Sheet {
    rows: Vec<Value>,
    next: Option<Place>,
}

impl Client {
    /// All answers about one item, by the name of their fetch. Those that tell whether the item is there at all
    /// are asked for first, the others side by side, and of these the ones before all that tell who may see it.
    pub(super) async fn answers(&self, id: &ItemId, heard: &Heard) -> Result<Value, AdapterError> {
        let answers = timeout(LONGEST, self.all_answers(id, heard)).await;
        answers.unwrap_or_else(|_| Err(AdapterError::TooSlow { item: id.to_string(), after: LONGEST }))
    }

    async fn all_answers(&self, id: &ItemId, heard: &Heard) -> Result<Value, AdapterError> {
        let mut root = Map::new();
        let (each, plain): (Vec<&Fetch>, Vec<&Fetch>) =
            self.definition.fetch.iter().partition(|fetch| fetch.each.is_some());
        let (first, mut rest): (Vec<&Fetch>, Vec<&Fetch>) =
            plain.into_iter().partition(|fetch| fetch.tells_absence());
        for fetch in first {
            root.insert(fetch.name.clone(), self.answer(fetch, id, heard).await?);
        }
        rest.sort_by_key(|fetch| fetch.access.is_none());
        let answers = rest.into_iter().map(|fetch| async move {
            Ok::<_, AdapterError>((fetch.name.clone(), self.answer(fetch, id, heard).await?))
        });
        root.extend(all(answers).await?);
        for fetch in each {
            let answers = self.answers_of_each(fetch, id, heard, &root).await?;
            root.insert(fetch.name.clone(), answers);
        }
        Ok(Value::Object(root))
    }

    /// The answer to one fetch; null if it is optional and there is none.
    pub(super) async fn answer(
        &self,
        fetch: &Fetch,
        id: &ItemId,
        heard: &Heard,
    ) -> Result<Value, AdapterError> {
        self.answer_for(fetch, id, heard, &Value::Null).await
    }

    async fn answers_of_each(
        &self,
        fetch: &Fetch,
        id: &ItemId,
        heard: &Heard,
        root: &Map<String, Value>,
    ) -> Result<Value, AdapterError> {
        let Some(rule) = &fetch.each else { return Ok(Value::Null) };
        let section = format!("fetch.{}", fetch.name);
        let root = Input::from(&Value::Object(root.clone()));
        let elements = field(&section, "each", rule, &root, &self.of_item(id))
            .and_then(|field| field.list())
            .map_err(|mismatch| self.shape(id.as_str(), mismatch))?;
        if elements.len() > MOST {
            let found = format!("a list of {}", elements.len());
            let mismatch = Mismatch { field: section + ".each", expected: "at most 1000 elements", found };
            return Err(self.shape(id.as_str(), mismatch));
        }
        // Boxed: the compiler cannot prove an adapter over borrowed elements to be `Send`.
        let answers: Vec<_> =
            elements.iter().map(|element| self.answer_for(fetch, id, heard, element).boxed()).collect();
        Ok(Value::Array(all(answers).await?))
    }

    async fn answer_for(
        &self,
        fetch: &Fetch,
        id: &ItemId,
        heard: &Heard,
        each: &Value,
    ) -> Result<Value, AdapterError> {
        let names = Names { each, ..self.names(id.as_str()) };
        let judge = Judge::new(&self.definition, fetch, self.of_item(id), heard);
        let said = match &fetch.paging {
            Some(paging) => self.all_pages(fetch, self.paging(paging), id, names, &judge).await?,
            None => {
                let request = self.question(&fetch.url, &fetch.query, fetch.method, &[], names)?;
                self.judged(request, fetch, id, &judge).await?.0
            }
        };
        match said {
            Said::Here(answer) => Ok(answer),
            Said::Absent if fetch.optional => {
                judge.note_access(&Input::from(&Value::Null));
                Ok(Value::Null)
            }
            Said::Absent => Err(AdapterError::NotFound(id.to_string())),
            Said::Denied => Err(AdapterError::Denied(id.to_string())),
        }
    }

    async fn all_pages(
        &self,
        fetch: &Fetch,
        paging: (&str, &Paging),
        id: &ItemId,
        names: Names<'_>,
        judge: &Judge,
    ) -> Result<Said<Value>, AdapterError> {
        let section = format!("fetch.{}", fetch.name);
        let refuse = |expected, found| {
            self.shape(id.as_str(), Mismatch { field: format!("{section}.paging"), expected, found })
        };
        let (mut rows, mut seen, mut before) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(paging.1.first());
        for _ in 0..MOST_PAGES {
            let Some(place) = next else { return Ok(Said::Here(Value::Array(rows))) };
            let extra = paging.1.query(&place).expect("the place comes from this paging");
            let request = self.question(&fetch.url, &fetch.query, fetch.method, &extra, names)?;
            let (said, headers) = self.judged(request, fetch, id, judge).await?;
            let answer = match said {
                Said::Here(answer) => answer,
                Said::Absent => return Ok(Said::Absent),
                Said::Denied => return Ok(Said::Denied),
            };
            seen.push(place);
            let page = self.sheet(&section, paging, &seen, &answer, &headers);
            let page = page.map_err(|mismatch| self.shape(id.as_str(), mismatch))?;
            // A system that does not know our parameter tells its first page for ever.
            if !page.rows.is_empty() && rows[before..] == page.rows {
                return Err(refuse("other rows on the next page", "the same again".to_owned()));
            }
            before = rows.len();
            rows.extend(page.rows);
            next = page.next;
        }
        Err(refuse("at most 200 pages", "more".to_owned()))
    }

    /// One page of the listing: its rows and the place of the next page.
    pub(super) async fn page(
        &self,
        rules: &ListRules,
        place: Option<Place>,
    ) -> Result<(Vec<Value>, Option<Place>), AdapterError> {
        let unknown = |found: String| {
            self.shape(
                "list",
                Mismatch { field: "list.paging".to_owned(), expected: "a cursor of this listing", found },
            )
        };
        let paging = self.paging(&rules.paging);
        let place = place.unwrap_or_else(|| paging.1.first());
        let extra = paging.1.query(&place).ok_or_else(|| unknown(format!("{place:?}")))?;
        let request = self.question(&rules.url, &rules.query, Method::Get, &extra, self.names(""))?;
        let answer = self.upstream.send(request).await?;
        let headers = answer.headers.clone();
        let answer = self.read(answer, Format::default(), "list", "list", Ok).await?;
        let page = self.sheet("list", paging, &[place], &answer, &headers);
        let page = page.map_err(|mismatch| self.shape("list", mismatch))?;
        Ok((page.rows, page.next))
    }

    /// A paging of the definition, with its name for errors.
    fn paging<'n>(&'n self, name: &'n str) -> (&'n str, &'n Paging) {
        (name, self.definition.paging.get(name).expect("`parse` looked it up"))
    }

    /// What is on the last of the pages that were `seen`, and whether another follows. One that was seen before
    /// would lead to the same pages again and again.
    fn sheet(
        &self,
        asking: &str,
        (name, paging): (&str, &Paging),
        seen: &[Place],
        answer: &Value,
        headers: &HeaderMap,
    ) -> Result<Sheet, Mismatch> {
        let answer = Input::from(answer);
        let scope = self.of_source();
        let section = format!("paging.{name}");
        let rows = field(&section, "items", paging.items(), &answer, &scope)?;
        let Value::Array(rows) = rows.value else { return Err(rows.mismatch("a list")) };
        let next = match paging.next() {
            Some(rule) => field(&section, "next", rule, &answer, &scope)?.value,
            None => Value::Null,
        };
        let link = headers.contains_key(LINK).then(|| names_next(headers));
        let place = seen.last().expect("the page that was read");
        let next = paging.turn(place, &Turn { rows: rows.len() as u64, link, next });
        if let Some(again) = next.as_ref().filter(|next| seen.contains(next)) {
            let found = format!("the same again, `{}`", cut(&again.to_string()));
            let field = format!("{asking}.paging");
            return Err(Mismatch { field, expected: "another cursor on the next page", found });
        }
        Ok(Sheet { rows, next })
    }

    /// Sends a question about an item and has the answer judged.
    async fn judged(
        &self,
        request: Request,
        fetch: &Fetch,
        id: &ItemId,
        judge: &Judge,
    ) -> Result<(Said<Value>, HeaderMap), AdapterError> {
        let answer = self.upstream.send(request).await?;
        let headers = answer.headers.clone();
        if let Some(said) = judge.of_status(answer.status) {
            return Ok((said, headers));
        }
        let (judge, asked) = (judge.clone(), format!("fetch.{}", fetch.name));
        let read =
            self.read(answer, fetch.format, &asked, id.as_str(), move |answer| judge.of_answer(answer));
        Ok((read.await?, headers))
    }

    /// Reads an answer, and makes of it what is wanted. `asked` is the key that errors name.
    async fn read<T: Send + 'static>(
        &self,
        answer: Answer,
        format: Format,
        asked: &str,
        item: &str,
        make: impl FnOnce(Value) -> Result<T, Mismatch> + Send + 'static,
    ) -> Result<T, AdapterError> {
        if answer.status != StatusCode::OK {
            return Err(unexpected(&answer, asked));
        }
        let retry_after = answer.retry_after();
        let body = answer.bytes().await?;
        let (client, key) = (self.clone(), asked.to_owned());
        let read = blocking(move || {
            let answer = format.read(&body).map_err(|error| Mismatch {
                field: key,
                expected: "JSON",
                found: format!("`{}` ({error})", cut(&String::from_utf8_lossy(&body[..body.len().min(400)]))),
            })?;
            if client.is_busy(&answer)? { Ok(None) } else { make(answer).map(Some) }
        });
        match read.await {
            Ok(Some(made)) => Ok(made),
            Ok(None) => Err(AdapterError::Later { asked: asked.to_owned(), retry_after }),
            Err(mismatch) => Err(self.shape(item, mismatch)),
        }
    }

    /// Whether an answer is none, but says to come back later.
    fn is_busy(&self, answer: &Value) -> Result<bool, Mismatch> {
        let Some(rule) = &self.definition.http.busy else { return Ok(false) };
        field("http", "busy", rule, &answer.into(), &self.of_source())?.truth()
    }

    /// The variables of an answer about an item.
    pub(super) fn of_item(&self, id: &ItemId) -> OfItem {
        OfItem([self.site.source.clone(), json!(id.as_str()).into()])
    }

    /// The variables of a listing.
    pub(super) fn of_source(&self) -> OfSource {
        OfSource([self.site.source.clone()])
    }

    /// An error that says which value of which item is not as promised.
    pub(super) fn shape(&self, item: &str, mismatch: Mismatch) -> AdapterError {
        let Mismatch { field, expected, found } = mismatch;
        let adapter = self.definition.adapter.name.clone();
        AdapterError::Field { adapter, item: item.to_owned(), field, expected, found }
    }
}

/// Some at a time, in order. After an error no other is begun, but what is under way is waited for: what it would
/// tell of its host, for instance that it is well again, is heard only at its end.
async fn all<T>(
    asked: impl IntoIterator<Item = impl Future<Output = Result<T, AdapterError>>>,
) -> Result<Vec<T>, AdapterError> {
    let failed = &AtomicBool::new(false);
    let asked = asked.into_iter().map(|one| async move {
        if failed.load(Ordering::Relaxed) {
            return None;
        }
        let outcome = one.await;
        failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
        Some(outcome)
    });
    let asked: Vec<_> = asked.collect();
    let outcomes: Vec<_> = stream::iter(asked).buffered(ABREAST).collect().await;
    outcomes.into_iter().flatten().collect()
}

/// Whether a `Link` header leads to a next page (*RFC 8288*).
fn names_next(headers: &HeaderMap) -> bool {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let mut parameters =
        values.flat_map(|value| value.split([',', ';'])).filter_map(|part| part.split_once('='));
    parameters.any(|(name, rel)| {
        let rel = rel.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && rel.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

/// Runs what takes a while on a thread where that does no harm.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The error for a status that has no meaning here.
pub(super) fn unexpected(answer: &Answer, asked: &str) -> AdapterError {
    let retry_after = answer.retry_after();
    AdapterError::Status { status: answer.status, asked: asked.to_owned(), retry_after }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_error_does_not_stop_what_is_under_way() {
        let (start, ended) = (Instant::now(), AtomicUsize::new(0));
        let asked = [(3, "slow"), (0, ""), (1, ""), (2, "fast")].map(|(seconds, error)| async move {
            sleep(Duration::from_secs(seconds)).await;
            match error {
                "" => Ok(seconds),
                error => Err(AdapterError::NotFound(error.to_owned())),
            }
        });
        let asked = asked.map(|one| one.inspect(|_| _ = ended.fetch_add(1, Ordering::SeqCst)));
        let outcome = all(asked).await;
        assert!(
            matches!(outcome, Err(AdapterError::NotFound(which)) if which == "slow"),
            "the first in order"
        );
        assert_eq!((ended.into_inner(), start.elapsed().as_secs()), (4, 3));
    }

    #[tokio::test]
    async fn after_an_error_nothing_is_begun() {
        let begun = &AtomicUsize::new(0);
        let asked = (0..3 * ABREAST).map(|n| async move {
            begun.fetch_add(1, Ordering::SeqCst);
            ready(if n == 2 { Err(AdapterError::Unsupported("two")) } else { Ok(n) }).await
        });
        assert!(all(asked).await.is_err());
        assert_eq!(begun.load(Ordering::SeqCst), 3);
    }
}
