//! A folder of masters as items: the rules of folders, access, and the documents themselves.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::crawl::crawl;
use crate::support::gateway::{PUBLIC, TestGateway};
use crate::support::masters::{Masters, fixture, quarters, tiny};

/// A gateway whose one source `maps` has these files.
async fn maps<const N: usize>(files: [(&str, Vec<u8>); N]) -> (TestGateway, Masters) {
    let masters = Masters::with(files);
    (TestGateway::start(&masters.source("maps", "")).await, masters)
}

async fn status(gateway: &TestGateway, address: &str) -> u16 {
    gateway.get(address).await.status().as_u16()
}

/// The labels of all canvases.
fn canvases(manifest: &Value) -> Vec<&str> {
    manifest["items"].as_array().unwrap().iter().map(|c| c["label"]["none"][0].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_file_in_the_folder_is_an_item_with_one_canvas() {
    let (gateway, _masters) = maps([("map of Paris.png", quarters(300, 200))]).await;
    let manifest = gateway.document("/iiif/3/manifest/maps/map%20of%20Paris.png").await;
    assert_eq!(manifest["label"], json!({ "none": ["map of Paris"] }));
    let canvas = &manifest["items"][0];
    assert_eq!(manifest["items"].as_array().unwrap().len(), 1);
    assert_eq!((&canvas["width"], &canvas["height"]), (&json!(300), &json!(200)));
    let body = &canvas["items"][0]["items"][0]["body"];
    assert_eq!(body["service"][0]["id"], format!("{PUBLIC}/iiif/3/image/maps/map%20of%20Paris.png"));
}

#[tokio::test]
async fn a_folder_of_images_is_an_item_in_natural_order() {
    let (gateway, _masters) = maps([
        ("book/p10.png", tiny()),
        ("book/p2.png", tiny()),
        ("book/P1.png", tiny()),
        ("book/p1.png", tiny()),
        ("book/appendix.png", tiny()),
        ("book/notes.txt", b"no picture".to_vec()),
    ])
    .await;
    let manifest = gateway.document("/iiif/3/manifest/maps/book").await;
    assert_eq!(canvases(&manifest), ["P1", "appendix", "p1", "p2", "p10"]);
    let services = manifest.to_string();
    assert!(services.contains("/iiif/3/image/maps/book%2Fp10.png"), "{services}");
    let second = gateway.document("/iiif/2/manifest/maps/book").await;
    assert_eq!(second["sequences"][0]["canvases"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_file_inside_an_item_is_no_item() {
    let (gateway, _masters) = maps([("book/p1.png", tiny()), ("box/book/p1.png", tiny())]).await;
    for item in ["book%2Fp1.png", "book/p1.png", "box%2Fbook%2Fp1.png", "box", "p1.png", ""] {
        assert_eq!(status(&gateway, &format!("/iiif/3/manifest/maps/{item}")).await, 404, "{item}");
    }
    gateway.document("/iiif/3/manifest/maps/box%2Fbook").await;
    gateway.image("/iiif/3/image/maps/box%2Fbook%2Fp1.png/full/max/0/default.jpg").await;
}

#[tokio::test]
async fn names_that_begin_with_a_dot_are_left_out() {
    let (gateway, _masters) =
        maps([("book/p1.png", tiny()), ("book/.p2.png", tiny()), (".a.png", tiny()), (".b/p.png", tiny())])
            .await;
    assert_eq!(canvases(&gateway.document("/iiif/3/manifest/maps/book").await), ["p1"]);
    for (kind, id) in [
        ("manifest", ".a.png"),
        ("manifest", ".b"),
        ("image", ".a.png"),
        ("image", "book%2F.p2.png"),
        ("image", ".b%2Fp.png"),
    ] {
        let rest = if kind == "image" { "/info.json" } else { "" };
        assert_eq!(status(&gateway, &format!("/iiif/3/{kind}/maps/{id}{rest}")).await, 404, "{id}");
    }
}

#[tokio::test]
async fn links_are_followed_inside_the_folder_only() {
    let outside = Masters::with([("secret.png", quarters(77, 55)), ("book/p1.png", quarters(77, 55))]);
    let masters = Masters::with([("book/p1.png", tiny())]);
    let link =
        |to: &std::path::Path, name: &str| std::os::unix::fs::symlink(to, masters.path().join(name)).unwrap();
    link(&masters.path().join("book/p1.png"), "inside.png");
    link(&masters.path().join("book"), "again");
    link(&outside.path().join("secret.png"), "secret.png");
    link(&outside.path().join("secret.png"), "book/secret.png");
    link(&outside.path().join("book"), "stolen");
    link(masters.path(), "book/round");
    link(std::path::Path::new("/nowhere"), "dangling.png");
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    gateway.image("/iiif/3/image/maps/inside.png/full/max/0/default.jpg").await;
    gateway.document("/iiif/3/manifest/maps/again").await;
    assert_eq!(canvases(&gateway.document("/iiif/3/manifest/maps/book").await), ["p1"]);
    for address in [
        "/iiif/3/manifest/maps/secret.png",
        "/iiif/3/manifest/maps/stolen",
        "/iiif/3/manifest/maps/dangling.png",
        "/iiif/3/image/maps/secret.png/info.json",
        "/iiif/3/image/maps/book%2Fsecret.png/full/max/0/default.jpg",
        "/iiif/3/image/maps/stolen%2Fp1.png/full/max/0/default.jpg",
        "/iiif/3/collection/maps/stolen",
    ] {
        assert_eq!(status(&gateway, address).await, 404, "{address}");
    }
    let listed = gateway.document("/iiif/3/collection/maps").await.to_string();
    assert!(
        !listed.contains("secret") && !listed.contains("stolen") && !listed.contains("round"),
        "{listed}"
    );
}

#[tokio::test]
async fn content_decides_what_is_an_image_and_no_name() {
    let (gateway, _masters) = maps([
        ("scan", tiny()),
        ("scan.txt", fixture("baseline.jpg")),
        ("letter.jpg", b"Dear Sir or Madam".to_vec()),
        ("empty.png", Vec::new()),
        ("page.tif", b"<html>".to_vec()),
    ])
    .await;
    let listed = gateway.document("/iiif/3/collection/maps").await;
    let ids: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [format!("{PUBLIC}/iiif/3/manifest/maps/scan"), format!("{PUBLIC}/iiif/3/manifest/maps/scan.txt")]
    );
    gateway.image("/iiif/3/image/maps/scan.txt/full/max/0/default.jpg").await;
    for id in ["letter.jpg", "empty.png", "page.tif"] {
        assert_eq!(status(&gateway, &format!("/iiif/3/manifest/maps/{id}")).await, 404, "{id}");
        assert_eq!(status(&gateway, &format!("/iiif/3/image/maps/{id}/info.json")).await, 404, "{id}");
    }
}

#[tokio::test]
async fn descriptions_lie_beside_the_file_or_in_the_folder() {
    let info = b"label = { en = 'A book', de = 'Ein Buch' }\nlanguage = 'en'\nsummary = 'Bound'\n\
        rights = 'https://creativecommons.org/licenses/by/4.0/'\nnav_date = '1877-05-01T00:00:00Z'\n\
        viewing_direction = 'right-to-left'\nbehavior = ['paged']\n\
        [metadata]\nCreator = 'Jane Roe'\n[required_statement]\nlabel = 'Credit'\nvalue = 'The museum'\n\
        [canvas.'p1.png']\nlabel = 'Cover'\n";
    let (gateway, _masters) = maps([
        ("book/info.toml", info.to_vec()),
        ("book/p1.png", tiny()),
        ("book/p2.png", tiny()),
        ("a.png", tiny()),
        ("a.png.toml", b"label = 'Beside, with the ending'".to_vec()),
        ("b.png", tiny()),
        ("b.toml", b"label = 'Beside, without it'".to_vec()),
    ])
    .await;
    let manifest = gateway.document("/iiif/3/manifest/maps/book").await;
    assert_eq!(manifest["label"], json!({ "en": ["A book"], "de": ["Ein Buch"] }));
    assert_eq!(manifest["summary"], json!({ "en": ["Bound"] }));
    assert_eq!(manifest["rights"], "http://creativecommons.org/licenses/by/4.0/");
    assert_eq!(manifest["metadata"][0]["value"], json!({ "en": ["Jane Roe"] }));
    assert_eq!(manifest["requiredStatement"]["value"], json!({ "en": ["The museum"] }));
    assert_eq!(manifest["viewingDirection"], "right-to-left");
    assert_eq!(manifest["behavior"], json!(["paged"]));
    assert_eq!(manifest["navDate"], "1877-05-01T00:00:00Z");
    assert_eq!(manifest["items"][0]["label"], json!({ "en": ["Cover"] }));
    assert_eq!(manifest["items"][1]["label"], json!({ "none": ["p2"] }));
    gateway.document("/iiif/2/manifest/maps/book").await;
    for (file, label) in [("a.png", "Beside, with the ending"), ("b.png", "Beside, without it")] {
        let manifest = gateway.document(&format!("/iiif/3/manifest/maps/{file}")).await;
        assert_eq!(manifest["label"], json!({ "none": [label] }));
    }
}

/// Names of files and numbers are in no language, whatever the source speaks.
#[tokio::test]
async fn the_language_of_a_source_is_not_that_of_its_file_names() {
    let info = "summary = 'Bound'\n[canvas.'1.png']\nlabel = 'Cover'";
    let masters = Masters::with([
        ("book/1.png", tiny()),
        ("book/2.png", tiny()),
        ("book/info.toml", info.into()),
        ("rack/book/1.png", tiny()),
    ]);
    let gateway = TestGateway::start(&masters.source("maps", "language = 'en'\nlabel = 'Maps'")).await;
    let manifest = gateway.document("/iiif/3/manifest/maps/book").await;
    let labels = [&manifest["label"], &manifest["items"][0]["label"], &manifest["items"][1]["label"]];
    assert_eq!(
        labels,
        [&json!({ "none": ["book"] }), &json!({ "en": ["Cover"] }), &json!({ "none": ["2"] })]
    );
    assert_eq!(manifest["summary"], json!({ "en": ["Bound"] }));
    let root = gateway.document("/iiif/3/collection/maps").await;
    assert_eq!(root["label"], json!({ "en": ["Maps"] }));
    let listed = [&root["items"][0]["label"], &root["items"][1]["label"]];
    assert_eq!(listed, [&json!({ "none": ["book"] }), &json!({ "none": ["rack"] })]);
    let manifest = gateway.document("/iiif/2/manifest/maps/book").await;
    assert_eq!(manifest["label"], "book");
}

/// Status, headers and words of an answer, with one id in the place of another.
async fn answer(gateway: &TestGateway, address: &str, id: &str, instead: &str) -> (u16, String) {
    let (head, body) = gateway.get(address).await.into_parts();
    let mut headers = head.headers;
    let request = headers.remove("x-request-id").unwrap();
    let words = format!("{headers:?}\n{}", String::from_utf8_lossy(&body));
    let words = words.replace(request.to_str().unwrap(), "4711").replace("content-length", "");
    (head.status.as_u16(), words.replace(id, instead))
}

/// A description that cannot be read may have said that its item is hidden. So nobody learns that
/// there is one, let alone what it says.
#[tokio::test]
async fn what_is_behind_a_broken_description_looks_like_nothing_at_all() {
    let info = "access = 'hidden'\nrequired_statement = 'Donor: Jane Roe, do not publish'";
    let (gateway, masters) = maps([
        ("book/p1.png", tiny()),
        ("book/info.toml", info.into()),
        ("rack/book/p1.png", tiny()),
        ("rack/info.toml", info.into()),
        ("one.png", tiny()),
        ("one.png.toml", info.into()),
        ("fine.png", tiny()),
    ])
    .await;
    for (broken, missing) in
        [("book", "boot"), ("rack", "rags"), ("rack%2Fbook", "rags%2Fbook"), ("one.png", "two.png")]
    {
        let file = |id: &str| if id.ends_with(".png") { id.to_owned() } else { format!("{id}%2Fp1.png") };
        let mut pairs = Vec::new();
        for address in [
            "/iiif/manifest/maps/{}",
            "/iiif/3/manifest/maps/{}",
            "/iiif/2/manifest/maps/{}",
            "/iiif/2/sequence/maps/{}/normal",
            "/iiif/3/canvas/maps/{}/p1-png",
            "/iiif/3/canvas/maps/{}/placeholder",
            "/iiif/3/annotations/maps/{}/p1-png/painting",
            "/iiif/2/annotations/maps/{}/p1-png/painting/1",
            "/iiif/3/collection/maps/{}",
            "/iiif/2/collection/maps/{}/part-1",
            "/item/maps/{}",
        ] {
            pairs.push((address.replace("{}", broken), address.replace("{}", missing)));
        }
        for address in [
            "/iiif/3/image/maps/{}",
            "/iiif/3/image/maps/{}/info.json",
            "/iiif/2/image/maps/{}/info.json",
            "/iiif/3/image/maps/{}/full/max/0/default.jpg",
            "/iiif/2/image/maps/{}/full/full/0/default.png",
            "/iiif/3/image/maps/{}/5000,0,1,1/max/0/default.jpg",
        ] {
            pairs.push((address.replace("{}", &file(broken)), address.replace("{}", &file(missing))));
        }
        let plain = |id: &str| id.replace("%2F", "/");
        for (address, nowhere) in pairs {
            let (status, told) = answer(&gateway, &address, &plain(broken), "ID").await;
            assert_eq!(status, 404, "{address}: {told}");
            assert_eq!((status, told), answer(&gateway, &nowhere, &plain(missing), "ID").await, "{address}");
        }
    }
    for version in [2, 3] {
        let listed = gateway.document(&format!("/iiif/{version}/collection/maps")).await.to_string();
        assert!(listed.contains("fine.png"), "{listed}");
        assert!(!["book", "rack", "one.png"].iter().any(|id| listed.contains(id)), "{listed}");
    }
    // Mended, it is there: neither the refusal nor the list without it lasts.
    masters.put("book/info.toml", "label = 'mended'");
    gateway.a_moment();
    let manifest = gateway.document("/iiif/3/manifest/maps/book").await;
    assert_eq!(manifest["label"], json!({ "none": ["mended"] }));
    let listed = gateway.document("/iiif/3/collection/maps").await.to_string();
    assert!(listed.contains("mended"), "{listed}");
    // The description of the whole folder speaks for everything.
    masters.put("info.toml", info);
    gateway.a_moment();
    for address in ["/iiif/3/collection/maps", "/iiif/3/manifest/maps/fine.png"] {
        let res = gateway.get(address).await;
        assert_eq!(res.status(), StatusCode::NOT_FOUND, "{address}");
        assert!(!String::from_utf8_lossy(res.body()).contains("info.toml"), "{address}");
    }
}

/// Who runs the gateway may know, and has to.
#[tokio::test]
async fn a_broken_description_is_named_to_the_operator() {
    let masters = Masters::with([("book/p1.png", tiny()), ("book/info.toml", b"\nlabell = 'x'".to_vec())]);
    let file = masters.path().join("loggia.toml");
    std::fs::write(&file, masters.source("maps", "")).unwrap();
    let settings = loggia::cli::load(&file).unwrap_or_else(|report| panic!("{report}"));
    let Err(error) = loggia::assemble::probe(&settings, "maps", "book").await else { panic!("it is broken") };
    let error = format!("{error:#}");
    assert!(error.contains("`book/info.toml`: line 2: unknown field `labell`"), "{error}");
}

/// Closed unless open: who has not signed in may read of what needs a login, and see no pixel; of what
/// is hidden nothing is told, whichever address is tried.
#[tokio::test]
async fn access_that_a_description_tells_holds_at_every_address() {
    const ADDRESSES: [(&str, [u16; 3]); 14] = [
        ("/iiif/3/manifest/maps/book", [200, 200, 404]),
        ("/iiif/2/manifest/maps/book", [200, 200, 404]),
        ("/iiif/manifest/maps/book", [200, 200, 404]),
        ("/item/maps/book", [303, 303, 404]),
        ("/iiif/2/sequence/maps/book/normal", [200, 200, 404]),
        ("/iiif/3/canvas/maps/book/p1-png", [200, 200, 404]),
        ("/iiif/3/annotations/maps/book/p1-png/painting", [200, 200, 404]),
        ("/iiif/2/annotations/maps/book/p1-png/painting/1", [200, 200, 404]),
        // Authorization Flow 2.0 wants the description, Authentication 1.0 the 401.
        ("/iiif/3/image/maps/book%2Fp1.png/info.json", [200, 200, 404]),
        ("/iiif/2/image/maps/book%2Fp1.png/info.json", [200, 401, 404]),
        ("/iiif/3/image/maps/book%2Fp1.png/full/max/0/default.jpg", [200, 401, 404]),
        ("/iiif/2/image/maps/book%2Fp1.png/full/full/0/default.jpg", [200, 401, 404]),
        // Who may not see it learns nothing of its size.
        ("/iiif/3/image/maps/book%2Fp1.png/5000,0,1,1/max/0/default.jpg", [400, 401, 404]),
        ("/iiif/3/image/maps/book/p1.png/0,0,2,2/max/0/bitonal.tif", [200, 401, 404]),
    ];
    for (access, column) in [("open", 0), ("login", 1), ("restricted", 1), ("hidden", 2), ("unknown", 2)] {
        let info = format!("label = 'The book'\naccess = '{access}'");
        let (gateway, _masters) =
            maps([("book/p1.png", tiny()), ("book/info.toml", info.into_bytes()), ("x.png", tiny())]).await;
        for (address, expected) in ADDRESSES {
            assert_eq!(status(&gateway, address).await, expected[column], "{access}: {address}");
        }
        for version in [2, 3] {
            for place in ["maps", "top"] {
                let listed =
                    gateway.document(&format!("/iiif/{version}/collection/{place}")).await.to_string();
                assert!(column < 2 || !listed.contains("book"), "{access}: {listed}");
            }
            let listed = gateway.document(&format!("/iiif/{version}/collection/maps")).await.to_string();
            assert_eq!(listed.contains("The book"), column < 2, "{access}: {listed}");
        }
        if column == 1 {
            let manifest = gateway.document("/iiif/3/manifest/maps/book").await;
            assert_eq!(manifest.get("thumbnail"), None, "a thumbnail's address always answers");
        }
    }
}

#[tokio::test]
async fn a_page_may_be_closed_in_an_open_book_and_not_open_in_a_closed_one() {
    let info = |book: &str, first: &str| {
        format!("access = '{book}'\n[canvas.'p1.png']\naccess = '{first}'\nlabel = 'Page one'").into_bytes()
    };
    for (book, page, pixels, listed) in [
        ("open", "restricted", 401, true),
        ("open", "hidden", 404, false),
        ("open", "unknown", 404, false),
        ("restricted", "open", 401, true),
        ("login", "open", 401, true),
        ("hidden", "open", 404, false),
    ] {
        let (gateway, _masters) =
            maps([("book/p1.png", tiny()), ("book/p2.png", tiny()), ("book/info.toml", info(book, page))])
                .await;
        let case = format!("{page} page in a {book} book");
        for version in [2, 3] {
            let address = format!("/iiif/{version}/image/maps/book%2Fp1.png/full/max/0/default.jpg");
            assert_eq!(status(&gateway, &address).await, pixels, "{case}");
            let canvas = format!("/iiif/{version}/canvas/maps/book/p1-png");
            assert_eq!(status(&gateway, &canvas).await, if listed { 200 } else { 404 }, "{case}");
            if book == "hidden" {
                continue;
            }
            let manifest = gateway.document(&format!("/iiif/{version}/manifest/maps/book")).await;
            assert_eq!(manifest.to_string().contains("Page one"), listed, "{case}");
            let thumbnail = manifest["thumbnail"][0]["id"].as_str().or(manifest["thumbnail"]["@id"].as_str());
            if let Some(thumbnail) = thumbnail {
                assert_eq!(status(&gateway, thumbnail).await, 200, "{case}: {thumbnail}");
            }
        }
    }
}

#[tokio::test]
async fn every_address_that_is_printed_answers_and_names_itself() {
    let masters = Masters::with([
        ("map ä.png", quarters(900, 600)),
        ("book/p 1.png", quarters(500, 700)),
        ("book/p 2.png", quarters(7, 700)),
        ("box/p1.png", quarters(300, 200)),
        ("box/deep/one.png", quarters(30, 20)),
        ("box/deep/er/two.png", quarters(30, 20)),
        ("part-2/p1.png", quarters(30, 20)),
        ("part-2/x/p1.png", quarters(30, 20)),
        ("closed/p1.png", quarters(30, 20)),
        ("mixed/p1.png", quarters(30, 20)),
        ("mixed/p2.png", fixture("rgb.png")[..20].to_vec()),
    ]);
    let limited = masters.source("limited", "[sources.limited.image]\nmax_width = 200\n");
    let unscaled = masters
        .source("unscaled", "label = 'Ünscaled'\n[sources.unscaled.image]\nupscale = false\ntile = 64\n");
    let gateway = TestGateway::start(&format!("{}{limited}{unscaled}", masters.source("maps", ""))).await;
    for version in [3, 2] {
        let crawled = crawl(&gateway, &format!("/iiif/{version}/collection/top")).await;
        let count = |kind: &str| crawled.documents.iter().filter(|address| address.contains(kind)).count();
        assert_eq!(count("/manifest/"), 3 * 9, "{:#?}", crawled.documents);
        assert_eq!(count("/collection/"), 1 + 3 * 4, "{:#?}", crawled.documents);
        assert!(count("/canvas/") >= 3 * 10);
        let promised = crawled.pictures.values().filter(|size| size.is_some()).count();
        assert!(promised > 20 && crawled.services.len() >= 3 * 9, "{promised}");
    }
}

#[tokio::test]
async fn one_address_speaks_both_versions() {
    const V2: &str = "http://iiif.io/api/presentation/2/context.json";
    const V3: &str = "http://iiif.io/api/presentation/3/context.json";
    let (gateway, _masters) = maps([("a.png", tiny())]).await;
    let mut tags = [None, None];
    for (accept, version, linked) in [
        (None, 3, true),
        (Some("*/*".to_owned()), 3, true),
        (Some("application/json".to_owned()), 3, false),
        (Some(format!("application/ld+json;profile=\"{V3}\"")), 3, true),
        (Some(format!("application/ld+json;profile=\"{V2}\"")), 2, true),
        (Some(format!("application/ld+json;profile={V2}")), 2, true),
        (
            Some(format!("application/ld+json;profile=\"{V3}\";q=0.5, application/json;profile=\"{V2}\"")),
            2,
            false,
        ),
        (
            Some(format!("application/ld+json;profile=\"{V2}\";q=0.5, application/ld+json;profile=\"{V3}\"")),
            3,
            true,
        ),
        (
            Some("application/ld+json;profile=\"http://iiif.io/api/presentation/4/context.json\"".to_owned()),
            3,
            true,
        ),
        (Some("text/html".to_owned()), 3, true),
    ] {
        let req = Request::get("/iiif/manifest/maps/a.png");
        let res = gateway.send(accept.iter().fold(req, |req, accept| req.header(ACCEPT, accept))).await;
        assert_eq!(res.status(), StatusCode::OK, "{accept:?}");
        let direct = format!("{PUBLIC}/iiif/{version}/manifest/maps/a.png");
        let headers = res.headers();
        assert_eq!(headers[CONTENT_LOCATION], direct, "{accept:?}");
        let context = if version == 2 { V2 } else { V3 };
        let expected = if linked {
            format!("application/ld+json;profile=\"{context}\"")
        } else {
            "application/json".to_owned()
        };
        assert_eq!(headers[CONTENT_TYPE], expected, "{accept:?}");
        assert!(varies_by_accept(&res), "{accept:?}");
        let document: Value = serde_json::from_slice(res.body()).unwrap();
        assert_eq!(document["@context"], context);
        assert_eq!(document[if version == 2 { "@id" } else { "id" }], direct);
        tags[version - 2] = Some(headers[ETAG].clone());
    }
    assert_ne!(tags[0], tags[1], "two documents, two tags");
}

fn varies_by_accept(res: &Response<Bytes>) -> bool {
    let lines = res.headers().get_all(VARY).into_iter().map(|line| line.to_str().unwrap().to_lowercase());
    lines
        .flat_map(|line| line.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
        .any(|name| name == "accept")
}

#[tokio::test]
async fn a_document_that_did_not_change_is_not_sent_again() {
    let (gateway, masters) = maps([("book/p1.png", tiny()), ("a.png", tiny())]).await;
    let addresses = [
        "/iiif/3/manifest/maps/book",
        "/iiif/2/manifest/maps/book",
        "/iiif/manifest/maps/book",
        "/iiif/3/canvas/maps/book/p1-png",
        "/iiif/3/annotations/maps/book/p1-png/painting",
        "/iiif/2/sequence/maps/book/normal",
        "/iiif/3/collection/maps",
        "/iiif/3/collection/top",
        "/iiif/3/image/maps/book%2Fp1.png/info.json",
    ];
    let mut before = Vec::new();
    for address in addresses {
        let whole = gateway.get(address).await;
        let tag = whole.headers()[ETAG].clone();
        assert!(tag.to_str().unwrap().starts_with("W/\""), "{address}");
        let res = gateway.send(Request::get(address).header(IF_NONE_MATCH, &tag)).await;
        assert_eq!(res.status(), StatusCode::NOT_MODIFIED, "{address}");
        assert!(res.body().is_empty() && res.headers()[ETAG] == tag && varies_by_accept(&res), "{address}");
        assert_eq!(res.headers().get(CONTENT_LOCATION), whole.headers().get(CONTENT_LOCATION), "{address}");
        assert_eq!(res.headers().get(CACHE_CONTROL), whole.headers().get(CACHE_CONTROL), "{address}");
        before.push((tag, whole.into_body()));
    }
    masters.put(
        "book/info.toml",
        "label = 'Another name'\nrights = 'http://rightsstatements.org/vocab/InC/1.0/'",
    );
    masters.put("book/p2.png", tiny());
    gateway.a_moment();
    let mut changed = 0;
    for (address, (tag, body)) in addresses.iter().zip(before) {
        let res = gateway.send(Request::get(*address).header(IF_NONE_MATCH, &tag)).await;
        let other = gateway.get(address).await.into_body() != body;
        assert_eq!(res.status(), if other { StatusCode::OK } else { StatusCode::NOT_MODIFIED }, "{address}");
        changed += usize::from(other);
    }
    assert_eq!(changed, 7, "all but the top and the picture on the page");
}

/// What an operator changes in the settings is a change of every document that shows it.
#[tokio::test]
async fn other_settings_make_other_documents() {
    let masters = Masters::with([("a.png", quarters(900, 600))]);
    let mut tags: Vec<Vec<_>> = Vec::new();
    for more in [
        "label = 'Maps'\n",
        "label = 'Charts'\n",
        "rights = 'http://rightsstatements.org/vocab/InC/1.0/'\n",
        "required_statement = { label = 'Credit', value = 'The museum' }\n",
        "[sources.maps.image]\nmax_width = 500\n",
        "[sources.maps.image]\ntile = 256\n",
    ] {
        let gateway = TestGateway::start(&masters.source("maps", more)).await;
        let mut row = Vec::new();
        for address in ["/iiif/3/manifest/maps/a.png", "/iiif/2/image/maps/a.png/info.json"] {
            let res = gateway.get(address).await;
            row.push((res.headers()[ETAG].clone(), res.into_body()));
        }
        tags.push(row);
    }
    for (n, row) in tags.iter().enumerate() {
        for (other, ours) in tags[..n].iter().flat_map(|earlier| earlier.iter().zip(row)) {
            assert_eq!(
                other.0 == ours.0,
                other.1 == ours.1,
                "{} and {}",
                String::from_utf8_lossy(&other.1),
                String::from_utf8_lossy(&ours.1)
            );
        }
    }
}
