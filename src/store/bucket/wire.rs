//! The client that asks a bucket.

use std::time::Duration;

use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, Error};
use reqwest::redirect::Policy;

use super::place::Place;

/// Our own, so that it asks whom it is told to ask: through no proxy of the environment, following no redirect with what
/// was signed for another.
#[derive(Debug)]
pub(super) struct Wire {
    is_plain: bool,
    patience: Duration,
}

impl Wire {
    pub(super) fn new(place: &Place, patience: Duration) -> Self {
        Self { is_plain: place.is_plain(), patience }
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("loggia/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.patience)
            .https_only(!self.is_plain)
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .build();
        client
            .map(HttpClient::new)
            .map_err(|error| Error::Generic { store: "bucket", source: Box::new(error) })
    }
}
