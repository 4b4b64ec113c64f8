//! Loggia in front of a live MediaWiki. Runs where `LOGGIA_TEST_MEDIAWIKI` names an installation, as `scripts/test` does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::StatusCode;
use loggia::iiif::presentation::Version;

use crate::support::gateway::TestGateway;
use crate::support::wiki::Wiki;

const FILES: [(&str, &str, u64, u64); 5] = [
    ("ferns/plate-1.jpg", "Plate-1.jpg", 1100, 1500),
    ("ferns/plate-2.jpg", "Plate-2.jpg", 1100, 1500),
    ("ferns/plate-3.jpg", "Plate-3.jpg", 1100, 1500),
    ("shells/shell-1.jpg", "Shell-1.jpg", 1100, 1500),
    ("shells/shell-2.jpg", "Shell-2.jpg", 1100, 1500),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_live_wiki_is_listed_described_shown_missed_and_outlived() {
    let Some(mediawiki) = std::env::var_os("LOGGIA_TEST_MEDIAWIKI").map(PathBuf::from) else {
        println!(
            "not run: live MediaWiki: LOGGIA_TEST_MEDIAWIKI names no installation (scripts/test installs one)"
        );
        return;
    };
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples/plates");
    let files: Vec<_> =
        FILES.iter().map(|(file, ..)| (samples.join(file), "A plate with a '''description'''.")).collect();
    let mut wiki = tokio::task::spawn_blocking(move || Wiki::start(&mediawiki, &files)).await.unwrap();
    let gateway = TestGateway::start(&format!(
        "[sources.wiki]\nadapter = 'mediawiki'\nbase = '{}'\nrecord_ttl = '10m'\nlanguage = 'en'\n",
        wiki.base()
    ))
    .await;

    // Listed.
    for version in [Version::V3, Version::V2] {
        let listed = gateway.document(&format!("/iiif/{}/collection/wiki", number(version))).await;
        let text = listed.to_string();
        for (_, title, ..) in FILES {
            assert!(
                text.contains(&format!("/iiif/{}/manifest/wiki/{title}", number(version))),
                "{title}: {text}"
            );
        }
    }

    // Described, with the right size and metadata, and shown: tiles decode.
    for (_, title, width, height) in FILES {
        let manifest = gateway.document(&format!("/iiif/3/manifest/wiki/{title}")).await;
        let canvas = &manifest["items"][0];
        assert_eq!((&canvas["width"], &canvas["height"]), (&width.into(), &height.into()), "{title}");
        assert!(manifest["metadata"].as_array().is_some_and(|m| !m.is_empty()), "{title} has no metadata");
        assert!(manifest["homepage"][0]["id"].as_str().is_some_and(|id| id.contains(title)), "{manifest}");
        let service = canvas["items"][0]["items"][0]["body"]["service"][0]["id"].as_str().unwrap();
        let tile = gateway.image(&format!("{service}/512,512,512,512/256,/0/default.jpg")).await;
        assert_eq!((tile.width, tile.height), (256, 256), "{title}");
        gateway.document(&format!("/iiif/2/manifest/wiki/{title}")).await;
    }

    // Deleted there: gone here after its cache time.
    let victim = "/iiif/3/manifest/wiki/Plate-2.jpg";
    wiki.delete("File:Plate-2.jpg");
    assert_eq!(gateway.get(victim).await.status(), StatusCode::OK, "a record is good for its time");
    gateway.advance(Duration::from_secs(601));
    let status = gateway.get(victim).await.status();
    assert!(matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE), "{status}");
    let tile = gateway.get("/iiif/3/image/wiki/Plate-2.jpg/full/100,/0/default.jpg").await.status();
    assert!(matches!(tile, StatusCode::NOT_FOUND | StatusCode::GONE), "{tile}");
    let listed = gateway.document("/iiif/3/collection/wiki").await.to_string();
    assert!(!listed.contains("Plate-2.jpg"), "{listed}");

    // Stopped: what is known still answers, pixels too; what is not is 503.
    wiki.stop();
    gateway.advance(Duration::from_secs(3600));
    gateway.document("/iiif/3/manifest/wiki/Plate-1.jpg").await;
    gateway.image("/iiif/3/image/wiki/Plate-1.jpg/0,0,300,300/150,/0/default.jpg").await;
    let unknown = gateway.get("/iiif/3/manifest/wiki/Never-asked.jpg").await;
    assert_eq!(unknown.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(unknown.headers().contains_key(http::header::RETRY_AFTER));
}

fn number(version: Version) -> u8 {
    match version {
        Version::V2 => 2,
        Version::V3 => 3,
    }
}
