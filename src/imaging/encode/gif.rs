//! GIF: at most 256 colours, pixels either opaque or transparent.

use std::collections::HashMap;

use color_quant::NeuQuant;
use gif::{Encoder, EncodingError, Frame};

use crate::imaging::ImagingError;
use crate::imaging::pixels::{Channels, Pixels};

/// Pixels that colours are learned from: more make it slower, not better.
const SAMPLE: usize = 100_000;

/// One byte counts them.
const MOST_COLOURS: usize = 256;

/// The picture and one byte a pixel; then this byte, and a scan that takes up to twelve bits a pixel, in a vector of one
/// byte a pixel that becomes one of two.
pub(super) fn cost(channels: Channels, area: u64) -> u64 {
    area * (channels.count() as u64 + 1).max(4)
}

pub(super) fn encode(picture: Pixels) -> Result<Vec<u8>, ImagingError> {
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    let frame = match picture.channels() {
        Channels::Grey => {
            let shades: Vec<u8> = (0..=255).flat_map(|shade| [shade; 3]).collect();
            Frame::from_palette_pixels(width, height, picture.into_data(), shades, None)
        }
        Channels::GreyAlpha => indexed(picture, |[v, a]: [u8; 2]| visible([v; 3], a)),
        Channels::Rgb => indexed(picture, Some),
        Channels::Rgba => indexed(picture, |[r, g, b, a]: [u8; 4]| visible([r, g, b], a)),
        Channels::Cmyk => return Err(ImagingError::unsupported("GIF of CMYK samples")),
    };
    write(frame).map_err(|error| ImagingError::Decoder(error.to_string()))
}

/// Pixels that are more visible than not become opaque.
fn visible(colour: [u8; 3], alpha: u8) -> Option<[u8; 3]> {
    (alpha >= 128).then_some(colour)
}

/// A frame of a palette and an index for each pixel; the last one is for what cannot be seen.
fn indexed<const N: usize>(picture: Pixels, colour: impl Fn([u8; N]) -> Option<[u8; 3]>) -> Frame<'static> {
    let pixels = || picture.data().as_chunks::<N>().0.iter().map(|pixel| colour(*pixel));
    let transparent = pixels().any(|pixel| pixel.is_none());
    let most = MOST_COLOURS - usize::from(transparent);
    let Palette { mut colours, mut nearest } = exact(pixels().flatten(), most).unwrap_or_else(|| {
        let step = (picture.data().len() / N).div_ceil(SAMPLE);
        learned(pixels().step_by(step).flatten(), most)
    });
    let clear = (colours.len() / 3) as u8;
    let indices: Vec<u8> = pixels().map(|pixel| pixel.map_or(clear, &mut nearest)).collect();
    if transparent {
        colours.extend([0; 3]);
    }
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    Frame::from_palette_pixels(width, height, indices, colours, transparent.then_some(clear))
}

/// Up to 256 colours, and which of them comes nearest to another.
struct Palette {
    colours: Vec<u8>,
    nearest: Box<dyn FnMut([u8; 3]) -> u8>,
}

/// The very colours of a picture, if they are few.
fn exact(pixels: impl Iterator<Item = [u8; 3]>, most: usize) -> Option<Palette> {
    let mut indices = HashMap::new();
    let mut colours = Vec::new();
    let mut last = None;
    for colour in pixels {
        if last.replace(colour) != Some(colour) && !indices.contains_key(&colour) {
            if indices.len() == most {
                return None;
            }
            indices.insert(colour, indices.len() as u8);
            colours.extend(colour);
        }
    }
    // Neighbours are alike.
    let mut last = ([0; 3], indices.get(&[0; 3]).copied().unwrap_or_default());
    let nearest = Box::new(move |colour| {
        if last.0 != colour {
            last = (colour, indices.get(&colour).copied().unwrap_or_default());
        }
        last.1
    });
    Some(Palette { colours, nearest })
}

/// Colours that come near to those of a sample.
fn learned(sample: impl Iterator<Item = [u8; 3]>, most: usize) -> Palette {
    let sample: Vec<u8> = sample.flat_map(|[r, g, b]| [r, g, b, 255]).collect();
    let network = NeuQuant::new(1, most, &sample);
    // Colours that agree in six bits share their answer: a search for each pixel would take a hundred times as long.
    let mut known: Vec<Option<u8>> = vec![None; 1 << 18];
    let colours = network.color_map_rgb();
    let nearest = Box::new(move |[r, g, b]: [u8; 3]| {
        let cell = [r, g, b].into_iter().fold(0, |cell, part| cell << 6 | usize::from(part >> 2));
        *known[cell].get_or_insert_with(|| network.index_of(&[r, g, b, 255]) as u8)
    });
    Palette { colours, nearest }
}

/// The scan takes the place of the pixels before it is put into blocks of 255 bytes.
fn write(mut frame: Frame<'_>) -> Result<Vec<u8>, EncodingError> {
    /// Palette, headers and the end.
    const BESIDE: usize = 1024;
    frame.make_lzw_pre_encoded();
    let mut file = Vec::with_capacity(frame.buffer.len() + frame.buffer.len() / 255 + BESIDE);
    Encoder::new(&mut file, frame.width, frame.height, &[])?.write_lzw_pre_encoded_frame(&frame)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::pixels::Pixels;

    fn decoded(picture: Pixels) -> Vec<u8> {
        let file = encode(picture).unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(&file[..]).unwrap();
        decoder.read_next_frame().unwrap().unwrap().buffer.to_vec()
    }

    #[test]
    fn few_colours_are_kept_as_they_are() {
        let data: Vec<u8> = (0..=254).flat_map(|n| [n, 255 - n, n / 2, 255]).chain([9, 9, 9, 0]).collect();
        let found = decoded(Pixels::new(256, 1, Channels::Rgba, data.clone()).unwrap());
        assert_eq!(found[..255 * 4], data[..255 * 4]);
        assert_eq!(found[255 * 4 + 3], 0);
    }

    /// What is black must not share its index with what cannot be seen.
    #[test]
    fn many_colours_come_near_and_black_stays_visible() {
        let colour = |n: u32| [(n % 64 * 4) as u8, (n / 64 * 4) as u8, 0, if n % 7 == 1 { 0 } else { 255 }];
        let data: Vec<u8> = (0..64 * 64).flat_map(colour).collect();
        let found = decoded(Pixels::new(64, 64, Channels::Rgba, data.clone()).unwrap());
        for (found, expected) in found.chunks(4).zip(data.chunks(4)) {
            assert_eq!(found[3], expected[3]);
            let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) < 40);
            assert!(near || expected[3] == 0, "{found:?} for {expected:?}");
        }
    }
}
