//! The only way in: finds what is asked for, has access decided, and hands out the grant that everything else wants to see.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::ServeError;
use super::epochs::{Epochs, Mark};
use super::facts::{Facts, ImageFacts};
use super::records::{Described, Known, Records};
use super::remembered::{Name, Stands};
use super::source::{Source, Sources};
use super::tiles::Tiles;
use crate::access::{Action, Verdict, decide};
use crate::adapter::record::{Access, Image, ItemId, MediaId};
use crate::iiif::image::Version;
use crate::iiif::image::geometry::{Geometry, GeometryError, Limits, Rect};
use crate::iiif::image::quality::Tone;
use crate::iiif::image::quality::{Format, Quality};
use crate::iiif::image::request::ImageRequest;
use crate::iiif::image::size::Form;
use crate::imaging::pyramid::{Shape, Side, Spec, can_draw};
use crate::imaging::{self, ImagingError, Job, Page, can_write};
use crate::store::Key;

/// Goes up when the same request would give other bytes than before: it invalidates what is cached.
pub(super) const PIPELINE: &str = "6";

/// Decides, with records and headers at hand.
#[derive(Clone, Debug)]
pub struct Gate {
    sources: Sources,
    records: Records,
    facts: Facts,
}

/// Access to the pixels of one image was decided: pictures of it are granted without asking again, as long as the
/// decision stands. Only the gate makes one.
#[derive(Debug)]
pub struct View {
    pub(super) source: Arc<Source>,
    pub(super) media: MediaId,
    /// Of the file.
    pub(super) version: String,
    facts: ImageFacts,
    limits: Limits,
    shape: Shape,
    memory: imaging::Limits,
    /// In which words it is asked for.
    api: Version,
    standing: Standing,
    epochs: Epochs,
    mark: Mark,
}

/// Access to one derivative was decided.
#[derive(Clone, Debug)]
pub struct Grant {
    pub(super) view: Arc<View>,
    pub(super) job: Job,
    canonical: String,
    key: Key,
    pub(super) tiles: Option<Arc<Tiles>>,
}

/// What a decision rests on, so that it need not be made again as long as nothing else is known.
#[derive(Clone, Debug)]
pub struct Standing {
    source: Arc<Source>,
    item: Name,
    known: Weak<Known>,
}

/// Access to one image's description was decided.
#[derive(Clone, Debug)]
pub struct InfoGrant {
    /// What the decision rests on.
    pub standing: Standing,
    /// Its source.
    pub source: Arc<Source>,
    /// What its header tells.
    pub facts: ImageFacts,
    /// Licence or rights statement of its record.
    pub rights: Option<String>,
}

/// Access to one record was decided.
#[derive(Debug)]
pub struct RecordGrant {
    /// Its source.
    pub source: Arc<Source>,
    /// The record with the sizes of its images.
    pub described: Arc<Described>,
}

impl View {
    /// What the decision rests on.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The version of the Image API that is spoken.
    pub fn api(&self) -> Version {
        self.api
    }

    /// How long caches may use what is made of it without asking.
    pub fn max_age(&self) -> Duration {
        self.source.max_age
    }

    /// What is drawn of the file, should it be a PDF.
    pub(super) fn page(&self) -> Page {
        self.source.page(&self.media)
    }

    /// What decides about the pixels beside the master: the pipeline, and how large the pages of a PDF are drawn.
    fn pipeline(&self) -> String {
        self.facts.dpi.map_or(PIPELINE.to_owned(), |dpi| format!("{PIPELINE}-{dpi}dpi"))
    }

    /// One picture of it, if there can be such a picture.
    pub fn grant(self: &Arc<Self>, request: &ImageRequest) -> Result<Grant, ServeError> {
        let (size, tone) = ((self.shape.width, self.shape.height), self.facts.tone);
        let job = |Geometry { crop, width, height }| Job {
            crop,
            width,
            height,
            rotation: request.rotation,
            quality: plain(request.quality, tone),
            format: request.format,
            jpeg_quality: self.source.image.quality,
        };
        let wanted = |limits: &Limits| request.resolve(self.api, size, limits).map_err(refused);
        let geometry = match request.size.form.is_open() {
            true => largest(self.limits, wanted, |found| {
                let job = job(found);
                can_write(&job, tone, &self.memory) && can_draw(&self.shape, &job, &self.memory)
            })?,
            false => wanted(&self.limits)?,
        };
        let geometry = ready(&self.shape, geometry, request.size.form, &self.limits);
        let canonical = request.canonical(self.api, &geometry, size, &self.limits, tone);
        let job = job(geometry);
        let key = self.picture(&job);
        Ok(Grant { view: Arc::clone(self), job, canonical, key, tiles: None })
    }
}

impl View {
    /// Where something is kept that was made of the file.
    fn key<'a>(&'a self, kind: &'a str, more: impl IntoIterator<Item = &'a str>) -> Key {
        let (Source { name, identity, .. }, (_, item)) = (&*self.source, &self.standing.item);
        let parts = [kind, name, identity, item, self.media.as_str(), &self.version];
        Key::new(parts.into_iter().chain(more))
    }

    /// Where a picture is kept that was made of the master.
    fn picture(&self, job: &Job) -> Key {
        self.key("image", [&*self.pipeline(), &spelled(job)])
    }

    /// Whether it is larger than a tile.
    fn has_levels(&self) -> bool {
        self.shape.width.max(self.shape.height) > self.shape.tile
    }

    /// Does something, unless the item was purged since it was asked for: what is made of it is not kept then.
    pub(super) fn unless_purged(&self, work: impl FnOnce()) {
        let (source, item) = &self.standing.item;
        self.epochs.unless_purged(source, item, self.mark, work);
    }

    /// The source, and the item that it is an image of.
    pub(super) fn item(&self) -> &Name {
        &self.standing.item
    }

    /// What the imaging says of the file.
    pub(super) fn failed(&self, error: ImagingError) -> ServeError {
        ServeError::from_imaging(&self.source.name, self.media.as_str(), error)
    }

    /// Whether the item was purged since.
    pub(super) fn is_purged(&self) -> bool {
        let mut is_purged = true;
        self.unless_purged(|| is_purged = false);
        is_purged
    }
}

impl Grant {
    /// The image that it is a picture of.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The request in its canonical form: `full/max/0/default.jpg`.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Where the derivative is kept. Source, file, version, canonical request and pipeline make the bytes.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The same grant, for a picture from a pyramid. One of ours gives not quite the bytes that the master does.
    pub(super) fn with_tiles(self, tiles: Arc<Tiles>) -> Self {
        let key = if tiles.are_the_masters() { self.key } else { self.key.with("tiles") };
        Self { key, tiles: Some(tiles), ..self }
    }

    /// The same grant, for a picture from the master.
    pub(super) fn without_tiles(self) -> Self {
        Self { key: self.view.picture(&self.job), tiles: None, ..self }
    }

    /// Where the picture comes from, if that is a pyramid.
    pub fn tiles(&self) -> Option<&Arc<Tiles>> {
        self.tiles.as_ref()
    }

    /// Where the pyramid of the master is kept, if it is larger than a tile.
    pub(super) fn pyramid(&self) -> Option<Key> {
        let shape = &self.view.shape;
        let drawn = format!("{}-{}-{}", self.view.pipeline(), shape.tile, self.job.jpeg_quality);
        let key = || self.view.key("pyramid", [drawn.as_str()]);
        self.view.has_levels().then(key)
    }

    /// Whether the master may lend its own tiles: it is a pyramid itself, in tiles as they are wanted.
    pub(super) fn lends(&self) -> bool {
        self.view.facts.tile == Some(self.tile()) && self.view.has_levels()
    }

    /// Under which name the master is known.
    pub(super) fn master(&self) -> Key {
        self.view.key("master", [])
    }

    /// The side of its tiles.
    pub(super) fn tile(&self) -> u32 {
        self.view.shape.tile
    }

    /// What that pyramid is of.
    pub(super) fn spec(&self, key: &Key) -> Spec {
        Spec { shape: self.view.shape, quality: self.job.jpeg_quality, name: key.as_str().to_owned() }
    }

    /// The value of a strong `ETag`, known before any pixel is made: sixteen bytes of a hash, which no two
    /// derivatives will ever share.
    pub fn validator(&self) -> String {
        hex::encode(&Sha256::digest(self.key.as_str())[..16])
    }

    /// How it is encoded.
    pub fn format(&self) -> Format {
        self.job.format
    }
}

/// An image in its place.
struct Placed {
    source: Arc<Source>,
    item: ItemId,
    known: Arc<Known>,
    image: Image,
    access: Access,
    mark: Mark,
}

impl Placed {
    fn standing(&self) -> Standing {
        let item = (self.source.name.clone(), self.item.to_string());
        Standing { source: Arc::clone(&self.source), item, known: Arc::downgrade(&self.known) }
    }
}

impl Gate {
    /// A gate before these sources.
    pub fn new(sources: Sources, records: Records, facts: Facts) -> Self {
        Self { sources, records, facts }
    }

    /// All sources, by name.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Access to one derivative. Decided before the request is held against the image: who may
    /// not see it learns nothing of its size.
    pub async fn image(
        &self,
        api: Version,
        source: &str,
        media: &str,
        request: &ImageRequest,
    ) -> Result<Grant, ServeError> {
        self.view(api, source, media).await?.grant(request)
    }

    async fn view(&self, api: Version, source: &str, media: &str) -> Result<Arc<View>, ServeError> {
        let placed = self.place(source, media).await?;
        allow(placed.access, Action::View, "image", media)?;
        let facts = self.facts_of(&placed).await?;
        let (width, height) = (facts.size.width, facts.size.height);
        let limits = placed.source.image.limits().of_image((width, height));
        let tile = limits.tile(facts.tile.unwrap_or(placed.source.image.tile));
        Ok(Arc::new(View {
            epochs: self.records.epochs().clone(),
            mark: placed.mark,
            standing: placed.standing(),
            version: placed.known.version_of(&placed.image).to_owned(),
            source: placed.source,
            media: placed.image.media,
            facts,
            limits,
            shape: Shape { width, height, tile },
            memory: *self.facts.limits(),
            api,
        }))
    }

    /// Access to an image's description.
    pub async fn info(&self, version: Version, source: &str, media: &str) -> Result<InfoGrant, ServeError> {
        let placed = self.place(source, media).await?;
        // Authentication 1.0 wants 401 here, Authorization Flow 2.0 wants 200 and asks its probe.
        let action = match version {
            Version::V2 => Action::View,
            Version::V3 => Action::Describe,
        };
        allow(placed.access, action, "image", media)?;
        let facts = self.facts_of(&placed).await?;
        let rights = placed.known.record().rights.clone().or_else(|| placed.source.defaults.rights.clone());
        Ok(InfoGrant { standing: placed.standing(), source: placed.source, facts, rights })
    }

    /// Whether a decision stands: the record that it rests on is still the one that would be told.
    pub fn stands(&self, Standing { source, item, known }: &Standing) -> Stands {
        self.records.stands(source, item, known)
    }

    /// How many purges there were: while it stays the same, no decision ended by one.
    pub fn purges(&self) -> u64 {
        self.records.epochs().count()
    }

    /// Whether there is such an image, as far as anybody may know.
    pub async fn exists(&self, source: &str, media: &str) -> Result<(), ServeError> {
        let placed = self.place(source, media).await?;
        allow(placed.access, Action::Describe, "image", media)
    }

    /// Access to the description of an item.
    pub async fn record(&self, source: &str, item: &str) -> Result<RecordGrant, ServeError> {
        let source = self.sources.get(source)?;
        let known = match self.records.get(source, &ItemId::from(item)).await {
            Err(error) if is_missing(&error) => {
                return Err(ServeError::NotFound { kind: "item", id: item.to_owned() });
            }
            known => known?,
        };
        allow(known.record().access, Action::Describe, "item", item)?;
        let described = self.records.described(source, &known).await?;
        Ok(RecordGrant { source: Arc::clone(source), described })
    }

    async fn place(&self, source: &str, media: &str) -> Result<Placed, ServeError> {
        let missing = || ServeError::NotFound { kind: "image", id: media.to_owned() };
        let source = self.sources.get(source)?;
        let id = MediaId::from(media);
        let item = source.adapter.item_of(&id).ok_or_else(missing)?;
        // Before the record is known: what is made of it belongs to the time before any later purge.
        let mark = self.records.mark(source, &item);
        let known = match self.records.get(source, &item).await {
            Err(error) if is_missing(&error) => return Err(missing()),
            known => known?,
        };
        let (image, access) = known.image(&id).ok_or_else(missing)?;
        let image = image.clone();
        Ok(Placed { source: Arc::clone(source), item, known, image, access, mark })
    }

    async fn facts_of(&self, placed: &Placed) -> Result<ImageFacts, ServeError> {
        self.facts.get(&placed.source, &placed.image, placed.known.version_of(&placed.image)).await
    }
}

/// Whether there is nothing, as far as anybody may learn. What cannot be read may say that its item
/// is hidden: from outside the two must look alike, and the source has told its operator why.
fn is_missing(error: &ServeError) -> bool {
    matches!(error, ServeError::NotFound { .. } | ServeError::Unreadable { .. })
}

/// One decision turned into going on or not.
fn allow(access: Access, action: Action, kind: &'static str, id: &str) -> Result<(), ServeError> {
    match decide(access, action) {
        Verdict::Allowed => Ok(()),
        Verdict::NeedsLogin => Err(ServeError::NeedsLogin(id.to_owned())),
        Verdict::Missing => Err(ServeError::NotFound { kind, id: id.to_owned() }),
    }
}

/// The largest picture within the limits that can be made, to a sixteenth: some formats hold less than others, and a
/// turned picture needs more room than it has pixels.
fn largest(
    mut limits: Limits,
    wanted: impl Fn(&Limits) -> Result<Geometry, ServeError>,
    fits: impl Fn(Geometry) -> bool,
) -> Result<Geometry, ServeError> {
    loop {
        let found = wanted(&limits)?;
        let area = u64::from(found.width) * u64::from(found.height);
        if area == 1 || fits(found) {
            return Ok(found);
        }
        limits.max_area = Some(area - area.div_ceil(16));
    }
}

/// What stands ready in place of what is one pixel off, where only one side was asked for.
fn ready(shape: &Shape, geometry: Geometry, form: Form, limits: &Limits) -> Geometry {
    let side = match form {
        Form::Width(_) => Side::Width,
        Form::Height(_) => Side::Height,
        _ => return geometry,
    };
    let size = (geometry.width, geometry.height);
    let allowed = |(width, height): &(u32, u32)| limits.admit((*width).into(), (*height).into());
    let (width, height) = shape.ready(geometry.crop, size, side).filter(allowed).unwrap_or(size);
    Geometry { width, height, ..geometry }
}

fn refused(error: GeometryError) -> ServeError {
    match error {
        GeometryError::TooLarge { .. } => ServeError::TooLarge(error.to_string()),
        GeometryError::UpscalingNotOffered { .. } => ServeError::NotOffered(error.to_string()),
        error => ServeError::Impossible(error.to_string()),
    }
}

/// One name for qualities that give the same pixels, so that they share one derivative.
fn plain(quality: Quality, tone: Tone) -> Quality {
    match (quality, tone) {
        (Quality::Color, _) | (Quality::Gray, Tone::Grey) => Quality::Default,
        (quality, _) => quality,
    }
}

/// A job as part of a key: requests of both versions that mean the same share one derivative.
fn spelled(job: &Job) -> String {
    let Job { crop, width, height, rotation, quality, format, jpeg_quality } = job;
    let Rect { x, y, width: w, height: h } = crop;
    format!(
        "{x},{y},{w},{h}/{width},{height}/{rotation}/{}.{}-{jpeg_quality}",
        quality.name(),
        format.extension()
    )
}
