//! TIFFs that are pyramids already: what is handed out beside what is drawn.

use super::*;
use crate::imaging::Tiled;

fn tiled(file: &[u8]) -> Option<Tiled> {
    let header = header_of(file).unwrap();
    Tiled::of(&mut Cursor::new(file), &header, header.tile()?).unwrap()
}

fn job(header: &Header, crop: Rect, (width, height): (u32, u32)) -> Job {
    Job { crop, width, height, format: Format::Jpg, ..whole(header) }
}

/// Every tile of every level, those at the edges too, is what the decoder makes of it.
#[test]
fn tiles_are_handed_out_as_they_are_drawn() {
    let mut lifted = 0;
    for name in ["pyramid-jpeg-big.tif", "pyramid-jpeg-edges.tif", "jpeg-rgb-tiles-64.tif"] {
        let file = fixture(name);
        let header = header_of(&file).unwrap();
        let Some(tiled) = tiled(&file) else { continue };
        let side = header.tile().unwrap();
        for level in 0..4 {
            let step = side << level;
            for y in (0..header.height).step_by(step as usize) {
                for x in (0..header.width).step_by(step as usize) {
                    let (width, height) = (step.min(header.width - x), step.min(header.height - y));
                    let crop = Rect { x, y, width, height };
                    let size = (width.div_ceil(1 << level), height.div_ceil(1 << level));
                    let Some(lift) = tiled.find(&job(&header, crop, size)) else { continue };
                    let range = lift.range();
                    let tile = lift.finish(&file[range.start as usize..range.end as usize]).unwrap();
                    let straight = made(&file, &Job { format: Format::Png, ..job(&header, crop, size) });
                    let (tile, straight) = (pixels(&tile), pixels(&straight.unwrap()));
                    assert_eq!((tile.width(), tile.height()), size, "{name} {crop:?}");
                    // Colours of the last line and column are smoothed with what lies behind them in the
                    // padded tile; a tile that was cut has nothing there.
                    let inner = Rect { x: 0, y: 0, width: size.0 - 1, height: size.1 - 1 };
                    let (tile, straight) = (tile.cut(inner), straight.cut(inner));
                    let far = tile.data().iter().zip(straight.data()).filter(|(a, b)| a.abs_diff(**b) > 3);
                    assert_eq!(far.count(), 0, "{name} {crop:?}");
                    lifted += 1;
                }
            }
        }
    }
    // All of the full size, and all smaller levels of the one whose sides can be halved.
    assert_eq!(lifted, (24 + 6 + 2 + 1) + 7 * 5 + 2);
}

#[test]
fn a_tile_that_is_cut_is_no_answer() {
    let file = fixture("pyramid-jpeg-big.tif");
    let header = header_of(&file).unwrap();
    let tiled = tiled(&file).unwrap();
    let side = header.tile().unwrap();
    let crop = Rect { x: 0, y: 0, width: side, height: side };
    let lift = tiled.find(&job(&header, crop, (side, side))).unwrap();
    let range = lift.range();
    let tile = &file[range.start as usize..range.end as usize];
    for wrong in [&tile[..tile.len() - 1], &tile[1..], &[]] {
        assert!(matches!(lift.finish(wrong), Err(ImagingError::Broken(_))));
    }
}

#[test]
fn what_is_written_otherwise_is_drawn() {
    for name in ["deflate-tiles.tif", "jpeg-strips.tif", "lzw.tif", "orientation-6.tif", "baseline.jpg"] {
        assert!(tiled(&fixture(name)).is_none(), "{name}");
    }
}
