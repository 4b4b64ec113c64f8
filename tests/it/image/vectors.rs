//! Every case of `tests/fixtures/vectors/image-requests.json` through the whole gateway, on masters of the size that it names.

use std::collections::BTreeMap;

use http::{StatusCode, Uri};
use serde::Deserialize;

use super::link;
use crate::support::gateway::{PUBLIC, TestGateway, files_below};
use crate::support::masters::{Masters, quarters};

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    api: String,
    image: Image,
    path: String,
    status: Vec<u16>,
    w: Option<u32>,
    h: Option<u32>,
    #[serde(default)]
    tolerance: u32,
    canonical: Option<String>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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

impl Image {
    fn settings(&self) -> String {
        let limit = |name: &str, value: Option<u64>| {
            value.map_or(String::new(), |value| format!("{name} = {value}\n"))
        };
        [
            format!("upscale = {}\n", self.upscaling),
            limit("max_width", self.max_width.map(u64::from)),
            limit("max_height", self.max_height.map(u64::from)),
            limit("max_area", self.max_area),
        ]
        .concat()
    }

    /// Whether a pyramid is made of it: it is larger than a tile, and tiles are no larger than what may be asked for.
    fn has_pyramid(&self) -> bool {
        let area = self.max_area.map_or(u32::MAX, |area| area.isqrt() as u32);
        let sides = [Some(512), Some(area), self.max_width, self.max_height];
        self.width.max(self.height) > sides.into_iter().flatten().min().unwrap()
    }
}

impl Case {
    /// What differs from the case, if anything does.
    async fn verdict(&self, gateway: &TestGateway, source: &str, query: &str) -> Result<(), String> {
        let base = format!("/iiif/{}/image/{source}/a.png", &self.api[..1]);
        let address = format!("{base}/{}{query}", self.path);
        // What is no address never reaches the gateway: the server answers 400 by itself.
        if address.parse::<Uri>().is_err() {
            return if self.status.contains(&400) { Ok(()) } else { Err("is no address".to_owned()) };
        }
        let status = gateway.get(&address).await.status().as_u16();
        if !self.status.contains(&status) {
            return Err(format!("answered {status}"));
        }
        if status != StatusCode::OK {
            return Ok(());
        }
        let picture = gateway.image(&address).await;
        let near =
            |expected: Option<u32>, found: u32| expected.is_none_or(|w| w.abs_diff(found) <= self.tolerance);
        let area = u64::from(picture.width) * u64::from(picture.height);
        let canonical = self.canonical.as_ref().map(|canonical| format!("{PUBLIC}{base}/{canonical}"));
        let told = link(&picture.headers, "canonical");
        let right = near(self.w, picture.width)
            && near(self.h, picture.height)
            && self.image.max_area.is_none_or(|most| area <= most)
            && canonical.as_deref().is_none_or(|canonical| told == Some(canonical));
        if right { Ok(()) } else { Err(format!("{}x{}, {told:?}", picture.width, picture.height)) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vector_holds() {
    let file = include_str!("../../fixtures/vectors/image-requests.json");
    let Vectors { cases } = serde_json::from_str(file).unwrap();
    let mut sources = BTreeMap::new();
    for case in &cases {
        let count = sources.len();
        sources.entry(case.image.clone()).or_insert_with(|| {
            let Image { width, height, .. } = case.image;
            (format!("s{count}"), Masters::with([("a.png", quarters(width, height))]))
        });
    }
    let section = |(image, (name, masters)): (&Image, &(String, Masters))| {
        masters.source(name, &format!("[sources.{name}.image]\n{}", image.settings()))
    };
    let gateway = TestGateway::start(&sources.iter().map(section).collect::<String>()).await;
    let verdicts = async |query: &str| {
        let mut wrong = Vec::new();
        for case in &cases {
            if let Err(why) = case.verdict(&gateway, &sources[&case.image].0, query).await {
                wrong.push(format!("{} {}: {why}", case.api, case.path));
            }
        }
        wrong.join("\n")
    };
    assert_eq!(verdicts("").await, "");
    // Once more, when all that is large has a pyramid. A query means nothing, but nobody has asked so before.
    for (name, _) in sources.values() {
        gateway.image(&format!("/iiif/3/image/{name}/a.png/full/max/0/default.jpg")).await;
    }
    let expected = sources.keys().filter(|image| image.has_pyramid()).count();
    while pyramids(&gateway) < expected {
        tokio::task::yield_now().await;
    }
    assert_eq!(verdicts("?again").await, "");
    assert_eq!((cases.len(), expected), (162, 7));
}

fn pyramids(gateway: &TestGateway) -> usize {
    let files = files_below(&gateway.cache().join("pyramids"));
    files.iter().filter(|file| !file.parent().unwrap().ends_with("drafts")).count()
}
