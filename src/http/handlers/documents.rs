//! Presentation documents: manifests, their parts, collections.

use http::header::{CONTENT_LOCATION, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{cacheable, see_other};
use crate::adapter::record::Leaf;
use crate::http::app::{Outcome, Parts};
use crate::http::conditional::{Validator, not_modified};
use crate::http::problem::{self, Kind};
use crate::http::{Body, Problem, negotiate};
use crate::iiif::address::{Address, Place};
use crate::iiif::presentation::Version;
use crate::serve::gate::RecordGrant;
use crate::serve::present::{self, Presenter};
use crate::serve::source::Source;

/// What the collection of all sources is called.
const TOP: &str = "Collections";

/// A manifest, or a part of it that has an address of its own.
pub(in crate::http) async fn described(parts: &Parts, headers: &HeaderMap, address: Address) -> Outcome {
    let missing =
        |address: &Address| Problem::new(Kind::NotFound, format!("there is nothing at `{address}`"));
    let (source, item) = item_of(&address).ok_or_else(|| missing(&address))?;
    let grant = parts.gate.record(source, item).await?;
    let version = version_of(&address, headers);
    let direct = direct(address, version);
    let validator = Validator::weak(&grant.described.version);
    let mut res = dressed(parts, headers, version, &direct, &validator);
    cacheable(&mut res, grant.source.record_ttl);
    if validator.known_to(headers) {
        return Ok(not_modified(res));
    }
    let document = document(parts, version, &direct, &grant).ok_or_else(|| missing(&direct))?;
    Ok(res.map(|_| Body::from(document.to_string())))
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
            let shortest = sources.iter().map(|source| source.record_ttl).min().unwrap_or_default();
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
            (presenter.collection(&leaf, &collection.label, &collection.members, part), source.record_ttl)
        }
    };
    let body = document.ok_or_else(missing)?.to_string();
    let validator = Validator::weak(&hex::encode(&Sha256::digest(&body)[..16]));
    let mut res = dressed(parts, headers, version, &address, &validator);
    cacheable(&mut res, max_age);
    match validator.known_to(headers) {
        true => Ok(not_modified(res)),
        false => Ok(res.map(|_| Body::from(body))),
    }
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
    let mut res = Response::new(Body::from(problem::PAGE));
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
    res
}

/// The answer without its body.
fn dressed(
    parts: &Parts,
    headers: &HeaderMap,
    version: Version,
    address: &Address,
    validator: &Validator,
) -> Response<Body> {
    let mut res = validator.stamp(Response::new(Body::empty()));
    let content_type = negotiate::presentation_json(headers, version);
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    res.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    if let Ok(location) = HeaderValue::try_from(parts.uris.print(address)) {
        res.headers_mut().insert(CONTENT_LOCATION, location);
    }
    res
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
