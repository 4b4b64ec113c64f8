//! Derivatives: `…/{region}/{size}/{rotation}/{quality}.{format}`.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::{cacheable, repeatable};
use crate::http::conditional::{Validator, not_modified};
use crate::http::parts::{Outcome, Parts};
use crate::http::problem::Kind;
use crate::http::{Body, Problem};
use crate::iiif::address::{Address, Parameters};
use crate::iiif::image::Version;
use crate::iiif::image::request::ImageRequest;
use crate::iiif::image::syntax::SyntaxError;
use crate::serve::ServeError;
use crate::serve::gate::{Grant, Standing, View};
use crate::serve::tiles::Tiles;

/// One derivative. A client that has it already costs nothing but the decision.
pub(in crate::http) async fn derivative(
    parts: &Parts,
    headers: &HeaderMap,
    version: Version,
    (source, media): (&str, &str),
    parameters: &Parameters,
) -> Outcome {
    let request = ImageRequest::parse(version, parameters).map_err(refused)?;
    let grant = parts.gate.image(version, source, media, &request).await.map_err(|e| problem(version, e))?;
    let grant = parts.pictures.placed(grant).await;
    let image = Address::ImageBase { version, source: source.to_owned(), media: media.to_owned() };
    let dress = Dress { view: Arc::clone(grant.view()), base: parts.uris.print(&image), name: name(media) };
    let mut res = Response::new(Body::empty());
    dress.write(&grant, res.headers_mut());
    cacheable(&mut res, dress.view.max_age());
    if Validator::on(&res).is_some_and(|validator| validator.known_to(headers)) {
        return Ok(not_modified(res));
    }
    let standing = dress.view.standing().clone();
    let (body, grant) = parts.pictures.get(grant).await.map_err(|error| problem(version, error))?;
    // It may come from elsewhere than it was to.
    dress.write(&grant, res.headers_mut());
    let mut res = repeatable(res, standing, body);
    if let Some(tiles) = grant.tiles().map(Arc::downgrade) {
        res.extensions_mut().insert(Neighbours { dress, tiles });
    }
    Ok(res)
}

/// What the answers for one image have in common.
#[derive(Clone, Debug)]
pub(in crate::http) struct Dress {
    view: Arc<View>,
    /// Where the image is.
    base: String,
    /// What a downloaded picture's name begins with.
    name: String,
}

/// The handler's word, in an answer's extensions, that other tiles of the same image may be handed out as well, as long
/// as the decision stands and they lie there.
#[derive(Clone, Debug)]
pub(in crate::http) struct Neighbours {
    dress: Dress,
    tiles: Weak<Tiles>,
}

impl Dress {
    /// The headers of one picture: everything is known before any pixel is made.
    fn write(&self, grant: &Grant, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(grant.format().media_type()));
        if let Ok(name) = HeaderValue::try_from(disposition(&self.name, grant.canonical())) {
            headers.insert(CONTENT_DISPOSITION, name);
        }
        // One line for both: some clients read only the first or the last of several.
        let (base, canonical, profile) = (&self.base, grant.canonical(), profile(self.view.api()));
        if let Ok(links) = HeaderValue::try_from(format!("<{base}/{canonical}>;rel=\"canonical\",{profile}"))
        {
            headers.insert(LINK, links);
        }
        Validator::strong(&grant.validator()).write(headers);
    }
}

impl Neighbours {
    /// What the decision rests on.
    pub(in crate::http) fn standing(&self) -> &Standing {
        self.dress.view.standing()
    }

    /// Whether the tiles are gone.
    pub(in crate::http) fn are_gone(&self) -> bool {
        self.tiles.strong_count() == 0
    }

    /// Another picture of the image, if it takes neither waiting nor much work; its headers replace those of the first
    /// one.
    pub(in crate::http) fn find(&self, parameters: &Parameters, headers: &mut HeaderMap) -> Option<Bytes> {
        let tiles = self.tiles.upgrade()?;
        let view = &self.dress.view;
        let grant = view.grant(&ImageRequest::parse(view.api(), parameters).ok()?).ok()?;
        let (body, grant) = tiles.hand_out(grant)?;
        self.dress.write(&grant, headers);
        Some(body)
    }
}

/// The level that every image here has (*Image API 3.0, 6*).
pub(super) fn profile(version: Version) -> &'static str {
    match version {
        Version::V2 => "<http://iiif.io/api/image/2/level2.json>;rel=\"profile\"",
        Version::V3 => "<http://iiif.io/api/image/3/level2.json>;rel=\"profile\"",
    }
}

/// A file name that tells downloads of one image apart (*Image API 3.0, implementation notes 1*).
fn disposition(name: &str, canonical: &str) -> String {
    let mut line = format!("inline; filename=\"{name}_");
    line.extend(canonical.chars().map(plain));
    line.push('"');
    line
}

/// What such a name begins with.
fn name(media: &str) -> String {
    let name = media.rsplit('/').next().unwrap_or_default();
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    name.chars().map(plain).collect()
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }
}

fn refused(error: SyntaxError) -> Problem {
    Problem::new(Kind::Syntax, error.to_string())
}

/// 2.1 knows only 404 for a size over the limits (*Image API 2.1, 7.2*).
pub(super) fn problem(version: Version, error: ServeError) -> Problem {
    match (version, &error) {
        (Version::V2, ServeError::TooLarge(_)) => Problem::from(error).with_status(StatusCode::NOT_FOUND),
        _ => Problem::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_has_a_name_of_its_own_and_nothing_that_could_end_the_header() {
        let line = disposition(&name("Kärten/a\"b\r\n c.tif"), "0,0,512,512/max/!22.5/default.jpg");
        assert_eq!(line, "inline; filename=\"a_b___c_0_0_512_512_max__22.5_default.jpg\"");
    }
}
