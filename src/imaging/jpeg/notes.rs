//! What is told beside the pixels: how colours were made, and which profile they have.

use super::colour::Colour;
use super::segment::marker;
use crate::imaging::decode::LONGEST_PROFILE;

/// What the segments that have been seen tell beside the pixels.
#[derive(Default)]
pub(in crate::imaging) struct Notes {
    jfif: bool,
    /// How Adobe's segment says that colours were transformed.
    adobe: Option<u8>,
    /// The pieces of an ICC profile, numbered.
    profile: Vec<(u8, Vec<u8>)>,
}

impl Notes {
    /// Takes in a segment; most tell nothing here.
    pub(in crate::imaging) fn take(&mut self, marker: u8, body: &[u8]) {
        match marker {
            marker::APP0 => self.jfif |= body.starts_with(b"JFIF\0"),
            marker::APP2 => {
                let held: usize = self.profile.iter().map(|(_, piece)| piece.len()).sum();
                match body.strip_prefix(b"ICC_PROFILE\0") {
                    Some([number, _, piece @ ..]) if held as u64 <= LONGEST_PROFILE => {
                        self.profile.push((*number, piece.to_vec()));
                    }
                    _ => {}
                }
            }
            marker::APP14 if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied(),
            _ => {}
        }
    }

    /// What components of these names stand for.
    pub(in crate::imaging) fn colour(&self, names: &[u8]) -> Colour {
        Colour::of(names, self.jfif, self.adobe)
    }

    /// Its pieces may come in any order.
    pub(in crate::imaging) fn profile(mut self) -> Option<Vec<u8>> {
        self.profile.sort_by_key(|(number, _)| *number);
        let profile: Vec<u8> = self.profile.into_iter().flat_map(|(_, piece)| piece).collect();
        Some(profile).filter(|profile| (1..=LONGEST_PROFILE).contains(&(profile.len() as u64)))
    }
}
