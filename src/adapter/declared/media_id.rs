//! What the media ids of a declared source are made of, in both directions.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::definition::Form;
use crate::adapter::record::{ItemId, MediaId};

/// What would be mistaken for the separator, for the page of a file or for an encoding; everything else stays readable.
const PART: &AsciiSet = &CONTROLS.add(b'/').add(b'#').add(b'%');

/// The media id of one file of an item.
pub(super) fn join(form: Form, item: &ItemId, file: &str) -> MediaId {
    match form {
        Form::Item => MediaId::from(item.as_str()),
        Form::ItemFile => {
            let encode = |part| utf8_percent_encode(part, PART);
            MediaId::from(format!("{}/{}", encode(item.as_str()), encode(file)))
        }
    }
}

/// The item of a media id, and its file within the item. Each file has one id: other spellings of the same
/// parts are nobody's, so that no decision is made on one id and used for another.
pub(super) fn split(form: Form, media: &MediaId) -> Option<(ItemId, String)> {
    let text = media.as_str();
    let (item, file) = match form {
        Form::Item => (text.to_owned(), text.to_owned()),
        Form::ItemFile => {
            let (item, file) = text.split_once('/')?;
            let decode = |part| percent_decode_str(part).decode_utf8().ok();
            (decode(item)?.into_owned(), decode(file)?.into_owned())
        }
    };
    let item = ItemId::from(item);
    let whole = !item.as_str().is_empty() && !file.is_empty();
    (whole && join(form, &item, &file) == *media).then_some((item, file))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_raw_slash_separates() {
        let cases = [
            ("plain", "7/8", Some(("7", "8"))),
            ("slashes inside", "a%2Fb/c%2Fd", Some(("a/b", "c/d"))),
            ("what looks like a page", "7/a%23page=2", Some(("7", "a#page=2"))),
            ("percent inside", "100%25/x y.jpg", Some(("100%", "x y.jpg"))),
            ("no file", "7", None),
            ("empty file", "7/", None),
            ("empty item", "/8", None),
            ("a page of a file", "7/8/1", None),
            ("encoded without need", "%37/8", None),
            ("lower case", "a%2fb/c", None),
            ("no text", "%FF/8", None),
        ];
        for (name, media, expected) in cases {
            let found = split(Form::ItemFile, &media.into());
            let found = found.as_ref().map(|(item, file)| (item.as_str(), file.as_str()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn one_file_per_item_has_the_id_of_the_item() {
        let item = ItemId::from("a/b 100%.jpg");
        assert_eq!(join(Form::Item, &item, "whatever").as_str(), "a/b 100%.jpg");
        assert_eq!(split(Form::Item, &"a/b 100%.jpg".into()).unwrap().0, item);
        assert_eq!(split(Form::Item, &"".into()), None);
    }

    proptest! {
        #[test]
        fn what_is_joined_is_split_again(item in ".+", file in ".+") {
            let id = ItemId::from(item);
            let media = join(Form::ItemFile, &id, &file);
            prop_assert_eq!(split(Form::ItemFile, &media), Some((id, file)));
        }

        #[test]
        fn what_is_split_is_joined_to_the_same(media in "[a7/%2F]{0,8}") {
            let media = MediaId::from(media);
            if let Some((item, file)) = split(Form::ItemFile, &media) {
                prop_assert_eq!(join(Form::ItemFile, &item, &file), media);
            }
        }
    }
}
