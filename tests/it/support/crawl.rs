//! Follows every address that documents print, and holds each to what was said of it.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use serde_json::Value;

use super::gateway::{PUBLIC, TestGateway};

/// What was found on the way.
#[derive(Default)]
pub(crate) struct Crawled {
    /// Addresses of documents.
    pub(crate) documents: BTreeSet<String>,
    /// Addresses of pictures, each with the size that was promised, if one was.
    pub(crate) pictures: BTreeMap<String, Option<(u32, u32)>>,
    /// Addresses of image services.
    pub(crate) services: BTreeSet<String>,
}

/// Starts at `address` and ends when nothing new is printed any more. Everything has to answer
/// and to name itself as it was named.
pub(crate) async fn crawl(gateway: &TestGateway, address: &str) -> Crawled {
    let mut crawled = Crawled::default();
    let mut open = vec![format!("{PUBLIC}{address}")];
    while let Some(address) = open.pop() {
        if !crawled.documents.insert(address.clone()) {
            continue;
        }
        let document = gateway.document(&address).await;
        assert_eq!(own_name(&document), Some(address.as_str()), "a document names itself by its address");
        let mut named = BTreeMap::new();
        names(&document, &mut named);
        for (name, size) in named {
            match name.contains("/image/") {
                true if name.ends_with(".jpg") => drop(crawled.pictures.insert(name, size)),
                true => drop(crawled.services.insert(name)),
                false => open.push(name),
            }
        }
    }
    for service in &crawled.services {
        let base = gateway.get(service).await;
        assert_eq!(base.status(), StatusCode::SEE_OTHER, "{service}");
        assert_eq!(base.headers()[LOCATION], format!("{service}/info.json"));
        let info = gateway.document(&format!("{service}/info.json")).await;
        assert_eq!(own_name(&info), Some(service.as_str()));
    }
    for (address, promised) in &crawled.pictures {
        let picture = gateway.image(address).await;
        assert_eq!(picture.headers[CONTENT_TYPE], "image/jpeg", "{address}");
        let size = (picture.width, picture.height);
        assert!(promised.is_none_or(|promised| promised == size), "{address}: {promised:?}, got {size:?}");
    }
    crawled
}

fn own_name(document: &Value) -> Option<&str> {
    document.get("id").or_else(|| document.get("@id")).and_then(Value::as_str)
}

/// Every address of ours, wherever it stands, without its fragment; with the size that its object tells of a picture.
fn names(value: &Value, found: &mut BTreeMap<String, Option<(u32, u32)>>) {
    match value {
        Value::String(text) if text.starts_with(PUBLIC) => {
            found.entry(text.split('#').next().unwrap_or_default().to_owned()).or_default();
        }
        Value::Array(members) => members.iter().for_each(|member| names(member, found)),
        Value::Object(members) => {
            members.values().for_each(|member| names(member, found));
            let side = |name: &str| u32::try_from(value[name].as_u64()?).ok();
            if let (Some(id), Some(size)) = (own_name(value), side("width").zip(side("height")))
                && id.starts_with(PUBLIC)
            {
                found.insert(id.to_owned(), Some(size));
            }
        }
        _ => {}
    }
}
