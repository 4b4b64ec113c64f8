//! info.json, and what it promises.

use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{PREFIXES, maps};
use crate::support::gateway::TestGateway;
use crate::support::masters::{Masters, fixture, quarters};

/// 3.0, 5.1; 2.1, 5.1.
#[tokio::test]
async fn info_json_has_the_content_type_that_is_asked_for() {
    const LD3: &str = "application/ld+json;profile=\"http://iiif.io/api/image/3/context.json\"";
    const LD2: &str = "application/ld+json;profile=\"http://iiif.io/api/image/2/context.json\"";
    let (gateway, _masters) = maps("").await;
    for (accept, third, second) in [
        (None, LD3, "application/json"),
        (Some("*/*"), LD3, "application/json"),
        (Some("application/json"), "application/json", "application/json"),
        (Some("application/ld+json"), LD3, LD2),
        (Some(LD2), LD3, LD2),
        (Some("application/json;q=0.4, application/ld+json;q=0.5"), LD3, LD2),
        (Some("application/ld+json;q=0.4, application/json"), "application/json", "application/json"),
        (Some("text/html,application/xhtml+xml,*/*;q=0.8"), LD3, "application/json"),
        (Some("image/png"), LD3, "application/json"),
    ] {
        for (prefix, expected) in PREFIXES.into_iter().zip([third, second]) {
            let req = Request::get(format!("{prefix}/a.png/info.json"));
            let res =
                gateway.send(accept.into_iter().fold(req, |req, accept| req.header(ACCEPT, accept))).await;
            assert_eq!(res.status(), StatusCode::OK);
            assert_eq!(res.headers()[CONTENT_TYPE], expected, "{prefix} {accept:?}");
            let vary: Vec<_> =
                res.headers().get_all(VARY).iter().map(|v| v.to_str().unwrap().to_lowercase()).collect();
            assert!(vary.join(",").contains("accept"), "{vary:?}");
        }
    }
}

/// 3.0, 5; 2.1, 5: what every viewer reads, and what it may conclude from it.
#[tokio::test]
async fn info_json_says_what_is_offered() {
    let masters = Masters::with([
        ("a.png", quarters(3000, 2000)),
        ("grey.png", fixture("grey.png")),
        ("a.toml", b"rights = 'http://creativecommons.org/licenses/by/4.0/'".to_vec()),
    ]);
    let limits = "[sources.maps.image]\nmax_width = 1000\nmax_area = 600_000\ntile = 256";
    let gateway = TestGateway::start(&masters.source("maps", limits)).await;
    let info = gateway.document("/iiif/3/image/maps/a.png/info.json").await;
    assert_eq!(info.as_object().unwrap().keys().next().unwrap(), "@context");
    for (key, expected) in [
        ("@context", json!("http://iiif.io/api/image/3/context.json")),
        ("type", json!("ImageService3")),
        ("protocol", json!("http://iiif.io/api/image")),
        ("profile", json!("level2")),
        ("width", json!(3000)),
        ("height", json!(2000)),
        ("maxWidth", json!(1000)),
        ("maxHeight", Value::Null),
        ("maxArea", json!(600_000)),
        ("rights", json!("http://creativecommons.org/licenses/by/4.0/")),
        ("extraQualities", json!(["color", "gray", "bitonal"])),
        ("extraFormats", json!(["webp", "tif", "gif"])),
        ("preferredFormats", json!(["jpg"])),
    ] {
        assert_eq!(info.get(key).unwrap_or(&Value::Null), &expected, "{key}");
    }
    assert!(info["extraFeatures"].as_array().unwrap().contains(&json!("sizeUpscaling")));

    let info = gateway.document("/iiif/2/image/maps/a.png/info.json").await;
    assert_eq!(info["@context"], "http://iiif.io/api/image/2/context.json");
    assert_eq!(info["protocol"], "http://iiif.io/api/image");
    assert_eq!(info["profile"][0], "http://iiif.io/api/image/2/level2.json");
    let more = &info["profile"][1];
    assert_eq!((&more["maxWidth"], &more["maxArea"]), (&json!(1000), &json!(600_000)));
    assert!(more["supports"].as_array().unwrap().contains(&json!("sizeAboveFull")), "{more}");
    assert!(info.get("id").is_none() && info.get("type").is_none() && info.get("maxWidth").is_none());

    // 3.0, 4.4: `color` is not listed where there is none, and is no error either.
    let grey = gateway.document("/iiif/3/image/maps/grey.png/info.json").await;
    assert_eq!(grey["extraQualities"], json!(["gray", "bitonal"]));
    gateway.image("/iiif/3/image/maps/grey.png/full/max/0/color.jpg").await;
}

/// 3.0, 5.3; 2.1, 5.2: every size may be asked for, in 2.1 also by its width alone.
#[tokio::test]
async fn every_size_that_is_listed_can_be_asked_for() {
    let masters = Masters::with([
        ("a.png", quarters(1001, 701)),
        ("thin.png", quarters(2000, 3)),
        ("dot.png", quarters(1, 1)),
    ]);
    let limited = masters.source("limited", "[sources.limited.image]\nmax_width = 600\nmax_height = 300");
    let gateway = TestGateway::start(&format!("{}{limited}", masters.source("maps", ""))).await;
    for (version, source, name) in [3, 2].into_iter().flat_map(|version| {
        let names = ["a.png", "thin.png", "dot.png"];
        ["maps", "limited"].into_iter().flat_map(move |source| names.map(|name| (version, source, name)))
    }) {
        let base = format!("/iiif/{version}/image/{source}/{name}");
        let info = gateway.document(&format!("{base}/info.json")).await;
        let sizes = info["sizes"].as_array().unwrap();
        assert!(!sizes.is_empty(), "{base}");
        for size in sizes {
            let (width, height) = (&size["width"], &size["height"]);
            let mut forms = vec![format!("{width},{height}")];
            if version == 2 {
                forms.push(format!("{width},"));
            }
            for form in forms {
                let image = gateway.image(&format!("{base}/full/{form}/0/default.jpg")).await;
                let exact = form.ends_with(',') || json!(image.height) == *height;
                assert!(
                    json!(image.width) == *width && exact,
                    "{base}: {form} gives {}x{}",
                    image.width,
                    image.height
                );
                assert!(image.height.abs_diff(height.as_u64().unwrap() as u32) <= 1);
            }
        }
    }
}
