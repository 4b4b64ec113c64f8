//! The Image API as a client sees it. Numbers in comments are sections of the specification.

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, LINK, LOCATION, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;

use crate::support::gateway::{PUBLIC, TestGateway};
use crate::support::masters::{Masters, quarters};

mod answers;
mod info;
mod limits;
mod pixels;
mod vectors;

const VIEWER: &str = "https://viewer.example.org";
const PREFIXES: [&str; 2] = ["/iiif/3/image/maps", "/iiif/2/image/maps"];

/// One source `maps` with the picture `a.png` of 300x200 pixels.
async fn maps(image: &str) -> (TestGateway, Masters) {
    let masters = Masters::with([("a.png", quarters(300, 200))]);
    (TestGateway::start(&masters.source("maps", image)).await, masters)
}

/// Asks as a viewer on another site does.
async fn ask(gateway: &TestGateway, method: Method, path: &str) -> Response<Bytes> {
    gateway.send(Request::builder().method(method).uri(path).header(ORIGIN, VIEWER)).await
}

fn link<'a>(headers: &'a HeaderMap, rel: &str) -> Option<&'a str> {
    let lines = headers.get_all(LINK).into_iter().filter_map(|line| line.to_str().ok());
    // Canonical addresses hold commas too.
    let links = lines.flat_map(|line| line.trim_start_matches('<').split(",<"));
    let rel = format!(">;rel=\"{rel}\"");
    links.filter_map(|link| link.strip_suffix(&rel)).next()
}

/// 3.0, 9 and 3: decoded once, printed encoded; other spellings mean the same.
#[tokio::test]
async fn an_identifier_is_decoded_once_and_printed_encoded() {
    let ids = [
        ("a b.png", "a%20b.png", "a%20b%2Epng"),
        ("a+b.png", "a%2Bb.png", "a+b.png"),
        ("50%25.png", "50%2525.png", "50%2525.png"),
        ("100%.png", "100%25.png", "100%25.png"),
        ("ark:1.png", "ark:1.png", "ark%3A1.png"),
        ("Österreich.png", "%C3%96sterreich.png", "%c3%96sterreich.png"),
        ("a.b.c.png", "a.b.c.png", "%61.b.c.png"),
        ("x@3", "x%403", "x%403"),
        ("?#[]@.png", "%3F%23%5B%5D%40.png", "%3F%23[]@.png"),
        ("info.json", "info.json", "info%2Ejson"),
        ("max", "max", "max"),
        ("box/p 1.png", "box%2Fp%201.png", "box/p%201.png"),
        ("box/%2F.png", "box%2F%252F.png", "box/%252F.png"),
    ];
    let masters = Masters::new();
    ids.iter().for_each(|(name, ..)| masters.put(name, quarters(30, 20)));
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    for (name, encoded, other) in ids {
        for (prefix, id) in PREFIXES.into_iter().zip(["id", "@id"]) {
            for spelling in [encoded, other] {
                let info = gateway.document(&format!("{prefix}/{spelling}/info.json")).await;
                assert_eq!(info[id], format!("{PUBLIC}{prefix}/{encoded}"), "{name} as {spelling}");
                let image = gateway.image(&format!("{prefix}/{spelling}/full/15,/0/default.jpg")).await;
                assert_eq!((image.width, image.height), (15, 10), "{name}");
                let canonical = link(&image.headers, "canonical").unwrap();
                assert!(
                    canonical.starts_with(&format!("{PUBLIC}{prefix}/{encoded}/full/15,")),
                    "{canonical}"
                );
            }
        }
    }
    // 3.0, 3: the parts between the slashes may be encoded more than they must.
    let image =
        gateway.image("/iiif/3/image/maps/max/pct%3A0%2C0,50,100/%5E45%2C/%219%30/default%2Ejpg").await;
    assert_eq!((image.width, image.height), (60, 45), "enlarged, then turned");
}

/// 3.0, 7.3 and 10.
#[tokio::test]
async fn identifiers_that_name_nothing_are_not_found_or_malformed() {
    let (gateway, _masters) = maps("").await;
    let long = "x".repeat(9000);
    for (id, status) in [
        ("b.png", 404),
        ("A.PNG", 404),
        ("a%252Epng", 404),
        ("a.png%20", 404),
        ("a.png%2F", 404),
        ("a.png@3", 404),
        ("a.png%00", 400),
        ("a.png%zz", 400),
        ("a%", 400),
        ("%FF.png", 400),
        ("x/y/z", 404),
        (&long, 414),
    ] {
        for prefix in PREFIXES {
            for rest in ["info.json", "full/50,/0/default.jpg"] {
                let res = ask(&gateway, Method::GET, &format!("{prefix}/{id}/{rest}")).await;
                assert_eq!(res.status(), status, "{id:.30}/{rest}");
                assert_problem(&res);
            }
        }
    }
    for path in
        ["/iiif/3/image/charts/a.png/info.json", "/iiif/4/image/maps/a.png/info.json", "/iiif/3/image/maps"]
    {
        assert_eq!(ask(&gateway, Method::GET, path).await.status(), 404, "{path}");
    }
}

/// An error that a viewer can read.
#[track_caller]
fn assert_problem(res: &Response<Bytes>) {
    let headers = res.headers();
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    let problem: Value = serde_json::from_slice(res.body()).unwrap();
    assert_eq!(problem["status"], res.status().as_u16());
    assert!(!problem["detail"].as_str().unwrap().is_empty(), "{problem}");
    assert_eq!(problem["instance"], headers["x-request-id"].to_str().unwrap());
}

/// 3.0, 2: by 303 to an absolute address that does not depend on what the request says of the host.
#[tokio::test]
async fn the_base_address_leads_to_info_json() {
    let (gateway, masters) = maps("").await;
    masters.put("box/b.png", quarters(30, 20));
    for prefix in PREFIXES {
        for (path, to) in [
            ("a.png", "a.png/info.json"),
            ("a.png/", "a.png/info.json"),
            ("a%2Epng", "a.png/info.json"),
            ("box/b.png", "box%2Fb.png/info.json"),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let req = Request::builder().method(method).uri(format!("{prefix}/{path}"));
                let res = gateway
                    .send(req.header("host", "evil.example.org").header("x-forwarded-host", "evil"))
                    .await;
                assert_eq!(res.status(), StatusCode::SEE_OTHER, "{path}");
                assert_eq!(res.headers()[LOCATION], format!("{PUBLIC}{prefix}/{to}"));
            }
        }
        let res = gateway.get(&format!("{prefix}/none.png")).await;
        assert_eq!(res.status(), StatusCode::NOT_FOUND);
    }
}

/// A sentence names the part that is wrong.
#[tokio::test]
async fn malformed_requests_are_told_what_was_expected() {
    let (gateway, _masters) = maps("").await;
    for (path, part) in [
        ("foo/max/0/default.jpg", "region"),
        ("0,0,10/max/0/default.jpg", "region"),
        ("300,0,10,10/max/0/default.jpg", "region"),
        ("99999999999999999999,0,1,1/max/0/default.jpg", "region `99999999999999999999,0,1,1`"),
        ("pct:-1,0,1,1/max/0/default.jpg", "region"),
        ("full/full/0/default.jpg", "size"),
        ("full/0,/0/default.jpg", "size"),
        ("full/,%5E240/0/default.jpg", "size"),
        ("full/pct:120/0/default.jpg", "size"),
        ("full/99999999999999999999,/0/default.jpg", "size `99999999999999999999,`"),
        ("full/%5E9,99999999999999999999/0/default.jpg", "size `^9,99999999999999999999`"),
        ("full/max/361/default.jpg", "rotation"),
        ("full/max/-90/default.jpg", "rotation"),
        ("full/max/1e1/default.jpg", "rotation"),
        ("full/max/0/grey.jpg", "quality"),
        ("full/max/0/native.jpg", "quality"),
        ("full/max/0/default.exe", "format"),
        ("full/max/0/default", "format"),
    ] {
        let res = ask(&gateway, Method::GET, &format!("/iiif/3/image/maps/a.png/{path}")).await;
        assert_eq!(res.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_problem(&res);
        let text = String::from_utf8_lossy(res.body()).into_owned();
        assert!(text.contains(part), "{path}: {text}");
    }
}
