//! What one answer says before it is read as a description: whether there is such an item, and who may see it.

use http::StatusCode;
use serde_json::Value;

use super::definition::{Definition, Fetch};
use super::expression::{Expression, OfItem, field};
use super::field::{Field, Mismatch};
use crate::adapter::Heard;
use crate::adapter::record::Access;
use crate::jq::Input;

/// What a source said when asked for one thing.
#[derive(Debug)]
pub(super) enum Said<T> {
    Here(T),
    Absent,
    Denied,
}

/// What the answer to one fetch is asked before it counts as one.
#[derive(Clone)]
pub(super) struct Judge {
    fetch: Fetch,
    scope: OfItem,
    heard: Heard,
    /// Whether a status says something about the item.
    by_status: bool,
}

impl Judge {
    /// Of the answers to a fetch of this definition, about the item of this scope.
    pub(super) fn new(definition: &Definition, fetch: &Fetch, scope: OfItem, heard: &Heard) -> Self {
        let by_status = !definition.fetch.iter().any(Fetch::tells_absence);
        Self { fetch: fetch.clone(), scope, heard: heard.clone(), by_status }
    }

    /// What a status says of the item, if it says anything. Where answers tell what is absent and refused, a
    /// status speaks of the API as a whole: it was switched off, it moved, something stands before it.
    pub(super) fn of_status(&self, status: StatusCode) -> Option<Said<Value>> {
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE if self.by_status || self.fetch.optional => {
                Some(Said::Absent)
            }
            StatusCode::FORBIDDEN if self.by_status => Some(Said::Denied),
            _ => None,
        }
    }

    /// What an answer says of the item. Who may see it is noted at once: whatever else fails, it was said.
    pub(super) fn of_answer(&self, answer: Value) -> Result<Said<Value>, Mismatch> {
        let input = Input::from(&answer);
        let says = |key: &str, rule: &Option<Expression<OfItem>>, absent: bool| match rule {
            Some(rule) => field(&self.section(), key, rule, &input, &self.scope).and_then(Field::truth),
            None => Ok(absent),
        };
        if says("denied", &self.fetch.denied, false)? {
            return Ok(Said::Denied);
        }
        if !says("exists", &self.fetch.exists, true)? {
            return Ok(Said::Absent);
        }
        self.note_access(&input);
        Ok(Said::Here(answer))
    }

    /// Notes who may see the item by this answer; that to an optional fetch may be null.
    pub(super) fn note_access(&self, answer: &Input) {
        if let Some(rule) = &self.fetch.access {
            self.heard.note(access_of(field(&self.section(), "access", rule, answer, &self.scope)));
        }
    }

    fn section(&self) -> String {
        format!("fetch.{}", self.fetch.name)
    }
}

/// Closed unless open: what fails, or is none of the four words, is closed, and the operator may hear why.
pub(super) fn access_of(told: Result<Field, Mismatch>) -> Access {
    let told = told.and_then(|field| match field.access() {
        Access::Unknown => Err(field.mismatch("`open`, `login`, `restricted` or `hidden`")),
        access => Ok(access),
    });
    told.unwrap_or_else(|Mismatch { field, expected, found }| {
        tracing::debug!(field, expected, found, "who may see it is not told as promised, so nobody may");
        Access::Unknown
    })
}
