//! Lines of components, made a line of pixels.

use crate::imaging::pixels::Channels;

/// What the components stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imaging) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    /// Ink, 255 is full.
    Cmyk,
    /// Ink, 0 is full, as Adobe writes it.
    InvertedCmyk,
    /// The same with its first three inks as light and colour.
    Ycck,
}

impl Colour {
    /// Who wrote the file knew what the colours are; markers and names of components tell, in the order in which
    /// libjpeg asks them.
    pub(super) fn of(names: &[u8], jfif: bool, adobe: Option<u8>) -> Self {
        match (names.len(), adobe) {
            (1, _) => Self::Grey,
            (4, None) => Self::Cmyk,
            (4, Some(2)) => Self::Ycck,
            (4, Some(_)) => Self::InvertedCmyk,
            (_, Some(0)) if !jfif => Self::Rgb,
            (_, None) if !jfif && names == b"RGB" => Self::Rgb,
            _ => Self::YCbCr,
        }
    }

    /// Samples of a pixel.
    pub(super) fn channels(self) -> Channels {
        match self {
            Self::Grey => Channels::Grey,
            Self::YCbCr | Self::Rgb => Channels::Rgb,
            Self::Cmyk | Self::InvertedCmyk | Self::Ycck => Channels::Cmyk,
        }
    }

    /// Writes a line of pixels.
    #[inline(always)]
    pub(super) fn mix(self, parts: [&[u8]; 4], out: &mut [u8]) {
        let [a, b, c, d] = parts;
        match self {
            Self::Grey => out.copy_from_slice(a),
            Self::YCbCr => each(out, a, b, c, from_ycbcr),
            Self::Rgb => each(out, a, b, c, |r, g, b| [r, g, b]),
            Self::Cmyk => each_with_black(out, parts, |ink| ink),
            Self::InvertedCmyk => each_with_black(out, parts, |[c, m, y, k]| [!c, !m, !y, !k]),
            Self::Ycck => each_with_black(out, [a, b, c, d], |[y, cb, cr, k]| {
                let [r, g, b] = from_ycbcr(y, cb, cr);
                [r, g, b, !k]
            }),
        }
    }
}

/// Pixels in work at a time: the longest vectors of bytes, twice.
const RUN: usize = 64;

/// First the samples, then their order: together, a loop of them would not become vectors.
#[inline(always)]
fn each(out: &mut [u8], a: &[u8], b: &[u8], c: &[u8], pixel: impl Fn(u8, u8, u8) -> [u8; 3]) {
    let runs = a.chunks(RUN).zip(b.chunks(RUN)).zip(c.chunks(RUN));
    for (out, ((a, b), c)) in out.chunks_mut(3 * RUN).zip(runs) {
        match (a.first_chunk(), b.first_chunk(), c.first_chunk(), out.first_chunk_mut()) {
            (Some(a), Some(b), Some(c), Some(out)) => run(out, a, b, c, &pixel),
            _ => {
                let pixels = a.iter().zip(b).zip(c).map(|((a, b), c)| pixel(*a, *b, *c));
                for (out, pixel) in out.as_chunks_mut().0.iter_mut().zip(pixels) {
                    *out = pixel;
                }
            }
        }
    }
}

#[inline(always)]
fn run(
    out: &mut [u8; 3 * RUN],
    a: &[u8; RUN],
    b: &[u8; RUN],
    c: &[u8; RUN],
    pixel: impl Fn(u8, u8, u8) -> [u8; 3],
) {
    let (mut red, mut green, mut blue) = ([0; RUN], [0; RUN], [0; RUN]);
    for at in 0..RUN {
        [red[at], green[at], blue[at]] = pixel(a[at], b[at], c[at]);
    }
    for at in 0..RUN {
        out[3 * at] = red[at];
        out[3 * at + 1] = green[at];
        out[3 * at + 2] = blue[at];
    }
}

#[inline(always)]
fn each_with_black(out: &mut [u8], [a, b, c, d]: [&[u8]; 4], pixel: impl Fn([u8; 4]) -> [u8; 4]) {
    for ((((out, a), b), c), d) in out.as_chunks_mut().0.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *out = pixel([*a, *b, *c, *d]);
    }
}

/// Light and colour as red, green and blue (*ITU T.871, 7*), as libjpeg rounds it. Factors are split so that what is
/// left of them has 16 bits, which vectors multiply faster.
#[inline(always)]
pub(in crate::imaging) fn from_ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let level = |sum: i32| sum.clamp(0, 255) as u8;
    [
        level(y + cr + ((26_345 * cr + 32_768) >> 16)),
        level(y - cr + ((18_734 * cr - 22_554 * cb + 32_768) >> 16)),
        level(y + 2 * cb + ((32_768 - 14_942 * cb) >> 16)),
    ]
}
