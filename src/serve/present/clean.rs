//! What adapters and settings say, made fit to print: texts, links, agents, rights.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::adapter::record::{Agent, Entry, Link};
use crate::iiif::presentation::text::{LanguageMap, NO_LANGUAGE};
use crate::iiif::presentation::{html, model};

use super::Presenter;

/// Behaviors that manifests and collections may have (*Presentation API 3.0, 3.2*).
const BEHAVIORS: [&str; 8] = [
    "continuous",
    "individuals",
    "paged",
    "unordered",
    "auto-advance",
    "no-auto-advance",
    "repeat",
    "no-repeat",
];

/// Those that only collections may have.
const OF_COLLECTIONS: [&str; 2] = ["multi-part", "together"];

/// Of each set only one may be given.
const DISJOINT: [&[&str]; 4] = [
    &["unordered", "individuals", "continuous", "paged"],
    &["auto-advance", "no-auto-advance"],
    &["repeat", "no-repeat"],
    &OF_COLLECTIONS,
];

const DIRECTIONS: [&str; 4] = ["left-to-right", "right-to-left", "top-to-bottom", "bottom-to-top"];

/// What content can be (*Presentation API 3.0, 2.2*).
const KINDS: [&str; 6] = ["Dataset", "Image", "Model", "Sound", "Text", "Video"];

impl Presenter<'_> {
    /// Texts after `clean`; untagged ones get the language of the source, unless they are in none at all.
    pub(super) fn texts(&self, texts: &LanguageMap, clean: fn(&str) -> String) -> LanguageMap {
        let untagged = self.defaults.language.as_deref().unwrap_or("none");
        let mut tagged = LanguageMap::default();
        for (language, texts) in texts.iter() {
            let tag = language_tag(language);
            let language = match tag.as_str() {
                "none" => untagged,
                NO_LANGUAGE => "none",
                tag => tag,
            };
            texts.iter().for_each(|text| tagged.push(language, text));
        }
        tagged.map(clean)
    }

    /// Entries with both a label and a value; others show nothing.
    pub(super) fn entries(&self, entries: &[Entry]) -> impl Iterator<Item = model::Entry> {
        let entries = entries.iter().map(|entry| self.entry(entry));
        entries.filter(|entry| !entry.label.is_empty() && !entry.value.is_empty())
    }

    /// A statement has to be shown, so it gets a label where it has none.
    pub(super) fn statement(&self, statement: &Entry) -> Option<model::Entry> {
        let mut entry = self.entry(statement);
        if entry.label.is_empty() {
            entry.label = LanguageMap::tagged("en", "Attribution");
        }
        (!entry.value.is_empty()).then_some(entry)
    }

    /// Rights that are no URI of the two vocabularies are shown as they are.
    pub(super) fn rights_entry(&self, text: &str) -> Option<model::Entry> {
        let value = self.texts(&LanguageMap::none(text), html::html);
        (!value.is_empty()).then(|| model::Entry { label: LanguageMap::tagged("en", "Rights"), value })
    }

    fn entry(&self, entry: &Entry) -> model::Entry {
        model::Entry {
            label: self.texts(&entry.label, html::plain),
            value: self.texts(&entry.value, html::html),
        }
    }

    /// Links that people click on need a label: at worst their address.
    pub(super) fn links(&self, links: &[Link], usual: &str) -> Vec<model::Link> {
        let links = links.iter().filter_map(|link| self.link(link, usual));
        links
            .map(|link| match link.label.is_empty() {
                true => model::Link { label: LanguageMap::none(&link.id), ..link },
                false => link,
            })
            .collect()
    }

    pub(super) fn see_also(&self, links: &[Link]) -> Vec<model::Link> {
        links.iter().filter_map(|link| self.link(link, "Dataset")).collect()
    }

    fn link(&self, link: &Link, usual: &str) -> Option<model::Link> {
        let stated = link.kind.as_deref().filter(|kind| KINDS.contains(kind));
        let told = link.format.as_deref().and_then(kind_of_format);
        Some(model::Link {
            id: web_address(&link.id)?,
            kind: stated.or(told).unwrap_or(usual).to_owned(),
            label: self.texts(&link.label, html::plain),
            format: link.format.clone(),
            profile: link.profile.clone(),
        })
    }

    pub(super) fn agents(&self, agents: &[Agent]) -> Vec<model::Agent> {
        agents.iter().filter_map(|agent| self.agent(agent)).collect()
    }

    fn agent(&self, agent: &Agent) -> Option<model::Agent> {
        let id = web_address(&agent.id)?;
        let label = self.texts(&agent.label, html::plain);
        Some(model::Agent {
            label: if label.is_empty() { LanguageMap::none(&id) } else { label },
            homepage: self.links(&agent.homepage, "Text"),
            logo: agent.logo.as_deref().and_then(web_address),
            id,
        })
    }
}

/// The http URI of a licence or statement, if the text is an address of one of the two
/// vocabularies in any of its spellings (*Presentation API 3.0, 3.1, rights*).
///
/// ```
/// # use loggia::serve::present::rights_uri;
/// let uri = rights_uri("https://creativecommons.org/licenses/by/4.0/deed.de");
/// assert_eq!(uri.as_deref(), Some("http://creativecommons.org/licenses/by/4.0/"));
/// ```
pub fn rights_uri(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?.trim_start_matches("www.");
    let page = |part: &&str| !part.is_empty() && !part.starts_with("deed") && !part.starts_with("legalcode");
    let parts: Vec<&str> = url.path_segments()?.filter(page).collect();
    match (host, parts.as_slice()) {
        ("creativecommons.org", ["licenses" | "publicdomain", _, _, ..]) => {
            Some(format!("http://{host}/{}/", parts.join("/")))
        }
        ("rightsstatements.org", ["vocab" | "page", name, version, ..]) => {
            Some(format!("http://{host}/vocab/{name}/{version}/"))
        }
        _ => None,
    }
}

/// A direction that readers know.
pub(super) fn direction(text: Option<&str>) -> Option<String> {
    text.filter(|text| DIRECTIONS.contains(text)).map(str::to_owned)
}

/// Behaviors that such a document may have; of those that exclude each other the first.
pub(super) fn behaviors(kind: model::Kind, given: &[String]) -> Vec<String> {
    let more: &[&str] = match kind {
        model::Kind::Manifest => &[],
        model::Kind::Collection => &OF_COLLECTIONS,
    };
    let known = |behavior: &str| BEHAVIORS.contains(&behavior) || more.contains(&behavior);
    let mut kept: Vec<String> = Vec::new();
    for behavior in given.iter().filter(|behavior| known(behavior)) {
        let sets = DISJOINT.iter().filter(|set| set.contains(&behavior.as_str()));
        let clash = sets.flat_map(|set| set.iter()).any(|other| kept.iter().any(|one| one == other));
        if !clash {
            kept.push(behavior.clone());
        }
    }
    kept
}

/// `xsd:dateTime` has negative years, but the date types of most readers begin with the year 1
/// and refuse the whole document.
pub(super) fn is_common_era(instant: &Timestamp) -> bool {
    instant.to_zoned(TimeZone::UTC).year() >= 1
}

/// BCP 47 has hyphens; what is no tag at all, as some systems write `*`, says nothing.
fn language_tag(language: &str) -> String {
    let tag = language.trim().replace('_', "-");
    let known =
        !tag.is_empty() && tag.split('-').all(|part| (1..=8).contains(&part.len()) && is_alphanumeric(part));
    if known { tag } else { "none".to_owned() }
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// An address that a viewer may turn into a link: never `javascript:`, and spelled as a URI.
fn web_address(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let spelled = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte);
    // As given where that is a URI already: whoever compares identifiers compares characters.
    Some(if text.bytes().all(spelled) { text.to_owned() } else { url.to_string() })
}

fn kind_of_format(format: &str) -> Option<&'static str> {
    match format.split_once('/')? {
        ("image", _) => Some("Image"),
        ("audio", _) => Some("Sound"),
        ("video", _) => Some("Video"),
        ("model", _) => Some("Model"),
        ("text", "csv" | "xml") => Some("Dataset"),
        ("text", _) | ("application", "pdf" | "epub+zip") => Some("Text"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_recognised_in_every_spelling() {
        let cases = [
            (
                "as defined",
                "http://creativecommons.org/licenses/by/4.0/",
                Some("http://creativecommons.org/licenses/by/4.0/"),
            ),
            (
                "https",
                "https://creativecommons.org/licenses/by-sa/3.0/",
                Some("http://creativecommons.org/licenses/by-sa/3.0/"),
            ),
            (
                "no slash",
                "https://creativecommons.org/publicdomain/zero/1.0",
                Some("http://creativecommons.org/publicdomain/zero/1.0/"),
            ),
            (
                "a country",
                "https://creativecommons.org/licenses/by/3.0/de/",
                Some("http://creativecommons.org/licenses/by/3.0/de/"),
            ),
            (
                "the deed",
                "https://www.creativecommons.org/licenses/by/4.0/deed.fr",
                Some("http://creativecommons.org/licenses/by/4.0/"),
            ),
            (
                "the full text",
                "https://creativecommons.org/licenses/by/4.0/legalcode",
                Some("http://creativecommons.org/licenses/by/4.0/"),
            ),
            (
                "a statement",
                "https://rightsstatements.org/vocab/InC/1.0/",
                Some("http://rightsstatements.org/vocab/InC/1.0/"),
            ),
            (
                "its page",
                "https://rightsstatements.org/page/InC/1.0/?language=en",
                Some("http://rightsstatements.org/vocab/InC/1.0/"),
            ),
            ("no licence", "https://creativecommons.org/about/", None),
            ("another host", "https://creativecommons.org.example.com/licenses/by/4.0/", None),
            ("words", "All rights reserved", None),
        ];
        for (case, text, uri) in cases {
            assert_eq!(rights_uri(text).as_deref(), uri, "{case}");
        }
    }

    #[test]
    fn only_addresses_of_the_web_are_linked() {
        let cases = [
            ("kept to the letter", "https://example.org", Some("https://example.org")),
            ("spaces are escaped", "https://example.org/a b", Some("https://example.org/a%20b")),
            ("other scripts are escaped", "https://example.org/é", Some("https://example.org/%C3%A9")),
            ("scripts", "javascript:alert(1)", None),
            ("files", "file:///etc/passwd", None),
            ("relative", "/about", None),
        ];
        for (case, text, address) in cases {
            assert_eq!(web_address(text).as_deref(), address, "{case}");
        }
    }

    #[test]
    fn the_first_of_clashing_behaviors_stays() {
        use model::Kind::{Collection, Manifest};
        let given = ["paged", "together", "continuous", "multi-part", "non-paged", "repeat", "no-repeat"];
        let given = given.map(str::to_owned);
        assert_eq!(behaviors(Manifest, &given), ["paged", "repeat"]);
        assert_eq!(behaviors(Collection, &given), ["paged", "together", "repeat"]);
    }

    #[test]
    fn languages_become_tags() {
        let cases = [
            ("en", "en"),
            ("en_US", "en-US"),
            ("*", "none"),
            ("", "none"),
            ("pt-BR", "pt-BR"),
            ("none", "none"),
        ];
        for (given, tag) in cases {
            assert_eq!(language_tag(given), tag, "{given}");
        }
    }
}
