//! Where a bucket is: `s3://name/prefix`, and the server that has it.

use std::fmt;

use url::Url;

/// A bucket, what our objects in it begin with, and the server where it is none of Amazon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: String,
    /// Without slashes at its ends; may be empty.
    prefix: String,
    pub(super) endpoint: Option<Url>,
}

/// Why an address leads to no bucket. Nothing of it is repeated: a password may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is none of S3.
    #[error("expected an address such as `s3://pyramids` or `s3://pyramids/loggia`")]
    Scheme,
    /// Nobody can have a bucket of this name.
    #[error("expected a name of 3 to 63 small letters, digits, hyphens and dots behind `s3://`")]
    Name,
    /// Others might write it otherwise.
    #[error(
        "expected a prefix of letters, digits, `.`, `_`, `-` and single slashes behind the bucket's name"
    )]
    Prefix,
    /// A server has no more than a name and a port.
    #[error(
        "expected the address of a server such as `https://s3.example.org`, without path, user name and password"
    )]
    Endpoint,
}

impl Place {
    pub(super) fn parse(url: &str, endpoint: Option<&str>) -> Result<Self, PlaceError> {
        let (bucket, prefix) = named(url)?;
        Ok(Self { bucket, prefix, endpoint: endpoint.map(server).transpose()? })
    }

    /// The path of an object in the bucket.
    pub(super) fn within(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// Whether nobody on the way is kept from reading along, which the operator has written so.
    pub(super) fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http")
    }
}

/// The name of the bucket, and the prefix.
pub(super) fn named(url: &str) -> Result<(String, String), PlaceError> {
    let rest = url.strip_prefix("s3://").ok_or(PlaceError::Scheme)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let within = |c: char| ends(c) || matches!(c, '.' | '-');
    let is_name = (3..=63).contains(&bucket.len()) && bucket.starts_with(ends) && bucket.ends_with(ends);
    if !is_name || !bucket.chars().all(within) {
        return Err(PlaceError::Name);
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(letter);
    if !prefix.is_empty() && (prefix.len() > 256 || !prefix.split('/').all(segment)) {
        return Err(PlaceError::Prefix);
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

/// The address of a server.
pub(super) fn server(endpoint: &str) -> Result<Url, PlaceError> {
    let url = Url::parse(endpoint).map_err(|_| PlaceError::Endpoint)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    let is_server = matches!(url.scheme(), "http" | "https") && is_bare && is_anonymous;
    if is_server { Ok(url) } else { Err(PlaceError::Endpoint) }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, prefix, .. } = self;
        let slash = if prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{bucket}{slash}{prefix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_bucket_and_perhaps_a_prefix() {
        for (url, object, shown) in [
            ("s3://pyramids", "a/b", "s3://pyramids"),
            ("s3://pyramids/", "a/b", "s3://pyramids"),
            ("s3://py.ra-mids7/loggia", "loggia/a/b", "s3://py.ra-mids7/loggia"),
            ("s3://pyramids/Maps_2/x.y/", "Maps_2/x.y/a/b", "s3://pyramids/Maps_2/x.y"),
        ] {
            let place = Place::parse(url, None).unwrap();
            assert_eq!((place.within("a/b").as_str(), place.to_string().as_str()), (object, shown), "{url}");
        }
    }

    #[test]
    fn what_is_no_bucket_is_told_without_being_repeated() {
        for (url, error) in [
            ("", PlaceError::Scheme),
            ("pyramids", PlaceError::Scheme),
            ("https://s3.example.org/pyramids", PlaceError::Scheme),
            ("s3://", PlaceError::Name),
            ("s3://ab", PlaceError::Name),
            ("s3://Pyramids", PlaceError::Name),
            ("s3://key:s3cret@pyramids", PlaceError::Name),
            ("s3://-pyramids", PlaceError::Name),
            ("s3:///loggia", PlaceError::Name),
            ("s3://pyramids/a//b", PlaceError::Prefix),
            ("s3://pyramids/../b", PlaceError::Prefix),
            ("s3://pyramids/a?b", PlaceError::Prefix),
            ("s3://pyramids/a%20b", PlaceError::Prefix),
        ] {
            let found = Place::parse(url, None).unwrap_err();
            assert_eq!(found, error, "{url}");
            assert!(!found.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn a_server_is_a_name_and_a_port() {
        for (endpoint, is_plain) in [("https://s3.example.org", false), ("http://10.0.0.7:9000/", true)] {
            assert_eq!(Place::parse("s3://pyramids", Some(endpoint)).unwrap().is_plain(), is_plain);
        }
        for wrong in
            ["s3.example.org", "ftp://a", "https://a/b", "https://k:s@a", "https://a?b", "https://a#b", ""]
        {
            assert_eq!(server(wrong), Err(PlaceError::Endpoint), "{wrong}");
        }
    }
}
