//! A picture in memory: eight bits a sample, samples of a pixel side by side.

use super::ImagingError;

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

    /// The same picture with other samples: each pixel goes through `convert`.
    pub(super) fn map<const N: usize, const M: usize>(
        &self,
        channels: Channels,
        convert: impl Fn([u8; N]) -> [u8; M],
    ) -> Self {
        debug_assert_eq!((self.channels.count(), channels.count()), (N, M));
        let (pixels, _) = self.data.as_chunks::<N>();
        let data = pixels.iter().flat_map(|pixel| convert(*pixel)).collect();
        Self { channels, data, ..*self }
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

    #[test]
    fn a_wrong_number_of_samples_is_refused() {
        assert!(Pixels::new(2, 2, Channels::Rgb, vec![0; 11]).is_err());
    }
}
