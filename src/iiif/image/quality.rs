//! The last part of an image request: `default.jpg` (*Image API 3.0, 4.4 and 4.5*).

/// Which colours the answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quality {
    /// As the image is.
    Default,
    /// In full colour, as far as the image has any.
    Color,
    /// In shades of grey.
    Gray,
    /// In black and white.
    Bitonal,
}

/// How the answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `jpg`, `image/jpeg`.
    Jpg,
    /// `png`, `image/png`.
    Png,
    /// `webp`, `image/webp`.
    Webp,
    /// `tif`, `image/tiff`.
    Tif,
    /// `gif`, `image/gif`.
    Gif,
}
