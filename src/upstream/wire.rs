//! The innermost service: one HTTP exchange, by reqwest.

use std::sync::Arc;

use futures_util::StreamExt;

use super::body::{Body, Limits};
use super::error::Place;
use super::{Answer, Request, Settings, UpstreamError};

/// Sends one request and waits for the head of the answer.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    source: Arc<str>,
    client: reqwest::Client,
    limits: Limits,
}

impl Wire {
    pub(super) fn new(source: &str, settings: &Settings) -> Result<Self, UpstreamError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(&settings.user_agent)
            .connect_timeout(settings.connect_timeout)
            .build()
            .map_err(|error| UpstreamError::Settings {
                name: source.to_owned(),
                problem: error.to_string(),
            })?;
        let limits = Limits { bytes: 0, whole: settings.body_timeout, piece: settings.idle_timeout };
        Ok(Self { source: source.into(), client, limits })
    }

    pub(super) async fn send(&self, request: Request) -> Result<Answer, UpstreamError> {
        let at = Place::new(&self.source, &request.url);
        let limits = Limits { bytes: request.max_body, ..self.limits };
        let mut outgoing = reqwest::Request::new(request.method, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = request.body.map(Into::into);
        let response = self.client.execute(outgoing).await.map_err(|error| UpstreamError::Unreachable {
            at: at.clone(),
            cause: error.without_url().into(),
        })?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            url: response.url().clone(),
            body: Body {
                at,
                length: response.content_length(),
                pieces: response.bytes_stream().boxed(),
                limits,
            },
        })
    }
}
