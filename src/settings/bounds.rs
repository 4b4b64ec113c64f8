//! How small and how large numbers, sizes and times may be. With what lies within, the gateway starts and has room to work.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::Settings;
use super::problem::{Key, Problem};
use super::source::Source;
use crate::serve::offer::ImageOverride;
use crate::units::{Bytes, Duration};

/// No process has more descriptors.
const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
/// A head that takes longer than a day is none.
const PATIENCE: RangeInclusive<Duration> = Duration::millis(1)..=Duration::days(1);
const DRAIN: RangeInclusive<Duration> = Duration::secs(0)..=Duration::days(1);
const ROOM: RangeInclusive<Bytes> = Bytes::new(0)..=Bytes::gib(1 << 20);
/// Whoever waits longer for a cache would have made the thing meanwhile.
const SHARED: RangeInclusive<Duration> = Duration::millis(10)..=Duration::secs(10);
/// Whoever waits longer for a pyramid would have made it meanwhile.
const FAR: RangeInclusive<Duration> = Duration::millis(100)..=Duration::mins(1);
/// Less does not hold one photograph as cameras take them.
const WORK: RangeInclusive<Bytes> = Bytes::mib(64)..=Bytes::gib(1 << 20);
/// The largest pictures that were ever put together have less.
const PIXELS: RangeInclusive<u64> = 1..=1_000_000_000_000;
/// Two lanes share the 512 threads that the runtime has for such work.
const THREADS: RangeInclusive<usize> = 0..=256;
/// Whoever is behind so many has long gone.
const QUEUE: RangeInclusive<usize> = 0..=100_000;
const TILE: RangeInclusive<u32> = 64..=4096;
/// From half a screen's to that of film.
const DPI: RangeInclusive<u32> = 36..=1200;
/// Ten years: sums of moments and ages stay far from overflow.
const AGE: RangeInclusive<Duration> = Duration::secs(0)..=Duration::days(3650);

/// What lies outside; of the limits towards remote hosts, `upstream` knows itself what it can keep.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Settings { server, cache, redis, limits, image, .. } = settings;
    let all = [
        within(["server", "max_connections"], server.max_connections.get(), &CONNECTIONS),
        within(["server", "header_timeout"], server.header_timeout, &PATIENCE),
        within(["server", "request_timeout"], server.request_timeout, &PATIENCE),
        within(["server", "drain"], server.drain, &DRAIN),
        within(["cache", "memory"], cache.memory, &ROOM),
        within(["cache", "disk"], cache.disk, &ROOM),
        cache.bucket.as_ref().and_then(|bucket| within(["cache", "bucket", "timeout"], bucket.timeout, &FAR)),
        within(["redis", "timeout"], redis.timeout, &SHARED),
        within(["limits", "memory"], limits.memory, &WORK),
        within(["limits", "max_pixels"], limits.max_pixels, &PIXELS),
        within(["limits", "threads"], limits.threads, &THREADS),
        within(["limits", "queue"], limits.queue, &QUEUE),
        within(["image", "max_area"], image.max_area, &PIXELS),
        within(["image", "tile"], image.tile, &TILE),
        within(["image", "pdf_dpi"], image.pdf_dpi, &DPI),
    ];
    all.into_iter().flatten().collect()
}

/// The same for one source; keys are counted from it.
pub(super) fn check_source(source: &Source) -> Vec<Problem> {
    let ImageOverride { max_area, tile, pdf_dpi, .. } = source.image;
    let own = [
        source.record_ttl.and_then(|ttl| within(["record_ttl"], ttl, &AGE)),
        within(["stale"], source.stale, &AGE),
        max_area.and_then(|area| within(["image", "max_area"], area, &PIXELS)),
        tile.and_then(|tile| within(["image", "tile"], tile, &TILE)),
        pdf_dpi.and_then(|dpi| within(["image", "pdf_dpi"], dpi, &DPI)),
    ];
    own.into_iter().flatten().collect()
}

fn within<T, const N: usize>(key: [&str; N], found: T, bounds: &RangeInclusive<T>) -> Option<Problem>
where
    T: PartialOrd + Display,
{
    let (least, most) = (bounds.start(), bounds.end());
    let sentence = || format!("expected `{least}` to `{most}`, found `{found}`");
    (!bounds.contains(&found)).then(|| Problem::new(Key::of(key), sentence()))
}
