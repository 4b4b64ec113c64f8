//! What is in a source: collections of folders, the top one, and long ones in parts.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::support::crawl::crawl;
use crate::support::gateway::{PUBLIC, TestGateway};
use crate::support::masters::{Masters, fixture, tiny};

/// The members of a collection of 3.0: type and the end of their address.
fn members(collection: &Value) -> Vec<(String, String)> {
    let item = |item: &Value| {
        let id = item["id"].as_str().unwrap().strip_prefix(PUBLIC).unwrap();
        let id = id.split_once("/maps").unwrap().1.trim_start_matches('/');
        (item["type"].as_str().unwrap().to_owned(), id.to_owned())
    };
    collection["items"].as_array().unwrap().iter().map(item).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, id)| ((*kind).to_owned(), (*id).to_owned())).collect()
}

#[tokio::test]
async fn folders_are_collections_where_items_are_below() {
    let masters = Masters::with([
        ("map.png", tiny()),
        ("book/p1.png", tiny()),
        ("box/book 2/p1.png", tiny()),
        ("box/book 10/p1.png", tiny()),
        ("both/p1.png", tiny()),
        ("both/more/p1.png", tiny()),
        ("deep/er/and/er/p1.png", tiny()),
        ("texts/a.txt", b"no picture".to_vec()),
        ("box/info.toml", b"label = { en = 'A box' }".to_vec()),
    ]);
    std::fs::create_dir(masters.path().join("empty")).unwrap();
    let gateway = TestGateway::start(&masters.source("maps", "label = 'All maps'")).await;

    let root = gateway.document("/iiif/3/collection/maps").await;
    assert_eq!(root["label"]["none"][0], "All maps");
    let expected = [
        ("Manifest", "book"),
        ("Collection", "both"),
        ("Collection", "box"),
        ("Collection", "deep"),
        ("Manifest", "map.png"),
    ];
    assert_eq!(members(&root), pairs(&expected));
    assert_eq!(root["items"][2]["label"]["en"][0], "A box");

    let box_ = gateway.document("/iiif/3/collection/maps/box").await;
    assert_eq!(box_["label"]["en"][0], "A box");
    assert_eq!(members(&box_), pairs(&[("Manifest", "box%2Fbook%202"), ("Manifest", "box%2Fbook%2010")]));
    // It lists its own manifest first.
    let both = gateway.document("/iiif/3/collection/maps/both").await;
    assert_eq!(members(&both), pairs(&[("Manifest", "both"), ("Manifest", "both%2Fmore")]));
    for (above, below) in [("deep", "deep%2Fer"), ("deep%2Fer", "deep%2Fer%2Fand")] {
        let collection = gateway.document(&format!("/iiif/3/collection/maps/{above}")).await;
        assert_eq!(members(&collection), pairs(&[("Collection", below)]));
    }
    for nothing in ["book", "texts", "empty", "map.png", "nowhere", "box/book%202", "..", "part-1"] {
        for version in [2, 3] {
            let address = format!("/iiif/{version}/collection/maps/{nothing}");
            assert_eq!(gateway.get(&address).await.status(), StatusCode::NOT_FOUND, "{address}");
        }
    }
    assert_eq!(gateway.get("/iiif/3/collection/charts").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_top_unites_all_sources() {
    let masters = Masters::with([("a.png", tiny())]);
    let settings =
        format!("{}{}", masters.source("maps", "label = { fr = 'Cartes' }"), masters.source("charts", ""));
    let gateway = TestGateway::start(&settings).await;
    let top = gateway.document("/iiif/3/collection/top").await;
    let ids: Vec<_> =
        top["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["charts", "maps"].map(|name| format!("{PUBLIC}/iiif/3/collection/{name}")));
    assert_eq!(top["items"][1]["label"]["fr"][0], "Cartes");
    let top = gateway.document("/iiif/2/collection/top").await;
    assert_eq!(top["members"].as_array().unwrap().len(), 2);
    let home = gateway.get("/").await;
    assert_eq!(home.headers()["location"], format!("{PUBLIC}/iiif/3/collection/top"));
}

#[tokio::test]
async fn a_folder_of_items_is_described_by_its_info_toml() {
    let info = "label = { en = 'The rack' }\nsummary = 'What <b>stands</b> <script>x()</script>in it'\n\
        language = 'en'\nrights = 'https://creativecommons.org/licenses/by/4.0/deed.en'\n\
        behavior = ['multi-part']\nnav_date = '1877-05-01T00:00:00Z'\n\
        homepage = [{ id = 'https://example.org/rack', label = 'The rack', format = 'text/html' }]\n\
        see_also = [{ id = 'https://example.org/rack.xml', format = 'text/xml' }]\n\
        provider = [{ id = 'https://example.org/', label = 'The museum' }]\n\
        required_statement = { label = 'Credit', value = 'The keeper' }\n\
        [metadata]\nKeeper = 'Jane Roe'\n";
    let masters = Masters::with([
        ("rack/info.toml", info.into()),
        ("rack/shelf/book/p1.png", tiny()),
        ("plain/book/p1.png", tiny()),
        ("info.toml", b"summary = 'Everything'".to_vec()),
    ]);
    let more = "label = 'Maps'\nrights = 'http://rightsstatements.org/vocab/InC/1.0/'\n\
        required_statement = { label = 'By', value = 'The source' }";
    let gateway = TestGateway::start(&masters.source("maps", more)).await;
    let rack = gateway.document("/iiif/3/collection/maps/rack").await;
    assert_eq!(rack["summary"]["en"][0], "<span>What <b>stands</b> in it</span>");
    assert_eq!(rack["rights"], "http://creativecommons.org/licenses/by/4.0/");
    assert_eq!(rack["metadata"][0]["value"]["en"][0], "Jane Roe");
    assert_eq!(rack["homepage"][0]["id"], "https://example.org/rack");
    assert_eq!(rack["seeAlso"][0]["id"], "https://example.org/rack.xml");
    assert_eq!(rack["provider"][0]["id"], "https://example.org/");
    assert_eq!(rack["requiredStatement"]["value"]["en"][0], "The keeper");
    assert_eq!(rack["navDate"], "1877-05-01T00:00:00Z");
    assert_eq!(rack["behavior"][0], "multi-part");
    assert_eq!(rack["partOf"][0]["label"]["none"][0], "Maps");

    let second = gateway.document("/iiif/2/collection/maps/rack").await;
    assert_eq!(second["license"], "http://creativecommons.org/licenses/by/4.0/");
    assert_eq!(second["metadata"][0]["value"]["@value"], "Jane Roe");
    assert_eq!(second["related"]["@id"], "https://example.org/rack");
    assert_eq!(second["seeAlso"]["@id"], "https://example.org/rack.xml");
    assert_eq!(second["attribution"][0]["@value"], "The keeper");
    assert!(second["description"]["@value"].as_str().unwrap().contains("stands"), "{second:#}");

    // The source speaks where the folder is silent; the root is described like any other folder.
    let plain = gateway.document("/iiif/3/collection/maps/plain").await;
    assert_eq!(plain["rights"], "http://rightsstatements.org/vocab/InC/1.0/");
    assert_eq!(plain["requiredStatement"]["value"]["none"][0], "The source");
    assert_eq!(plain.get("summary"), None);
    let root = gateway.document("/iiif/3/collection/maps").await;
    assert_eq!(root["summary"]["none"][0], "Everything");
    assert_eq!((&root["label"]["none"][0], &root["rights"]), (&"Maps".into(), &plain["rights"]));
    let shelf = gateway.document("/iiif/3/collection/maps/rack%2Fshelf").await;
    assert_eq!(shelf["partOf"][0]["label"]["en"][0], "The rack");
}

/// The first page may be damaged, or all of them.
#[tokio::test]
async fn thumbnails_of_a_list_answer() {
    let broken = fixture("rgb.png")[..20].to_vec();
    let masters = Masters::with([
        ("book/p1.png", broken.clone()),
        ("book/p2.png", tiny()),
        ("lost/p1.png", broken.clone()),
        ("lost/p2.png", broken.clone()),
        ("map.png", broken),
    ]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let root = gateway.document("/iiif/3/collection/maps").await;
    let book = root["items"][0]["thumbnail"][0]["id"].as_str().unwrap();
    assert!(book.contains("/image/maps/book%2Fp2.png/"), "{book}");
    gateway.image(book).await;
    assert_eq!(members(&root), pairs(&[("Manifest", "book"), ("Manifest", "lost"), ("Manifest", "map.png")]));
    assert_eq!((root["items"][1].get("thumbnail"), root["items"][2].get("thumbnail")), (None, None));
    for version in [2, 3] {
        crawl(&gateway, &format!("/iiif/{version}/collection/maps")).await;
    }
    // Mended, it has one.
    masters.put("map.png", tiny());
    gateway.advance(Duration::from_secs(31));
    let root = gateway.document("/iiif/3/collection/maps").await;
    assert!(root["items"][2].get("thumbnail").is_some(), "{root:#}");
}

#[tokio::test]
async fn a_change_in_the_folder_is_seen_after_a_moment() {
    let masters = Masters::with([("a.png", tiny())]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let listed = async || members(&gateway.document("/iiif/3/collection/maps").await).len();
    assert_eq!(listed().await, 1);
    masters.put("b.png", tiny());
    masters.put("c/p1.png", tiny());
    gateway.a_moment();
    assert_eq!(listed().await, 3);
    std::fs::remove_file(masters.path().join("a.png")).unwrap();
    gateway.a_moment();
    assert_eq!(listed().await, 2);
    assert_eq!(gateway.get("/iiif/3/manifest/maps/a.png").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(gateway.get("/iiif/3/image/maps/a.png/info.json").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_long_collection_comes_in_parts_that_miss_nobody() {
    let masters = Masters::new();
    let file = tiny();
    for n in 0..2001 {
        masters.put(&format!("m{n}.png"), &file);
    }
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    let whole = gateway.document("/iiif/3/collection/maps").await;
    let parts = whole["items"].as_array().unwrap();
    assert_eq!(parts.len(), 3);
    let mut seen = Vec::new();
    for part in parts {
        let part = gateway.document(part["id"].as_str().unwrap()).await;
        assert_eq!(part["partOf"][0]["id"], whole["id"]);
        seen.extend(members(&part).into_iter().map(|(_, id)| id));
    }
    let all: Vec<_> = (0..2001).map(|n| format!("m{n}.png")).collect();
    assert_eq!(seen, all, "in natural order");

    // 2.1 has words for it: total, first, next.
    let whole = gateway.document("/iiif/2/collection/maps").await;
    assert_eq!(whole["total"], 2001);
    let (mut next, mut seen) = (whole["first"].as_str().map(str::to_owned), 0);
    while let Some(address) = next {
        let part = gateway.document(&address).await;
        assert_eq!(part["startIndex"], seen);
        seen += part["members"].as_array().unwrap().len();
        next = part["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, 2001);
    for beyond in ["part-0", "part-4", "part-01", "part-99999999999"] {
        let status = gateway.get(&format!("/iiif/3/collection/maps/{beyond}")).await.status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{beyond}");
    }
}
