//! Query strings and small forms into typed values.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, LengthLimitError};
use serde::de::DeserializeOwned;

use super::problem::Kind;
use super::{Body, Problem};

const FORM: &str = "application/x-www-form-urlencoded";

/// A query string or form that is not what an address expects.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// A parameter is missing, doubled or not of its type.
    #[error("the parameters make no sense: {0}")]
    Parameters(#[from] serde_urlencoded::de::Error),
    /// The body is no form.
    #[error("the body is `{found}`: expected `{FORM}`")]
    NotAForm {
        /// Its content type.
        found: String,
    },
    /// The body is larger than the gateway takes.
    #[error("the form is too large")]
    TooLarge,
    /// The body did not arrive.
    #[error("the form did not arrive as a whole")]
    Broken,
}

impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        let kind = if matches!(error, FormError::TooLarge) { Kind::BodyTooLarge } else { Kind::Syntax };
        Self::new(kind, error.to_string())
    }
}

/// The parameters of an address.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, FormError> {
    Ok(serde_urlencoded::from_str(uri.query().unwrap_or_default())?)
}

/// The parameters in a request's body; the stack has limited its size.
pub async fn form<T: DeserializeOwned>(req: Request<Body>) -> Result<T, FormError> {
    is_form(req.headers())?;
    let body = req.into_body().collect().await.map_err(|error| match error.is::<LengthLimitError>() {
        true => FormError::TooLarge,
        false => FormError::Broken,
    })?;
    Ok(serde_urlencoded::from_bytes(&body.to_bytes())?)
}

fn is_form(headers: &HeaderMap) -> Result<(), FormError> {
    let found = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = found.split(';').next().unwrap_or_default().trim();
    match kind.eq_ignore_ascii_case(FORM) {
        true => Ok(()),
        false => Err(FormError::NotAForm { found: found.into() }),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Search {
        q: String,
        #[serde(default)]
        page: u32,
        user: Option<String>,
    }

    fn search(uri: &'static str) -> Result<Search, String> {
        query(&Uri::from_static(uri)).map_err(|error| error.to_string())
    }

    fn post(kind: &'static str, body: &'static str) -> Request<Body> {
        Request::post("/").header(CONTENT_TYPE, kind).body(body.into()).unwrap()
    }

    #[test]
    fn parameters_become_values() {
        let found = search("/find?q=caf%C3%A9+noir&page=2&other=1").unwrap();
        assert_eq!(found, Search { q: "café noir".into(), page: 2, user: None });
    }

    #[test]
    fn mistakes_are_told() {
        insta::assert_snapshot!(search("/find").unwrap_err(), @"the parameters make no sense: missing field `q`");
        insta::assert_snapshot!(search("/find?q=a&q=b").unwrap_err(), @"the parameters make no sense: duplicate field `q`");
        insta::assert_snapshot!(search("/find?q=a&page=two").unwrap_err(), @"the parameters make no sense: invalid digit found in string");
    }

    #[tokio::test]
    async fn a_form_is_told_by_its_type() {
        let found: Search =
            form(post("application/x-www-form-urlencoded; charset=UTF-8", "q=a")).await.unwrap();
        assert_eq!(found.q, "a");
        let error = form::<Search>(post("application/json", "{}")).await.unwrap_err();
        insta::assert_snapshot!(error, @"the body is `application/json`: expected `application/x-www-form-urlencoded`");
    }
}
