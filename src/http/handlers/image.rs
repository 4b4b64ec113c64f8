//! Derivatives: `…/{region}/{size}/{rotation}/{quality}.{format}`.

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
use crate::serve::gate::Grant;

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
    let validator = Validator::strong(&grant.validator());
    let res = validator.stamp(dressed(parts, version, source, media, &grant));
    if validator.known_to(headers) {
        return Ok(not_modified(res));
    }
    let standing = grant.standing().clone();
    let body = parts.pictures.get(grant).await.map_err(|error| problem(version, error))?;
    Ok(repeatable(res, standing, body))
}

/// The answer without its body: everything is known before any pixel is made.
fn dressed(parts: &Parts, version: Version, source: &str, media: &str, grant: &Grant) -> Response<Body> {
    let mut res = Response::new(Body::empty());
    let headers = res.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(grant.format().media_type()));
    if let Ok(name) = HeaderValue::try_from(disposition(media, grant.canonical())) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    let image = Address::ImageBase { version, source: source.to_owned(), media: media.to_owned() };
    let base = parts.uris.print(&image);
    // One line for both: some clients read only the first or the last of several.
    let links = format!("<{base}/{}>;rel=\"canonical\",{}", grant.canonical(), profile(version));
    if let Ok(links) = HeaderValue::try_from(links) {
        headers.insert(LINK, links);
    }
    cacheable(&mut res, grant.max_age());
    res
}

/// The level that every image here has (*Image API 3.0, 6*).
pub(super) fn profile(version: Version) -> &'static str {
    match version {
        Version::V2 => "<http://iiif.io/api/image/2/level2.json>;rel=\"profile\"",
        Version::V3 => "<http://iiif.io/api/image/3/level2.json>;rel=\"profile\"",
    }
}

/// A file name that tells downloads of one image apart (*Image API 3.0, implementation notes 1*).
fn disposition(media: &str, canonical: &str) -> String {
    let name = media.rsplit('/').next().unwrap_or_default();
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = format!("{name}_{canonical}").chars().map(plain).collect();
    format!("inline; filename=\"{name}\"")
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
        let name = disposition("Kärten/a\"b\r\n c.tif", "0,0,512,512/max/!22.5/default.jpg");
        assert_eq!(name, "inline; filename=\"a_b___c_0_0_512_512_max__22.5_default.jpg\"");
    }
}
