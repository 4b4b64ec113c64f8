//! Presentation documents: manifests, their parts, collections.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LOCATION, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;

use super::{cacheable, see_other, tag_of};
use crate::adapter::record::Leaf;
use crate::http::conditional::not_modified;
use crate::http::parts::{Outcome, Parts};
use crate::http::problem::{self, Kind};
use crate::http::{Body, Problem, negotiate};
use crate::iiif::address::{Address, Place};
use crate::iiif::presentation::Version;
use crate::serve::gate::RecordGrant;
use crate::serve::present::{self, Presenter};
use crate::serve::source::Source;
use crate::store::Key;

/// What the collection of all sources is called.
const TOP: &str = "Collections";

/// How long a finished document is kept for the next one who asks: its key names what it was made of.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A manifest, or a part of it that has an address of its own.
pub(in crate::http) async fn described(parts: &Parts, headers: &HeaderMap, address: Address) -> Outcome {
    let missing =
        |address: &Address| Problem::new(Kind::NotFound, format!("there is nothing at `{address}`"));
    let (source, item) = item_of(&address).ok_or_else(|| missing(&address))?;
    let grant = parts.gate.record(source, item).await?;
    let (version, item) = (version_of(&address, headers), item.to_owned());
    let direct = direct(address, version);
    let (name, identity) = (&grant.source.name, &grant.source.identity);
    let key = Key::new(["document", name, identity, &item, &direct.to_string(), &grant.described.version]);
    let body = match parts.finished.get_now(&key) {
        Some(body) => body,
        None => {
            let document = document(parts, version, &direct, &grant).ok_or_else(|| missing(&direct))?;
            let body = Bytes::from(document.to_string());
            parts.finished.put_now(&key, body.clone(), KEPT);
            body
        }
    };
    let max_age = grant.source.max_age;
    Ok(answered(parts, headers, (version, &direct), body, max_age))
}

/// Everything in a place: all sources, one source, a collection within it.
pub(in crate::http) async fn collection(
    parts: &Parts,
    headers: &HeaderMap,
    version: Version,
    place: Place,
    part: Option<u32>,
) -> Outcome {
    let address = Address::Collection { version, place: place.clone(), part };
    let missing = || Problem::new(Kind::NotFound, format!("there is nothing at `{address}`"));
    let sources = parts.gate.sources();
    let (document, max_age) = match &place {
        Place::Top => {
            let listed: Vec<_> =
                sources.iter().map(|s| (s.name.as_str(), s.defaults.label.clone())).collect();
            let shortest = sources.iter().map(|source| source.max_age).min().unwrap_or_default();
            (present::top(version, &parts.uris, TOP, &listed, part), shortest)
        }
        Place::Source { source: name } | Place::Leaf { source: name, .. } => {
            let source = sources.get(name)?;
            let leaf = match &place {
                Place::Leaf { leaf, .. } => Leaf::from(leaf.as_str()),
                _ => Leaf::root(),
            };
            let collection = parts.collections.get(source, &leaf).await?;
            let presenter = presenter(parts, version, source);
            (presenter.collection(&leaf, &collection, part), source.max_age)
        }
    };
    let body = Bytes::from(document.ok_or_else(missing)?.to_string());
    Ok(answered(parts, headers, (version, &address), body, max_age))
}

/// The persistent address of an item leads to its manifest.
pub(in crate::http) async fn item(parts: &Parts, source: String, item: String) -> Outcome {
    parts.gate.record(&source, &item).await?;
    let manifest = Address::Manifest { version: Some(Version::V3), source, item };
    Ok(see_other(&parts.uris.print(&manifest)))
}

/// The front door leads to everything there is.
pub(in crate::http) fn home(parts: &Parts) -> Response<Body> {
    let top = Address::Collection { version: Version::V3, place: Place::Top, part: None };
    see_other(&parts.uris.print(&top))
}

/// What error answers mean, as text that reads well without being rendered.
pub(in crate::http) fn problems() -> Response<Body> {
    /// It changes with a release.
    const FOR: Duration = Duration::from_secs(3600);
    let mut res = Response::new(Body::from(problem::PAGE));
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
    cacheable(&mut res, FOR);
    res
}

/// A document in the flavour of JSON that was asked for; 304 to who has it already.
fn answered(
    parts: &Parts,
    headers: &HeaderMap,
    (version, address): (Version, &Address),
    body: Bytes,
    max_age: Duration,
) -> Response<Body> {
    let validator = tag_of(&body);
    let mut res = validator.stamp(Response::new(Body::empty()));
    let content_type = negotiate::presentation_json(headers, version);
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    res.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    if let Ok(location) = HeaderValue::try_from(parts.uris.print(address)) {
        res.headers_mut().insert(CONTENT_LOCATION, location);
    }
    cacheable(&mut res, max_age);
    if validator.known_to(headers) { not_modified(res) } else { res.map(|_| Body::from(body)) }
}

fn document(parts: &Parts, version: Version, address: &Address, grant: &RecordGrant) -> Option<Value> {
    let source = &grant.source;
    let presenter = presenter(parts, version, source);
    let record = &grant.described.record;
    match address {
        Address::Manifest { .. } => Some(presenter.manifest(record)),
        Address::Sequence { .. } => Some(presenter.sequence(record)),
        Address::Canvas { canvas, .. } => presenter.canvas(record, canvas),
        Address::AnnotationPage { canvas, page, .. } => presenter.annotation_page(record, canvas, page),
        Address::Annotation { canvas, page, number, .. } => {
            presenter.annotation(record, canvas, page, *number)
        }
        _ => None,
    }
}

fn presenter<'a>(parts: &'a Parts, version: Version, source: &'a Source) -> Presenter<'a> {
    let (defaults, limits) = (&source.defaults, source.image.limits());
    Presenter { version, uris: &parts.uris, source: &source.name, defaults, limits }
}

/// The item that a document belongs to.
fn item_of(address: &Address) -> Option<(&str, &str)> {
    match address {
        Address::Manifest { source, item, .. }
        | Address::Canvas { source, item, .. }
        | Address::AnnotationPage { source, item, .. }
        | Address::Annotation { source, item, .. }
        | Address::Sequence { source, item } => Some((source, item)),
        _ => None,
    }
}

fn version_of(address: &Address, headers: &HeaderMap) -> Version {
    match address {
        Address::Manifest { version: None, .. } => negotiate::presentation(headers),
        Address::Manifest { version: Some(version), .. }
        | Address::Canvas { version, .. }
        | Address::AnnotationPage { version, .. }
        | Address::Annotation { version, .. } => *version,
        _ => Version::V2,
    }
}

/// The address of the document itself, where it was asked for at one that leaves the version open.
fn direct(address: Address, version: Version) -> Address {
    match address {
        Address::Manifest { source, item, .. } => Address::Manifest { version: Some(version), source, item },
        address => address,
    }
}
