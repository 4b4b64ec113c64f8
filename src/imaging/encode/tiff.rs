//! TIFF, LZW with differencing.

use tiff::TiffResult;
use tiff::encoder::colortype::{ColorType, Gray8, RGB8, RGBA8};
use tiff::encoder::{Compression, TiffEncoder};
use tiff::tags::{ExtraSamples, Predictor, Tag};

use super::bounded::Bounded;
use crate::imaging::ImagingError;
use crate::imaging::pixels::{Channels, Pixels};

/// What LZW is written through, however small the picture, and a strip whose samples became differences.
const BUFFER: u64 = (16 << 20) + (1 << 20);

/// The picture, and a file that is no larger; a copy of it where it is less than half of that. Grey with alpha becomes
/// four samples.
pub(super) fn cost(channels: Channels, area: u64) -> u64 {
    let samples = if channels == Channels::GreyAlpha { 4 } else { channels.count() as u64 };
    samples * area * 5 / 2 + area / 256 + BUFFER
}

pub(super) fn encode(picture: Pixels) -> Result<Vec<u8>, ImagingError> {
    let written = match picture.channels() {
        Channels::Grey => write::<Gray8>(&picture),
        Channels::Rgb => write::<RGB8>(&picture),
        Channels::Rgba => write::<RGBA8>(&picture),
        Channels::GreyAlpha => write::<RGBA8>(&picture.map(Channels::Rgba, |[v, a]: [u8; 2]| [v, v, v, a])),
        Channels::Cmyk => return Err(ImagingError::unsupported("TIFF of CMYK samples")),
    };
    written.map_err(|error| ImagingError::Decoder(error.to_string()))
}

/// LZW makes noise half as large again.
fn write<C: ColorType<Inner = u8>>(picture: &Pixels) -> TiffResult<Vec<u8>> {
    let small = write_with::<C>(picture, Compression::Lzw, Predictor::Horizontal);
    small.or_else(|_| write_with::<C>(picture, Compression::Uncompressed, Predictor::None))
}

fn write_with<C: ColorType<Inner = u8>>(
    picture: &Pixels,
    compression: Compression,
    predictor: Predictor,
) -> TiffResult<Vec<u8>> {
    let mut file = Bounded::new(picture.data().len(), picture.height());
    let encoder = TiffEncoder::new(&mut file)?.with_compression(compression);
    let mut encoder = encoder.with_predictor(predictor);
    let mut image = encoder.new_image::<C>(picture.width(), picture.height())?;
    if picture.channels().has_alpha() {
        image.encoder().write_tag(Tag::ExtraSamples, ExtraSamples::UnassociatedAlpha.to_u16())?;
    }
    image.write_data(picture.data())?;
    Ok(file.into_inner())
}
