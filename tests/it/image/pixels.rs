//! What is in a picture, seen pixel by pixel.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::{PREFIXES, maps};
use crate::support::gateway::TestGateway;
use crate::support::masters::{COLOURS, MIDDLES, Masters, fixture, fixtures, quarters};

#[track_caller]
fn assert_near(found: [u8; 4], expected: [u8; 3], place: &str) {
    let near = found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 12);
    assert!(near && found[3] == 255, "{place}: found {found:?}, expected {expected:?}");
}

/// 3.0, 4.5: the content type says what the bytes are.
#[tokio::test]
async fn formats_are_what_they_are_called() {
    let (gateway, _masters) = maps("").await;
    for prefix in PREFIXES {
        for (format, media_type, signature) in [
            ("jpg", "image/jpeg", b"\xff\xd8\xff".as_slice()),
            ("png", "image/png", b"\x89PNG\r\n\x1a\n"),
            ("tif", "image/tiff", b"II*\0"),
            ("gif", "image/gif", b"GIF8"),
            ("webp", "image/webp", b"RIFF"),
        ] {
            let image = gateway.image(&format!("{prefix}/a.png/full/60,/0/default.{format}")).await;
            assert_eq!(image.headers[CONTENT_TYPE], media_type);
            assert!(image.bytes.starts_with(signature), "{format}");
            assert_eq!((image.width, image.height), (60, 40));
            for (place, colour) in MIDDLES.into_iter().zip(COLOURS) {
                assert_near(image.at(place), colour, format);
            }
        }
        for format in ["jp2", "pdf", "jpeg", "JPG", "tiff", "bmp", ""] {
            let res = gateway.get(&format!("{prefix}/a.png/full/60,/0/default.{format}")).await;
            assert_eq!(res.status(), StatusCode::BAD_REQUEST, "{format}");
        }
    }
}

/// 3.0, implementation notes 3: what a tiled viewer computes, at the right and lower edge too.
#[tokio::test]
async fn every_tile_of_every_factor_has_the_size_that_viewers_compute() {
    let masters = Masters::with([("a.png", quarters(601, 401))]);
    let gateway = TestGateway::start(&masters.source("maps", "[sources.maps.image]\ntile = 256")).await;
    for version in [3, 2] {
        let base = format!("/iiif/{version}/image/maps/a.png");
        let info = gateway.document(&format!("{base}/info.json")).await;
        let tile = &info["tiles"][0];
        let side = tile["width"].as_u64().unwrap() as u32;
        assert_eq!(tile["scaleFactors"], json!([1, 2, 4]));
        let mut seen = 0;
        for factor in [1, 2, 4] {
            let step = side * factor;
            for (x, y) in (0..601_u32.div_ceil(step))
                .flat_map(|x| (0..401_u32.div_ceil(step)).map(move |y| (x * step, y * step)))
            {
                let (w, h) = (step.min(601 - x), step.min(401 - y));
                let (tw, th) = (w.div_ceil(factor), h.div_ceil(factor));
                let tile = gateway.image(&format!("{base}/{x},{y},{w},{h}/{tw},{th}/0/default.jpg")).await;
                assert_eq!((tile.width, tile.height), (tw, th));
                // 2.1 has a form with the width alone; its rounding may show in the height.
                let tile = gateway.image(&format!("{base}/{x},{y},{w},{h}/{tw},/0/default.jpg")).await;
                assert!(
                    tile.width == tw && tile.height.abs_diff(th) <= 2,
                    "{x},{y} at {factor}: {}",
                    tile.height
                );
                seen += 1;
            }
        }
        assert_eq!(seen, 6 + 2 + 1);
    }
}

/// 3.0, 4.4: one channel for grey and black-and-white, three for colours.
#[tokio::test]
async fn qualities_have_their_channels() {
    let (gateway, _masters) = maps("").await;
    for (quality, channels, png_type) in
        [("default", 3, [2, 3]), ("color", 3, [2, 3]), ("gray", 1, [0, 0]), ("bitonal", 1, [0, 0])]
    {
        let jpeg = gateway.image(&format!("/iiif/3/image/maps/a.png/full/64,/0/{quality}.jpg")).await;
        let frame = jpeg.bytes.windows(2).position(|pair| matches!(pair, [0xff, 0xc0..=0xc2])).unwrap();
        assert_eq!(jpeg.bytes[frame + 9], channels, "{quality}");
        let png = gateway.image(&format!("/iiif/3/image/maps/a.png/full/64,/0/{quality}.png")).await;
        assert!(png_type.contains(&png.bytes[25]), "{quality}: colour type {}", png.bytes[25]);
        let colours = MIDDLES.map(|place| png.at(place));
        let grey = colours.iter().all(|[r, g, b, _]| r == g && g == b);
        assert_eq!(grey, channels == 1, "{quality}: {colours:?}");
        let black_and_white = colours.iter().all(|[r, ..]| [0, 255].contains(r));
        assert_eq!(black_and_white, quality == "bitonal", "{colours:?}");
    }
}

/// 3.0, 4.6: region, then size, then mirroring, then turning clockwise.
#[tokio::test]
async fn pixels_go_where_the_parameters_say() {
    let (gateway, _masters) = maps("").await;
    let [red, green, blue, yellow] = COLOURS;
    for (path, size, expected) in [
        ("full/max/0", (300, 200), [red, green, blue, yellow]),
        ("full/max/90", (200, 300), [blue, red, yellow, green]),
        ("full/max/180", (300, 200), [yellow, blue, green, red]),
        ("full/max/270", (200, 300), [green, yellow, red, blue]),
        ("full/max/!0", (300, 200), [green, red, yellow, blue]),
        ("full/max/!90", (200, 300), [yellow, green, blue, red]),
        ("full/max/!180", (300, 200), [blue, yellow, red, green]),
        ("full/30,60/0", (30, 60), [red, green, blue, yellow]),
        ("150,0,150,200/max/0", (150, 200), [green, green, yellow, yellow]),
        ("0,100,300,100/max/!0", (300, 100), [yellow, blue, yellow, blue]),
        ("pct:25,25,50,50/75,/180", (75, 50), [yellow, blue, green, red]),
        ("square/100,/0", (100, 100), [red, green, blue, yellow]),
        ("full/^600,/0", (600, 400), [red, green, blue, yellow]),
        ("200,100,400,400/max/0", (100, 100), [yellow, yellow, yellow, yellow]),
    ] {
        for format in ["jpg", "png"] {
            let image = gateway.image(&format!("/iiif/3/image/maps/a.png/{path}/default.{format}")).await;
            assert_eq!((image.width, image.height), size, "{path}");
            for (place, colour) in MIDDLES.into_iter().zip(expected) {
                assert_near(image.at(place), colour, &format!("{path}.{format} at {place:?}"));
            }
        }
    }
}

/// 3.0, 4.3: the box grows, nothing is scaled; its corners are transparent where the format can, else white.
#[tokio::test]
async fn any_angle_grows_the_box_and_leaves_corners_empty() {
    let (gateway, _masters) = maps("").await;
    for (format, corner) in
        [("png", [0, 0, 0, 0]), ("webp", [0, 0, 0, 0]), ("tif", [0, 0, 0, 0]), ("jpg", [255; 4])]
    {
        for angle in ["30", "!30", "30.5"] {
            let image =
                gateway.image(&format!("/iiif/3/image/maps/a.png/full/max/{angle}/default.{format}")).await;
            assert!(
                image.width.abs_diff(360) <= 3 && image.height.abs_diff(323) <= 3,
                "{}x{}",
                image.width,
                image.height
            );
            let found = image.at((1, 1));
            let right = if corner[3] == 0 { found[3] == 0 } else { found.iter().all(|part| *part >= 250) };
            assert!(right, "{angle}.{format}: {found:?}");
            assert_eq!(image.at((40, 40))[3], 255);
        }
    }
}

/// What a camera notes about its own position is applied before anything is measured.
#[tokio::test]
async fn masters_stand_upright_whatever_their_orientation_is() {
    let mut names: Vec<_> = (1..=8).map(|n| format!("orientation-{n}.jpg")).collect();
    names.extend(["png", "tif", "webp"].map(|kind| format!("orientation-6.{kind}")));
    let masters = Masters::new();
    names.iter().for_each(|name| masters.put(name, fixture(name)));
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    for name in names {
        let base = format!("/iiif/3/image/maps/{name}");
        let info = gateway.document(&format!("{base}/info.json")).await;
        assert_eq!((&info["width"], &info["height"]), (&json!(96), &json!(64)), "{name}");
        let canvas = &gateway.document(&format!("/iiif/3/manifest/maps/{name}")).await["items"][0];
        assert_eq!((&canvas["width"], &canvas["height"]), (&json!(96), &json!(64)), "{name}");
        let image = gateway.image(&format!("{base}/full/max/0/default.png")).await;
        for (place, colour) in MIDDLES.into_iter().zip(COLOURS) {
            assert_near(image.at(place), colour, &name);
        }
        let corner = gateway.image(&format!("{base}/48,0,48,32/max/0/default.png")).await;
        assert_eq!((corner.width, corner.height), (48, 32), "{name}");
        assert_near(corner.at((50, 50)), COLOURS[1], &name);
    }
}

/// Every kind of master that is accepted gives info.json and a picture.
#[tokio::test]
async fn every_kind_of_master_is_shown() {
    let masters = Masters::new();
    let mut names = Vec::new();
    for entry in fixtures().read_dir().unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() && !name.ends_with(".py") {
            masters.put(&name, std::fs::read(entry.path()).unwrap());
            names.push(name);
        }
    }
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    assert!(names.len() > 40);
    for name in names {
        let info = gateway.document(&format!("/iiif/3/image/maps/{name}/info.json")).await;
        let image = gateway.image(&format!("/iiif/3/image/maps/{name}/full/max/0/default.jpg")).await;
        assert_eq!((&info["width"], &info["height"]), (&json!(image.width), &json!(image.height)), "{name}");
    }
}
