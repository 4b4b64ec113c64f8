//! What became of a question to a bucket, in words for the log.
//!
//! What S3 says at length is not repeated: of a wrong signature it tells the key and all that was signed.

use std::error::Error as _;
use std::time::Duration;

use object_store::Error;

/// Of codes and states that are told; longer ones are none.
const LONGEST: usize = 64;

/// Whether nothing lies there; of a bucket that is not there at all, nobody knows what would.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && code(&error.to_string()).as_deref() != Some("NoSuchBucket")
}

/// Whether we may not do that.
pub(super) fn is_refused(error: &Error) -> bool {
    matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. })
}

pub(super) fn late(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}

/// Why there is no answer.
pub(super) fn reason(error: &Error) -> String {
    let told = error.to_string();
    match code(&told).as_deref() {
        Some("NoSuchBucket") => "there is no such bucket".to_owned(),
        Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "NotSignedUp") => {
            "it wants another access key or secret key".to_owned()
        }
        Some("AccessDenied") => "the access key may not do that there".to_owned(),
        Some(code) => format!("it says `{code}`"),
        None if is_refused(error) => "it refuses the access key".to_owned(),
        None => status(&told).map_or_else(|| root(error), |status| format!("it says `{status}`")),
    }
}

/// What stands in the element `Code` of an answer.
fn code(told: &str) -> Option<String> {
    let (_, rest) = told.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code = code.len() <= LONGEST && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

/// The status of an answer without a code, of a proxy for instance: `503 Service Unavailable`.
fn status(told: &str) -> Option<String> {
    let (_, rest) = told.split_once("status code: ")?;
    let status = rest.split(':').next()?;
    let is_status = status.len() <= LONGEST && status.starts_with(|c: char| c.is_ascii_digit());
    is_status.then(|| status.to_owned())
}

/// The last cause, which knows most of what happened.
fn root(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    if error.source().is_some_and(|source| source.to_string().contains('<')) {
        return "its answer cannot be read".to_owned();
    }
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.into() }
    }

    fn denied(text: &str) -> Error {
        Error::PermissionDenied { path: "a".to_owned(), source: text.into() }
    }

    #[test]
    fn what_went_wrong_is_told_without_what_is_secret() {
        let status = "Server returned non-2xx status code";
        let mismatch =
            "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        for (error, expected) in [
            (
                denied(&format!("{status}: 403 Forbidden: {mismatch}")),
                "it wants another access key or secret key",
            ),
            (
                denied(&format!("{status}: 403 Forbidden: <Code>AccessDenied</Code>")),
                "the access key may not do that there",
            ),
            (denied(&format!("{status}: 403 Forbidden: ")), "it refuses the access key"),
            (generic(&format!("{status}: 503 Slow Down: <Code>SlowDown</Code>")), "it says `SlowDown`"),
            (generic(&format!("{status}: 502 Bad Gateway: <html>AKIA")), "it says `502 Bad Gateway`"),
            (generic("<Code>AKIA and more</Code>"), "its answer cannot be read"),
            (generic("connection refused"), "connection refused"),
        ] {
            let told = reason(&error);
            assert_eq!(told, expected);
            assert!(!told.contains("AKIA"));
        }
    }

    #[test]
    fn an_object_is_missing_where_there_is_a_bucket() {
        let missing = |text: &str| is_missing(&Error::NotFound { path: "a".to_owned(), source: text.into() });
        assert!(missing("404 Not Found: <Code>NoSuchKey</Code>") && missing("404 Not Found: "));
        assert!(!missing("404 Not Found: <Code>NoSuchBucket</Code>"));
    }
}
