//! What one picture may cost, checked before anything is allocated.

use super::{ImagingError, Settings};

/// Bounds for one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that rendering may hold.
    pub memory: u64,
    /// Pixels that a master may claim.
    pub max_pixels: u64,
}

impl Settings {
    /// What a single job may use: the lane for large work, that is three quarters of the memory.
    /// The rest stays free for small work.
    pub fn limits(&self) -> Limits {
        Limits { memory: *self.memory - *self.memory / 4, max_pixels: self.max_pixels }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Settings::default().limits()
    }
}

impl Limits {
    /// Holds the size that a header claims against the limit.
    pub fn pixels(&self, width: u32, height: u32) -> Result<(), ImagingError> {
        if width == 0 || height == 0 {
            return Err(ImagingError::Broken(format!("its size is {width}x{height}, at least 1x1 expected")));
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            let found = format!("{width}x{height} pixels");
            return Err(ImagingError::TooLarge {
                what: "the master",
                found,
                limit: self.max_pixels,
                rule: "`limits.max_pixels`",
            });
        }
        Ok(())
    }
}
