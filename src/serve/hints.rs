//! What was learnt of masters, for a while.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::imaging::{Header, Hints};
use crate::store::Key;
use crate::weighed;

/// Bytes of all hints together: those of a JPEG of 80 megapixels are 80 KB.
const BYTES: u64 = 32 << 20;
/// How many masters that may be, about.
const MASTERS: u64 = 1000;

/// The hints of the masters that were read last. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Learnt(Arc<Cache<Key, Hints, ByWeight>>);

#[derive(Clone, Debug)]
struct ByWeight;

impl Weighter<Key, Hints> for ByWeight {
    fn weight(&self, _: &Key, hints: &Hints) -> u64 {
        hints.weight()
    }
}

impl Default for Learnt {
    fn default() -> Self {
        Self(Arc::new(weighed::cache(BYTES, BYTES / MASTERS, BYTES / 4, ByWeight)))
    }
}

impl Learnt {
    /// What is known of a master. If it was read under this key before, but had another header, that is nothing.
    pub(super) fn of(&self, key: Key, header: &Header) -> Hints {
        if let Some(hints) = self.0.get(&key).filter(|hints| hints.fit(header)) {
            return hints;
        }
        let hints = Hints::new(header);
        self.0.insert(key, hints.clone());
        hints
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;
    use crate::iiif::image::geometry::Rect;
    use crate::iiif::image::quality::{Format, Quality};
    use crate::iiif::image::rotation::Rotation;
    use crate::imaging::{Job, Limits, header, render};

    /// Whoever knows that a file is complete does not look at its end.
    #[test]
    fn what_was_learnt_serves_the_same_master_alone() {
        let limits = Limits::default();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images");
        let file = std::fs::read(fixtures.join("baseline.jpg")).unwrap();
        let head = header(&mut Cursor::new(&file), &limits).unwrap();
        let draws = |file: &[u8], hints: &Hints| {
            let job = Job {
                crop: Rect { x: 0, y: 0, width: 16, height: 16 },
                width: 16,
                height: 16,
                rotation: Rotation { mirror: false, degrees: 0.0 },
                quality: Quality::Default,
                format: Format::Png,
                jpeg_quality: 80,
            };
            render(Box::new(Cursor::new(file.to_vec())), &head, &job, &limits, hints).is_ok()
        };
        let cut = &file[..file.len() - 2];
        let (learnt, key) = (Learnt::default(), |name| Key::new(["original", "maps", name]));
        assert!(!draws(cut, &learnt.of(key("a"), &head)));
        assert!(draws(&file, &learnt.of(key("a"), &head)));
        assert!(draws(cut, &learnt.of(key("a"), &head)));
        assert!(!draws(cut, &learnt.of(key("b"), &head)));
        let other = header(&mut Cursor::new(cut), &limits).unwrap();
        assert!(!draws(cut, &learnt.of(key("a"), &other)));
    }
}
