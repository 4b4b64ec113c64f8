//! How a listing goes on, page by page. Totals are never believed: they were seen to change between two pages.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{Expression, OfSource};
use super::template::Template;

/// `[paging.NAME]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Paging {
    /// One answer holds everything.
    None {
        /// The list in an answer.
        items: Expression<OfSource>,
    },
    /// Counted in rows.
    Offset {
        /// The query parameter.
        param: String,
        /// Its value, of `{offset}` and `{size}`.
        #[serde(default = "bare_offset")]
        format: Template,
        /// Rows per page, as asked for.
        size: u64,
        /// A query parameter for the size alone.
        size_param: Option<String>,
        items: Expression<OfSource>,
        /// What tells the last page; `short` if absent.
        end: Option<End>,
        /// Instead of `end`: null or false over the answer that is the last.
        next: Option<Expression<OfSource>>,
    },
    /// Counted in pages.
    Page {
        /// The query parameter.
        param: String,
        /// Number of the first page.
        #[serde(default = "first_page")]
        start: u64,
        /// Rows per page, where the system lets us choose.
        size: Option<u64>,
        /// The query parameter for the size.
        size_param: Option<String>,
        items: Expression<OfSource>,
        /// What tells the last page; `short` if absent.
        end: Option<End>,
        /// Instead of `end`: null or false over the answer that is the last.
        next: Option<Expression<OfSource>>,
    },
    /// An object in the answer is merged into the next query as it is.
    Continue {
        items: Expression<OfSource>,
        /// That object; null at the end.
        next: Expression<OfSource>,
    },
}

/// What tells that a page is the last. An empty one always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum End {
    /// It has fewer rows than were asked for. Not for systems that cap the size of a page on their own.
    #[default]
    Short,
    /// Only an empty page.
    Empty,
    /// Its `Link` header has no `rel="next"`; without such a header only an empty page.
    Link,
}

/// Where a listing stands: the next page to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    /// The first or only page of a system that does not count.
    Start,
    /// From this row.
    Offset(u64),
    /// This page.
    Page(u64),
    /// What the system gave us to send back.
    Continue(Map<String, Value>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("the first"),
            Self::Offset(n) | Self::Page(n) => n.fmt(f),
            Self::Continue(object) => f.write_str(&plain(&Value::Object(object.clone()))),
        }
    }
}

/// What a page that was read says of the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    /// How many rows it had.
    pub(super) rows: u64,
    /// Whether its `Link` header names a next page, if it has one.
    pub(super) link: Option<bool>,
    /// What the `next` expression makes of it.
    pub(super) next: Value,
}

impl Paging {
    /// The key that has a value it cannot have, and why.
    pub(super) fn refuse(&self) -> Option<(&'static str, String)> {
        let (size, end) = match self {
            Self::None { .. } | Self::Continue { .. } => return None,
            Self::Offset { size, end, .. } => (Some(*size), end),
            Self::Page { size, end, .. } => (*size, end),
        };
        if size == Some(0) {
            return Some(("size", "expected at least 1".to_owned()));
        }
        if end.is_some() && self.next().is_some() {
            return Some(("end", "expected either `end` or `next`".to_owned()));
        }
        let Self::Offset { format, .. } = self else { return None };
        let stranger = format.placeholders().find(|(name, _)| !matches!(*name, "offset" | "size"));
        let refuse = |(name, _)| format!("unknown placeholder `{{{name}}}`, expected `offset` or `size`");
        stranger.map(|stranger| ("format", refuse(stranger)))
    }

    /// The expression for the rows of a page.
    pub(super) fn items(&self) -> &Expression<OfSource> {
        match self {
            Self::None { items } | Self::Continue { items, .. } => items,
            Self::Offset { items, .. } | Self::Page { items, .. } => items,
        }
    }

    /// The expression whose value [`Turn::next`] is.
    pub(super) fn next(&self) -> Option<&Expression<OfSource>> {
        match self {
            Self::Continue { next, .. } => Some(next),
            Self::Offset { next, .. } | Self::Page { next, .. } => next.as_ref(),
            Self::None { .. } => None,
        }
    }

    /// The first page.
    pub(super) fn first(&self) -> Place {
        match self {
            Self::None { .. } | Self::Continue { .. } => Place::Start,
            Self::Offset { .. } => Place::Offset(0),
            Self::Page { start, .. } => Place::Page(*start),
        }
    }

    /// What a page adds to the query; `None` if the place is none of this paging.
    pub(super) fn query(&self, place: &Place) -> Option<Vec<(String, String)>> {
        match (self, place) {
            (Self::None { .. } | Self::Continue { .. }, Place::Start) => Some(Vec::new()),
            (Self::Offset { param, format, size, size_param, .. }, Place::Offset(offset)) => {
                let value = format.text(|name| match name {
                    "size" => Cow::Owned(size.to_string()),
                    _ => Cow::Owned(offset.to_string()),
                });
                Some(with_size((param.clone(), value), size_param.as_ref(), Some(*size)))
            }
            (Self::Page { param, size, size_param, .. }, Place::Page(page)) => {
                Some(with_size((param.clone(), page.to_string()), size_param.as_ref(), *size))
            }
            (Self::Continue { .. }, Place::Continue(object)) => {
                Some(object.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
            }
            _ => None,
        }
    }

    /// The page after `place`, or `None` at the end. A page that the system cut short moves the
    /// offset by what it had, so that no row is stepped over.
    pub(super) fn turn(&self, place: &Place, turn: &Turn) -> Option<Place> {
        match (self, place) {
            (Self::Continue { .. }, _) => match &turn.next {
                Value::Object(object) if !object.is_empty() => Some(Place::Continue(object.clone())),
                _ => None,
            },
            (Self::Offset { .. }, Place::Offset(offset)) if !self.ends(turn) => {
                offset.checked_add(turn.rows).map(Place::Offset)
            }
            (Self::Page { .. }, Place::Page(page)) if !self.ends(turn) => {
                page.checked_add(1).map(Place::Page)
            }
            _ => None,
        }
    }

    /// Whether a counted page is the last.
    fn ends(&self, turn: &Turn) -> bool {
        let (size, end) = match self {
            Self::None { .. } | Self::Continue { .. } => return true,
            Self::Offset { size, end, .. } => (Some(*size), end.unwrap_or_default()),
            Self::Page { size, end, .. } => (*size, end.unwrap_or_default()),
        };
        turn.rows == 0
            || match (self.next(), end) {
                (Some(_), _) => matches!(turn.next, Value::Null | Value::Bool(false)),
                (None, End::Short) => size.is_some_and(|size| turn.rows < size),
                (None, End::Empty) => false,
                (None, End::Link) => turn.link == Some(false),
            }
    }
}

fn with_size(first: (String, String), param: Option<&String>, size: Option<u64>) -> Vec<(String, String)> {
    let size = param.zip(size).map(|(param, size)| (param.clone(), size.to_string()));
    std::iter::once(first).chain(size).collect()
}

/// A scalar as it stands in a query.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn bare_offset() -> Template {
    Template::try_from("{offset}".to_owned()).expect("a well-formed template")
}

fn first_page() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn paging(text: &str) -> Paging {
        toml::from_str(text).unwrap()
    }

    /// Reads a list of `total` rows from a system that gives at most `cap` rows a page.
    fn read(paging: &Paging, size: u64, cap: u64, total: u64) -> Vec<u64> {
        let mut rows = Vec::new();
        let mut place = Some(paging.first());
        while let Some(here) = place {
            assert!(rows.len() as u64 <= total, "the listing does not end");
            let length = size.min(cap);
            let from = match here {
                Place::Offset(offset) => offset,
                Place::Page(page) => (page - 1) * length,
                _ => 0,
            };
            let to = total.min(from + length);
            rows.extend(from..to.max(from));
            let link = Some(to < total);
            let turn = Turn { rows: to.saturating_sub(from), link, next: json!(to < total) };
            place = paging.turn(&here, &turn);
        }
        rows
    }

    proptest! {
        #[test]
        fn every_row_is_read_once(size in 1_u64..9, cap in 1_u64..9, total in 0_u64..40) {
            let all: Vec<u64> = (0..total).collect();
            for kind in ["offset", "page"] {
                for end in ["end='empty'", "end='link'", "next='.'"] {
                    let text = format!("kind='{kind}'\nparam='p'\nsize={size}\nitems='.'\n{end}");
                    prop_assert_eq!(&read(&paging(&text), size, cap, total), &all, "{}", text);
                }
                let text = format!("kind='{kind}'\nparam='p'\nsize={size}\nitems='.'");
                prop_assert_eq!(&read(&paging(&text), size, size, total), &all, "{}", text);
            }
        }
    }

    #[test]
    fn each_kind_asks_in_its_own_way() {
        let query = |text: &str, place: Place| paging(text).query(&place);
        let pairs = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
        };
        let offset = "kind='offset'\nparam='param5'\nformat='{offset},{size}'\nsize=200\nitems='.data'";
        assert_eq!(query(offset, Place::Offset(400)), pairs(&[("param5", "400,200")]));
        let page = "kind='page'\nparam='page'\nstart=0\nsize=50\nsize_param='per_page'\nitems='.'";
        assert_eq!(paging(page).first(), Place::Page(0));
        assert_eq!(query(page, Place::Page(3)), pairs(&[("page", "3"), ("per_page", "50")]));
        assert_eq!(query(page, Place::Offset(3)), None, "a cursor of another paging");
        let go_on = "kind='continue'\nitems='.'\nnext='.continue'";
        let object = json!({"aicontinue": "B.jpg", "n": 1}).as_object().unwrap().clone();
        assert_eq!(query(go_on, Place::Continue(object)), pairs(&[("aicontinue", "B.jpg"), ("n", "1")]));
    }

    #[test]
    fn without_a_link_header_only_an_empty_page_ends() {
        let paging = paging("kind='page'\nparam='p'\nsize=9\nitems='.'\nend='link'");
        let turn = |rows, link| paging.turn(&Place::Page(1), &Turn { rows, link, next: Value::Null });
        assert_eq!(turn(3, None), Some(Place::Page(2)));
        assert_eq!(turn(3, Some(false)), None);
        assert_eq!(turn(0, None), None);
    }
}
