//! Pictures as they lie in a file: one positioned read, and no pixel is decoded.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::gate::Grant;
use super::metrics;
use super::originals::Original;
use crate::imaging::pyramid::{Pyramid, Stored};
use crate::imaging::{Header, ImagingError, Job, Lift, Pool, Tiled};
use crate::store::{self, File};

/// Tiles of no more bytes are joined where their request is answered: another thread would cost more.
const AT_ONCE: u64 = 64 << 10;
/// How long nobody looks whether somebody has written into a master: to ask that takes as long as its disk likes.
const TRUSTED: Duration = Duration::from_secs(1);

/// A pyramid within reach.
#[derive(Debug)]
pub struct Tiles(Kind);

#[derive(Debug)]
enum Kind {
    /// One that we made.
    Own(Arc<Pyramid>, File, AtomicBool),
    /// The master is one itself.
    Master(Box<Lent>),
}

/// Tiles of a master.
#[derive(Debug)]
struct Lent {
    header: Header,
    tiled: Tiled,
    original: Original,
    pool: Arc<Pool>,
    opened: Instant,
    /// Milliseconds after it was opened: when it was last seen that nobody has written into it.
    checked: AtomicU64,
}

impl Tiles {
    /// Those of a pyramid that we made.
    pub(super) fn own(pyramid: Pyramid, file: File) -> Self {
        Self(Kind::Own(Arc::new(pyramid), file, AtomicBool::new(false)))
    }

    /// Those of a master that is a pyramid itself, which was opened just now.
    pub(super) fn lent(header: Header, tiled: Tiled, original: Original, pool: Arc<Pool>) -> Self {
        let (opened, checked) = (Instant::now(), AtomicU64::new(0));
        let lent = Lent { header, tiled, original, pool, opened, checked };
        Self(Kind::Master(Box::new(lent)))
    }

    /// The pyramid and its file, if it is one that we made.
    pub(super) fn ours(&self) -> Option<(Arc<Pyramid>, File)> {
        let Kind::Own(pyramid, file, _) = &self.0 else { return None };
        Some((Arc::clone(pyramid), file.clone()))
    }

    /// The master and its header, if it is the master that lends them.
    pub(super) fn masters(&self) -> Option<(&Header, &Original)> {
        let Kind::Master(lent) = &self.0 else { return None };
        Some((&lent.header, &lent.original))
    }

    /// The answer as it lies in the file, if it lies there. After an error it may not be drawn from the master: it would be
    /// other bytes under the same tag.
    pub(super) async fn find(&self, job: &Job) -> Option<Result<Bytes, ImagingError>> {
        if let Some(bytes) = self.find_now(job) {
            return Some(Ok(bytes));
        }
        let found = match &self.0 {
            Kind::Own(pyramid, file, _) => {
                let entry = pyramid.find(job)?;
                let read = file.read(entry.range()).await.map_err(ImagingError::from);
                Some(read.and_then(|bytes| entry.check(&bytes).map(|()| bytes)))
            }
            Kind::Master(lent) => lent.lift(lent.tiled.find(job)?).await,
        };
        found.inspect(|found| count(found.is_ok()))
    }

    /// The same, if it takes neither waiting nor much work. Whatever is wrong is for [`Self::find`] to tell.
    fn find_now(&self, job: &Job) -> Option<Bytes> {
        let found = match &self.0 {
            Kind::Own(pyramid, file, _) => {
                let entry = pyramid.find(job)?;
                let whole =
                    |parts: &[&[u8]]| entry.check(parts[0]).is_ok().then(|| Bytes::copy_from_slice(parts[0]));
                store::glance(file, &[entry.range()], whole).flatten()
            }
            Kind::Master(lent) => lent.lift_now(&lent.tiled.find(job)?),
        };
        found.inspect(|_| count(true))
    }

    /// The picture of a grant, if it takes neither waiting nor much work, and the grant as one for these tiles.
    pub fn hand_out(self: &Arc<Self>, grant: Grant) -> Option<(Bytes, Grant)> {
        let found = self.find_now(&grant.job)?;
        Some((found, grant.with_tiles(Arc::clone(self))))
    }

    /// Whether they are the master's own: what is handed out of them is what the master gives in any case.
    pub(super) fn are_the_masters(&self) -> bool {
        matches!(self.0, Kind::Master(_))
    }

    /// Says that they are damaged; whether nobody has said so before. Others of the same name may be whole.
    pub(super) fn spoil(&self) -> bool {
        matches!(&self.0, Kind::Own(_, _, is_spoilt) if !is_spoilt.swap(true, Ordering::Relaxed))
    }

    /// Bytes of the cache that they keep others from.
    pub(super) fn bytes(&self) -> u64 {
        match &self.0 {
            Kind::Own(_, file, _) => file.bytes(),
            Kind::Master(lent) => lent.original.kept(),
        }
    }

    /// Bytes of memory that their index takes.
    pub(super) fn weight(&self) -> u64 {
        match &self.0 {
            Kind::Own(pyramid, ..) => pyramid.weight(),
            Kind::Master(lent) => lent.tiled.weight(),
        }
    }

    /// Whether a job can be answered or drawn from them.
    pub(super) fn serves(&self, job: &Job) -> bool {
        match &self.0 {
            Kind::Own(pyramid, ..) => pyramid.serves(job),
            Kind::Master(_) => true,
        }
    }
}

fn count(found: bool) {
    if found {
        ::metrics::counter!(metrics::TILES).increment(1);
    }
}

impl Lent {
    /// `None` where a tile has to be drawn after all: whatever is wrong with the file is told there.
    async fn lift(&self, lift: Lift) -> Option<Result<Bytes, ImagingError>> {
        match self.lifted(lift).await {
            Err(ImagingError::Unsupported { .. } | ImagingError::Broken(_)) => None,
            lifted => Some(lifted.map(Bytes::from)),
        }
    }

    fn lift_now(&self, lift: &Lift) -> Option<Bytes> {
        if !self.is_trusted() || lift.bytes() > AT_ONCE {
            return None;
        }
        let ranges: Vec<_> = lift.ranges().collect();
        let file = self.original.glance(&ranges, |tiles| lift.finish(tiles).ok())?;
        file.map(Bytes::from)
    }

    async fn lifted(&self, lift: Lift) -> Result<Vec<u8>, ImagingError> {
        if !self.is_trusted() {
            self.check().await?;
        }
        let mut tiles = Vec::with_capacity(lift.ranges().len());
        for range in lift.ranges() {
            tiles.push(self.original.read(range).await?);
        }
        put_together(&self.pool, lift, tiles).await
    }

    /// Whether it was looked a moment ago that the master is what it was.
    fn is_trusted(&self) -> bool {
        let checked = Duration::from_millis(self.checked.load(Ordering::Relaxed));
        !self.original.can_change() || self.opened.elapsed() < checked + TRUSTED
    }

    async fn check(&self) -> Result<(), ImagingError> {
        let (original, now) = (self.original.clone(), self.opened.elapsed());
        let checked = spawn_blocking(move || original.check()).await;
        checked.unwrap_or_else(|error| Err(ImagingError::Decoder(error.to_string())))?;
        self.checked.store(now.as_millis() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A picture out of the tiles that were read for it: on another thread if that takes its time.
pub(super) async fn put_together(
    pool: &Pool,
    lift: Lift,
    tiles: Vec<Bytes>,
) -> Result<Vec<u8>, ImagingError> {
    match lift.bytes() {
        ..=AT_ONCE => lift.finish(&tiles),
        _ => pool.run(lift.cost(), move || lift.finish(&tiles)).await,
    }
}

impl Stored for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes())
    }

    fn read_exact_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(&**self, into, at)
    }
}
