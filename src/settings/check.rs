//! Rules across sections: what is well-formed but would not work. Opens no socket.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use url::Url;

use super::problem::{Key, Problem};
use super::source::Source;
use super::{Settings, bounds, bucket, cache, redis};
use crate::adapter::catalogue::{Catalogue, Driver};
use crate::adapter::declared::SiteError;
use crate::adapter::input::Kind;
use crate::http::{self, PublicUrl};
use crate::serve::offer::ImageSettings;
use crate::upstream::Unusable;

/// Everything that is wrong with settings as a whole.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = bounds::check(settings);
    problems.extend(server(&settings.server));
    problems.extend(cache::check(settings));
    problems.extend(settings.cache.bucket.iter().flat_map(bucket::check));
    problems.extend(redis::check(&settings.redis));
    problems.extend(height_without_width(settings.image.max_height, &settings.image));
    if settings.sources.is_empty() {
        let problem = Problem::missing(Key::default(), "sources");
        problems.push(
            problem.hint("add one, for example:\n[sources.maps]\nadapter = \"folder\"\npath = \"/srv/maps\""),
        );
    }
    for (name, source) in &settings.sources {
        problems.extend(source_name(name));
        let table = Key::of(["sources", name]);
        let height = height_without_width(source.image.max_height, &settings.image.with(&source.image));
        let mut own = bounds::check_source(source);
        own.extend(common(source).into_iter().chain(height));
        own.extend(asking(source, &settings.catalogue));
        problems.extend(own.into_iter().map(|problem| problem.within(&table)));
    }
    problems
}

/// What is no mistake and yet worth knowing of a gateway that is known at this address.
pub(super) fn remarks(settings: &Settings, public: &PublicUrl) -> Vec<Problem> {
    let server = &settings.server;
    let elsewhere = server.listen.ip().is_unspecified() && server.public_url.is_none();
    let unknown = elsewhere.then(|| {
        let sentence = format!(
            "`server.public_url` is not set: every address in a document begins with `{public}`, which only this machine can open"
        );
        Problem::named(Key::of(["server", "public_url"]), sentence)
            .hint("expected what clients use, such as `https://iiif.example.org`")
    });
    unknown.into_iter().chain(cache::remark(settings)).collect()
}

fn server(server: &http::Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(admin) = server.admin.filter(|admin| collide(*admin, server.listen)) {
        let sentence = match admin == server.listen {
            true => format!("`{admin}` is the address of `server.listen` already"),
            false => format!("`{admin}` and `{}` of `server.listen` cannot be had both", server.listen),
        };
        problems.push(Problem::new(Key::of(["server", "admin"]), sentence).hint("give it a port of its own"));
    }
    if let Some((url, usual)) = server.public_url.as_ref().and_then(|url| Some((url, unusual(url)?))) {
        let sentence = format!("`{url}` is not how addresses are written, expected `{usual}`");
        problems.push(Problem::new(Key::of(["server", "public_url"]), sentence));
    }
    problems
}

/// Whether the system would refuse the second of two listeners. Port 0 is another one each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    // `[::]` takes what comes to addresses of the older kind, too.
    let all = |ip: IpAddr, of: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || of.is_ipv4());
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && one.port() != 0 && (a == b || all(a, b) || all(b, a))
}

/// How a browser would write an address that is written otherwise: ids are compared letter by letter, and
/// stand in headers.
fn unusual(url: &PublicUrl) -> Option<String> {
    let usual = Url::parse(url.as_str()).ok()?.to_string();
    let usual = usual.trim_end_matches('/');
    (usual != url.as_str()).then(|| usual.to_owned())
}

/// *Image API 3.0, 5.2*: `maxHeight` needs `maxWidth` beside it. `own` is the height that the table itself gives,
/// `offered` what holds with all above it; the key is counted from the table that holds `image`.
fn height_without_width(own: Option<NonZeroU32>, offered: &ImageSettings) -> Option<Problem> {
    own.filter(|_| offered.max_width.is_none()).map(|height| {
        Problem::new(Key::of(["image", "max_height"]), format!("`{height}` needs a `max_width` beside it"))
            .hint("with `max_width` alone, the height is limited to the same number")
    })
}

/// Names become parts of addresses and of variables' names.
fn source_name(name: &str) -> Option<Problem> {
    let key = Key::of(["sources", name]);
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name == "top" {
        let problem = Problem::named(key, "a source cannot have the name `top`");
        return Some(problem.hint("`/iiif/3/collection/top` is the collection of all sources"));
    }
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(rest) {
        return None;
    }
    let problem = Problem::named(key, format!("`{name}` cannot be the name of a source"));
    Some(problem.hint(
        "expected a small letter, then small letters, digits and hyphens: names are parts of addresses",
    ))
}

/// Rules for the keys that every source takes; keys are counted from the source.
fn common(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(rights) = source.rights.as_ref().filter(|rights| !is_uri(rights)) {
        let problem = Problem::new(Key::of(["rights"]), format!("`{rights}` is no http(s) address"));
        problems.push(problem.hint("expected one of creativecommons.org or rightsstatements.org, e.g. `http://rightsstatements.org/vocab/InC/1.0/`"));
    }
    if let Some(provider) = &source.provider {
        let key = |name| Key::of(["provider", name]);
        let pages = provider.homepage.iter().enumerate();
        let pages = pages.map(|(at, page)| (key("homepage").element(at).join(&Key::of(["id"])), &page.id));
        let logo = provider.logo.iter().map(|logo| (key("logo"), logo));
        let addresses = [(key("id"), &provider.id)].into_iter().chain(pages).chain(logo);
        let wrong = addresses.filter(|(_, address)| !is_uri(address)).map(|(key, address)| {
            Problem::new(key, format!("`{address}` is no http(s) address"))
                .hint("expected one such as `https://library.example.org`")
        });
        problems.extend(wrong);
    }
    problems
}

/// Whether its system could be asked; keys are counted from the source.
fn asking(source: &Source, catalogue: &Catalogue) -> Vec<Problem> {
    let operator = source.upstream();
    let own: Vec<Problem> = operator.check().into_iter().map(|unusable| at_key(unusable, source)).collect();
    let driver = catalogue.get(&source.adapter);
    let Some(Driver::Declared(definition)) = driver.filter(|_| own.is_empty()) else { return own };
    let signed = definition.inputs().filter(|input| input.kind == Kind::Url && has_user(source, input.name));
    let signed = signed.map(|input| {
        Problem::concealed(Key::of([input.name]), "expected an address without user name and password")
    });
    let bound = match definition.upstream(&source.inputs, operator) {
        Ok(settings) => settings.check().into_iter().map(|unusable| at_key(unusable, source)).collect(),
        Err(SiteError::Base(reason)) => {
            vec![Problem::named(Key::default(), format!("adapter `{}`: {reason}", source.adapter))]
        }
        // Told already, with its key.
        Err(SiteError::Setting { .. }) => Vec::new(),
    };
    signed.chain(bound).collect()
}

/// At the key that the operator wrote, or at the source where the value came from its adapter.
fn at_key(unusable: Unusable, source: &Source) -> Problem {
    let Unusable { key, element, .. } = unusable;
    let written = match element {
        // The hosts of the definition follow those of the operator.
        Some(element) => (element < source.hosts.len()).then(|| Key::of([key]).element(element)),
        None => (Source::KEYS.contains(&key) || source.inputs.contains_key(key)).then(|| Key::of([key])),
    };
    match written {
        Some(key) => Problem::new(key, unusable.reason),
        None => Problem::named(Key::default(), format!("adapter `{}`: {unusable}", source.adapter)),
    }
}

/// Nobody would be asked at such an address: they belong into settings of their own.
fn has_user(source: &Source, name: &str) -> bool {
    let url = source.inputs.get(name).and_then(|value| Url::parse(value.as_str()?).ok());
    url.is_some_and(|url| !url.username().is_empty() || url.password().is_some())
}

fn is_uri(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_names_are_parts_of_addresses() {
        for good in ["a", "maps", "old-maps-2", "a--b"] {
            assert_eq!(source_name(good), None, "{good}");
        }
        for bad in ["top", "Maps", "2maps", "-maps", "old_maps", "a/b", "ä", ""] {
            assert!(source_name(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn two_listeners_need_two_places() {
        for (one, other, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:9090", false),
            ("127.0.0.1:8080", "10.0.0.7:8080", false),
            ("127.0.0.1:8080", "0.0.0.0:8080", true),
            ("127.0.0.1:8080", "[::]:8080", true),
            ("0.0.0.0:8080", "[::]:8080", true),
            ("0.0.0.0:8080", "[::1]:8080", false),
            ("[::1]:8080", "[::]:8080", true),
            ("[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (a, b) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!((collide(a, b), collide(b, a)), (expected, expected), "{one} and {other}");
        }
    }

    #[test]
    fn public_addresses_are_written_as_browsers_write_them() {
        for (text, usual) in [
            ("https://iiif.example.org", None),
            ("https://example.org/iiif", None),
            ("http://[::1]:8080", None),
            ("HTTPS://example.org", Some("https://example.org")),
            ("https://example.org:443/iiif", Some("https://example.org/iiif")),
            ("https://example.org/a b", Some("https://example.org/a%20b")),
            ("https://example.org/../b", Some("https://example.org/b")),
            ("https://example.org\n", Some("https://example.org")),
            ("https:example.org", Some("https://example.org")),
            ("https://bücher.example", Some("https://xn--bcher-kva.example")),
        ] {
            let url = PublicUrl::try_from(text.to_owned()).unwrap();
            assert_eq!(unusual(&url).as_deref(), usual, "{text}");
        }
    }
}
