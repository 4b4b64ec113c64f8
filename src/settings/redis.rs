//! `[redis]`: whether it can be asked with what is written there. Opens no socket.

use super::problem::{Key, Problem};
use crate::secret::Reference;
use crate::store::redis::Settings;

/// What cannot be.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    if settings.url.is_none() {
        let alone = settings.password_file.is_some();
        return alone.then(|| Problem::missing(Key::of(["redis"]), "url")).into_iter().collect();
    }
    let address = settings.check().err().map(|error| {
        let problem = Problem::concealed(key("url"), error.to_string());
        problem.hint("such as `redis://cache.example.org`; with `{ env = \"NAME\" }` where it has a password")
    });
    let twice = settings.has_two_passwords().then(|| {
        Problem::named(key("password_file"), "`redis.url` has a password already")
            .hint("leave one of them out")
    });
    address.into_iter().chain(twice).chain(password(settings)).collect()
}

/// The file is read anew for each connection; what is no password now would hardly be one then.
fn password(settings: &Settings) -> Option<Problem> {
    let file = Reference::File(settings.password_file.clone()?);
    let error = file.resolve("".as_ref(), &Default::default()).err()?;
    Some(Problem::new(key("password_file"), error.to_string()))
}

fn key(name: &'static str) -> Key {
    Key::of(["redis", name])
}
