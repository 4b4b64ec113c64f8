//! Every case of `tests/fixtures/vectors/image-requests.json`, from the path to the canonical form.

use serde::Deserialize;

use super::Version;
use super::geometry::{GeometryError, Limits, Upscale};
use super::quality::Tone;
use super::request::ImageRequest;
use crate::iiif::address::Address;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    api: String,
    image: Image,
    path: String,
    /// Every status that is right.
    status: Vec<u16>,
    /// Size of the picture after turning.
    w: Option<u32>,
    h: Option<u32>,
    #[serde(default)]
    tolerance: u32,
    canonical: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    width: u32,
    height: u32,
    max_width: Option<u32>,
    max_height: Option<u32>,
    max_area: Option<u64>,
    #[serde(default)]
    upscaling: bool,
}

/// What a case comes to: a status, or the size of the picture and its canonical form.
#[derive(Debug)]
struct Answer {
    width: u32,
    height: u32,
    canonical: String,
}

impl Case {
    fn answer(&self) -> Result<Answer, u16> {
        let prefix = if self.api == "3" { "/iiif/3/image/maps/a" } else { "/iiif/2/image/maps/a" };
        let Ok(Address::Image { version, parameters, .. }) =
            Address::parse(&format!("{prefix}/{}", self.path))
        else {
            return Err(404);
        };
        let Image { width, height, max_width, max_height, max_area, upscaling } = self.image;
        let upscale = if upscaling { Upscale::Offered } else { Upscale::Refused };
        let limits = Limits { max_width, max_height, max_area, upscale };
        let request = ImageRequest::parse(version, &parameters).map_err(|_| 400_u16)?;
        let geometry =
            request.resolve(version, (width, height), &limits).map_err(|error| status(version, &error))?;
        let canonical = request.canonical(version, &geometry, (width, height), &limits, Tone::Colour);
        let (width, height) = match request.rotation.degrees {
            90.0 | 270.0 => (geometry.height, geometry.width),
            _ => (geometry.width, geometry.height),
        };
        Ok(Answer { width, height, canonical })
    }

    /// What differs from the case, if anything does.
    fn verdict(&self) -> Result<(), String> {
        let answer = match self.answer() {
            Err(status) if self.status.contains(&status) => return Ok(()),
            Err(status) => return Err(format!("answered {status}")),
            Ok(answer) if self.status.contains(&200) => answer,
            Ok(answer) => return Err(format!("answered {answer:?}")),
        };
        let near = |expected: Option<u32>, found: u32| {
            expected.is_none_or(|expected| expected.abs_diff(found) <= self.tolerance)
        };
        let area = u64::from(answer.width) * u64::from(answer.height);
        let right = near(self.w, answer.width)
            && near(self.h, answer.height)
            && self.image.max_area.is_none_or(|most| area <= most)
            && self.canonical.as_ref().is_none_or(|canonical| *canonical == answer.canonical);
        if right { Ok(()) } else { Err(format!("answered {answer:?}")) }
    }
}

/// The status that stands for each error at the edge.
fn status(version: Version, error: &GeometryError) -> u16 {
    match error {
        GeometryError::OutOfBounds { .. }
        | GeometryError::Empty { .. }
        | GeometryError::NeedsUpscaling { .. } => 400,
        GeometryError::UpscalingNotOffered { .. } => 501,
        GeometryError::TooLarge { .. } if version == Version::V2 => 404,
        GeometryError::TooLarge { .. } => 400,
    }
}

#[test]
fn every_vector_holds() {
    let file = include_str!("../../../tests/fixtures/vectors/image-requests.json");
    let Vectors { cases } = serde_json::from_str(file).unwrap();
    assert_eq!(cases.len(), 162);
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| case.verdict().err().map(|why| format!("{} {}: {why}", case.api, case.path)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
