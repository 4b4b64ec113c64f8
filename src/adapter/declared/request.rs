//! Requests are built here, from templates, settings and credentials; sending them is another matter.

use std::borrow::Cow;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use indexmap::IndexMap;
use serde_json::Value;
use url::Url;

use super::ask::Client;
use super::auth::{BadHeader, Query};
use super::definition::{FileAuth, Method, Values};
use super::field::{Mismatch, cut};
use super::inputs::Site;
use super::template::Template;
use crate::adapter::AdapterError;
use crate::upstream::{Replay, Request};

/// What the placeholders of one request stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'n> {
    pub(super) site: &'n Site,
    pub(super) id: &'n str,
    pub(super) file: &'n str,
    pub(super) each: &'n Value,
}

impl Client {
    /// A question about descriptions.
    pub(super) fn question(
        &self,
        url: &Template,
        query: &IndexMap<String, Values>,
        method: Method,
        extra: &[(String, String)],
        names: Names<'_>,
    ) -> Result<Request, AdapterError> {
        let address = self.address(url, names)?;
        let (path, inline) = address.split_once('?').unwrap_or((&address, ""));
        let mut pairs = Query::from(inline);
        for (name, values) in query {
            values.0.iter().for_each(|value| pairs.push(name, &value.text(|name| names.value(name))));
        }
        extra.iter().for_each(|(name, value)| pairs.push(name, value));
        let request = self
            .request(path, pairs, FileAuth::Same)?
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(match method {
            Method::Get => request,
            Method::Post => as_form(request),
        })
    }

    /// The address that a template makes, with the base before a relative one.
    pub(super) fn address(&self, template: &Template, names: Names<'_>) -> Result<String, AdapterError> {
        let absent = |_| AdapterError::NotFound(names.id.to_owned());
        let address = template.address(|name| names.value(name)).map_err(absent)?;
        if !template.is_relative() {
            return Ok(address);
        }
        let base = self.definition.http.base.address(|name| names.value(name)).map_err(absent)?;
        match address.strip_prefix('/') {
            Some(path) => Ok(format!("{}/{path}", base.trim_end_matches('/'))),
            None => Ok(base),
        }
    }

    /// A request with the credentials and headers of the definition, where they may go.
    pub(super) fn request(
        &self,
        address: &str,
        mut query: Query,
        auth: FileAuth,
    ) -> Result<Request, AdapterError> {
        let wrong = |found: String, expected| {
            self.shape("settings", Mismatch { field: "http".to_owned(), expected, found })
        };
        let mut url = Url::parse(address)
            .map_err(|error| wrong(format!("`{}` ({error})", cut(address)), "an http or https address"))?;
        let mut headers = HeaderMap::new();
        if auth == FileAuth::Same && url.origin() == self.base.origin() {
            let value = |name: &str| self.site.value(name);
            self.headers(&mut headers)
                .and_then(|()| self.definition.auth.apply(&mut query, &mut headers, value))
                .map_err(|error| wrong(error.to_string(), "headers that can be sent"))?;
        }
        url.set_query((!query.is_empty()).then(|| query.as_str()));
        let request = Request { headers, ..Request::get(url) };
        Ok(request.redirects(self.definition.http.redirect.into()))
    }

    fn headers(&self, headers: &mut HeaderMap) -> Result<(), BadHeader> {
        for (name, value) in &self.definition.http.headers {
            let bad = || BadHeader(name.clone());
            let key = HeaderName::try_from(name).map_err(|_| bad())?;
            let value = value.text(|name| self.site.value(name));
            headers.insert(key, HeaderValue::try_from(value).map_err(|_| bad())?);
        }
        Ok(())
    }

    /// The names that a request about an item may use.
    pub(super) fn names<'n>(&'n self, id: &'n str) -> Names<'n> {
        Names { site: &self.site, id, file: "", each: &Value::Null }
    }
}

impl Names<'_> {
    fn value(&self, name: &str) -> Cow<'_, str> {
        match name {
            "id" => Cow::Borrowed(self.id),
            "file" => Cow::Borrowed(self.file),
            "each" => plain(self.each),
            _ => match name.strip_prefix("each.") {
                Some(path) => plain(path.split('.').fold(self.each, |value, key| &value[key])),
                None => self.site.value(name),
            },
        }
    }
}

/// A scalar as it stands in an address; nothing for null.
fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The query as the body of a form. It only reads, so it may be repeated.
fn as_form(mut request: Request) -> Request {
    let body = request.url.query().unwrap_or_default().to_owned();
    request.url.set_query(None);
    let headers = request.headers;
    Request { headers, ..Request::post(request.url, body) }
        .redirects(request.redirects)
        .replay(Replay::Safe)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
}
