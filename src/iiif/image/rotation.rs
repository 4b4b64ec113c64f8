//! Rotation and mirroring: `!90`, `22.5` (*Image API 3.0, 4.3*).

/// Mirror first (left to right), then turn clockwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    /// Whether left and right change places before turning.
    pub mirror: bool,
    /// Clockwise, 0 <= degrees < 360 (360 is the same as 0).
    pub degrees: f64,
}
