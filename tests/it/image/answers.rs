//! Headers, methods, conditional requests, and who may read answers.

use std::collections::BTreeMap;

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, ORIGIN,
};
use http::{Method, Request, StatusCode};

use super::{VIEWER, ask, assert_problem, link, maps};
use crate::support::gateway::{PUBLIC, TestGateway};
use crate::support::masters::{Masters, fixture, quarters};

/// 3.0, 7.
#[tokio::test]
async fn methods() {
    let (gateway, _masters) = maps("").await;
    for path in [
        "/iiif/3/image/maps/a.png",
        "/iiif/3/image/maps/a.png/info.json",
        "/iiif/2/image/maps/a.png/info.json",
        "/iiif/3/image/maps/a.png/full/max/0/default.jpg",
        "/iiif/3/image/maps/a.png/full/max/0/default.xyz",
        "/iiif/3/image/maps/none.png/info.json",
        "/iiif/3/manifest/maps/a.png",
        "/iiif/manifest/maps/a.png",
        "/iiif/3/collection/top",
        "/iiif/2/collection/maps",
    ] {
        let got = ask(&gateway, Method::GET, path).await;
        let head = ask(&gateway, Method::HEAD, path).await;
        assert_eq!(head.status(), got.status(), "{path}");
        assert!(head.body().is_empty(), "{path}");
        for (name, value) in got.headers() {
            let own = ["x-request-id", "date"].contains(&name.as_str());
            let same = head.headers().get_all(name).iter().eq(got.headers().get_all(name));
            assert!(own || same, "{path}: HEAD has another `{name}` than {value:?}");
        }
        if !got.body().is_empty() {
            assert_eq!(head.headers()[CONTENT_LENGTH], got.body().len().to_string(), "{path}");
        }

        let preflight = Request::options(path)
            .header(ORIGIN, VIEWER)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "if-none-match, x-custom");
        let preflight = gateway.send(preflight).await;
        assert!(preflight.status().is_success() && preflight.body().is_empty(), "{path}");
        let headers = preflight.headers();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{path}");
        assert!(!headers.contains_key("access-control-allow-credentials"), "{path}");
        assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("GET"), "{path}");
        assert_eq!(headers["access-control-allow-headers"], "if-none-match, x-custom", "{path}");

        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
            let res = ask(&gateway, method.clone(), path).await;
            assert_eq!(res.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(res.headers()[ALLOW], "GET, HEAD, OPTIONS");
            assert_problem(&res);
        }
    }
}

/// 3.0, 7.1 and the feature `cors`: a viewer may read every answer, whatever its status.
#[tokio::test]
async fn every_answer_may_be_read_from_another_site() {
    let masters = Masters::with([
        ("a.png", quarters(30, 20)),
        ("broken.png", fixture("rgb.png")[..60].to_vec()),
        ("closed.png", quarters(30, 20)),
        ("closed.toml", b"access = 'restricted'".to_vec()),
    ]);
    let gateway = TestGateway::start(&masters.source("maps", "[sources.maps.image]\nupscale = false")).await;
    let tag = gateway.get("/iiif/3/image/maps/a.png/full/max/0/default.jpg").await.headers()[ETAG].clone();
    for (path, status) in [
        ("/iiif/3/image/maps/a.png/full/max/0/default.png", 200),
        ("/iiif/3/image/maps/a.png", 303),
        ("/iiif/3/image/maps/a.png/full/max/0/default.jpg", 304),
        ("/iiif/3/image/maps/a.png/full/0,/0/default.jpg", 400),
        ("/iiif/3/image/maps/closed.png/full/max/0/default.jpg", 401),
        ("/iiif/3/image/maps/none.png/info.json", 404),
        ("/iiif/3/image/maps/a.png/full/^60,/0/default.jpg", 501),
        ("/iiif/3/image/maps/broken.png/full/max/0/default.jpg", 502),
    ] {
        let req = Request::get(path).header(ORIGIN, VIEWER).header(IF_NONE_MATCH, &tag);
        let res = gateway.send(req).await;
        assert_eq!(res.status(), status, "{path}");
        let headers = res.headers();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{path}");
        assert!(!headers.contains_key("access-control-allow-credentials"), "{path}");
        let exposed = headers["access-control-expose-headers"].to_str().unwrap();
        for name in ["etag", "link", "retry-after", "x-request-id"] {
            assert!(exposed.contains(name), "{path}: `{name}` is not among {exposed}");
        }
    }
}

/// 3.0, 4.8 and 6: canonical form and level, on pictures; the level on info.json too.
#[tokio::test]
async fn links_tell_the_canonical_form_and_the_level() {
    let (gateway, _masters) = maps("").await;
    for (version, spellings, canonical) in [
        (
            3,
            ["full/150,/0/color.jpg", "pct:0,0,100,100/pct:50/360/default.jpg"],
            "full/150,100/0/default.jpg",
        ),
        (3, ["square/max/90.0/gray.png", "50,0,200,200/200,200/90/gray.png"], "50,0,200,200/max/90/gray.png"),
        (2, ["full/150,100/0/color.jpg", "0,0,300,200/!150,150/0/default.jpg"], "full/150,/0/default.jpg"),
        (2, ["full/max/!0/bitonal.tif", "full/300,/!0.0/bitonal.tif"], "full/full/!0/bitonal.tif"),
    ] {
        let base = format!("/iiif/{version}/image/maps/a.png");
        let level = format!("http://iiif.io/api/image/{version}/level2.json");
        let mut tags = Vec::new();
        for spelling in spellings.into_iter().chain([canonical]) {
            let res = gateway.get(&format!("{base}/{spelling}")).await;
            let expected = format!("{PUBLIC}{base}/{canonical}");
            assert_eq!(link(res.headers(), "canonical"), Some(expected.as_str()), "{spelling}");
            assert_eq!(link(res.headers(), "profile"), Some(level.as_str()), "{spelling}");
            tags.push(res.headers()[ETAG].clone());
        }
        assert!(tags.iter().all(|tag| *tag == tags[0]), "one picture, one tag: {tags:?}");
        let info = gateway.get(&format!("{base}/info.json")).await;
        assert_eq!(link(info.headers(), "profile"), Some(level.as_str()));
    }
}

/// 3.0, 7.2; RFC 9110, 8.8.3 and 15.4.5.
#[tokio::test]
async fn pictures_have_strong_tags_and_documents_weak_ones() {
    let (gateway, _masters) = maps("").await;
    for (path, strong) in [
        ("/iiif/3/image/maps/a.png/full/max/0/default.jpg", true),
        ("/iiif/2/image/maps/a.png/full/full/0/default.png", true),
        ("/iiif/3/image/maps/a.png/info.json", false),
        ("/iiif/2/image/maps/a.png/info.json", false),
    ] {
        let whole = gateway.get(path).await;
        let tag = whole.headers()[ETAG].to_str().unwrap();
        assert_eq!(!tag.starts_with("W/"), strong, "{path}");
        let list = format!("\"other\", {tag}");
        for sent in [tag, &format!("W/{}", tag.trim_start_matches("W/")), "*", &list] {
            let res = gateway.send(Request::get(path).header(IF_NONE_MATCH, sent)).await;
            assert_eq!(res.status(), StatusCode::NOT_MODIFIED, "{path}: {sent}");
            assert!(res.body().is_empty());
            for (name, value) in whole.headers() {
                let of_the_body = [CONTENT_TYPE, CONTENT_LENGTH].contains(name) || name == "x-request-id";
                let kept =
                    of_the_body || res.headers().get_all(name).iter().eq(whole.headers().get_all(name));
                assert!(kept, "{path}: `{name}: {value:?}` is missing from the 304");
            }
        }
        let res = gateway.send(Request::get(path).header(IF_NONE_MATCH, "\"other\"")).await;
        assert_eq!(res.status(), StatusCode::OK);
        let other = gateway.send(Request::get(path).header(IF_NONE_MATCH, "nonsense")).await;
        assert_eq!(other.body(), whole.body(), "{path}: one tag, one answer");
    }
}

/// Downloads of one image can be told apart.
#[tokio::test]
async fn downloads_have_names_of_their_own() {
    let (gateway, _masters) = maps("").await;
    let mut names = BTreeMap::new();
    for path in [
        "full/max/0/default.jpg",
        "full/max/0/default.png",
        "full/max/90/default.jpg",
        "0,0,9,9/max/0/default.jpg",
    ] {
        let res = gateway.get(&format!("/iiif/3/image/maps/a.png/{path}")).await;
        let name = res.headers()[CONTENT_DISPOSITION].to_str().unwrap().to_owned();
        assert!(name.starts_with("inline; filename=\"a_") && name.ends_with('"'), "{name}");
        names.insert(name, path);
    }
    assert_eq!(names.len(), 4, "{names:?}");
}
