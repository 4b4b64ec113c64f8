//! `info.json`, and the base address that leads to it.

use http::header::{CONTENT_TYPE, LINK, VARY};
use http::{HeaderMap, HeaderValue, Response};

use super::image::{problem, profile};
use super::{cacheable, repeatable, see_other, tag_of};
use crate::http::Body;
use crate::http::conditional::not_modified;
use crate::http::negotiate;
use crate::http::parts::{Outcome, Parts};
use crate::iiif::address::Address;
use crate::iiif::image::Version;
use crate::iiif::image::info::Info;
use crate::serve::present::rights_uri;

/// The description of one image.
pub(in crate::http) async fn info(
    parts: &Parts,
    headers: &HeaderMap,
    version: Version,
    source: &str,
    media: &str,
) -> Outcome {
    let grant = parts.gate.info(version, source, media).await.map_err(|error| problem(version, error))?;
    let base = Address::ImageBase { version, source: source.to_owned(), media: media.to_owned() };
    let info = Info {
        id: parts.uris.print(&base),
        width: grant.facts.size.width,
        height: grant.facts.size.height,
        tone: grant.facts.tone,
        limits: grant.source.image.limits().of_image((grant.facts.size.width, grant.facts.size.height)),
        tile: grant.facts.tile.unwrap_or(grant.source.image.tile),
        rights: grant.rights.as_deref().and_then(rights_uri),
    };
    let body = info.document(version).to_string();
    let validator = tag_of(&body);
    let mut res = validator.stamp(Response::new(Body::empty()));
    let content_type = negotiate::image_json(headers, version);
    res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    res.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    res.headers_mut().insert(LINK, HeaderValue::from_static(profile(version)));
    cacheable(&mut res, grant.source.max_age);
    match validator.known_to(headers) {
        true => Ok(not_modified(res)),
        false => Ok(repeatable(res, grant.standing, body.into())),
    }
}

/// 303 to info.json (*Image API 3.0, 2*), where there is one.
pub(in crate::http) async fn base(parts: &Parts, version: Version, source: String, media: String) -> Outcome {
    parts.gate.exists(&source, &media).await?;
    Ok(see_other(&parts.uris.print(&Address::ImageInfo { version, source, media })))
}
