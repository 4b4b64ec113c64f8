//! Qualities, grey masters and ICC profiles.

use moxcms::ColorProfile;

use super::*;
use crate::iiif::image::quality::Tone;

#[test]
fn qualities_in_every_format() {
    let file = fixture("rgb.png");
    let header = header_of(&file).unwrap();
    let grey = [[94; 3], [124; 3], [79; 3], [208; 3]];
    let bitonal = [[0; 3], [0; 3], [0; 3], [255; 3]];
    for (quality, expected) in [
        (Quality::Default, COLOURS),
        (Quality::Color, COLOURS),
        (Quality::Gray, grey),
        (Quality::Bitonal, bitonal),
    ] {
        for format in FORMATS {
            let answer = made(&file, &Job { quality, format, ..whole(&header) }).unwrap();
            let name = format!("{quality:?} as {format:?}");
            assert_colours(&name, &pixels(&answer), MIDDLES, expected, 9);
            let grey = matches!(quality, Quality::Gray | Quality::Bitonal);
            if matches!(format, Format::Jpg | Format::Png | Format::Tif) {
                assert_eq!(header_of(&answer).unwrap().tone == Tone::Grey, grey, "{name}");
            }
        }
    }
}

#[test]
fn black_and_white_png_takes_one_bit() {
    let file = fixture("rgb.png");
    let job = Job { quality: Quality::Bitonal, ..whole(&header_of(&file).unwrap()) };
    assert_eq!(made(&file, &job).unwrap()[24], 1, "the bit depth in IHDR");
}

/// What is half transparent is there or it is not: half of black would be grey.
#[test]
fn black_and_white_has_no_half_transparent_pixels() {
    let file = fixture("lossy-alpha.webp");
    let header = header_of(&file).unwrap();
    for degrees in [0.0, 45.0] {
        for format in [Format::Png, Format::Webp, Format::Tif] {
            let rotation = Rotation { mirror: false, degrees };
            let job = Job { quality: Quality::Bitonal, format, rotation, width: 90, ..whole(&header) };
            let picture = pixels(&made(&file, &job).unwrap());
            assert!(picture.channels().has_alpha(), "{format:?}");
            assert!(picture.data().iter().all(|value| [0, 255].contains(value)), "{format:?} {degrees}");
        }
    }
}

#[test]
fn grey_masters_stay_grey() {
    for name in ["grey.jpg", "grey.png", "grey.tif", "group4.tif", "bilevel.png"] {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        assert_eq!(header.tone, Tone::Grey, "{name}");
        for format in [Format::Jpg, Format::Png, Format::Tif] {
            let answer = made(&file, &Job { format, ..whole(&header) }).unwrap();
            assert_eq!(header_of(&answer).unwrap().tone, Tone::Grey, "{name} as {format:?}");
        }
    }
}

/// A JPEG with a profile in segments of the given length.
fn with_profile(profile: &[u8], piece: usize) -> Vec<u8> {
    let file = fixture("full-chroma.jpg");
    let pieces = profile.chunks(piece);
    let count = pieces.len() as u8;
    let mut made = file[..2].to_vec();
    for (number, piece) in (1_u8..).zip(pieces) {
        made.extend([0xff, 0xe2]);
        made.extend((piece.len() as u16 + 16).to_be_bytes());
        made.extend(b"ICC_PROFILE\0");
        made.extend([number, count]);
        made.extend(piece);
    }
    made.extend(&file[2..]);
    made
}

/// Green of Adobe RGB lies outside sRGB: its red falls to nothing.
#[test]
fn a_jpeg_profile_in_several_segments_is_applied() {
    let profile = ColorProfile::new_adobe_rgb().encode().unwrap();
    let file = with_profile(&profile, 100);
    let picture = pixels(&made(&file, &whole(&header_of(&file).unwrap())).unwrap());
    let [red, green, _] = colour_at(&picture, (75, 25));
    assert!(red < 10 && green > 178, "{red}, {green}");
}

#[test]
fn a_broken_profile_changes_nothing() {
    let profile = ColorProfile::new_adobe_rgb().encode().unwrap();
    for broken in [&profile[..profile.len() / 2], b"nonsense"] {
        let file = with_profile(broken, 60_000);
        let picture = pixels(&made(&file, &whole(&header_of(&file).unwrap())).unwrap());
        assert_colours("broken profile", &picture, MIDDLES, COLOURS, 9);
    }
}

/// PNG, TIFF and WebP carry the profile in places of their own.
#[test]
fn profiles_of_other_kinds_are_applied() {
    let profile = ColorProfile::new_adobe_rgb().encode().unwrap();
    let pixels_of = pixels(&fixture("rgb.png"));
    let mut png_file = Vec::new();
    let mut info = png::Info::with_size(96, 64);
    info.color_type = png::ColorType::Rgb;
    info.bit_depth = png::BitDepth::Eight;
    info.icc_profile = Some((&profile[..]).into());
    let mut writer = png::Encoder::with_info(&mut png_file, info).unwrap().write_header().unwrap();
    writer.write_image_data(pixels_of.data()).unwrap();
    writer.finish().unwrap();

    let mut webp_file = Vec::new();
    let mut encoder = image_webp::WebPEncoder::new(&mut webp_file);
    encoder.set_icc_profile(profile.clone());
    encoder.encode(pixels_of.data(), 96, 64, image_webp::ColorType::Rgb8).unwrap();

    let mut tiff_file = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut tiff_file).unwrap();
    let mut image = encoder.new_image::<tiff::encoder::colortype::RGB8>(96, 64).unwrap();
    image.encoder().write_tag(tiff::tags::Tag::IccProfile, &profile[..]).unwrap();
    image.write_data(pixels_of.data()).unwrap();

    for (name, file) in [("png", png_file), ("webp", webp_file), ("tiff", tiff_file.into_inner())] {
        let picture = pixels(&made(&file, &whole(&header_of(&file).unwrap())).unwrap());
        let [red, green, _] = colour_at(&picture, (75, 25));
        assert!(red < 10 && green > 178, "{name}: {red}, {green}");
    }
}

/// Colours coarser than the light are not smeared by shrinking while decoding.
#[test]
fn coarse_colours_keep_their_places_in_thumbnails() {
    use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};
    const SIDE: usize = 800;
    let colour = |at: usize| {
        if (at % SIDE / 40 + at / SIDE / 40).is_multiple_of(2) { [255, 0, 0] } else { [0, 0, 255] }
    };
    let checker: Vec<u8> = (0..SIDE * SIDE).flat_map(colour).collect();
    for subsampling in [Subsampling::S444, Subsampling::S422, Subsampling::S420] {
        let encoder = Encoder::new(&checker, SIDE, SIDE, PixelFormat::Rgb).quality(95);
        let file = encoder.subsampling(subsampling).encode().unwrap();
        let all = plan::Exact { x: 0.0, y: 0.0, width: SIDE as f64, height: SIDE as f64 };
        let expected = scale::scale(pixels(&file), all, (100, 100)).unwrap();
        let job = Job { width: 100, height: 100, ..whole(&header_of(&file).unwrap()) };
        let found = pixels(&made(&file, &job).unwrap());
        let off = found.data().iter().zip(expected.data()).map(|(a, b)| u64::from(a.abs_diff(*b)));
        let mean = off.sum::<u64>() / found.data().len() as u64;
        assert!(mean <= 12, "{subsampling:?}: {mean} levels off");
    }
}

/// YCCK, as Photoshop writes it, whole and shrunk.
#[test]
fn ycck_becomes_rgb() {
    use libjpeg_turbo_rs::{ColorSpace, Encoder, PixelFormat, Subsampling};
    // Adobe's samples are inverted: white paper is 255.
    let rgb = pixels(&fixture("rgb.png"));
    let ink: Vec<u8> = rgb.data().as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect();
    let file = Encoder::new(&ink, 96, 64, PixelFormat::Cmyk)
        .colorspace(ColorSpace::Ycck)
        .quality(92)
        .subsampling(Subsampling::S444)
        .write_adobe_marker(true)
        .encode()
        .unwrap();
    let header = header_of(&file).unwrap();
    for (width, height) in [(96, 64), (24, 16)] {
        let picture = pixels(&made(&file, &Job { width, height, ..whole(&header) }).unwrap());
        assert_colours("ycck", &picture, MIDDLES, COLOURS, 9);
    }
}
