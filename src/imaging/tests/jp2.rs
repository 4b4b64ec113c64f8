//! JPEG 2000: its parts and halves beside those of the same picture as PNG.

use super::*;

/// Those without loss, of whole tiles and of several.
const LOSSLESS: [&str; 8] = [
    "plain.j2k",
    "modes.j2k",
    "bypass.j2k",
    "one-level.j2k",
    "offset.jp2",
    "long.jp2",
    "reversed.jp2",
    "palette.jp2",
];

#[test]
fn what_is_kept_without_loss_comes_back_as_it_was() {
    let rgb = pixels(&fixture("rgb.png"));
    for name in LOSSLESS {
        assert!(pixels(&fixture(name)) == rgb, "{name}");
    }
    for (name, other) in
        [("grey.j2k", "grey.png"), ("sixteen-grey.jp2", "grey.png"), ("alpha.jp2", "alpha.png")]
    {
        assert!(pixels(&fixture(name)) == pixels(&fixture(other)), "{name}");
    }
}
