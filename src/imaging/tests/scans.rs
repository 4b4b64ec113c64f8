//! JPEG: how fine each component is, what lies in which scan, and scans that end early.

use std::fs::read_dir;

use super::*;

fn sampled() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images/sampled");
    let names = read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> =
        names.filter(|name| name.ends_with(".jpg") && !name.starts_with("grey")).collect();
    names.sort();
    names
}

/// How far two pictures are apart, in the mean of all samples.
fn distance(one: &Pixels, other: &Pixels) -> f64 {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let sum: u64 = one.data().iter().zip(other.data()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.data().len() as f64
}

#[test]
fn any_sampling_is_drawn_right_or_refused() {
    let original = fixture("sampled/original.png");
    let mut refused = Vec::new();
    for name in sampled() {
        let file = fixture(&format!("sampled/{name}"));
        let header = match header_of(&file) {
            Ok(header) => header,
            Err(error) => {
                refused.push(format!("{name}: {error}"));
                continue;
            }
        };
        // Shrunk, what was coarse already becomes coarser still; what is mistaken is 15 and more away.
        for (width, height, most) in [(83, 61, 4.5), (41, 30, 6.0), (10, 8, 6.0)] {
            let job = Job { width, height, ..whole(&header) };
            let (found, expected) = (made(&file, &job).unwrap(), made(&original, &job).unwrap());
            let distance = distance(&pixels(&found), &pixels(&expected));
            assert!(distance < most, "{name} as {width}x{height} is {distance} away");
        }
    }
    insta::assert_snapshot!(refused.join("\n"), @r"
    1x2_2x4_2x4-separate.jpg: JPEG with such sampling factors in several scans is not supported
    4x2_2x1_1x1-separate.jpg: JPEG with such sampling factors in several scans is not supported
    ");
}

/// A component alone has the whole picture, whatever its factors say (*ITU T.81, A.2.2*).
#[test]
fn factors_of_a_single_component_mean_nothing() {
    for name in ["sampled/grey.jpg", "sampled/grey-progressive.jpg"] {
        let mut file = fixture(name);
        let job = whole(&header_of(&file).unwrap());
        let expected = [1, 2].map(|part| made(&file, &Job { width: 83 / part, ..job }).unwrap());
        let at = file.windows(2).position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2])).unwrap() + 11;
        for factors in [0x22, 0x12, 0x41, 0x33] {
            file[at] = factors;
            let found = [1, 2].map(|part| made(&file, &Job { width: 83 / part, ..job }).unwrap());
            assert!(found == expected, "{name} with {factors:x}");
        }
    }
}

/// The frame header claims more than the scans hold, though the end marker is there.
#[test]
fn a_frame_that_lies_is_refused_at_every_scale() {
    for name in [
        "baseline.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "grey.jpg",
        "cmyk-adobe.jpg",
        "sampled/2x2-separate.jpg",
    ] {
        let mut file = fixture(name);
        let at = file.windows(2).position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2])).unwrap();
        for (width, height) in [(160_u16, 64_u16), (96, 200), (600, 500)] {
            file[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
            file[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
            assert_broken(name, &file);
        }
    }
}

/// Wherever the file was cut, and though an end marker was put there.
#[test]
fn scans_that_end_early_are_refused_at_every_scale() {
    for name in [
        "baseline.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "grey.jpg",
        "cmyk-adobe.jpg",
        "sampled/2x2-separate.jpg",
    ] {
        let file = fixture(name);
        let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap() + 20;
        for tenth in 0..10 {
            let length = scan + (file.len() - scan) * tenth / 10;
            assert_broken(name, &[&file[..length], &[0xff, 0xd9]].concat());
        }
    }
}

#[test]
fn a_strip_or_tile_that_ends_early_is_refused() {
    for name in ["jpeg-strips.tif", "jpeg-rgb-tiles.tif"] {
        let mut file = fixture(name);
        let end = file.windows(2).position(|pair| pair == [0xff, 0xd9]).unwrap();
        file[end - 20..end - 18].copy_from_slice(&[0xff, 0xd9]);
        let answer = made(&file, &whole(&header_of(&file).unwrap()));
        assert!(matches!(answer, Err(ImagingError::Broken(_))), "{name}");
    }
}

#[track_caller]
fn assert_broken(name: &str, file: &[u8]) {
    let header = header_of(file).unwrap();
    for divisor in [1, 2, 4, 8] {
        let job = Job { width: header.width / divisor, height: header.height / divisor, ..whole(&header) };
        let answer = made(file, &job);
        assert!(
            matches!(answer, Err(ImagingError::Broken(_))),
            "{name} as {}x{} of {} bytes, 1/{divisor}: {:?}",
            header.width,
            header.height,
            file.len(),
            answer.map(|picture| picture.len())
        );
    }
}

/// Cameras put previews, depths and second exposures behind the picture.
#[test]
fn what_follows_the_picture_is_passed_over() {
    for name in ["baseline.jpg", "progressive.jpg", "restarts.jpg", "sampled/2x2-separate.jpg"] {
        let file = fixture(name);
        let job = whole(&header_of(&file).unwrap());
        for more in [&b"\0\0\0\0"[..], b"and so on", &fixture("grey.jpg")] {
            assert_eq!(made(&[&file, more].concat(), &job).unwrap(), made(&file, &job).unwrap(), "{name}");
        }
    }
}
