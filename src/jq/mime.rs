//! Media types of file names and extensions.

/// The media type of a file name or extension (`a.TIF`, `.tif`, `tif`); a media type stays itself.
pub(super) fn of(name: &str) -> Option<&str> {
    let name = name.trim();
    if let Some((kind, subtype)) = name.split_once('/')
        && ["application", "audio", "image", "model", "text", "video"].contains(&kind)
        && !subtype.contains(['/', '.'])
        && !subtype.is_empty()
    {
        return Some(name);
    }
    let extension = name.rsplit_once('.').map_or(name, |(_, extension)| extension).to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type)
}

const TYPES: [(&str, &str); 52] = [
    ("aac", "audio/aac"),
    ("ai", "application/postscript"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("csv", "text/csv"),
    ("djvu", "image/vnd.djvu"),
    ("dng", "image/x-adobe-dng"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eps", "application/postscript"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jp2", "image/jp2"),
    ("jpe", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpf", "image/jpx"),
    ("jpg", "image/jpeg"),
    ("jpx", "image/jpx"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("psd", "image/vnd.adobe.photoshop"),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("vtt", "text/vtt"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_extensions_have_media_types() {
        let cases = [
            ("tif", Some("image/tiff")),
            (".TIFF", Some("image/tiff")),
            ("a.b.JPG", Some("image/jpeg")),
            ("folder.d/scan.jp2", Some("image/jp2")),
            (" pdf ", Some("application/pdf")),
            ("image/jpeg", Some("image/jpeg")),
            ("image/scan.png", Some("image/png")),
            ("README", None),
            ("", None),
            ("xyz", None),
        ];
        for (name, expected) in cases {
            assert_eq!(of(name), expected, "{name}");
        }
    }

    #[test]
    fn extensions_are_in_order_and_occur_once() {
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
