//! Sequential JPEG, row by row: pictures of any size in little memory, parts of them without the rest, and at a half,
//! a quarter or an eighth of their size for less than the whole.
//!
//! Only what comes in one scan can be read so: a picture in several scans is known when its last one is. Those, and
//! rarities, are another decoder's ([`Frame::comes_in_rows`](super::sniff::jpeg::Frame::comes_in_rows)).
//!
//! ```text
//! input > stream > bits > scan (huffman, block) > band > upsample > colour > rows
//! ```
//!
//! The input holds a piece of the file; the stream takes markers and stuffing out of it; the scan tells blocks from
//! the bits, or passes over them several times as fast; a band has the samples of one row of units. Whoever has passed
//! a whole file leaves [`Checkpoints`], from which a later reading goes on.

mod band;
mod bits;
mod block;
mod checkpoint;
mod colour;
mod frame;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod header;
mod huffman;
mod input;
mod join;
mod layout;
mod notes;
mod rows;
mod scan;
mod segment;
mod stream;
mod tables;
#[cfg(test)]
mod tests;
mod upsample;

pub(super) use checkpoint::{Checkpoints, cost as cost_of_checkpoints};
pub(super) use colour::{Colour, from_ycbcr};
#[cfg(any(test, fuzzing))]
pub use fuzz::fuzz;
pub(super) use input::early;
pub(super) use join::{Joiner, resize, size};
pub(super) use layout::Scale;
pub(super) use notes::Notes;
pub(super) use rows::{Jpeg, RowReader, cost};
pub(super) use segment::{
    MOST_SEGMENTS, MOST_STRAY, Segment, body_length, marker, next_marker, no_pixels, other_coding, segment,
    two_frames,
};
