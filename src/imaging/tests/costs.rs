//! What work costs, and who is told that it is too much.

use super::*;

const LIMITS: Limits = Limits { memory: 96 << 20, max_pixels: 1_000_000 };

fn job(name: &str, width: u32, height: u32, degrees: f64, format: Format) -> (Header, Job) {
    let header = header_of(&fixture(name)).unwrap();
    let rotation = Rotation { mirror: false, degrees };
    let job = Job { width, height, rotation, format, ..whole(&header) };
    (header, job)
}

#[test]
fn what_is_asked_for_is_told_from_what_the_master_is() {
    let error = |name, width, height, degrees, format, limits: &Limits| {
        let (_, job) = job(name, width, height, degrees, format);
        made_within(&fixture(name), &job, limits).unwrap_err()
    };
    let large = 12_000;
    let cases = [
        error("baseline.jpg", large, large, 0.0, Format::Jpg, &LIMITS),
        error("plain.gif", large, large, 0.0, Format::Png, &LIMITS),
        error("rgb.png", 2500, 2500, 45.0, Format::Png, &LIMITS),
        error("rgb.png", 20_000, 1, 0.0, Format::Webp, &LIMITS),
        error("rgb.png", 1, 20_000, 90.0, Format::Webp, &LIMITS),
        error("rgb.png", 1, 66_000, 0.0, Format::Jpg, &LIMITS),
    ];
    assert!(cases.iter().all(|error| matches!(error, ImagingError::OutputTooLarge { .. })), "{cases:?}");
    insta::assert_snapshot!(cases.map(|error| error.to_string()).join("\n"), @r"
    the answer is too large: 1010097152 bytes of memory for 12000x12000 pixels, at most 100663296 allowed
    the answer is too large: 1442659652 bytes of memory for 12000x12000 pixels, at most 100663296 allowed
    the answer is too large: 127178953 bytes of memory for 3536x3536 pixels, at most 100663296 allowed
    a WebP is too large: 20000 pixels to a side, at most 16383 allowed
    a WebP is too large: 20000 pixels to a side, at most 16383 allowed
    a JPEG is too large: 66000 pixels to a side, at most 65500 allowed
    ");
    let narrow = Limits { memory: 1 << 20, max_pixels: 1_000_000 };
    let roomy = Limits { memory: 10 << 20, ..narrow };
    assert!(matches!(
        error("baseline.jpg", 8, 8, 0.0, Format::Jpg, &narrow),
        ImagingError::OutputTooLarge { .. }
    ));
    let master = fixture("interlaced.png");
    let header = header_of(&master).unwrap();
    let small = Job { width: 8, height: 8, ..whole(&header) };
    assert!(matches!(
        made_within(&master, &small, &Limits { memory: 5 << 20, ..roomy }),
        Err(ImagingError::TooLarge { .. })
    ));
}

#[test]
fn turning_by_odd_angles_costs_the_larger_box() {
    let at = |degrees| {
        let (header, job) = job("rgb.png", 2000, 2000, degrees, Format::Png);
        admit(&header, &job, &Limits::default()).unwrap()
    };
    assert_eq!(at(90.0), at(0.0));
    assert!(at(45.0) > 2 * at(0.0), "{} {}", at(45.0), at(0.0));
}

/// Samples of colours become pixels where they are: 120 megapixels of RGB are 360 MB, not 840.
#[test]
fn samples_of_a_tiff_are_held_once() {
    let (width, height, rows) = (12_000, 10_000, 100);
    let strips = height / rows;
    let header = |photometric, samples| {
        header_of(&tiff_of(&[
            (256, 1, width),
            (257, 1, height),
            (258, 1, 8),
            (259, 1, 1),
            (262, 1, photometric),
            (273, strips, 4096),
            (277, 1, samples),
            (278, 1, rows),
            (279, strips, 8192),
        ]))
        .unwrap()
    };
    for (name, photometric, samples, bytes) in [("grey", 1, 1, 1), ("palette", 3, 1, 4), ("colours", 2, 3, 3)]
    {
        let header = header(photometric, samples);
        let job = Job { width: 400, height: 333, ..whole(&header) };
        let cost = admit(&header, &job, &Limits::default()).unwrap();
        let least = u64::from(width) * u64::from(height) * bytes;
        assert!((least..least + (32 << 20)).contains(&cost), "{name}: {cost}, {least} expected");
        check(&header, 512, &Limits::default()).unwrap();
    }
}
