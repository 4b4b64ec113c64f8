//! Names of what is counted here.

/// Callers who waited for work that somebody else had begun.
pub const COALESCED: &str = "loggia_coalesced_total";
/// Work that another replica did while this one waited for it.
pub const ELSEWHERE: &str = "loggia_coalesced_elsewhere_total";
/// Pictures handed out as they lie in a pyramid.
pub const TILES: &str = "loggia_tiles_total";
/// Pictures made from masters or pyramids.
pub const RENDERS: &str = "loggia_renders_total";
/// Seconds that a rendering took, waiting for its turn included.
pub const RENDER_SECONDS: &str = "loggia_render_seconds";
/// Masters fetched from sources.
pub const ORIGINALS: &str = "loggia_originals_fetched_total";
/// Parts of masters fetched, tables and tiles, where the whole file was not.
pub const RANGES: &str = "loggia_ranges_fetched_total";
/// Bytes of these parts.
pub const RANGE_BYTES: &str = "loggia_range_bytes_total";
/// Headers of masters read to learn their size.
pub const PROBES: &str = "loggia_headers_probed_total";
/// Records and collections asked of sources, by source, kind and outcome.
pub const ASKED: &str = "loggia_asked_total";
/// Sources that did not answer while an older answer could stand in.
pub const STALE: &str = "loggia_stale_answers_total";
/// Purges that were done here, by source, whoever asked for them.
pub const PURGES: &str = "loggia_purges_total";
/// Pyramids that were made, or could not be, by outcome.
pub const PYRAMIDS: &str = "loggia_pyramids_total";
/// Seconds that making a pyramid took, waiting for its turn included.
pub const PYRAMID_SECONDS: &str = "loggia_pyramid_seconds";
/// Masters that wait for their pyramid, the one in work included.
pub const PYRAMIDS_WAITING: &str = "loggia_pyramids_waiting";
