//! `[cache.bucket]`: whether it can be asked with what is written there. Opens no socket.

use super::problem::{Key, Problem};
use crate::store::bucket::{PlaceError, Settings};

/// What cannot be.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let needed = [
        ("url", settings.url.is_none()),
        ("access_key", settings.access_key.is_none()),
        ("secret_key", settings.secret_key.is_none()),
    ];
    let missing = needed.into_iter().filter(|(_, is_missing)| *is_missing);
    let missing = missing.map(|(name, _)| Problem::missing(Key::of(["cache", "bucket"]), name));
    // Whoever copies an address from elsewhere may have copied a password with it.
    let concealed = |name, error: PlaceError| Problem::concealed(key(name), error.to_string());
    let url = settings.check_url().err().map(|error| concealed("url", error));
    let endpoint = settings.check_endpoint().err().map(|error| concealed("endpoint", error));
    missing.chain(url).chain(endpoint).chain(region(&settings.region)).collect()
}

/// It becomes part of the name of a server.
fn region(region: &str) -> Option<Problem> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_region = !region.is_empty() && region.len() <= 63 && region.chars().all(letter);
    let sentence = "expected small letters, digits and hyphens, such as `eu-central-1`";
    (!is_region).then(|| Problem::new(key("region"), sentence))
}

fn key(name: &'static str) -> Key {
    Key::of(["cache", "bucket", name])
}
