//! TIFFs whose strips are as long as the picture, and those of which strips or tiles are missing.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use weezl::BitOrder;
use weezl::encode::Encoder;

use super::*;
use crate::imaging::pyramid::{self, Shape};

/// How the samples of a strip are packed, and the number that says so.
type Packing = (u32, fn(&[u8]) -> Vec<u8>);

const PACKINGS: [Packing; 4] = [
    (1, |plain| plain.to_vec()),
    (5, |plain| Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(plain).unwrap()),
    (8, |plain| {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(plain).unwrap();
        packed.finish().unwrap()
    }),
    (32773, |plain| plain.chunks(100).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect()),
];

const WIDTH: u32 = 37;
const HEIGHT: u32 = 300;

/// Three samples to a pixel, those of a pixel together (1) or each in a plane (2).
fn in_strips((compression, pack): Packing, planar: u32, rows: u32) -> Vec<u8> {
    let plain: Vec<u8> = (0..WIDTH * HEIGHT * 3).map(|n| (n * n / 7 + n / 61) as u8).collect();
    let (planes, strip) = match planar {
        1 => (1, WIDTH * rows * 3),
        _ => (3, WIDTH * rows),
    };
    let planes = plain.chunks(plain.len() / planes);
    let strips: Vec<_> = planes.flat_map(|plane| plane.chunks(strip as usize)).map(pack).collect();
    let (tags, count) = (11, strips.len() as u32);
    let tables = 8 + 2 + 12 * tags + 4;
    let mut at = tables + 8 * count;
    let places: Vec<u32> = strips.iter().map(|strip| (at, at += strip.len() as u32).0).collect();
    let lengths: Vec<u32> = strips.iter().map(|strip| strip.len() as u32).collect();
    // A single value lies in its tag.
    let value = |values: &[u32], table| if count == 1 { values[0] } else { table };
    let mut file = tiff_of(&[
        (256, 1, WIDTH),
        (257, 1, HEIGHT),
        (258, 1, 8),
        (259, 1, compression),
        (262, 1, 2),
        (273, count, value(&places, tables)),
        (277, 1, 3),
        (278, 1, rows),
        (279, count, value(&lengths, tables + 4 * count)),
        (284, 1, planar),
        (297, 1, 0),
    ]);
    file.extend(places.iter().chain(&lengths).flat_map(|value| value.to_le_bytes()));
    file.extend(strips.concat());
    file
}

/// However long the strips are, no more than some rows are handed on at a time, and none is read twice.
#[test]
fn long_strips_are_read_some_rows_at_a_time() {
    for (packing, planar) in PACKINGS.into_iter().flat_map(|packing| [(packing, 1), (packing, 2)]) {
        let read = |rows| {
            let file = in_strips(packing, planar, rows);
            bands(&file, &header_of(&file).unwrap()).unwrap()
        };
        let joined = |bands: &[Pixels]| bands.iter().flat_map(Pixels::data).copied().collect::<Vec<_>>();
        let expected = joined(&read(16));
        assert_eq!(expected.len() as u32, WIDTH * HEIGHT * 3);
        for rows in [1, 64, 65, 299, HEIGHT] {
            let found = read(rows);
            assert!(joined(&found) == expected, "{} in strips of {rows} rows, {planar}", packing.0);
            assert!(found.iter().all(|band| band.height() <= 64), "{} rows", rows);
        }
    }
}

/// 900 megabytes of samples in a strip: as many as in many.
#[test]
fn a_long_strip_takes_the_memory_of_its_rows() {
    let limits = Limits { memory: 128 << 20, ..Limits::default() };
    for (compression, planar) in [1, 5, 8, 32773].into_iter().flat_map(|how| [(how, 1), (how, 2)]) {
        let header = header_of(&tiff_of(&[
            (256, 1, 10_000),
            (257, 1, 30_000),
            (258, 1, 8),
            (259, 1, compression),
            (262, 1, 2),
            (273, 1, 4096),
            (277, 1, 3),
            (279, 1, 8192),
            (284, 1, planar),
        ]));
        let header = header.unwrap();
        let shape = Shape { width: 10_000, height: 30_000, tile: 512 };
        let admitted = pyramid::admit(&header, &shape, &limits);
        assert!(admitted.is_ok(), "{compression}, {planar}: {admitted:?}");
    }
}

/// A fixture of which strips or tiles from `first` on are missing, as where the writer has died.
fn missing(name: &str, first: u64) -> (Header, Vec<u8>) {
    let mut file = fixture(name);
    let header = header_of(&file).unwrap();
    let sniff::Layout::Tiff(layout) = &header.layout else { panic!("a TIFF") };
    for table in [layout.levels[0].offsets, layout.levels[0].lengths] {
        let from = table.place(first).unwrap()..table.bytes().unwrap().end;
        file[from.start as usize..from.end as usize].fill(0);
    }
    (header, file)
}

fn bands(file: &[u8], header: &Header) -> Result<Vec<Pixels>, ImagingError> {
    let master = Box::new(Cursor::new(file.to_vec()));
    decode::bands(master, header, &Limits::default(), &Hints::new(header))?.rows.collect()
}

#[test]
fn a_tiff_whose_writer_died_is_no_picture() {
    let cases = [("deflate-tiles.tif", 0), ("lzw.tif", 0), ("jpeg-strips.tif", 1)].map(|(name, first)| {
        let (header, file) = missing(name, first);
        let told = made(&file, &whole(&header)).unwrap_err().to_string();
        assert_eq!(bands(&file, &header).unwrap_err().to_string(), told, "{name}");
        format!("{name} up to {first}: {told}")
    });
    insta::assert_snapshot!(cases.join("\n"), @r"
    deflate-tiles.tif up to 0: the master is broken: a TIFF of which no tile was written
    lzw.tif up to 0: the master is broken: strip or tile 0 is empty
    jpeg-strips.tif up to 1: the master is broken: strip or tile 1 is empty
    ");
}
