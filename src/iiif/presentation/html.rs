//! Markup in texts: the few tags that viewers accept, as well-formed XML (*Presentation API 3.0, 4.5*).

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

/// What survives in a summary, a value or a statement. 3.0 asks only for `a b br i img p span`
/// and lets readers remove the rest; `small sub sup` are what its readers keep besides.
const ALLOWED: [&str; 10] = ["a", "b", "br", "i", "img", "p", "small", "span", "sub", "sup"];

/// What 2.1 does not know (*Presentation API 2.1, 4.4*).
const NOT_IN_2: [&str; 3] = ["small", "sub", "sup"];

/// Removed like every other tag, but with a space in their place, so that the entries of a list
/// and the cells of a table do not run together.
const BLOCKS: [&str; 25] = [
    "article",
    "blockquote",
    "caption",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "pre",
    "section",
    "table",
    "td",
    "th",
    "tr",
    "ul",
];

/// HTML in, the allowed markup or plain text out; empty where nothing would be seen.
///
/// Markup is one well-formed element, so that it starts with `<` and ends with `>`, which is how
/// readers tell it from plain text. Plain text that would pass for markup gets a trailing space.
/// What comes out may be passed in again and stays as it is.
///
/// ```
/// # use loggia::iiif::presentation::html::html;
/// assert_eq!(html("a <i>red</i> line<br>"), "<span>a <i>red</i> line<br/></span>");
/// assert_eq!(html("Smith &amp; Sons"), "Smith & Sons");
/// ```
pub fn html(text: &str) -> String {
    let clean = sanitise(text);
    let markup = pieces(&clean).fold(String::new(), |mut markup, piece| {
        match piece {
            Piece::Text(text) => markup.push_str(text),
            Piece::Tag(tag) if ALLOWED.contains(&name(tag)) => markup.push_str(tag),
            Piece::Tag(_) => markup.push(' '),
        }
        markup
    });
    as_element(&markup)
}

/// The same for 2.1, out of what [`html`] gave: the tags that 2.1 does not know are unwrapped.
pub fn html_for_2(text: &str) -> String {
    if !looks_like_markup(text) {
        return text.to_owned();
    }
    let markup: String = pieces(text)
        .filter(|piece| !matches!(piece, Piece::Tag(tag) if NOT_IN_2.contains(&name(tag))))
        .map(|piece| match piece {
            Piece::Text(part) | Piece::Tag(part) => part,
        })
        .collect();
    as_element(&markup)
}

/// HTML in, one line of plain text out: tags removed, entities decoded.
///
/// ```
/// # use loggia::iiif::presentation::html::plain;
/// assert_eq!(plain("<p>Smith &amp; <b>Sons</b></p><p>1901</p>"), "Smith & Sons 1901");
/// ```
pub fn plain(text: &str) -> String {
    let clean = sanitise(text);
    let words = pieces(&clean).fold(String::new(), |mut words, piece| {
        match piece {
            Piece::Text(text) => words.push_str(&decode(text)),
            Piece::Tag(tag) if matches!(name(tag), "br" | "p") || BLOCKS.contains(&name(tag)) => {
                words.push(' ')
            }
            Piece::Tag(_) => {}
        }
        words
    });
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How readers tell markup from plain text.
pub fn looks_like_markup(text: &str) -> bool {
    text.starts_with('<') && text.ends_with('>')
}

/// One element, wrapped if need be; plain text where there is no tag.
fn as_element(markup: &str) -> String {
    let markup = markup.trim();
    if pieces(markup).all(|piece| matches!(piece, Piece::Text(_))) {
        return as_text(markup);
    }
    let shows = |piece| match piece {
        Piece::Text(text) => !text.trim().is_empty(),
        Piece::Tag(tag) => name(tag) == "img",
    };
    match (pieces(markup).any(shows), is_one_element(markup)) {
        (false, _) => String::new(),
        (true, true) => markup.to_owned(),
        (true, false) => format!("<span>{markup}</span>"),
    }
}

/// Text that a second look would take for markup (`&lt;b&gt;`) stays escaped, inside an element.
fn as_text(escaped: &str) -> String {
    let text = decode(escaped);
    if sanitise(&text) != escaped {
        return format!("<span>{escaped}</span>");
    }
    match looks_like_markup(&text) {
        true => text + " ",
        false => text,
    }
}

fn is_one_element(markup: &str) -> bool {
    let (mut depth, mut closed) = (0_usize, 0);
    for piece in pieces(markup) {
        match piece {
            Piece::Text(_) if depth == 0 => return false,
            Piece::Text(_) => {}
            Piece::Tag(tag) if tag.starts_with("</") => {
                depth = depth.saturating_sub(1);
                closed += usize::from(depth == 0);
            }
            Piece::Tag(tag) if tag.ends_with("/>") => closed += usize::from(depth == 0),
            Piece::Tag(_) => depth += 1,
        }
    }
    closed == 1
}

/// The allowed tags and the blocks, as XML: the serializer of HTML escapes all that XML wants
/// escaped, but writes `&nbsp;`, which XML does not know, and leaves void elements open.
fn sanitise(text: &str) -> String {
    static ALLOWED_AND_BLOCKS: LazyLock<Builder<'static>> = LazyLock::new(|| {
        let mut builder = Builder::default();
        builder
            .tags(ALLOWED.into_iter().chain(BLOCKS).collect())
            .generic_attributes(HashSet::new())
            .tag_attributes(HashMap::from([
                ("a", HashSet::from(["href"])),
                ("img", HashSet::from(["src", "alt"])),
            ]))
            .url_schemes(HashSet::from(["http", "https", "mailto"]))
            .url_relative(UrlRelative::Deny)
            .link_rel(None);
        builder
    });
    // Most texts are plain; a parser for each label of a long volume would be felt.
    if !text.contains(['<', '>', '&', '\r']) {
        return text.replace(|c| !is_xml(c), "");
    }
    let clean = ALLOWED_AND_BLOCKS.clean(text).to_string().replace(|c| !is_xml(c), "");
    let (mut xml, mut links) = (String::with_capacity(clean.len()), Vec::new());
    for piece in pieces(&clean) {
        match piece {
            // What is left of one that led somewhere else: nothing to see, nothing to follow.
            Piece::Tag(tag) if name(tag) == "img" && !tag.contains(" src=\"") => {}
            Piece::Tag("<a>") => links.push(Link::Bare),
            Piece::Tag("</a>") if matches!(links.pop(), Some(Link::Bare)) => {}
            Piece::Tag(tag) if matches!(name(tag), "br" | "img") => {
                xml.extend([tag.trim_end_matches('>'), "/>"]);
            }
            Piece::Tag(tag) if name(tag) == "a" && !tag.starts_with("</") => {
                links.push(Link::Whole);
                xml.push_str(tag);
            }
            Piece::Text(part) | Piece::Tag(part) => xml.push_str(part),
        }
    }
    xml.replace("&nbsp;", "\u{a0}")
}

/// An open link, with an address or without.
enum Link {
    Bare,
    Whole,
}

/// What XML 1.0 can hold as it is (*XML 1.0, 2.2*), and no reader changes: no controls.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..) && !('\u{7f}'..='\u{9f}').contains(&c)
}

/// Undoes the escapes that sanitised text can hold.
fn decode(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

enum Piece<'a> {
    Text(&'a str),
    Tag(&'a str),
}

/// Cuts sanitised markup into tags and what stands between: there, every other `<` or `>` is escaped.
fn pieces(markup: &str) -> impl Iterator<Item = Piece<'_>> {
    markup.split_inclusive('>').flat_map(|part| {
        let (text, tag) = part.split_at(part.find('<').unwrap_or(part.len()));
        let text = (!text.is_empty()).then_some(Piece::Text(text));
        let tag = (!tag.is_empty()).then_some(Piece::Tag(tag));
        text.into_iter().chain(tag)
    })
}

fn name(tag: &str) -> &str {
    let tag = tag.trim_start_matches(['<', '/']);
    &tag[..tag.find([' ', '/', '>']).unwrap_or(tag.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_is_reduced_to_one_element_of_allowed_tags() {
        let cases = [
            ("plain text stays", "Jane Roe", "Jane Roe"),
            ("entities are decoded", "Smith &amp; Sons &copy; 1901", "Smith & Sons © 1901"),
            ("a lone ampersand is text", "Smith & Sons", "Smith & Sons"),
            ("a lone bracket is text", "a < b", "a < b"),
            ("space around is removed", "  <b>x</b>\n", "<b>x</b>"),
            ("one element stays", "<p>x</p>", "<p>x</p>"),
            ("text around needs a wrap", "a <b>x</b>", "<span>a <b>x</b></span>"),
            ("two elements need a wrap", "<p>a</p><p>b</p>", "<span><p>a</p><p>b</p></span>"),
            ("void tags are closed", "a<br>b<BR/>c", "<span>a<br/>b<br/>c</span>"),
            (
                "a lone image is an element",
                "<img src=https://x.org/i.png>",
                r#"<img src="https://x.org/i.png"/>"#,
            ),
            ("nbsp becomes a character", "<b>a&nbsp;b</b>", "<b>a\u{a0}b</b>"),
            ("unclosed tags are closed", "<b>x", "<b>x</b>"),
            ("crossed tags are sorted out", "<b><i>x</b>y</i>", "<span><b><i>x</i></b><i>y</i></span>"),
            ("attributes go", r#"<p class="x" onclick="y()">z</p>"#, "<p>z</p>"),
            ("harmless targets stay", "<a href='mailto:a@b.org'>x</a>", r#"<a href="mailto:a@b.org">x</a>"#),
            ("script targets go", r#"<a href="javascript:x()">y</a>"#, "y"),
            ("relative targets go", r#"<a href="/x">y</a>"#, "y"),
            (
                "a link beside one without target",
                "<a>x</a><a href='http://x.org/'>y</a>",
                r#"<span>x<a href="http://x.org/">y</a></span>"#,
            ),
            ("an image without address goes", r#"a <img alt="b" src="/i.png"> c"#, "a  c"),
            (
                "a bracket in a target",
                r#"<a href="http://x.org/?a<b>c">y</a>"#,
                r#"<a href="http://x.org/?a&lt;b&gt;c">y</a>"#,
            ),
            ("scripts go with their text", "a<script>b()</script>c", "ac"),
            ("comments go", "a<!-- b -->c", "ac"),
            ("other tags go, their text stays", "<em>x</em> <b>y</b>", "<span>x <b>y</b></span>"),
            ("blocks leave a space", "<ul><li>a</li><li>b</li></ul>", "a  b"),
            ("what looks like markup gets a space", "<3 you >", "<3 you > "),
            ("escaped markup stays escaped", "x &lt;b&gt; y", "<span>x &lt;b&gt; y</span>"),
            ("escaped twice stays escaped once", "AT&amp;amp;T", "<span>AT&amp;amp;T</span>"),
            ("nothing to see is nothing", "<p> <br></p>", ""),
            ("only a script is nothing", "<script>x()</script>", ""),
            ("what XML cannot hold goes", "a\u{1}\u{b}b&#2;", "ab"),
        ];
        for (case, given, expected) in cases {
            assert_eq!(html(given), expected, "{case}");
        }
    }

    #[test]
    fn plain_text_has_neither_tags_nor_entities() {
        let cases = [
            ("tags go", "a <i>red</i> line", "a red line"),
            ("entities are decoded", "Smith&nbsp;&amp;&nbsp;Sons", "Smith & Sons"),
            ("paragraphs and breaks leave a space", "<p>a</p><p>b<br>c</p>", "a b c"),
            ("blocks leave a space", "<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
            ("scripts go with their text", "a<script>b()</script>", "a"),
            ("one line", "a\n\n  b", "a b"),
            ("brackets that are text stay", "a < b > c", "a < b > c"),
        ];
        for (case, given, expected) in cases {
            assert_eq!(plain(given), expected, "{case}");
        }
    }

    #[test]
    fn tags_that_2_does_not_know_are_unwrapped() {
        let cases = [
            ("plain text stays", "x < y", "x < y"),
            ("known tags stay", "<p>x<br/></p>", "<p>x<br/></p>"),
            ("inner ones are unwrapped", "<p>H<sub>2</sub>O</p>", "<p>H2O</p>"),
            ("an outer one leaves text", "<small>x &amp; y</small>", "x & y"),
            ("an outer one leaves several", "<sup><b>x</b><i>y</i></sup>", "<span><b>x</b><i>y</i></span>"),
        ];
        for (case, given, expected) in cases {
            assert_eq!(html_for_2(given), expected, "{case}");
        }
    }

    /// Tag soup: allowed and foreign tags, opened, closed and left open, among text.
    fn soup() -> impl Strategy<Value = String> {
        let tag = prop::sample::select(vec![
            "a", "b", "i", "p", "br", "img", "span", "sub", "script", "style", "div", "li", "em", "svg",
            "title",
        ]);
        let attribute = prop::sample::select(vec![
            "",
            " href=\"http://x.org/?a=1&b=<2>\"",
            " href='javascript:x()'",
            " src=https://x.org/i.png alt='\"'",
            " onclick=x()",
        ]);
        let piece = prop_oneof![
            (tag.clone(), attribute).prop_map(|(tag, attribute)| format!("<{tag}{attribute}>")),
            tag.prop_map(|tag| format!("</{tag}>")),
            "[ a-z&<>\"';#/!-]{0,6}",
            prop::sample::select(vec!["&nbsp;", "&lt;", "&amp;", "&amp;lt;", "&eacute;", "<!--", "-->"])
                .prop_map(str::to_owned),
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn markup_is_well_formed_and_harmless(text in soup()) {
            let out = html(&text);
            if looks_like_markup(&out) {
                let document = roxmltree::Document::parse(&out);
                prop_assert!(document.is_ok(), "`{out}`: {document:?}");
                for element in document.iter().flat_map(|document| document.descendants()).filter(|node| node.is_element()) {
                    prop_assert!(ALLOWED.contains(&element.tag_name().name()), "`{out}`");
                    for attribute in element.attributes() {
                        prop_assert!(matches!(attribute.name(), "href" | "src" | "alt"), "`{out}`");
                        prop_assert!(!attribute.value().starts_with("javascript"), "`{out}`");
                    }
                }
            }
            prop_assert!(!looks_like_markup(out.trim()) || looks_like_markup(&out) || out.ends_with("> "), "`{out}`");
        }

        #[test]
        fn a_second_pass_changes_nothing(text in soup()) {
            let once = html(&text);
            prop_assert_eq!(html(&once), once);
        }

        #[test]
        fn what_2_gets_is_well_formed(text in soup()) {
            let out = html_for_2(&html(&text));
            prop_assert!(!looks_like_markup(&out) || roxmltree::Document::parse(&out).is_ok(), "`{out}`");
            let unknown = NOT_IN_2.iter().any(|tag| out.contains(&format!("<{tag}>")));
            prop_assert!(!unknown, "`{out}`");
        }
    }
}
