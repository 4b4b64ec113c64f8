//! What the decoder holds while it decodes: measured, and counted from how a picture is coded.

use std::ops::Range;

use super::super::bands::BAND;
use super::{parts, tile};
use crate::imaging::plan::Plan;
use crate::imaging::sniff::jp2::{Codestream, Component, Layout, halved};

/// For tables, and blocks in work.
const WORKSPACE: u64 = 1 << 20;

/// Bytes that [`decode`](super::decode) holds at most: a tile at a time, and the part that is put together of several.
pub(in crate::imaging::decode) fn cost(layout: &Layout, length: Option<u64>, plan: &Plan) -> u64 {
    let halvings = plan.shrink.trailing_zeros();
    let Codestream { across, down, .. } = &layout.codestream;
    let columns = across.holding(&(plan.read.x..plan.read.x + plan.read.width), halvings);
    let rows = down.holding(&(plan.read.y..plan.read.y + plan.read.height), halvings);
    let is_one = (columns.len(), rows.len()) == (1, 1);
    let area = u64::from(plan.read.width) * u64::from(plan.read.height);
    let part = if is_one { 0 } else { area * layout.colour.channels.count() as u64 };
    part + largest_tile(layout, length, (columns, rows), halvings) + parts::cost(length) + WORKSPACE
}

/// Bytes that [`bands`](super::bands) holds at most.
pub(in crate::imaging::decode) fn cost_of_bands(layout: &Layout, length: Option<u64>) -> u64 {
    let Codestream { across, down, .. } = &layout.codestream;
    let width = u64::from(across.length()) * layout.colour.channels.count() as u64;
    let height = u64::from(down.tile.min(down.length()));
    let part = if across.tiles() == 1 { 0 } else { width * height };
    let tile = largest_tile(layout, length, (0..across.tiles(), 0..down.tiles()), 0);
    part + tile + width * u64::from(BAND) + parts::cost(length) + WORKSPACE
}

/// Those at the edges are smaller than the others, yet thin ones are not halved as often.
fn largest_tile(
    layout: &Layout,
    length: Option<u64>,
    (columns, rows): (Range<u32>, Range<u32>),
    halvings: u32,
) -> u64 {
    let kinds =
        |numbers: Range<u32>| [numbers.start, numbers.start + numbers.len() as u32 / 2, numbers.end - 1];
    let places = kinds(columns).into_iter().flat_map(|column| kinds(rows.clone()).map(|row| (column, row)));
    places.map(|place| of_tile(layout, length, place, halvings)).max().unwrap_or(0)
}

fn of_tile(layout: &Layout, length: Option<u64>, (column, row): (u32, u32), halvings: u32) -> u64 {
    let codestream = &layout.codestream;
    let (x, y) = (codestream.across.tile(column), codestream.down.tile(row));
    let halvings = tile::halvings(x.end - x.start, y.end - y.start, halvings);
    let side = |part: &Range<u32>| u64::from(halved(part.end, halvings) - halved(part.start, halvings)) + 1;
    let (width, height) = (side(&x), side(&y));
    let area = width * height;
    let components = codestream.components.len() as u64;
    // Samples and coefficients are floating-point numbers: all components as they will be, one more before its
    // transformation and one behind it, with a quarter of one for what lies between two of its steps.
    let numbers = 4 * (area * (components + 2) + (width / 2 + 2) * (height / 2 + 2));
    let pixels = area * components.max(layout.colour.channels.count() as u64);
    let longest = parts::longest(codestream, (column, row));
    // Where its length is not known, a quarter of the longest, which photographs never reach.
    let file = length.unwrap_or(longest / 4).min(longest);
    let described =
        codestream.components.iter().map(|component| descriptions(codestream, component, (&x, &y), file));
    numbers + pixels + file + described.sum::<u64>()
}

/// What is noted of blocks and precincts of all resolutions, also of those that are not decoded.
fn descriptions(
    codestream: &Codestream,
    component: &Component,
    (x, y): (&Range<u32>, &Range<u32>),
    file: u64,
) -> u64 {
    /// Vectors that grow are held twice for a moment, and once more for what is still free in them.
    const GROWTH: u64 = 3;
    const BLOCK: u64 = 56;
    const LAYER: u64 = 24;
    const PIECE: u64 = 24;
    const NODE: u64 = 48;
    /// A precinct, and the places that it has in the order of packets.
    const PRECINCT: u64 = 48 + 2 * 32;
    const CHANGE: u64 = 32;
    let layers = u64::from(codestream.layers);
    let (mut blocks, mut precincts) = (0, 0);
    for resolution in 0..=component.coding.levels {
        let found = count(component, (x, y), resolution);
        blocks += found.0;
        precincts += found.1;
    }
    // A piece takes three bits of the file at least.
    let pieces = (blocks * (component.coding.pieces + layers)).min(file * 8 / 3);
    // Two trees: of n leaves, hardly more than 2n nodes.
    let block = BLOCK + LAYER * layers + 2 * 2 * NODE;
    let precinct = PRECINCT + 2 * 4 * NODE + CHANGE * codestream.changes.max(1) * layers;
    GROWTH * (blocks * block + precincts * precinct + pieces * PIECE)
}

/// Blocks and precincts of a resolution, at most (*ISO 15444-1, B.6 and B.7*).
fn count(component: &Component, (x, y): (&Range<u32>, &Range<u32>), resolution: u8) -> (u64, u64) {
    let coding = &component.coding;
    let (halvings, bands) = (u32::from(coding.levels - resolution), if resolution == 0 { 1 } else { 3 });
    let side = |part: &Range<u32>, coarseness: u8| {
        let at = |at: u32| u64::from(halved(at.div_ceil(coarseness.into()), halvings));
        at(part.end) - at(part.start)
    };
    let (width, height) = (side(x, component.coarseness.0), side(y, component.coarseness.1));
    let precinct = coding.precincts[usize::from(resolution)];
    let along = |side: u64, power: u8| (side >> power) + 2;
    // Bands are half as large, and so are their precincts.
    let half = u8::from(resolution > 0);
    let block = |power: u8, precinct: u8| power.min(precinct.saturating_sub(half));
    let across = along(width.div_ceil(1 << half), block(coding.block.0, precinct.0));
    let down = along(height.div_ceil(1 << half), block(coding.block.1, precinct.1));
    (bands * across * down, bands * along(width, precinct.0) * along(height, precinct.1))
}
