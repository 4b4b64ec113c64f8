//! How a request shows who we are: the kinds of `[auth]`, applied to the query and the headers.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use indexmap::IndexMap;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::template::{Template, VALUE};

/// `[auth]`. Credentials that are empty in the settings are left out: the source is asked anonymously.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Auth {
    /// Everything is public.
    None {},
    /// A header of its own.
    Header { name: String, value: Template },
    /// Parameters in the query.
    Query { params: IndexMap<String, Template> },
    /// User and password (*RFC 7617*).
    Basic { user: Template, password: Template },
    /// A token (*RFC 6750*).
    Bearer { token: Template },
    /// A hash over key and query, appended last.
    SignedQuery {
        hash: Hash,
        key: Template,
        param: String,
        #[serde(default)]
        add: IndexMap<String, Template>,
    },
}

/// How a query is signed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Hash {
    /// SHA-256 in hexadecimal, lower case.
    Sha256,
}

/// A header that cannot be sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no header, or its value has characters that a header cannot carry")]
pub(super) struct BadHeader(pub(super) String);

impl Default for Auth {
    fn default() -> Self {
        Self::None {}
    }
}

impl Auth {
    /// Its templates, by the keys under which they stand.
    pub(super) fn templates(&self) -> Vec<(String, &Template)> {
        let named = |section: &str, map| named(section, map);
        match self {
            Self::None {} => Vec::new(),
            Self::Header { value, .. } => vec![("value".to_owned(), value)],
            Self::Query { params } => named("params", params),
            Self::Basic { user, password } => {
                vec![("user".to_owned(), user), ("password".to_owned(), password)]
            }
            Self::Bearer { token } => vec![("token".to_owned(), token)],
            Self::SignedQuery { key, add, .. } => {
                let mut all = named("add", add);
                all.push(("key".to_owned(), key));
                all
            }
        }
    }

    /// Adds the credentials. The query is text already encoded: what is signed is what is sent, byte for byte.
    pub(super) fn apply<'v>(
        &self,
        query: &mut Query,
        headers: &mut HeaderMap,
        value: impl Fn(&str) -> Cow<'v, str> + Copy,
    ) -> Result<(), BadHeader> {
        match self {
            Self::None {} => {}
            Self::Header { name, value: template } => {
                let bad = || BadHeader(name.clone());
                let name = HeaderName::try_from(name).map_err(|_| bad())?;
                put(headers, name, &template.text(value))?;
            }
            Self::Query { params } => add(query, params, value),
            Self::Basic { user, password } => {
                let user = user.text(value);
                if !user.is_empty() {
                    let pair = BASE64.encode(format!("{user}:{}", password.text(value)));
                    put(headers, AUTHORIZATION, &format!("Basic {pair}"))?;
                }
            }
            Self::Bearer { token } => {
                let token = token.text(value);
                if !token.is_empty() {
                    put(headers, AUTHORIZATION, &format!("Bearer {token}"))?;
                }
            }
            Self::SignedQuery { hash: Hash::Sha256, key, param, add: first } => {
                let rest = std::mem::take(query);
                add(query, first, value);
                query.append(rest);
                let digest = Sha256::new().chain_update(key.text(value)).chain_update(query.as_str());
                query.push(param, &hex::encode(digest.finalize()));
            }
        }
        Ok(())
    }
}

/// The query of an address, encoded as it grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(String);

impl Query {
    /// What stands behind the `?`.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no parameter yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more parameter.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        let encode = |text| utf8_percent_encode(text, VALUE);
        let separator = if self.0.is_empty() { "" } else { "&" };
        self.0.push_str(&format!("{separator}{}={}", encode(name), encode(value)));
    }

    fn append(&mut self, rest: Self) {
        if !self.0.is_empty() && !rest.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&rest.0);
    }
}

impl From<&str> for Query {
    fn from(encoded: &str) -> Self {
        Self(encoded.to_owned())
    }
}

fn named<'t>(section: &str, map: &'t IndexMap<String, Template>) -> Vec<(String, &'t Template)> {
    map.iter().map(|(name, template)| (format!("{section}.{name}"), template)).collect()
}

fn add<'v>(
    query: &mut Query,
    params: &IndexMap<String, Template>,
    value: impl Fn(&str) -> Cow<'v, str> + Copy,
) {
    for (name, template) in params {
        let text = template.text(value);
        if !text.is_empty() {
            query.push(name, &text);
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), BadHeader> {
    if value.is_empty() {
        return Ok(());
    }
    let mut value = HeaderValue::try_from(value).map_err(|_| BadHeader(name.to_string()))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Query and headers after `[auth]` was applied to `id=1`, with every setting called by its own name.
    fn apply(text: &str, value: impl Fn(&str) -> Cow<'static, str> + Copy) -> (String, HeaderMap) {
        let auth: Auth = toml::from_str(text).unwrap();
        let (mut query, mut headers) = (Query::from("id=1"), HeaderMap::new());
        auth.apply(&mut query, &mut headers, value).unwrap();
        (query.0, headers)
    }

    fn given(name: &str) -> Cow<'static, str> {
        Cow::Owned(format!("the {name}"))
    }

    #[test]
    fn each_kind_adds_its_own() {
        let header = |text, name: &str| apply(text, given).1[name].to_str().unwrap().to_owned();
        let query = |text| apply(text, given).0;
        assert_eq!(query("kind = 'none'"), "id=1");
        assert_eq!(header("kind='header'\nname='X-Key'\nvalue='k {key}'", "x-key"), "k the key");
        assert_eq!(query("kind='query'\nparams={ key='{key}' }"), "id=1&key=the%20key");
        assert_eq!(
            header("kind='basic'\nuser='Aladdin'\npassword='open sesame'", "authorization"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "the example of RFC 7617, 2"
        );
        assert_eq!(header("kind='bearer'\ntoken='{t}'", "authorization"), "Bearer the t");
    }

    #[test]
    fn a_signature_covers_the_bytes_that_are_sent() {
        let (query, _) = apply(
            "kind='signed-query'\nhash='sha256'\nkey='{key}'\nparam='sign'\nadd={ user='{user}' }",
            given,
        );
        let (signed, sign) = query.split_once("&sign=").unwrap();
        assert_eq!(signed, "user=the%20user&id=1");
        assert_eq!(sign, hex::encode(Sha256::digest(format!("the key{signed}"))));
    }

    #[test]
    fn empty_credentials_are_left_out() {
        let nothing = |_: &str| Cow::Borrowed("");
        for text in [
            "kind='header'\nname='X-Key'\nvalue='{key}'",
            "kind='query'\nparams={ key='{key}' }",
            "kind='basic'\nuser='{user}'\npassword='{password}'",
            "kind='bearer'\ntoken='{token}'",
        ] {
            let (query, headers) = apply(text, nothing);
            assert_eq!((query.as_str(), headers.len()), ("id=1", 0), "{text}");
        }
    }

    #[test]
    fn secrets_in_headers_are_not_shown() {
        let (_, headers) = apply("kind='bearer'\ntoken='{token}'", given);
        assert_eq!(format!("{headers:?}"), r#"{"authorization": Sensitive}"#);
    }

    #[test]
    fn unknown_keys_and_kinds_are_refused() {
        for text in ["kind='none'\nuser='x'", "kind='sigv4'", "kind='bearer'\ntoken='x'\nwhen='y'"] {
            assert!(toml::from_str::<Auth>(text).is_err(), "{text}");
        }
    }
}
