//! Presentation API 2.1: its musts, and the shapes in which this project prints it.

use std::collections::HashSet;

use serde_json::Value;

use super::{Complaints, is_address, is_instant, list, text};

const CONTEXT: &str = "http://iiif.io/api/presentation/2/context.json";

const TAGS: [&str; 7] = ["a", "b", "br", "i", "img", "p", "span"];

const DIRECTIONS: [&str; 4] = ["left-to-right", "right-to-left", "top-to-bottom", "bottom-to-top"];

const HINTS: [&str; 7] =
    ["individuals", "paged", "continuous", "multi-part", "non-paged", "facing-pages", "top"];

/// Everything that is wrong with a document.
pub(crate) fn check_v2(document: &Value) -> Vec<String> {
    let mut checker = Checker::default();
    let complaints = &mut checker.complaints;
    let first = document.as_object().and_then(|properties| properties.keys().next());
    complaints.unless(
        first.is_some_and(|key| key == "@context"),
        "$",
        "`@context` must be the first property",
    );
    let context = match document.get("@context") {
        Some(Value::Array(contexts)) => contexts.first(),
        context => context,
    };
    let known = context.and_then(Value::as_str) == Some(CONTEXT);
    complaints.unless(known, "$", "the context of 2.1 must be the only or the first one");
    checker.identified(document, "$");
    match text(document, "@type") {
        "sc:Manifest" => checker.manifest(document),
        "sc:Sequence" => checker.sequence(document, "$"),
        "sc:Canvas" => checker.canvas(document, "$"),
        "sc:Collection" => checker.collection(document, "$"),
        "sc:AnnotationList" => checker.annotations(document),
        "oa:Annotation" => checker.painting(document, text(document, "on"), "$"),
        kind => checker.complaints.unless(false, "$", &format!("`@type` is `{kind}`")),
    }
    checker.complaints.0
}

#[derive(Default)]
struct Checker {
    complaints: Complaints,
}

impl Checker {
    fn manifest(&mut self, manifest: &Value) {
        self.described(manifest, "$");
        self.labelled(manifest, "$");
        let sequences = list(manifest, "sequences");
        self.complaints.unless(!sequences.is_empty(), "$", "needs a list of sequences");
        for (index, sequence) in sequences.iter().enumerate() {
            let path = format!("$.sequences[{index}]");
            self.complaints.unless(text(sequence, "@type") == "sc:Sequence", &path, "must be a sequence");
            let label = sequences.len() == 1 || sequence.get("label").is_some();
            self.complaints.unless(label, &path, "one of several sequences needs a label");
            let referenced = index > 0 && sequence.get("canvases").is_none();
            if !referenced {
                self.sequence(sequence, &path);
            }
        }
    }

    fn sequence(&mut self, sequence: &Value, path: &str) {
        self.described(sequence, path);
        let canvases = list(sequence, "canvases");
        self.complaints.unless(!canvases.is_empty(), path, "needs a list of canvases");
        let mut ids = HashSet::new();
        for (index, canvas) in canvases.iter().enumerate() {
            let path = format!("{path}.canvases[{index}]");
            let fresh = ids.insert(text(canvas, "@id"));
            self.complaints.unless(fresh, &path, "two canvases have the same `@id`");
            self.canvas(canvas, &path);
        }
        let start = text(sequence, "startCanvas");
        self.complaints.unless(
            start.is_empty() || ids.contains(start),
            path,
            "`startCanvas` is none of its canvases",
        );
    }

    fn canvas(&mut self, canvas: &Value, path: &str) {
        self.identified(canvas, path);
        self.described(canvas, path);
        self.labelled(canvas, path);
        let complaints = &mut self.complaints;
        complaints.unless(text(canvas, "@type") == "sc:Canvas", path, "must be a canvas");
        for side in ["width", "height"] {
            complaints.unless(canvas.get(side).is_some(), path, &format!("a canvas needs `{side}`"));
        }
        let listed =
            ["images", "otherContent"].iter().all(|name| canvas.get(name).is_none_or(Value::is_array));
        complaints.unless(listed, path, "`images` and `otherContent` must be lists");
        for (index, image) in list(canvas, "images").iter().enumerate() {
            self.painting(image, text(canvas, "@id"), &format!("{path}.images[{index}]"));
        }
        for other in list(canvas, "otherContent") {
            let reference = text(other, "@type") == "sc:AnnotationList" && other.get("resources").is_none();
            self.complaints.unless(reference, path, "`otherContent` names lists and embeds none");
            self.identified(other, path);
        }
    }

    fn painting(&mut self, annotation: &Value, canvas: &str, path: &str) {
        let complaints = &mut self.complaints;
        complaints.unless(text(annotation, "@type") == "oa:Annotation", path, "must be an annotation");
        complaints.unless(
            text(annotation, "motivation") == "sc:painting",
            path,
            "motivation must be `sc:painting`",
        );
        let on = annotation.get("on").map_or("", |on| on.as_str().unwrap_or_else(|| text(on, "full")));
        let own = is_address(on) && on.split('#').next() == Some(canvas);
        complaints.unless(own, path, "`on` must be its canvas");
        match annotation.get("resource") {
            Some(resource) => self.resource(resource, &format!("{path}.resource")),
            None => complaints.unless(false, path, "needs a resource"),
        }
    }

    /// An image, a choice of several, or a part of one.
    fn resource(&mut self, resource: &Value, path: &str) {
        match text(resource, "@type") {
            "oa:Choice" => {
                let options = resource.get("default").into_iter().chain(list(resource, "item"));
                self.complaints.unless(
                    options.clone().count() > 1,
                    path,
                    "a choice needs a default and an item",
                );
                options.filter(|option| **option != "rdf:nil").for_each(|option| self.resource(option, path));
            }
            "oa:SpecificResource" => self.resource(resource.get("full").unwrap_or(&Value::Null), path),
            kind => {
                self.complaints.unless(kind == "dctypes:Image", path, "only images stand under `images`");
                self.identified(resource, path);
                self.complaints.side(resource, "width", path);
                self.complaints.side(resource, "height", path);
                resource.get("service").into_iter().for_each(|service| self.service(service, resource, path));
            }
        }
    }

    fn service(&mut self, service: &Value, owner: &Value, path: &str) {
        for service in service.as_array().map_or(std::slice::from_ref(service), Vec::as_slice) {
            let complaints = &mut self.complaints;
            complaints.unless(
                is_address(text(service, "@context")),
                path,
                "a service needs its own `@context`",
            );
            complaints.unless(is_address(text(service, "@id")), path, "a service needs an `@id`");
            let image = text(service, "@id") != text(owner, "@id");
            complaints.unless(image, path, "the `@id` of an image must not be its service");
        }
    }

    fn collection(&mut self, collection: &Value, path: &str) {
        self.described(collection, path);
        self.complaints.unless(
            collection.get("viewingDirection").is_none(),
            path,
            "a collection has no direction",
        );
        // A page of a longer collection may do without.
        if collection.get("startIndex").is_none() {
            self.labelled(collection, path);
        }
        for (name, kind) in [("manifests", "sc:Manifest"), ("collections", "sc:Collection"), ("members", "")]
        {
            for (index, member) in list(collection, name).iter().enumerate() {
                self.member(member, kind, &format!("{path}.{name}[{index}]"));
            }
        }
    }

    fn member(&mut self, member: &Value, expected: &str, path: &str) {
        let kind = text(member, "@type");
        self.identified(member, path);
        self.labelled(member, path);
        let fits = if expected.is_empty() {
            matches!(kind, "sc:Manifest" | "sc:Collection")
        } else {
            kind == expected
        };
        self.complaints.unless(fits, path, &format!("`{kind}` does not belong here"));
        let hint = !expected.is_empty() || kind == "sc:Manifest" || member.get("viewingHint").is_some();
        self.complaints.unless(hint, path, "a collection among `members` needs a `viewingHint`");
        self.complaints.unless(member.get("sequences").is_none(), path, "manifests are named, not embedded");
    }

    fn annotations(&mut self, list_of: &Value) {
        self.complaints.unless(
            list_of.get("resources").is_some_and(Value::is_array),
            "$",
            "needs `resources`",
        );
        for (index, annotation) in list(list_of, "resources").iter().enumerate() {
            let path = format!("$.resources[{index}]");
            let complaints = &mut self.complaints;
            complaints.unless(text(annotation, "@type") == "oa:Annotation", &path, "must be an annotation");
            complaints.unless(annotation.get("motivation").is_some(), &path, "needs a motivation");
            complaints.unless(annotation.get("on").is_some(), &path, "needs `on`");
            let image = annotation.get("resource").is_some_and(|body| text(body, "@type") == "dctypes:Image");
            let painted = image && text(annotation, "motivation") == "sc:painting";
            complaints.unless(!painted, &path, "images are painted under `images`, not in lists");
        }
    }

    fn identified(&mut self, object: &Value, path: &str) {
        self.complaints.unless(is_address(text(object, "@id")), path, "needs an http(s) `@id`");
    }

    fn labelled(&mut self, object: &Value, path: &str) {
        self.complaints.unless(object.get("label").is_some_and(has_text), path, "needs a label");
    }

    /// What any resource may carry.
    fn described(&mut self, object: &Value, path: &str) {
        for name in ["description", "attribution", "label"] {
            object.get(name).into_iter().for_each(|value| self.value(value, &format!("{path}.{name}")));
        }
        for entry in list(object, "metadata") {
            for name in ["label", "value"] {
                let path = format!("{path}.metadata.{name}");
                self.value(entry.get(name).unwrap_or(&Value::Null), &path);
            }
        }
        let direction = text(object, "viewingDirection");
        let hints = object.get("viewingHint").into_iter();
        let hints = hints.flat_map(|hint| hint.as_array().map_or(std::slice::from_ref(hint), Vec::as_slice));
        let hints: Vec<&str> = hints.filter_map(Value::as_str).collect();
        let complaints = &mut self.complaints;
        complaints.unless(direction.is_empty() || DIRECTIONS.contains(&direction), path, "unknown direction");
        let known = hints.iter().all(|hint| HINTS.contains(hint) || is_address(hint));
        complaints.unless(known, path, &format!("unknown hint among {hints:?}"));
        let dated = object.get("navDate").is_none_or(|date| date.as_str().is_some_and(is_instant));
        complaints.unless(dated, path, "`navDate` must be a date and time with a zone");
        complaints.side(object, "width", path);
        complaints.side(object, "height", path);
        for name in ["license", "logo", "thumbnail", "related", "seeAlso", "within", "rendering"] {
            self.links(object.get(name), name, path);
        }
    }

    fn links(&mut self, links: Option<&Value>, name: &str, path: &str) {
        let links = links
            .map_or(&[][..], |links| links.as_array().map_or(std::slice::from_ref(links), Vec::as_slice));
        for link in links {
            let id = link.as_str().unwrap_or_else(|| text(link, "@id"));
            self.complaints.unless(is_address(id), path, &format!("`{name}` must be an http(s) address"));
            let complete =
                name != "rendering" || (link.get("label").is_some() && link.get("format").is_some());
            self.complaints.unless(complete, path, "a rendering needs label and format");
            link.get("service").into_iter().for_each(|service| self.service(service, link, path));
        }
    }

    /// A string, a value with or without its language, or a list of these.
    fn value(&mut self, value: &Value, path: &str) {
        match value {
            Value::Array(values) if !values.is_empty() => {
                values.iter().for_each(|value| self.value(value, path))
            }
            Value::String(text) => self.complaints.markup(text, path, &TAGS),
            Value::Object(_) if has_text(value) => self.complaints.markup(text(value, "@value"), path, &TAGS),
            _ => self.complaints.unless(
                false,
                path,
                "must be a text, a text with its language or a list of these",
            ),
        }
    }
}

fn has_text(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty() && values.iter().all(has_text),
        Value::Object(_) => !text(value, "@value").is_empty(),
        _ => false,
    }
}
