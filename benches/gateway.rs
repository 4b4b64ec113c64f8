//! How long the gateway takes: to understand an address, to answer from memory, to make a tile of a master that it sees
//! for the first time, and of one that has a pyramid.

mod setup;

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use http::Request;
use http::header::ACCEPT_ENCODING;
use loggia::iiif::address::Address;
use loggia::iiif::image::request::ImageRequest;
use setup::{Gateway, MASTER, PAGES};

const INFO: &str = "/iiif/3/image/bench/master.jpg/info.json";
const TILE: &str = "/iiif/3/image/bench/master.jpg/1024,512,512,512/512,512/0/default.jpg";
const MANIFEST: &str = "/iiif/3/manifest/bench/book";

fn everything(criterion: &mut Criterion) {
    routes(criterion);
    let gateway = Gateway::start();
    warm(criterion, &gateway);
    cold(criterion, &gateway);
    drawn(criterion, &gateway);
}

fn routes(criterion: &mut Criterion) {
    let path = "/iiif/3/image/maps/box%201%2Fsheet-07.tif/1024,512,512,512/!256,256/!90/default.jpg";
    let parse = |path: &str| match Address::parse(path) {
        Ok(Address::Image { version, parameters, .. }) => ImageRequest::parse(version, &parameters).ok(),
        _ => None,
    };
    assert!(parse(path).is_some(), "`{path}` is understood");
    criterion.bench_function("route: image request", |bench| bench.iter(|| parse(black_box(path))));
    let path = "/iiif/3/manifest/maps/box%201";
    assert!(Address::parse(path).is_ok(), "`{path}` is understood");
    criterion.bench_function("route: manifest", |bench| bench.iter(|| Address::parse(black_box(path))));
}

/// Answers that need no source and no pixels.
fn warm(criterion: &mut Criterion, gateway: &Gateway) {
    let json = "application/ld+json";
    let manifest = gateway.check(Request::get(MANIFEST), json);
    let canvases = manifest.windows(15).filter(|text| text == br#""type":"Canvas""#).count();
    assert_eq!(canvases, PAGES as usize, "canvases of the manifest");
    gateway.check(Request::get(INFO), json);
    gateway.check(Request::get(TILE), "image/jpeg");
    for (name, path) in [("info.json", INFO), ("tile", TILE), ("manifest of 400 canvases", MANIFEST)] {
        criterion.bench_function(&format!("warm: {name}"), |bench| {
            bench.to_async(&gateway.runtime).iter(|| gateway.get(Request::get(path)));
        });
    }
    criterion.bench_function("warm: manifest of 400 canvases, gzip", |bench| {
        let zipped = || Request::get(MANIFEST).header(ACCEPT_ENCODING, "gzip");
        bench.to_async(&gateway.runtime).iter(|| gateway.get(zipped()));
    });
}

/// The first question about a master that nobody asked about before, nothing in any cache, and no pyramid. What it sets
/// going is waited for, but not measured.
fn cold(criterion: &mut Criterion, gateway: &Gateway) {
    let mut group = criterion.benchmark_group("cold");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(3));
    let whole = format!("0,0,{},{}/512,/0/default.jpg", MASTER.0, MASTER.1);
    for (name, parameters) in [
        ("tile of 512 x 512 at full size", "3072,2048,512,512/512,512/0/default.jpg"),
        ("the whole picture at 512 pixels", whole.as_str()),
    ] {
        group.bench_function(name, |bench| {
            bench.iter_custom(|times| (0..times).map(|_| gateway.time_of_a_first(parameters)).sum());
        });
    }
    group.finish();
}

/// Another region of one master each time, so that no cache has it, off the grid of its pyramid.
fn drawn(criterion: &mut Criterion, gateway: &Gateway) {
    let mut group = criterion.benchmark_group("drawn from a pyramid");
    group.sample_size(20);
    let turn = Cell::new(0_u32);
    let next = || turn.replace(turn.get() + 1);
    let master = gateway.with_pyramid();
    let image = |parameters: String| Request::get(format!("{master}/{parameters}"));
    // Steps without a common factor lead everywhere in the picture before they lead anywhere twice.
    let tile = || {
        let (x, y) = (1 + next() * 1361 % (MASTER.0 - 513), 1 + next() * 977 % (MASTER.1 - 513));
        image(format!("{x},{y},512,512/512,512/0/default.jpg"))
    };
    gateway.check(tile(), "image/jpeg");
    group.bench_function("tile of 512 x 512 at full size", |bench| {
        bench.to_async(&gateway.runtime).iter(|| gateway.get(tile()));
    });
    let whole = || image(format!("0,0,{},{}/512,/0/default.jpg", MASTER.0 - 1 - next() % 2000, MASTER.1));
    gateway.check(whole(), "image/jpeg");
    group.bench_function("nearly the whole picture at 512 pixels", |bench| {
        bench.to_async(&gateway.runtime).iter(|| gateway.get(whole()));
    });
    group.finish();
}

criterion_group!(benches, everything);
criterion_main!(benches);
