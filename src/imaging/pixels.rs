//! A picture in memory: eight bits a sample, samples of a pixel side by side.

use super::ImagingError;
use crate::iiif::image::geometry::Rect;

/// Pixels that are converted at a time.
const BAND: usize = 4096;

/// Which samples a pixel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// Ink, 255 is full.
    Cmyk,
}

impl Channels {
    pub(super) fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    /// What is left without alpha.
    pub(super) fn opaque(self) -> Self {
        match self {
            Self::Grey | Self::GreyAlpha => Self::Grey,
            Self::Rgb | Self::Rgba => Self::Rgb,
            Self::Cmyk => Self::Cmyk,
        }
    }

    pub(super) fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }
}

/// A picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    width: u32,
    height: u32,
    channels: Channels,
    data: Vec<u8>,
}

impl Pixels {
    /// Takes over decoded samples; their number must fit the size.
    pub(super) fn new(
        width: u32,
        height: u32,
        channels: Channels,
        data: Vec<u8>,
    ) -> Result<Self, ImagingError> {
        let expected = u64::from(width) * u64::from(height) * channels.count() as u64;
        if data.len() as u64 != expected {
            let found = data.len();
            return Err(ImagingError::Broken(format!("{found} bytes of samples, {expected} expected")));
        }
        Ok(Self { width, height, channels, data })
    }

    pub(super) fn width(&self) -> u32 {
        self.width
    }

    pub(super) fn height(&self) -> u32 {
        self.height
    }

    pub(super) fn channels(&self) -> Channels {
        self.channels
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    pub(super) fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// A copy of some rows, fewer at the end.
    pub(super) fn rows(&self, first: u32, count: u32) -> Self {
        let height = count.min(self.height - first);
        let stride = self.width as usize * self.channels.count();
        let data = self.data[first as usize * stride..][..height as usize * stride].to_vec();
        Self { width: self.width, height, channels: self.channels, data }
    }

    /// A part of the picture, in place.
    pub(super) fn cut(self, Rect { x, y, width, height }: Rect) -> Self {
        if (x, y, width, height) == (0, 0, self.width, self.height) {
            return self;
        }
        let Self { channels, mut data, .. } = self;
        let (stride, count) = (self.width as usize * channels.count(), channels.count());
        let row = width as usize * count;
        for (index, from) in (y as usize..).take(height as usize).enumerate() {
            let from = from * stride + x as usize * count;
            data.copy_within(from..from + row, index * row);
        }
        data.truncate(row * height as usize);
        data.shrink_to_fit();
        Self { width, height, channels, data }
    }

    /// The same picture with other samples: each pixel goes through `convert`.
    pub(super) fn map<const N: usize, const M: usize>(
        self,
        channels: Channels,
        convert: impl Fn([u8; N]) -> [u8; M],
    ) -> Self {
        debug_assert_eq!((self.channels.count(), channels.count()), (N, M));
        self.convert(channels, |from, into| {
            let (from, into) = (from.as_chunks::<N>().0, into.as_chunks_mut::<M>().0);
            from.iter().zip(into).for_each(|(from, into)| *into = convert(*from));
        })
    }

    /// The same picture with other samples, some pixels at a time. Where a pixel does not grow this happens in
    /// place: large pictures are not held twice.
    pub(super) fn convert(self, channels: Channels, step: impl Fn(&[u8], &mut [u8])) -> Self {
        let (before, after) = (self.channels.count(), channels.count());
        let mut data = self.data;
        let mut band = vec![0; BAND * after];
        if after > before {
            let mut wider = Vec::with_capacity(data.len() / before * after);
            for from in data.chunks(BAND * before) {
                let into = &mut band[..from.len() / before * after];
                step(from, into);
                wider.extend_from_slice(into);
            }
            data = wider;
        } else {
            let (mut read, mut written) = (0, 0);
            while read < data.len() {
                let end = data.len().min(read + BAND * before);
                let into = &mut band[..(end - read) / before * after];
                step(&data[read..end], into);
                data[written..][..into.len()].copy_from_slice(into);
                (read, written) = (end, written + into.len());
            }
            data.truncate(written);
            data.shrink_to_fit();
        }
        Self { channels, data, width: self.width, height: self.height }
    }

    /// With an alpha channel, opaque where there was none.
    pub(super) fn with_alpha(self) -> Self {
        match self.channels {
            Channels::Grey => self.map(Channels::GreyAlpha, |[v]: [u8; 1]| [v, 255]),
            Channels::Rgb => self.map(Channels::Rgba, |[r, g, b]: [u8; 3]| [r, g, b, 255]),
            Channels::GreyAlpha | Channels::Rgba | Channels::Cmyk => self,
        }
    }

    /// Without an alpha channel, on a white ground.
    pub(super) fn on_white(self) -> Self {
        match self.channels {
            Channels::GreyAlpha => self.map(Channels::Grey, |[v, a]: [u8; 2]| [over_white(v, a)]),
            Channels::Rgba => self.map(Channels::Rgb, |[r, g, b, a]: [u8; 4]| {
                [over_white(r, a), over_white(g, a), over_white(b, a)]
            }),
            Channels::Grey | Channels::Rgb | Channels::Cmyk => self,
        }
    }
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_laid_on_white() {
        let picture = Pixels::new(3, 1, Channels::GreyAlpha, vec![0, 255, 0, 0, 0, 127]).unwrap();
        assert_eq!(picture.on_white().data(), [0, 255, 128]);
    }

    /// More pixels than a band, and not a whole number of bands.
    #[test]
    fn pixels_are_converted_in_place_and_in_order() {
        let count = 2 * BAND + 77;
        let data: Vec<u8> = (0..count).flat_map(|n| [n as u8, (n >> 8) as u8, 7]).collect();
        let picture = Pixels::new(count as u32, 1, Channels::Rgb, data.clone()).unwrap();
        let wider = picture.with_alpha();
        assert_eq!(wider.channels(), Channels::Rgba);
        let narrow = wider.on_white();
        assert_eq!((narrow.channels(), narrow.data()), (Channels::Rgb, &data[..]));
        let first = narrow.map(Channels::Grey, |[r, _, _]: [u8; 3]| [r]).into_data();
        assert!(first.iter().enumerate().all(|(n, value)| *value == n as u8));
        assert_eq!((first.len(), first.capacity()), (count, count));
    }

    #[test]
    fn a_wrong_number_of_samples_is_refused() {
        assert!(Pixels::new(2, 2, Channels::Rgb, vec![0; 11]).is_err());
    }
}
