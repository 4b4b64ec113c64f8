//! Licences and rights statements as IIIF wants them: the `http` address exactly as its owner defines it.
//!
//! *Presentation API 3.0, 3.1*, `rights`: a Creative Commons licence or a RightsStatements.org
//! statement, with `http`. What is neither belongs elsewhere in a manifest: it has no address here.

const STATEMENTS: [(&str, &str); 12] = [
    ("InC", "in copyright"),
    ("InC-OW-EU", "in copyright - eu orphan work"),
    ("InC-EDU", "in copyright - educational use permitted"),
    ("InC-NC", "in copyright - non-commercial use permitted"),
    ("InC-RUU", "in copyright - rights-holder(s) unlocatable or unidentifiable"),
    ("NoC-CR", "no copyright - contractual restrictions"),
    ("NoC-NC", "no copyright - non-commercial use only"),
    ("NoC-OKLR", "no copyright - other known legal restrictions"),
    ("NoC-US", "no copyright - united states"),
    ("CNE", "copyright not evaluated"),
    ("UND", "copyright undetermined"),
    ("NKC", "no known copyright"),
];

const LICENSES: [&str; 6] = ["by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"];

/// The canonical address of a licence that is given by its address or its usual name.
pub(super) fn uri(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = strip(text, "https://").or_else(|| strip(text, "http://")).or_else(|| strip(text, "//"));
    let bare = bare.unwrap_or(text);
    let bare = strip(bare, "www.").unwrap_or(bare);
    if let Some(path) = strip(bare, "creativecommons.org/") {
        creative_commons_path(path)
    } else if let Some(path) = strip(bare, "rightsstatements.org/") {
        statement_path(path)
    } else {
        creative_commons_name(text).or_else(|| statement_name(text))
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// `licenses/by/4.0/deed.de`, `publicdomain/zero/1.0/legalcode`
fn creative_commons_path(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next()?.to_ascii_lowercase();
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let (family, name, version) = (parts.next()?, parts.next()?, parts.next()?);
    let port = parts.next().filter(|part| part.len() == 2 || *part == "igo" || *part == "scotland");
    match family {
        "publicdomain" if ["zero", "mark"].contains(&name) && version == "1.0" => {
            Some(format!("http://creativecommons.org/publicdomain/{name}/1.0/"))
        }
        "licenses" if LICENSES.contains(&name) && is_version(version) => Some(license(name, version, port)),
        _ => None,
    }
}

fn license(name: &str, version: &str, port: Option<&str>) -> String {
    let port = port.map(|port| format!("{port}/")).unwrap_or_default();
    format!("http://creativecommons.org/licenses/{name}/{version}/{port}")
}

fn is_version(text: &str) -> bool {
    ["1.0", "2.0", "2.1", "2.5", "3.0", "4.0"].contains(&text)
}

/// `vocab/InC/1.0/`, `page/InC/1.0/?language=de`
fn statement_path(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next()?;
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let (kind, code, version) = (parts.next()?, parts.next()?, parts.next()?);
    if !["vocab", "page", "data"].contains(&kind) || version != "1.0" {
        return None;
    }
    let (code, _) = STATEMENTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(code))?;
    Some(statement(code))
}

fn statement(code: &str) -> String {
    format!("http://rightsstatements.org/vocab/{code}/1.0/")
}

/// `CC BY-SA 4.0`, `cc-by-4.0`, `CC0`, `Public domain mark 1.0`, `Attribution-ShareAlike 4.0 International`.
///
/// A licence without a version is not guessed: the versions differ in what they allow.
fn creative_commons_name(text: &str) -> Option<String> {
    let spaced: String = text
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_alphanumeric() || letter == '.' { letter } else { ' ' })
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().filter(|word| !FILLERS.contains(word)).collect();
    match words.as_slice() {
        ["cc0" | "cczero"] | ["cc0" | "cczero", "1.0"] | ["cc", "zero"] | ["cc", "zero", "1.0"] => {
            Some("http://creativecommons.org/publicdomain/zero/1.0/".to_owned())
        }
        ["pdm"]
        | ["pdm", "1.0"]
        | ["cc", "pdm"]
        | ["cc", "pdm", "1.0"]
        | ["public", "domain", "mark"]
        | ["public", "domain", "mark", "1.0"] => {
            Some("http://creativecommons.org/publicdomain/mark/1.0/".to_owned())
        }
        ["cc", terms @ .., version] | [terms @ .., version] if is_version(version) => {
            let terms: Vec<&str> = terms.iter().map(|term| short(term)).collect();
            let name = terms.join("-");
            LICENSES.contains(&name.as_str()).then(|| license(&name, version, None))
        }
        _ => None,
    }
}

const FILLERS: [&str; 9] =
    ["creative", "commons", "license", "licence", "international", "unported", "generic", "universal", "the"];

fn short(term: &str) -> &str {
    match term {
        "attribution" => "by",
        "sharealike" => "sa",
        "noderivatives" | "noderivs" => "nd",
        "noncommercial" => "nc",
        term => term,
    }
}

fn statement_name(text: &str) -> Option<String> {
    let name = text.to_lowercase().replace(['–', '—'], "-");
    let (code, _) =
        STATEMENTS.iter().find(|(code, known)| *known == name || code.eq_ignore_ascii_case(text))?;
    Some(statement(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_rights_have_one_address() {
        let by = "http://creativecommons.org/licenses/by/4.0/";
        let by_sa = "http://creativecommons.org/licenses/by-sa/4.0/";
        let zero = "http://creativecommons.org/publicdomain/zero/1.0/";
        let mark = "http://creativecommons.org/publicdomain/mark/1.0/";
        let in_copyright = "http://rightsstatements.org/vocab/InC/1.0/";
        let cases = [
            ("https", "https://creativecommons.org/licenses/by/4.0/", Some(by)),
            ("no slash at the end", "http://creativecommons.org/licenses/by/4.0", Some(by)),
            ("no scheme", "creativecommons.org/licenses/by/4.0", Some(by)),
            ("www, capitals", "HTTP://WWW.CreativeCommons.org/Licenses/BY/4.0/", Some(by)),
            ("deed in German", "https://creativecommons.org/licenses/by/4.0/deed.de", Some(by)),
            ("legal code", "https://creativecommons.org/licenses/by/4.0/legalcode", Some(by)),
            (
                "ported",
                "https://creativecommons.org/licenses/by-nc-nd/3.0/at/",
                Some("http://creativecommons.org/licenses/by-nc-nd/3.0/at/"),
            ),
            ("zero", "https://creativecommons.org/publicdomain/zero/1.0/deed.en", Some(zero)),
            ("mark", "https://creativecommons.org/publicdomain/mark/1.0/", Some(mark)),
            ("name", "CC BY-SA 4.0", Some(by_sa)),
            ("identifier", "cc-by-sa-4.0", Some(by_sa)),
            ("long name", "Creative Commons Attribution-ShareAlike 4.0 International License", Some(by_sa)),
            ("CC0", "CC0", Some(zero)),
            ("CC0 with version", "CC0 1.0 Universal", Some(zero)),
            ("PDM", "Public Domain Mark 1.0", Some(mark)),
            ("statement, page", "https://rightsstatements.org/page/InC/1.0/?language=de", Some(in_copyright)),
            ("statement, small letters", "http://rightsstatements.org/vocab/inc/1.0", Some(in_copyright)),
            ("statement by name", "In Copyright", Some(in_copyright)),
            ("statement by code", "NoC-US", Some("http://rightsstatements.org/vocab/NoC-US/1.0/")),
            (
                "statement with a dash",
                "No Copyright – United States",
                Some("http://rightsstatements.org/vocab/NoC-US/1.0/"),
            ),
            ("no version", "CC BY", None),
            ("no such version", "CC BY 7.0", None),
            ("no such licence", "https://creativecommons.org/licenses/by-everything/4.0/", None),
            ("another host", "https://creativecommons.org.example.org/licenses/by/4.0/", None),
            ("free words", "All rights reserved", None),
            ("public domain alone says not why", "Public domain", None),
            ("nothing", "", None),
        ];
        for (name, text, expected) in cases {
            assert_eq!(uri(text).as_deref(), expected, "{name}: {text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_its_own_address(text in "(cc|creativecommons.org/licenses)?[ /-]?(by|by-nc|zero)[ /-](4|3).0.{0,8}") {
            if let Some(found) = uri(&text) {
                prop_assert_eq!(uri(&found), Some(found.clone()));
            }
        }

        #[test]
        fn any_text_is_fine(text in any::<String>()) {
            let _ = uri(&text);
        }
    }
}
