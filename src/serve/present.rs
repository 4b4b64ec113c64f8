//! From a record to its documents: addresses, defaults of the source, and what may be shown. Pure.

use serde_json::Value;

use crate::access::of_canvas;
use crate::adapter::record::{Access, Agent, Canvas, Entry, Image, Leaf, MediaId, Record, Size};
use crate::iiif::address::{Address, Place};
use crate::iiif::image;
use crate::iiif::image::geometry::Limits;
use crate::iiif::image::levels::THUMBNAIL;
use crate::iiif::image::quality::{Format, Quality};
use crate::iiif::image::region::Region;
use crate::iiif::image::request::ImageRequest;
use crate::iiif::image::rotation::Rotation;
use crate::iiif::image::size::Form;
use crate::iiif::presentation::text::LanguageMap;
use crate::iiif::presentation::{Version, html, model, v2, v3};

mod clean;
mod shelf;

pub use clean::rights_uri;
pub use shelf::{PART, top};

/// The name of the one page of annotations that every painted canvas has.
pub const PAINTING: &str = "painting";

/// Id of the canvas that stands in a manifest without any other.
const PLACEHOLDER: &str = "placeholder";

/// Both sides of a canvas of which nothing is known, as *cookbook 0283* has them: any size would do.
const UNKNOWN_SIDE: u32 = 1000;

/// Prints addresses below the public base address.
#[derive(Clone, Debug)]
pub struct Uris {
    base: String,
}

impl Uris {
    /// The base is `server.public_url`, never what a request says of itself.
    pub fn new(public_url: &str) -> Self {
        Self { base: public_url.trim_end_matches('/').to_owned() }
    }

    /// An absolute address.
    pub fn print(&self, address: &Address) -> String {
        format!("{}{address}", self.base)
    }
}

/// What a source says of all its items, where they say nothing themselves.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// What the source is called; its name where that is empty.
    pub label: LanguageMap,
    /// The language of untagged texts.
    pub language: Option<String>,
    /// Licence or rights statement.
    pub rights: Option<String>,
    /// A text that has to be shown.
    pub required_statement: Option<Entry>,
    /// Who provides the objects.
    pub provider: Vec<Agent>,
}

/// Makes the documents of one source in one version of the Presentation API.
#[derive(Clone, Copy, Debug)]
pub struct Presenter<'a> {
    /// Which version it speaks.
    pub version: Version,
    /// Prints its addresses.
    pub uris: &'a Uris,
    /// Name of the source.
    pub source: &'a str,
    /// What the source says of all its items.
    pub defaults: &'a Defaults,
    /// How large its images may be asked for.
    pub limits: Limits,
}

impl Presenter<'_> {
    /// The whole object.
    pub fn manifest(&self, record: &Record) -> Value {
        let manifest = self.manifest_model(record);
        match self.version {
            Version::V2 => v2::manifest(&manifest),
            Version::V3 => v3::manifest(&manifest),
        }
    }

    /// The order of its canvases, which is a document of 2.1 whatever this presenter speaks.
    pub fn sequence(&self, record: &Record) -> Value {
        v2::sequence(&Self { version: Version::V2, ..*self }.manifest_model(record))
    }

    /// One canvas; `None`: there is no such canvas, or it is not to be known.
    pub fn canvas(&self, record: &Record, id: &str) -> Option<Value> {
        let mut canvas = self.canvas_model(record, id)?;
        let label = self.label(record);
        canvas.about.part_of = vec![model::Reference {
            id: self.manifest_id(record),
            kind: model::Kind::Manifest,
            label,
            thumbnail: None,
        }];
        Some(match self.version {
            Version::V2 => v2::canvas(&canvas),
            Version::V3 => v3::canvas(&canvas),
        })
    }

    /// One page of annotations. 2.1 prints no address of the painting page and has no document
    /// for it: images are in the canvas itself, lists must not hold them.
    pub fn annotation_page(&self, record: &Record, canvas: &str, page: &str) -> Option<Value> {
        let canvas = self.canvas_model(record, canvas)?;
        let painting = canvas.painting.first().filter(|_| page == PAINTING)?;
        match self.version {
            Version::V2 => None,
            Version::V3 => Some(v3::annotation_page(painting)),
        }
    }

    /// One annotation of a page; numbers begin at 1.
    pub fn annotation(&self, record: &Record, canvas: &str, page: &str, number: u32) -> Option<Value> {
        let canvas = self.canvas_model(record, canvas)?;
        let painting = canvas.painting.first().filter(|_| page == PAINTING)?;
        let annotation = painting.items.get(usize::try_from(number.checked_sub(1)?).ok()?)?;
        Some(match self.version {
            Version::V2 => v2::annotation(annotation),
            Version::V3 => v3::annotation(annotation),
        })
    }

    fn manifest_model(&self, record: &Record) -> model::Manifest {
        let canvases = visible(record).map(|(position, canvas)| self.painted(record, position, canvas));
        let mut canvases: Vec<_> = canvases.collect();
        // A manifest has at least one canvas (*Presentation API 3.0, appendix A*).
        if canvases.is_empty() {
            canvases.push(self.placeholder(record));
        }
        let sequence = Address::Sequence { source: self.source.to_owned(), item: record.id.to_string() };
        model::Manifest {
            id: self.manifest_id(record),
            sequence: self.uris.print(&sequence),
            about: self.about(record),
            canvases,
        }
    }

    fn about(&self, record: &Record) -> model::Description {
        let rights = record.rights.as_deref().or(self.defaults.rights.as_deref());
        let rights_uri = rights.and_then(rights_uri);
        let rights_text = rights.filter(|_| rights_uri.is_none());
        let statement = record.required_statement.as_ref().or(self.defaults.required_statement.as_ref());
        let provider = if record.provider.is_empty() { &self.defaults.provider } else { &record.provider };
        model::Description {
            label: self.label(record),
            summary: self.texts(&record.summary, html::html),
            metadata: self
                .entries(&record.metadata)
                .chain(rights_text.and_then(|text| self.rights_entry(text)))
                .collect(),
            required_statement: statement.and_then(|statement| self.statement(statement)),
            rights: rights_uri,
            provider: self.agents(provider),
            thumbnail: thumbnail_image(record).and_then(|image| self.thumbnail(image)),
            nav_date: record.nav_date.filter(clean::is_common_era),
            viewing_direction: clean::direction(record.viewing_direction.as_deref()),
            behavior: clean::behaviors(model::Kind::Manifest, &record.behavior),
            homepage: self.links(&record.homepage, "Text"),
            see_also: self.see_also(&record.see_also),
            rendering: self.links(&record.rendering, "Text"),
            part_of: self.part_of(record),
        }
    }

    fn label(&self, record: &Record) -> LanguageMap {
        let label = self.texts(&record.label, html::plain);
        if label.is_empty() { LanguageMap::none(record.id.as_str()) } else { label }
    }

    fn part_of(&self, record: &Record) -> Vec<model::Reference> {
        let leaves = record.parents.iter().filter(|leaf| !leaf.is_root());
        let parents: Vec<_> =
            leaves.map(|leaf| self.collection_reference(leaf, LanguageMap::default())).collect();
        match parents.is_empty() {
            true => vec![self.collection_reference(&Leaf::root(), self.source_label())],
            false => parents,
        }
    }

    fn canvas_model(&self, record: &Record, id: &str) -> Option<model::Canvas> {
        match visible(record).find(|(_, canvas)| canvas.id == id) {
            Some((position, canvas)) => Some(self.painted(record, position, canvas)),
            None if id == PLACEHOLDER && visible(record).next().is_none() => Some(self.placeholder(record)),
            None => None,
        }
    }

    /// A canvas with its image. One without a size is no image, as far as anybody knows: the canvas
    /// stays empty rather than pointing at a picture that does not answer.
    fn painted(&self, record: &Record, position: usize, canvas: &Canvas) -> model::Canvas {
        let id = self.canvas_id(record, &canvas.id);
        let image = canvas.image.as_ref().and_then(|image| Some((image, usable(image.size)?)));
        let size = usable(canvas.size).or(image.map(|(_, size)| size));
        let label = self.texts(&canvas.label, html::plain);
        // 2.1 demands a label; brackets are how cataloguers mark what they supply themselves.
        let label = if label.is_empty() { LanguageMap::none(format!("[{position}]")) } else { label };
        let metadata = self.entries(&canvas.metadata).collect();
        model::Canvas {
            about: model::Description { label, metadata, ..model::Description::default() },
            width: size.map_or(UNKNOWN_SIDE, |size| size.width),
            height: size.map_or(UNKNOWN_SIDE, |size| size.height),
            painting: image
                .map(|(image, size)| self.painting(record, canvas, image, size))
                .into_iter()
                .collect(),
            id,
        }
    }

    fn painting(&self, record: &Record, canvas: &Canvas, image: &Image, size: Size) -> model::AnnotationPage {
        let (version, source) = (self.version, self.source.to_owned());
        let (item, page) = (record.id.to_string(), PAINTING.to_owned());
        let at = Address::AnnotationPage { version, source, item, canvas: canvas.id.clone(), page };
        let id = self.uris.print(&at);
        let whole = (size.width, size.height);
        let size = self.limits.of_image(whole).largest(whole);
        let service = self.service(&image.media);
        let annotation = model::Annotation {
            id: self.uris.print(&numbered(at, 1)),
            body: model::Body::Image(model::Image { service, size, reduced: size != whole }),
            target: self.canvas_id(record, &canvas.id),
        };
        model::AnnotationPage { id, items: vec![annotation] }
    }

    fn placeholder(&self, record: &Record) -> model::Canvas {
        let label = LanguageMap::tagged("en", "No images");
        model::Canvas {
            id: self.canvas_id(record, PLACEHOLDER),
            about: model::Description { label, ..model::Description::default() },
            width: UNKNOWN_SIDE,
            height: UNKNOWN_SIDE,
            painting: Vec::new(),
        }
    }

    fn service(&self, media: &MediaId) -> model::ImageService {
        let base = |version| {
            let (source, media) = (self.source.to_owned(), media.to_string());
            self.uris.print(&Address::ImageBase { version, source, media })
        };
        model::ImageService { v3: base(image::Version::V3), v2: base(image::Version::V2) }
    }

    fn thumbnail(&self, image: &Image) -> Option<model::Thumbnail> {
        let Size { width, height } = usable(image.size)?;
        // What the image itself would answer to this request, so that the address does answer.
        let fitting = ImageRequest {
            region: Region::Full,
            size: image::size::Size { caret: false, form: Form::Within(THUMBNAIL, THUMBNAIL) },
            rotation: Rotation { mirror: false, degrees: 0.0 },
            quality: Quality::Default,
            format: Format::Jpg,
        };
        let limits = self.limits.of_image((width, height));
        let fitting = fitting.resolve(image::Version::V3, (width, height), &limits).ok()?;
        let size = (fitting.width, fitting.height);
        Some(model::Thumbnail { service: self.service(&image.media), size: Some(size) })
    }

    fn manifest_id(&self, record: &Record) -> String {
        let (version, source) = (Some(self.version), self.source.to_owned());
        self.uris.print(&Address::Manifest { version, source, item: record.id.to_string() })
    }

    fn canvas_id(&self, record: &Record, canvas: &str) -> String {
        let (version, source) = (self.version, self.source.to_owned());
        let (item, canvas) = (record.id.to_string(), canvas.to_owned());
        self.uris.print(&Address::Canvas { version, source, item, canvas })
    }

    fn collection_reference(&self, leaf: &Leaf, label: LanguageMap) -> model::Reference {
        let address = Address::Collection { version: self.version, place: self.place(leaf), part: None };
        model::Reference {
            id: self.uris.print(&address),
            kind: model::Kind::Collection,
            label,
            thumbnail: None,
        }
    }

    fn place(&self, leaf: &Leaf) -> Place {
        let source = self.source.to_owned();
        match leaf.is_root() {
            true => Place::Source { source },
            false => Place::Leaf { source, leaf: leaf.to_string() },
        }
    }

    fn source_label(&self) -> LanguageMap {
        let label = self.texts(&self.defaults.label, html::plain);
        if label.is_empty() { LanguageMap::none(self.source) } else { label }
    }
}

/// The canvases that may be known of, with their places from 1. Those that need a login stay: the
/// image itself refuses.
fn visible(record: &Record) -> impl Iterator<Item = (usize, &Canvas)> {
    let told = |canvas: &&Canvas| !is_secret(of_canvas(record, canvas));
    (1..).zip(record.canvases.iter().filter(told))
}

/// Whether even the existence is not told.
fn is_secret(access: Access) -> bool {
    match access {
        Access::Open | Access::Login | Access::Restricted => false,
        Access::Hidden | Access::Unknown => true,
    }
}

/// An image that everybody may see, so that the thumbnail's address always answers.
fn thumbnail_image(record: &Record) -> Option<&Image> {
    let sized = |image: &&Image| usable(image.size).is_some();
    let chosen = record.thumbnail.as_ref().filter(|_| record.access == Access::Open).filter(sized);
    let open = |canvas: &&Canvas| of_canvas(record, canvas) == Access::Open;
    chosen.or_else(|| {
        record.canvases.iter().filter(open).filter_map(|canvas| canvas.image.as_ref()).find(sized)
    })
}

/// A size that a document may print; a source that says `0` does not know.
fn usable(size: Option<Size>) -> Option<Size> {
    size.filter(|size| size.width > 0 && size.height > 0)
}

fn numbered(page: Address, number: u32) -> Address {
    match page {
        Address::AnnotationPage { version, source, item, canvas, page } => {
            Address::Annotation { version, source, item, canvas, page, number }
        }
        other => other,
    }
}
