//! Why a remote system gave no answer. Names source and host, never a query, a header or a password.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::{Origin, Url};

/// Any error, boxed.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Why a source gave no answer, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection, or one that broke before the head of an answer came.
    #[error("{at} cannot be reached: {}", root(.cause.as_ref()))]
    Unreachable {
        /// Who was asked.
        at: Place,
        /// What the transport said.
        #[source]
        cause: Cause,
    },
    /// The connection is not trusted, or does not speak TLS.
    #[error("{at} offers no trusted connection: {} (a certificate authority of your own goes into `ca_file`)", root(.cause.as_ref()))]
    Tls {
        /// Who was asked.
        at: Place,
        /// What the transport said.
        #[source]
        cause: Cause,
    },
    /// Too slow.
    #[error("{at} {phase} within {after:?}")]
    Timeout {
        /// Who was asked.
        at: Place,
        /// What did not happen in time.
        phase: Phase,
        /// How long we waited.
        after: Duration,
    },
    /// The host failed so often that it is left alone for a while.
    #[error("{at} failed repeatedly and is left alone for another {retry_after:.1?}")]
    BreakerOpen {
        /// Who was to be asked.
        at: Place,
        /// Until it is tried again.
        retry_after: Duration,
    },
    /// More requests are waiting for this host than its rate serves in time.
    #[error("too many requests wait for {at}: its `rate` lets the next one go in {retry_after:.1?}")]
    Busy {
        /// Who was to be asked.
        at: Place,
        /// Until there is room again.
        retry_after: Duration,
    },
    /// The address may not be asked.
    #[error("{at} may not be asked: {hint}")]
    HostRefused {
        /// Who was to be asked.
        at: Place,
        /// Why, and which setting would allow it.
        hint: String,
    },
    /// A redirect that is not followed.
    #[error("{at} redirects to `{to}`: {halt}")]
    Redirected {
        /// Who was asked.
        at: Place,
        /// Where it points, without its query.
        to: String,
        /// Why it is not followed.
        halt: Halt,
    },
    /// The answer is longer than the caller reads.
    #[error("the answer of {at} is longer than {limit} bytes")]
    BodyTooLarge {
        /// Who was asked.
        at: Place,
        /// Bytes.
        limit: u64,
    },
    /// The answer broke off.
    #[error("the answer of {at} broke off after {received} bytes: {}", root(.cause.as_ref()))]
    Cut {
        /// Who was asked.
        at: Place,
        /// Bytes, after decompression.
        received: u64,
        /// What the transport said.
        #[source]
        cause: Cause,
    },
    /// The settings of the source cannot be used.
    #[error("source `{name}`: {problem}")]
    Settings {
        /// The source.
        name: String,
        /// What was found and what was expected.
        problem: String,
    },
}

impl UpstreamError {
    /// When asking again makes sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::BreakerOpen { retry_after, .. } | Self::Busy { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether the same request may well succeed later, with nobody changing anything.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::BreakerOpen { .. }
            | Self::Busy { .. }
            | Self::Cut { .. } => true,
            Self::Tls { .. }
            | Self::HostRefused { .. }
            | Self::Redirected { .. }
            | Self::BodyTooLarge { .. }
            | Self::Settings { .. } => false,
        }
    }
}

/// Whom an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The configured source.
    pub source: Arc<str>,
    /// The remote host, with its port where that is not the scheme's own.
    pub host: Arc<str>,
}

impl Place {
    /// The host of `url`, asked on behalf of `source`.
    pub(super) fn new(source: &Arc<str>, url: &Url) -> Self {
        let mut host = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            host.push_str(&format!(":{port}"));
        }
        Self { source: Arc::clone(source), host: host.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (source `{}`)", self.host, self.source)
    }
}

/// What did not happen in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The head of an answer to one attempt.
    Attempt,
    /// The head of an answer, all attempts taken together.
    Whole,
    /// The next piece of the body.
    Piece,
    /// The end of the body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempt => "did not answer",
            Self::Whole => "gave no answer, waiting and retries included,",
            Self::Piece => "fell silent in the middle of its answer and sent nothing more",
            Self::Body => "did not finish its answer",
        })
    }
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// This request expects none.
    Denied,
    /// It leads to a login page.
    Login,
    /// It is one too many.
    TooMany,
    /// It gives up encryption.
    Downgrade,
    /// It asks to send a body on to another host.
    Body,
    /// Its address cannot be read.
    Unreadable,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "this source is expected to answer directly",
            Self::Login => "credentials are missing or have expired",
            Self::TooMany => "that is one redirect too many",
            Self::Downgrade => "it leads from https to http",
            Self::Body => "what was sent to one host is not sent on to another",
            Self::Unreadable => "that is no address",
        })
    }
}

/// An address without user, password, query and fragment: what may stand in a log.
pub(super) fn shown(url: &Url) -> String {
    match url.origin() {
        // `file:`, `data:` and their like.
        Origin::Opaque(_) => format!("{}:{}", url.scheme(), url.path()),
        origin => format!("{}{}", origin.ascii_serialization(), url.path()),
    }
}

/// The text of the first cause: the layers above it only say "error sending request".
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{place, unreachable};
    use super::*;

    #[test]
    fn messages_can_be_read_alone() {
        let in_a_while = Duration::from_millis(4_321);
        let cases = [
            unreachable(),
            UpstreamError::Tls { at: place(), cause: "invalid peer certificate: UnknownIssuer".into() },
            UpstreamError::Timeout { at: place(), phase: Phase::Whole, after: Duration::from_secs(30) },
            UpstreamError::BreakerOpen { at: place(), retry_after: in_a_while },
            UpstreamError::Busy { at: place(), retry_after: in_a_while },
        ];
        let messages: Vec<_> = cases.iter().map(UpstreamError::to_string).collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        `dam.example.org` (source `maps`) cannot be reached: connection refused
        `dam.example.org` (source `maps`) offers no trusted connection: invalid peer certificate: UnknownIssuer (a certificate authority of your own goes into `ca_file`)
        `dam.example.org` (source `maps`) gave no answer, waiting and retries included, within 30s
        `dam.example.org` (source `maps`) failed repeatedly and is left alone for another 4.3s
        too many requests wait for `dam.example.org` (source `maps`): its `rate` lets the next one go in 4.3s
        ");
    }

    #[test]
    fn addresses_are_shown_by_origin_and_path() {
        for (address, expected) in [
            ("https://me:secret@dam.example.org:81/x?secret#secret", "https://dam.example.org:81/x"),
            ("file:///etc/passwd", "file:/etc/passwd"),
            ("mailto:me@example.org?secret", "mailto:me@example.org"),
        ] {
            assert_eq!(shown(&Url::parse(address).unwrap()), expected);
        }
    }

    #[test]
    fn only_waiting_errors_say_how_long_to_wait() {
        let busy = UpstreamError::Busy { at: place(), retry_after: Duration::from_secs(4) };
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(4)));
        assert_eq!(unreachable().retry_after(), None);
        assert!(busy.is_temporary() && unreachable().is_temporary());
        assert!(!UpstreamError::BodyTooLarge { at: place(), limit: 1 }.is_temporary());
    }
}
