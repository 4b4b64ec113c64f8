//! What is told of sizes is what is answered.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use http::{HeaderMap, StatusCode};
use loggia::imaging::{self, Limits};
use serde_json::Value;

use super::{assert_problem, link};
use crate::support::gateway::{PUBLIC, TestGateway};
use crate::support::masters::{Masters, fixture, quarters};

const FORMATS: [&str; 5] = ["jpg", "png", "webp", "tif", "gif"];

/// With memory for about six megapixels.
async fn narrow(masters: &Masters) -> TestGateway {
    TestGateway::start(&masters.source("maps", "[limits]\nmemory = '64MiB'")).await
}

/// The size of an answer by its header: these are large, and their pixels do not matter.
async fn size(gateway: &TestGateway, address: &str) -> (u32, u32, HeaderMap) {
    let res = gateway.get(address).await;
    assert_eq!(res.status(), StatusCode::OK, "{address}: {}", String::from_utf8_lossy(res.body()));
    let header = imaging::header(&mut Cursor::new(res.body()), &Limits::default()).unwrap();
    (header.width, header.height, res.headers().clone())
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

/// 3.0, 4.2: whatever the format holds and the memory allows, turned or not; nothing open is too large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ours_to_choose_is_always_answered() {
    let masters = Masters::with([("a.png", quarters(1500, 1000)), ("alpha.png", fixture("alpha.png"))]);
    let gateway = narrow(&masters).await;
    for (name, open, formats) in [
        ("a.png", "max/0", &FORMATS[..]),
        ("alpha.png", "%5Emax/0", &FORMATS),
        ("alpha.png", "%5E!9000,9000/90", &["jpg"]),
        ("alpha.png", "%5Emax/45", &["jpg", "webp"]),
    ] {
        for format in formats {
            let path = format!("/iiif/3/image/maps/{name}/full/{open}/default.{format}");
            let (width, height, headers) = size(&gateway, &path).await;
            let canonical = link(&headers, "canonical").unwrap().strip_prefix(PUBLIC).unwrap();
            let (w, h, _) = size(&gateway, &canonical.replace('^', "%5E")).await;
            assert_eq!((w, h), (width, height), "{path} as {canonical}");
        }
    }
    let res = gateway.get("/iiif/3/image/maps/a.png/full/%5E2900,2000/0/default.webp").await;
    assert_eq!(res.status(), StatusCode::BAD_REQUEST);
    assert_problem(&res);
}

/// 3.0, 5.2: the limit that the memory sets is told, and kept.
#[tokio::test]
async fn the_memory_bounds_the_area_that_is_told() {
    let masters = Masters::with([("a.png", quarters(1500, 1000))]);
    let gateway = narrow(&masters).await;
    let info = gateway.document("/iiif/3/image/maps/a.png/info.json").await;
    let told = number(&info["maxArea"]);
    assert!((5_000_000..7_000_000).contains(&told), "{told}");
    let (width, height, _) = size(&gateway, "/iiif/3/image/maps/a.png/full/%5Emax/0/default.jpg").await;
    let area = width * height;
    assert!(area <= told && area > told - 10_000, "{area} of {told}");
}

/// 3.0, 5.3: every size is requestable as JPEG, which holds 65500 pixels to a side.
#[tokio::test]
async fn long_images_tell_what_a_format_can_hold() {
    let masters = Masters::with([("long.png", quarters(70_000, 40)), ("high.png", quarters(40, 70_000))]);
    let gateway = TestGateway::start(&masters.source("maps", "")).await;
    for name in ["long.png", "high.png"] {
        let base = format!("/iiif/3/image/maps/{name}");
        let info = gateway.document(&format!("{base}/info.json")).await;
        assert_eq!(number(&info["maxWidth"]), 65_500);
        for told in info["sizes"].as_array().unwrap() {
            let (width, height) = (number(&told["width"]), number(&told["height"]));
            let path = format!("{base}/full/{width},{height}/0/default.jpg");
            let (w, h, _) = size(&gateway, &path).await;
            assert_eq!((w, h), (width, height));
        }
        let manifest = gateway.document(&format!("/iiif/3/manifest/maps/{name}")).await;
        let body = &manifest["items"][0]["items"][0]["items"][0]["body"];
        let (width, height, _) =
            size(&gateway, body["id"].as_str().unwrap().strip_prefix(PUBLIC).unwrap()).await;
        assert_eq!((width, height), (number(&body["width"]), number(&body["height"])));
        for (format, longest) in [("jpg", 65_500), ("webp", 16_383), ("gif", 65_500)] {
            for open in ["max", "%5Emax", "!70000,70000"] {
                let path = format!("{base}/full/{open}/0/default.{format}");
                let (width, height, _) = size(&gateway, &path).await;
                assert!(width.max(height) <= longest, "{width}x{height}");
            }
        }
    }
}

/// A TIFF of colours whose strips are all the same one, black and packed.
fn strips(width: u32, height: u32, rows: u32) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&vec![0; (width * rows * 3) as usize]).unwrap();
    let packed = packed.finish().unwrap();
    let count = height.div_ceil(rows);
    let (offsets, table) = (8 + 2 + 9 * 12 + 4, 4 * count);
    let value = |alone: u32, many: u32| if count == 1 { alone } else { many };
    let data = offsets + 2 * table;
    let mut file = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for (tag, count, value) in [
        (256_u16, 1, width),
        (257, 1, height),
        (258, 1, 8),
        (259, 1, 8),
        (262, 1, 2),
        (273, count, value(data, offsets)),
        (277, 1, 3),
        (278, 1, rows),
        (279, count, value(packed.len() as u32, offsets + table)),
    ] {
        file.extend([tag.to_le_bytes(), 4_u16.to_le_bytes()].concat());
        file.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    file.extend(data.to_le_bytes().repeat(count as usize));
    file.extend((packed.len() as u32).to_le_bytes().repeat(count as usize));
    file.extend(packed);
    file
}

/// 3.0, 5.3: a master whose tiles alone can be read is not offered; one that passes by in bands is, with all its sizes.
#[tokio::test]
async fn every_size_that_is_told_is_answered_or_none_is() {
    let masters = Masters::with([
        ("strips.tif", strips(5000, 4000, 100)),
        ("strip.tif", strips(5000, 4000, 4000)),
        ("bits.png", quarters(5000, 4000)),
        ("wide.png", quarters(60_000, 1000)),
    ]);
    let gateway = narrow(&masters).await;
    for (name, offered) in
        [("strips.tif", true), ("strip.tif", true), ("bits.png", true), ("wide.png", false)]
    {
        let base = format!("/iiif/3/image/maps/{name}");
        let told = gateway.get(&format!("{base}/info.json")).await;
        if !offered {
            assert_eq!(told.status(), StatusCode::NOT_IMPLEMENTED, "{name}");
            continue;
        }
        let info: Value = serde_json::from_slice(told.body()).unwrap();
        for size in info["sizes"].as_array().unwrap() {
            let (width, height) = (number(&size["width"]), number(&size["height"]));
            let (w, h, _) =
                self::size(&gateway, &format!("{base}/full/{width},{height}/0/default.jpg")).await;
            assert_eq!((w, h), (width, height), "{name}");
        }
        for rest in ["full/!100,100", "1024,512,512,512/512,512"] {
            self::size(&gateway, &format!("{base}/{rest}/0/default.jpg")).await;
        }
    }
}

/// The file is as it should be, the gateway lacks the means: the operator learns of the setting, the source is not blamed.
#[tokio::test]
async fn a_master_beyond_the_memory_is_not_offered_by_any_address() {
    let mut vast = fixture("broken/jpeg-65535.jpg");
    let frame = vast.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    // Progressive, it has to be held as a whole.
    vast[frame + 1] = 0xc2;
    let masters = Masters::with([("vast.jpg", vast)]);
    let gateway = TestGateway::start(&masters.source("maps", "[limits]\nmax_pixels = 5_000_000_000")).await;
    for rest in
        ["info.json", "full/max/0/default.jpg", "0,0,512,512/max/0/default.jpg", "full/100,/0/default.jpg"]
    {
        let res = gateway.get(&format!("/iiif/3/image/maps/vast.jpg/{rest}")).await;
        assert_eq!(res.status(), StatusCode::NOT_IMPLEMENTED, "{rest}");
        let problem: Value = serde_json::from_slice(res.body()).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("`limits.memory`"), "{problem}");
    }
}
