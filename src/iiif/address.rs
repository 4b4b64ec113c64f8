//! Every public address, parsed from the raw path of a request and printed back.
//!
//! No other file knows how a path is made. Identifiers are decoded exactly once on the way in
//! and encoded exactly once on the way out.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::identifier::{DecodeError, LONGEST, decode, encode};
use super::{image, presentation};

/// A place that answers, with what its path says in plain text.
///
/// `{media}` and `{item}` are one encoded segment, but raw slashes inside them are understood
/// where they are the only id: such addresses are read from the right. Dot segments are text
/// like any other; it is for the source to refuse them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are what the paths above them name")]
pub enum Address {
    /// `/`, the front page.
    Home,
    /// `/iiif/{2,3}/image/{source}/{media}/{region}/{size}/{rotation}/{quality}.{format}`.
    Image { version: image::Version, source: String, media: String, parameters: Parameters },
    /// `/iiif/{2,3}/image/{source}/{media}/info.json`.
    ImageInfo { version: image::Version, source: String, media: String },
    /// `/iiif/{2,3}/image/{source}/{media}`, which leads to info.json.
    ImageBase { version: image::Version, source: String, media: String },
    /// `/iiif/{2,3}/manifest/{source}/{item}`; without a version `/iiif/manifest/{source}/{item}`,
    /// where the request's headers choose one.
    Manifest { version: Option<presentation::Version>, source: String, item: String },
    /// `/iiif/{2,3}/canvas/{source}/{item}/{canvas}`.
    Canvas { version: presentation::Version, source: String, item: String, canvas: String },
    /// `/iiif/{2,3}/annotations/{source}/{item}/{canvas}/{page}`; a page is `painting` or the like.
    AnnotationPage {
        version: presentation::Version,
        source: String,
        item: String,
        canvas: String,
        page: String,
    },
    /// `/iiif/{2,3}/annotations/{source}/{item}/{canvas}/{page}/{number}`.
    Annotation {
        version: presentation::Version,
        source: String,
        item: String,
        canvas: String,
        page: String,
        number: u32,
    },
    /// `/iiif/2/sequence/{source}/{item}/normal`, which only 2.1 has.
    Sequence { source: String, item: String },
    /// `/iiif/{2,3}/collection/…`, of a long collection `…/part-{part}`.
    Collection { version: presentation::Version, place: Place, part: Option<u32> },
    /// `/item/{source}/{item}`, the persistent address for people.
    Item { source: String, item: String },
    /// `/health`: the process lives.
    Health,
    /// `/ready`: it can take requests.
    Ready,
    /// `/metrics`: figures for operators.
    Metrics,
    /// `/admin/purge/{source}` or `/admin/purge/{source}/{item}`: drops what is kept, for operators.
    Purge { source: String, item: Option<String> },
    /// `/docs/problems`: what error answers mean; each names its paragraph there.
    Problems,
}

/// The last four segments of an image request, decoded, not yet understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    /// `full`, `square`, `0,0,512,512`, …
    pub region: String,
    /// `max`, `!150,150`, …
    pub size: String,
    /// `0`, `!90`, …
    pub rotation: String,
    /// `default.jpg`, …
    pub quality_format: String,
}

/// Where in the tree a collection stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are what the paths above them name")]
pub enum Place {
    /// `top`: the collection of all sources.
    Top,
    /// `{source}`: everything in one source.
    Source { source: String },
    /// `{source}/{leaf}`: one collection within a source; one encoded segment.
    Leaf { source: String, leaf: String },
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No address has this form.
    #[error("there is nothing at `{0}`")]
    NotFound(String),
    /// The path is no text.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl Address {
    /// Path of [`Address::Health`], for who has to know it before anything is parsed.
    pub const HEALTH: &str = "/health";
    /// Path of [`Address::Ready`].
    pub const READY: &str = "/ready";
    /// Path of [`Address::Metrics`].
    pub const METRICS: &str = "/metrics";
    /// Path of [`Address::Problems`].
    pub const PROBLEMS: &str = "/docs/problems";

    /// Reads a path as it was sent: still percent-encoded, without the query.
    pub fn parse(path: &str) -> Result<Self, AddressError> {
        let nothing = || AddressError::NotFound(path.chars().take(200).collect());
        let raw: Vec<&str> = path.strip_prefix('/').ok_or_else(nothing)?.split('/').collect();
        let text = raw.iter().map(|segment| decode(segment)).collect::<Result<Vec<_>, _>>()?;
        let length = text.iter().map(|part| "/".len() + part.len()).sum();
        if length > LONGEST {
            return Err(DecodeError::TooLong(length).into());
        }
        let text: Vec<&str> = text.iter().map(String::as_str).collect();
        find(&raw, &text).ok_or_else(nothing)
    }
}

impl Parameters {
    /// Cuts them off the raw path of an image request, if they are not encoded: what is left is the image's own part.
    pub fn cut(path: &str) -> Option<(&str, Self)> {
        let mut parts = path.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.contains('%')).map(str::to_owned);
        let (quality_format, rotation, size, region) = (next()?, next()?, next()?, next()?);
        Some((parts.next()?, Self { region, size, rotation, quality_format }))
    }
}

/// `raw` and `text` are the same segments before and after decoding. Raw ones decide only where
/// an escape makes the difference between an id and our own mark (`@3`, `part-2`).
fn find(raw: &[&str], text: &[&str]) -> Option<Address> {
    match *text {
        [""] => Some(Address::Home),
        ["health"] => Some(Address::Health),
        ["ready"] => Some(Address::Ready),
        ["metrics"] => Some(Address::Metrics),
        ["docs", "problems"] => Some(Address::Problems),
        ["admin", "purge", name] => Some(Address::Purge { source: source(name)?, item: None }),
        // What ends in a slash names no item, and does not mean all of them.
        ["admin", "purge", name, ref item @ ..] => {
            Some(Address::Purge { source: source(name)?, item: Some(join(item)?) })
        }
        ["item", name, ref item @ ..] => Some(Address::Item { source: source(name)?, item: join(item)? }),
        ["iiif", "manifest", name, ref item @ ..] => {
            Some(Address::Manifest { version: None, source: source(name)?, item: join(item)? })
        }
        ["iiif", version, "image", name, ref rest @ ..] => {
            image(image_version(version)?, source(name)?, &raw[4..], rest)
        }
        ["iiif", version, kind, ref rest @ ..] => described(version_of(version)?, kind, &raw[3..], rest),
        _ => None,
    }
}

/// Reads from the right: four parameters or `info.json`, else the base; the id is what remains.
/// An id that is itself `info.json` stands alone.
fn image(version: image::Version, source: String, raw: &[&str], text: &[&str]) -> Option<Address> {
    if let [media @ .., region, size, rotation, quality_format] = text
        && !media.is_empty()
        && text.last() != Some(&"info.json")
    {
        let media = media_id(&raw[..media.len()], media)?;
        let [region, size, rotation, quality_format] =
            [region, size, rotation, quality_format].map(|&part| part.to_owned());
        let parameters = Parameters { region, size, rotation, quality_format };
        return Some(Address::Image { version, source, media, parameters });
    }
    match text {
        [media @ .., "info.json"] if !media.is_empty() => {
            Some(Address::ImageInfo { version, source, media: media_id(&raw[..media.len()], media)? })
        }
        [media @ .., ""] | media => {
            Some(Address::ImageBase { version, source, media: media_id(&raw[..media.len()], media)? })
        }
    }
}

/// The documents of the Presentation API.
fn described(version: presentation::Version, kind: &str, raw: &[&str], text: &[&str]) -> Option<Address> {
    if kind == "collection" {
        return collection(version, raw, text);
    }
    let (&name, ids) = text.split_first()?;
    let source = source(name)?;
    match (kind, ids) {
        ("manifest", item) => Some(Address::Manifest { version: Some(version), source, item: join(item)? }),
        ("canvas", &[item, canvas]) => {
            Some(Address::Canvas { version, source, item: id(item)?, canvas: id(canvas)? })
        }
        ("annotations", &[item, canvas, page]) => {
            let (item, canvas, page) = (id(item)?, id(canvas)?, id(page)?);
            Some(Address::AnnotationPage { version, source, item, canvas, page })
        }
        ("annotations", &[item, canvas, page, count]) => {
            let (item, canvas, page, number) = (id(item)?, id(canvas)?, id(page)?, number(count)?);
            Some(Address::Annotation { version, source, item, canvas, page, number })
        }
        ("sequence", [item @ .., "normal"]) if version == presentation::Version::V2 => {
            Some(Address::Sequence { source, item: join(item)? })
        }
        _ => None,
    }
}

fn collection(version: presentation::Version, raw: &[&str], text: &[&str]) -> Option<Address> {
    let mark = raw.last().and_then(|last| part_mark(last));
    let (place, part) = match text {
        [place @ .., _] if mark.is_some() && !place.is_empty() => (place, mark),
        place => (place, None),
    };
    let place = match *place {
        ["top"] => Place::Top,
        [name] => Place::Source { source: source(name)? },
        [name, leaf] => Place::Leaf { source: source(name)?, leaf: id(leaf)? },
        _ => return None,
    };
    Some(Address::Collection { version, place, part })
}

fn source(name: &str) -> Option<String> {
    let letters = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let named = name.starts_with(|first: char| first.is_ascii_lowercase()) && letters && name != "top";
    named.then(|| name.to_owned())
}

/// A media id; one that ends in a raw `@3` asks for an access tier, and none is offered.
fn media_id(raw: &[&str], text: &[&str]) -> Option<String> {
    let tier = raw.last()?.rsplit_once('@').map(|(_, digits)| digits);
    match tier.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())) {
        true => None,
        false => join(text),
    }
}

/// An id that may have arrived with raw slashes.
fn join(segments: &[&str]) -> Option<String> {
    id(&segments.join("/"))
}

fn id(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// One spelling per number: no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn part_mark(segment: &str) -> Option<u32> {
    number(segment.strip_prefix("part-")?)
}

fn image_version(text: &str) -> Option<image::Version> {
    match text {
        "2" => Some(image::Version::V2),
        "3" => Some(image::Version::V3),
        _ => None,
    }
}

fn version_of(text: &str) -> Option<presentation::Version> {
    match text {
        "2" => Some(presentation::Version::V2),
        "3" => Some(presentation::Version::V3),
        _ => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home => f.write_str("/"),
            Self::Image { version, source, media, parameters } => {
                write!(f, "{}/{parameters}", image_base(*version, source, media))
            }
            Self::ImageInfo { version, source, media } => {
                write!(f, "{}/info.json", image_base(*version, source, media))
            }
            Self::ImageBase { version, source, media } => f.write_str(&image_base(*version, source, media)),
            Self::Manifest { version: None, source, item } => {
                write!(f, "/iiif/manifest/{source}/{}", encode(item))
            }
            Self::Manifest { version: Some(version), source, item } => {
                write!(f, "{}/manifest/{source}/{}", prefix(*version), encode(item))
            }
            Self::Canvas { version, source, item, canvas } => {
                write!(f, "{}/canvas/{source}/{}/{}", prefix(*version), encode(item), encode(canvas))
            }
            Self::AnnotationPage { version, source, item, canvas, page } => {
                f.write_str(&annotations(*version, source, [item, canvas, page]))
            }
            Self::Annotation { version, source, item, canvas, page, number } => {
                write!(f, "{}/{number}", annotations(*version, source, [item, canvas, page]))
            }
            Self::Sequence { source, item } => write!(f, "/iiif/2/sequence/{source}/{}/normal", encode(item)),
            Self::Collection { version, place, part } => {
                write!(f, "{}/collection/{place}", prefix(*version))?;
                part.map_or(Ok(()), |part| write!(f, "/part-{part}"))
            }
            Self::Item { source, item } => write!(f, "/item/{source}/{}", encode(item)),
            Self::Purge { source, item: None } => write!(f, "/admin/purge/{source}"),
            Self::Purge { source, item: Some(item) } => write!(f, "/admin/purge/{source}/{}", encode(item)),
            Self::Health => f.write_str(Self::HEALTH),
            Self::Ready => f.write_str(Self::READY),
            Self::Metrics => f.write_str(Self::METRICS),
            Self::Problems => f.write_str(Self::PROBLEMS),
        }
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The signs of the grammar stay readable, as the specification prints them.
        const IN_PARAMETER: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'.')
            .remove(b'_')
            .remove(b'~')
            .remove(b':')
            .remove(b',')
            .remove(b'!')
            .remove(b'^');
        let [region, size, rotation, last] = [&self.region, &self.size, &self.rotation, &self.quality_format]
            .map(|part| utf8_percent_encode(part, IN_PARAMETER));
        write!(f, "{region}/{size}/{rotation}/{last}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("top"),
            Self::Source { source } => f.write_str(source),
            // A collection may really be called `part-2`.
            Self::Leaf { source, leaf } => match part_mark(leaf) {
                Some(number) => write!(f, "{source}/part%2D{number}"),
                None => write!(f, "{source}/{}", encode(leaf)),
            },
        }
    }
}

fn prefix(version: presentation::Version) -> &'static str {
    match version {
        presentation::Version::V2 => "/iiif/2",
        presentation::Version::V3 => "/iiif/3",
    }
}

fn image_base(version: image::Version, source: &str, media: &str) -> String {
    let version = match version {
        image::Version::V2 => 2,
        image::Version::V3 => 3,
    };
    format!("/iiif/{version}/image/{source}/{}", encode(media))
}

fn annotations(version: presentation::Version, source: &str, ids: [&String; 3]) -> String {
    let [item, canvas, page] = ids.map(|id| encode(id));
    format!("{}/annotations/{source}/{item}/{canvas}/{page}", prefix(version))
}

#[cfg(test)]
mod tests;
