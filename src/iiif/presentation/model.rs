//! What the gateway says about an object, before it is put into the words of one version.
//!
//! Every id is an absolute address, printed for the version that is asked for; texts are
//! cleaned. [`super::v3`] and [`super::v2`] only write down what stands here.

use jiff::Timestamp;

use super::text::LanguageMap;

/// An object with its pages or views.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// Its address.
    pub id: String,
    /// Address of the order of its canvases, which only 2.1 has.
    pub sequence: String,
    /// What is said about it.
    pub about: Description,
    /// Its pages or views, in order; never empty.
    pub canvases: Vec<Canvas>,
}

/// One page or view.
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    /// Its address, without a fragment.
    pub id: String,
    /// What is said about it; the label is never empty.
    pub about: Description,
    /// Coordinates from left to right, at least 1.
    pub width: u32,
    /// Coordinates from top to bottom, at least 1.
    pub height: u32,
    /// What is painted on it.
    pub painting: Vec<AnnotationPage>,
}

/// An ordered list of annotations of one canvas.
#[derive(Clone, Debug)]
pub struct AnnotationPage {
    /// Its address.
    pub id: String,
    /// What is on it.
    pub items: Vec<Annotation>,
}

/// Something that belongs to a canvas.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// Its address.
    pub id: String,
    /// What belongs to the canvas.
    pub body: Body,
    /// Address of the canvas.
    pub target: String,
}

/// What an annotation brings to its canvas; the kind decides the motivation.
#[derive(Clone, Debug)]
pub enum Body {
    /// An image that is painted.
    Image(Image),
}

/// An image behind the Image API.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where its pixels are asked for.
    pub service: ImageService,
    /// Width and height of the largest picture that is given of it.
    pub size: (u32, u32),
    /// Whether that picture is smaller than the image: the limits want it so.
    pub reduced: bool,
}

/// The base addresses of one image, in both versions of the Image API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageService {
    /// Under 3.0.
    pub v3: String,
    /// Under 2.1.
    pub v2: String,
}

/// A small picture that stands for the whole. It is never larger than its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// The image that it is made of.
    pub service: ImageService,
    /// Width and height in pixels; where the image's size is not known, it fits into
    /// [`THUMBNAIL`](crate::iiif::image::levels::THUMBNAIL) squared.
    pub size: Option<(u32, u32)>,
}

/// A list of objects and of further collections.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    /// Its address.
    pub id: String,
    /// What is said about it.
    pub about: Description,
    /// Its members, in order.
    pub members: Vec<Reference>,
    /// Its parts, where it is too long for one document, or its place among them.
    pub paging: Option<Paging>,
}

/// How the parts of a long collection hang together, which only 2.1 can say.
#[derive(Clone, Debug)]
pub enum Paging {
    /// This collection lists its parts.
    Whole {
        /// Number of members in all parts.
        total: usize,
        /// Address of the first part.
        first: String,
    },
    /// This is a part.
    Part {
        /// How many members stand before it.
        start: usize,
        /// Address of the next part.
        next: Option<String>,
    },
}

/// A document that is named, not embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its address.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// What it is called; never empty for a member of a collection.
    pub label: LanguageMap,
    /// What it looks like.
    pub thumbnail: Option<Thumbnail>,
}

/// Documents that others refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object.
    Manifest,
    /// A list of objects.
    Collection,
}

/// What may be said of manifests, canvases and collections alike.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// What it is called.
    pub label: LanguageMap,
    /// A short description: plain text or allowed markup.
    pub summary: LanguageMap,
    /// Label and value pairs to show, in order.
    pub metadata: Vec<Entry>,
    /// A text that has to be shown.
    pub required_statement: Option<Entry>,
    /// A Creative Commons or RightsStatements URI with `http`.
    pub rights: Option<String>,
    /// Who provides it.
    pub provider: Vec<Agent>,
    /// A small picture of it.
    pub thumbnail: Option<Thumbnail>,
    /// A date for timelines, not before the year 1.
    pub nav_date: Option<Timestamp>,
    /// One of the four directions of *Presentation API 3.0, 3.2*.
    pub viewing_direction: Option<String>,
    /// Behaviors that the resource may have and that do not exclude each other.
    pub behavior: Vec<String>,
    /// Pages about it.
    pub homepage: Vec<Link>,
    /// Machine-readable descriptions.
    pub see_also: Vec<Link>,
    /// Other forms of it.
    pub rendering: Vec<Link>,
    /// What it is part of.
    pub part_of: Vec<Reference>,
}

/// A label and a value to show beside it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Plain text.
    pub label: LanguageMap,
    /// Plain text or allowed markup.
    pub value: LanguageMap,
}

/// An institution or person that provides something.
#[derive(Clone, Debug)]
pub struct Agent {
    /// An http(s) URI.
    pub id: String,
    /// Its name; never empty.
    pub label: LanguageMap,
    /// Its pages.
    pub homepage: Vec<Link>,
    /// Address of its logo.
    pub logo: Option<String>,
}

/// An address elsewhere.
#[derive(Clone, Debug)]
pub struct Link {
    /// An http(s) URI.
    pub id: String,
    /// IIIF type of the content: `Dataset`, `Image`, `Model`, `Sound`, `Text` or `Video`.
    pub kind: String,
    /// What a reader would click on; never empty but for machine-readable descriptions.
    pub label: LanguageMap,
    /// Media type.
    pub format: Option<String>,
    /// Address of the schema that it follows.
    pub profile: Option<String>,
}
