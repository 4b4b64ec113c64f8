//! What a source keeps to itself never comes out here, whichever address is tried.

use std::path::Path;

use serde::Deserialize;

use crate::support::fake_dam::FakeDam;
use crate::support::gateway::TestGateway;

/// What `expect.toml` of a fixture folder says of records that are not for everybody.
#[derive(Deserialize)]
struct Expect {
    settings: toml::Table,
    absent: Vec<String>,
    #[serde(default)]
    denied: Vec<String>,
    #[serde(default)]
    closed: Vec<Closed>,
}

#[derive(Deserialize)]
struct Closed {
    id: String,
    access: String,
}

/// A gateway in front of recorded answers, as source `dam`.
async fn in_front_of(adapter: &str) -> (TestGateway, FakeDam, Expect) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(adapter);
    let expect: Expect =
        toml::from_str(&std::fs::read_to_string(folder.join("expect.toml")).unwrap()).unwrap();
    let dam = FakeDam::start(&folder).await;
    let inputs = dam.here(&toml::to_string(&expect.settings).unwrap());
    let gateway = TestGateway::start(&format!("[sources.dam]\nadapter = '{adapter}'\n{inputs}")).await;
    (gateway, dam, expect)
}

/// Every address that an item with its one file could have, with names that its canvas and file might have.
fn addresses(item: &str, files: &[&str]) -> Vec<(String, bool)> {
    let encoded = loggia::iiif::identifier::encode(item);
    let mut all = vec![format!("/iiif/manifest/dam/{encoded}"), format!("/item/dam/{encoded}")];
    all.push(format!("/iiif/2/sequence/dam/{encoded}/normal"));
    for version in [2, 3] {
        let base = format!("/iiif/{version}");
        all.push(format!("{base}/manifest/dam/{encoded}"));
        all.push(format!("{base}/collection/dam/{encoded}"));
        for canvas in [encoded.as_str(), "1", "placeholder"] {
            all.push(format!("{base}/canvas/dam/{encoded}/{canvas}"));
            all.push(format!("{base}/annotations/dam/{encoded}/{canvas}/painting"));
            all.push(format!("{base}/annotations/dam/{encoded}/{canvas}/painting/1"));
        }
    }
    let mut told: Vec<_> = all.into_iter().map(|address| (address, false)).collect();
    for version in [2, 3] {
        for file in files {
            let media = if file.is_empty() { item.to_owned() } else { format!("{item}/{file}") };
            let base = format!("/iiif/{version}/image/dam/{}", loggia::iiif::identifier::encode(&media));
            told.push((format!("{base}/info.json"), version == 2));
            told.push((format!("{base}/full/max/0/default.jpg"), true));
            told.push((format!("{base}/0,0,1,1/1,/0/default.png"), true));
        }
    }
    told
}

/// Hidden is as good as absent; restricted is described and shows no pixel.
async fn nothing_comes_out(adapter: &str, files: &[&str]) {
    let (gateway, _dam, expect) = in_front_of(adapter).await;
    let missing = expect.absent.iter().chain(&expect.denied);
    let hidden = expect.closed.iter().filter(|closed| closed.access == "hidden").map(|closed| &closed.id);
    let hidden: Vec<_> = hidden.collect();
    assert!(!hidden.is_empty() || !expect.denied.is_empty(), "{adapter} has nothing to hide");
    for item in missing.chain(hidden.iter().copied()) {
        for (address, _) in addresses(item, files) {
            let res = gateway.get(&address).await;
            assert_eq!(res.status(), 404, "{address}: {}", String::from_utf8_lossy(res.body()));
        }
    }
    for closed in expect.closed.iter().filter(|closed| closed.access == "restricted") {
        for (address, pixels) in addresses(&closed.id, files).into_iter().filter(|(_, pixels)| *pixels) {
            let status = gateway.get(&address).await.status();
            assert!(pixels && (status == 401 || status == 404), "{address}: {status}");
        }
        let manifest = gateway.document(&format!("/iiif/3/manifest/dam/{}", closed.id)).await;
        assert_eq!(manifest.get("thumbnail"), None, "{manifest}");
    }
    for version in [2, 3] {
        let listed = gateway.document(&format!("/iiif/{version}/collection/dam")).await.to_string();
        for item in &hidden {
            let address = format!("/manifest/dam/{}\"", loggia::iiif::identifier::encode(item));
            assert!(!listed.contains(&address), "{listed}");
        }
        gateway.document(&format!("/iiif/{version}/collection/top")).await;
    }
}

#[tokio::test]
async fn confidential_resources_of_resourcespace_stay_there() {
    nothing_comes_out("resourcespace", &["original", "hpr", "scr", ""]).await;
}

#[tokio::test]
async fn deleted_and_suppressed_files_of_mediawiki_stay_there() {
    nothing_comes_out("mediawiki", &[""]).await;
}

#[tokio::test]
async fn private_items_of_omeka_stay_there() {
    nothing_comes_out("omeka-s", &["8", "9", ""]).await;
    nothing_comes_out("omeka-classic", &["1", "2", ""]).await;
}

/// Neither documents nor refusals hold what the source was told in confidence.
#[tokio::test]
async fn credentials_and_addresses_of_files_stay_here() {
    for (adapter, item, secrets) in [
        ("resourcespace", "1", ["not a real key", "sign=", "OPAQUE-EXPIRING", "download.php"]),
        ("omeka-s", "7", ["credential", "key_identity", "/files/original", "o:owner"]),
        ("mediawiki", "P1.jpg", ["api.php", "/images/6/6a", "aicontinue", "thumburl"]),
    ] {
        let (gateway, ..) = in_front_of(adapter).await;
        for address in [
            format!("/iiif/3/manifest/dam/{item}"),
            format!("/iiif/2/manifest/dam/{item}"),
            "/iiif/3/collection/dam".to_owned(),
        ] {
            let text = gateway.document(&address).await.to_string();
            let told: Vec<_> = secrets.iter().filter(|secret| text.contains(**secret)).collect();
            assert!(told.is_empty(), "{address} tells {told:?}: {text}");
        }
    }
}
