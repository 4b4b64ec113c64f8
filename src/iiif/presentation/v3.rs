//! Writes the model as Presentation API 3.0.

use serde_json::{Value, json};

use super::document::{Document, each};
use super::model::{
    Agent, Annotation, AnnotationPage, Body, Canvas, Collection, Description, Entry, Image, ImageService,
    Kind, Link, Manifest, Reference, Thumbnail,
};
use crate::iiif::image::levels::THUMBNAIL;

/// What makes a document one of 3.0; also the profile of its media type.
pub const CONTEXT: &str = "http://iiif.io/api/presentation/3/context.json";

/// A whole manifest.
pub fn manifest(manifest: &Manifest) -> Value {
    described(&manifest.id, "Manifest", &manifest.about)
        .with_list("items", each(&manifest.canvases, write_canvas))
        .under(CONTEXT)
}

/// One canvas as a document of its own.
pub fn canvas(canvas: &Canvas) -> Value {
    write_canvas(canvas).under(CONTEXT)
}

/// One page of annotations as a document of its own.
pub fn annotation_page(page: &AnnotationPage) -> Value {
    write_page(page).under(CONTEXT)
}

/// One annotation as a document of its own.
pub fn annotation(annotation: &Annotation) -> Value {
    write_annotation(annotation).under(CONTEXT)
}

/// A collection, which names its members and embeds none. 3.0 has no paging: parts are members.
pub fn collection(collection: &Collection) -> Value {
    described(&collection.id, "Collection", &collection.about)
        .with_list("items", each(&collection.members, write_reference))
        .under(CONTEXT)
}

fn described(id: &str, kind: &str, about: &Description) -> Document {
    Document::default()
        .with("id", id)
        .with("type", kind)
        .with("label", &about.label)
        .with("summary", &about.summary)
        .with("metadata", each(&about.metadata, write_entry))
        .with("requiredStatement", about.required_statement.as_ref().map(write_entry))
        .with("rights", about.rights.as_deref())
        .with("provider", each(&about.provider, write_agent))
        .with("thumbnail", each(about.thumbnail.as_slice(), write_thumbnail))
        .with("navDate", about.nav_date.map(|date| date.to_string()))
        .with("viewingDirection", about.viewing_direction.as_deref())
        .with("behavior", about.behavior.clone())
        .with("homepage", each(&about.homepage, write_link))
        .with("seeAlso", each(&about.see_also, write_link))
        .with("rendering", each(&about.rendering, write_link))
        .with("partOf", each(&about.part_of, write_reference))
}

/// `items` is written even when nothing is painted: a canvas without a picture is told by the
/// empty list (*cookbook 0283*).
fn write_canvas(canvas: &Canvas) -> Document {
    described(&canvas.id, "Canvas", &canvas.about)
        .with("height", canvas.height)
        .with("width", canvas.width)
        .with_list("items", each(&canvas.painting, write_page))
}

fn write_page(page: &AnnotationPage) -> Document {
    Document::default()
        .with("id", page.id.as_str())
        .with("type", "AnnotationPage")
        .with_list("items", each(&page.items, write_annotation))
}

fn write_annotation(annotation: &Annotation) -> Document {
    let (motivation, body) = match &annotation.body {
        Body::Image(image) => ("painting", write_image(image)),
    };
    Document::default()
        .with("id", annotation.id.as_str())
        .with("type", "Annotation")
        .with("motivation", motivation)
        .with("body", body)
        .with("target", annotation.target.as_str())
}

/// The id is an image, never the bare service (*Presentation API 3.0, 5.7*).
fn write_image(image: &Image) -> Document {
    let (width, height) = image.size;
    Document::default()
        .with("id", format!("{}/full/max/0/default.jpg", image.service.v3))
        .with("type", "Image")
        .with("format", "image/jpeg")
        .with("height", height)
        .with("width", width)
        .with("service", write_services(&image.service))
}

fn write_thumbnail(thumbnail: &Thumbnail) -> Document {
    let Thumbnail { service, size } = thumbnail;
    let (width, height) = size.unzip();
    let size = match size {
        Some((width, height)) => format!("{width},{height}"),
        None => format!("!{THUMBNAIL},{THUMBNAIL}"),
    };
    Document::default()
        .with("id", format!("{}/full/{size}/0/default.jpg", service.v3))
        .with("type", "Image")
        .with("format", "image/jpeg")
        .with("height", height)
        .with("width", width)
        .with("service", write_services(service))
}

/// Both versions of the Image API; the older one in its own words (*Presentation API 3.0, 3.3.1*).
fn write_services(service: &ImageService) -> Value {
    json!([
        { "id": service.v3, "type": "ImageService3", "profile": "level2" },
        { "@id": service.v2, "@type": "ImageService2", "profile": "http://iiif.io/api/image/2/level2.json" },
    ])
}

fn write_entry(entry: &Entry) -> Document {
    Document::default().with("label", &entry.label).with("value", &entry.value)
}

fn write_agent(agent: &Agent) -> Document {
    let logo = |address: &String| json!({ "id": address, "type": "Image" });
    Document::default()
        .with("id", agent.id.as_str())
        .with("type", "Agent")
        .with("label", &agent.label)
        .with("homepage", each(&agent.homepage, write_link))
        .with("logo", agent.logo.iter().map(logo).collect::<Vec<_>>())
}

fn write_link(link: &Link) -> Document {
    Document::default()
        .with("id", link.id.as_str())
        .with("type", link.kind.as_str())
        .with("label", &link.label)
        .with("format", link.format.as_deref())
        .with("profile", link.profile.as_deref())
}

fn write_reference(reference: &Reference) -> Document {
    let kind = match reference.kind {
        Kind::Manifest => "Manifest",
        Kind::Collection => "Collection",
    };
    Document::default()
        .with("id", reference.id.as_str())
        .with("type", kind)
        .with("label", &reference.label)
        .with("thumbnail", each(reference.thumbnail.as_slice(), write_thumbnail))
}
