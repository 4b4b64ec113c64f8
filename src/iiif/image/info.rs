//! info.json, the description that a viewer reads first (*Image API 3.0, 5; 2.1.1, 5*).

use serde_json::{Value, json};

use super::Version;
use super::geometry::Limits;
use super::levels;
use super::quality::Tone;

/// An image and what is offered of it: level 2 of either version, and more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its base address, absolute, the identifier encoded, without a slash at the end.
    pub id: String,
    /// Pixels from left to right, upright, even where no answer may become that wide.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// How large an answer may become.
    pub limits: Limits,
    /// The side of a tile; smaller where the limits want it so.
    pub tile: u32,
    /// Whether it has colours.
    pub tone: Tone,
    /// A Creative Commons or RightsStatements URI.
    pub rights: Option<String>,
}

/// Formats beyond level 2. WebP is written without loss and grows large: offered, not preferred.
const FORMATS: [&str; 3] = ["webp", "tif", "gif"];

impl Info {
    /// The document in the words of one version.
    pub fn document(&self, version: Version) -> Value {
        let mut document = match version {
            Version::V2 => self.version_2(),
            Version::V3 => self.version_3(),
        };
        drop_nulls(&mut document);
        document
    }

    fn version_3(&self) -> Value {
        let (max_width, max_height) = self.max_sides();
        json!({
            "@context": "http://iiif.io/api/image/3/context.json",
            "id": self.id,
            "type": "ImageService3",
            "protocol": "http://iiif.io/api/image",
            "profile": "level2",
            "width": self.width,
            "height": self.height,
            "maxWidth": max_width,
            "maxHeight": max_height,
            "maxArea": self.limits.max_area,
            "sizes": self.sizes(),
            "tiles": [self.tiles()],
            "preferredFormats": ["jpg"],
            "rights": self.rights,
            "extraQualities": self.qualities(&["gray", "bitonal"]),
            "extraFormats": FORMATS,
            "extraFeatures": self.features(&[], "sizeUpscaling"),
        })
    }

    fn version_2(&self) -> Value {
        let (max_width, max_height) = self.max_sides();
        json!({
            "@context": "http://iiif.io/api/image/2/context.json",
            "@id": self.id,
            "protocol": "http://iiif.io/api/image",
            "width": self.width,
            "height": self.height,
            "sizes": self.sizes(),
            "tiles": [self.tiles()],
            "profile": ["http://iiif.io/api/image/2/level2.json", {
                "maxWidth": max_width,
                "maxHeight": max_height,
                "maxArea": self.limits.max_area,
                // `bitonal` belongs to level 2 here.
                "qualities": self.qualities(&["gray"]),
                "formats": FORMATS,
                "supports": self.features(&["regionSquare"], "sizeAboveFull"),
            }],
            "license": self.rights,
        })
    }

    /// `maxHeight` is told only where it differs: `maxWidth` stands for both.
    fn max_sides(&self) -> (Option<u32>, Option<u32>) {
        match self.limits.sides() {
            Some((width, height)) => (Some(width), (height != width).then_some(height)),
            None => (None, None),
        }
    }

    /// Halves of the image, down to a thumbnail, small ones first: those that cost nothing, once there is a pyramid.
    fn sizes(&self) -> Vec<Value> {
        let size = |(width, height): (u32, u32)| json!({ "width": width, "height": height });
        let offered = levels::listed((self.width, self.height), self.side())
            .filter(|(width, height)| self.limits.admit((*width).into(), (*height).into()));
        let mut sizes: Vec<Value> = offered.map(size).collect();
        if sizes.is_empty() {
            sizes.push(size(self.limits.largest((self.width, self.height))));
        }
        sizes.reverse();
        sizes
    }

    /// Square tiles, at factors up to that of the smallest size.
    fn tiles(&self) -> Value {
        let side = self.side();
        let levels = levels::count((self.width, self.height), side);
        let factors: Vec<u64> = (0..levels).map(|level| 1 << level).collect();
        json!({ "width": side, "scaleFactors": factors })
    }

    /// Of a tile.
    fn side(&self) -> u32 {
        self.limits.tile(self.tile)
    }

    /// `color` says nothing of an image that has none (*Image API 3.0, 4.4*).
    fn qualities(&self, others: &[&'static str]) -> Vec<&'static str> {
        let color = (self.tone == Tone::Colour).then_some("color");
        color.into_iter().chain(others.iter().copied()).collect()
    }

    /// What level 2 does not promise, in the order of the alphabet.
    fn features(&self, others: &[&'static str], enlarging: &'static str) -> Vec<&'static str> {
        let always = ["canonicalLinkHeader", "mirroring", "profileLinkHeader"].into_iter();
        let enlarging = self.limits.enlarging().then_some(enlarging);
        always.chain(others.iter().copied()).chain(["rotationArbitrary"]).chain(enlarging).collect()
    }
}

/// What an image does not have is left out.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(members) => members.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::iiif::image::geometry::Upscale;
    use crate::iiif::image::geometry::tests::source;
    use crate::iiif::image::limits::tests::any_limits;
    use crate::iiif::image::request::ImageRequest;
    use crate::iiif::image::request::tests::parameters;

    fn info(width: u32, height: u32, limits: Limits) -> Info {
        let id = "https://iiif.example.org/iiif/3/image/maps/a%2Fb.tif".to_owned();
        Info { id, width, height, limits, tile: 512, tone: Tone::Colour, rights: None }
    }

    /// One member a line.
    fn lines(document: &Value) -> String {
        let members = document.as_object().unwrap().iter();
        members.map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn version_3() {
        let limits = Limits { max_area: Some(100_000_000), upscale: Upscale::Offered, ..Limits::default() };
        let rights = Some("http://creativecommons.org/licenses/by/4.0/".to_owned());
        let info = Info { rights, ..info(6000, 4001, limits) };
        insta::assert_snapshot!(lines(&info.document(Version::V3)), @r#"
        @context: "http://iiif.io/api/image/3/context.json"
        id: "https://iiif.example.org/iiif/3/image/maps/a%2Fb.tif"
        type: "ImageService3"
        protocol: "http://iiif.io/api/image"
        profile: "level2"
        width: 6000
        height: 4001
        maxArea: 100000000
        sizes: [{"width":188,"height":126},{"width":375,"height":251},{"width":750,"height":501},{"width":1500,"height":1001}]
        tiles: [{"width":512,"scaleFactors":[1,2,4,8,16,32]}]
        preferredFormats: ["jpg"]
        rights: "http://creativecommons.org/licenses/by/4.0/"
        extraQualities: ["color","gray","bitonal"]
        extraFormats: ["webp","tif","gif"]
        extraFeatures: ["canonicalLinkHeader","mirroring","profileLinkHeader","rotationArbitrary","sizeUpscaling"]
        "#);
    }

    #[test]
    fn version_2() {
        let limits = Limits { max_width: Some(3000), max_height: Some(2000), ..Limits::default() };
        let rights = Some("http://rightsstatements.org/vocab/InC/1.0/".to_owned());
        let info = Info { rights, tone: Tone::Grey, ..info(6000, 4000, limits) };
        insta::assert_snapshot!(lines(&info.document(Version::V2)), @r#"
        @context: "http://iiif.io/api/image/2/context.json"
        @id: "https://iiif.example.org/iiif/3/image/maps/a%2Fb.tif"
        protocol: "http://iiif.io/api/image"
        width: 6000
        height: 4000
        sizes: [{"width":188,"height":125},{"width":375,"height":250},{"width":750,"height":500},{"width":1500,"height":1000}]
        tiles: [{"width":512,"scaleFactors":[1,2,4,8,16,32]}]
        profile: ["http://iiif.io/api/image/2/level2.json",{"maxWidth":3000,"maxHeight":2000,"qualities":["gray"],"formats":["webp","tif","gif"],"supports":["canonicalLinkHeader","mirroring","profileLinkHeader","regionSquare","rotationArbitrary"]}]
        license: "http://rightsstatements.org/vocab/InC/1.0/"
        "#);
    }

    #[test]
    fn sizes_and_tiles_of_odd_images() {
        let small = Limits { max_width: Some(50), ..Limits::default() };
        for (name, width, height, limits, sizes, tiles) in [
            ("a pixel", 1, 1, Limits::default(), json!([[1, 1]]), json!([512, [1]])),
            (
                "one tile",
                512,
                200,
                Limits::default(),
                json!([[128, 50], [256, 100], [512, 200]]),
                json!([512, [1, 2, 4]]),
            ),
            (
                "one more",
                513,
                1,
                Limits::default(),
                json!([[129, 1], [257, 1], [513, 1]]),
                json!([512, [1, 2, 4]]),
            ),
            ("no half fits", 400, 300, small, json!([[50, 38]]), json!([50, [1, 2, 4, 8]])),
        ] {
            let document = info(width, height, limits).document(Version::V3);
            let found: Vec<_> = document["sizes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|size| json!([size["width"], size["height"]]))
                .collect();
            assert_eq!(json!(found), sizes, "{name}");
            let found = &document["tiles"][0];
            assert_eq!(json!([found["width"], found["scaleFactors"]]), tiles, "{name}");
        }
    }

    #[test]
    fn qualities_and_features_follow_the_image_and_its_limits() {
        let unlimited = Limits { upscale: Upscale::Offered, ..Limits::default() };
        let grey = Info { tone: Tone::Grey, ..info(300, 200, unlimited) }.document(Version::V3);
        assert_eq!(grey["extraQualities"], json!(["gray", "bitonal"]));
        // Without a limit enlarging has no end, so it is not promised (*3.0, 5.7*).
        assert!(!grey["extraFeatures"].as_array().unwrap().contains(&json!("sizeUpscaling")));
        let limited = Limits { max_height: Some(800), ..unlimited };
        let colour = info(300, 200, limited).document(Version::V2);
        let profile = &colour["profile"][1];
        assert_eq!(profile["qualities"], json!(["color", "gray"]));
        assert!(profile["supports"].as_array().unwrap().contains(&json!("sizeAboveFull")));
        assert_eq!((&profile["maxWidth"], profile.get("maxHeight")), (&json!(800), None));
    }

    fn number(value: &Value) -> u64 {
        value.as_u64().unwrap()
    }

    proptest! {
        #[test]
        fn every_size_can_be_asked_for_and_every_tile_is_within_the_limits(
            source in source(), limits in any_limits(), tile in 1..2000_u32
        ) {
            let image = Info { tile, ..info(source.0, source.1, limits) };
            for version in [Version::V2, Version::V3] {
                let document = image.document(version);
                let sizes = document["sizes"].as_array().unwrap();
                prop_assert!(!sizes.is_empty());
                for size in sizes {
                    let path = format!("full/{},{}/0/default.jpg", size["width"], size["height"]);
                    let request = ImageRequest::parse(version, &parameters(&path)).unwrap();
                    prop_assert!(request.resolve(version, source, &limits).is_ok(), "{}", path);
                }
                let factors: Vec<u64> =
                    document["tiles"][0]["scaleFactors"].as_array().unwrap().iter().map(number).collect();
                // Some viewers take sizes for levels.
                for (size, factor) in sizes.iter().zip(factors.iter().rev()).filter(|_| sizes.len() > 1) {
                    let level = [source.0, source.1].map(|side| u64::from(side).div_ceil(*factor));
                    prop_assert_eq!([number(&size["width"]), number(&size["height"])], level);
                }
                let tile = &document["tiles"][0];
                prop_assert!(limits.admit(number(&tile["width"]), number(&tile["width"])));
                prop_assert!(number(&tile["width"]) * factors[factors.len() - 1] >= u64::from(source.0.max(source.1)));
            }
        }
    }
}
