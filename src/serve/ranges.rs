//! Parts of a file that lies with its source: how they are asked for, what they tell, which of them are fetched together.

use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt;

use super::ServeError;
use super::source::Source;
use crate::adapter::record::MediaId;
use crate::adapter::{AdapterError, Content, Media};
use crate::imaging::{Header, ImagingError, Parts, Sniff};

/// One request of a header, in bytes: enough for nearly all, little for the source.
const PIECE: u64 = 64 << 10;
/// How far an answer that ignores ranges is read for a header, in bytes.
const FORWARD: u64 = 1 << 20;
/// Bytes between two parts that are fetched with them: another request would cost more.
const GAP: u64 = 64 << 10;

/// What would be different if another file lay there, as its source tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Bytes of the whole file.
    pub(super) total: u64,
    version: String,
}

impl State {
    fn of(media: &Media) -> Option<Self> {
        Some(Self { total: media.total?, version: media.version.clone()? })
    }
}

/// What came of asking for a part of a file.
#[derive(Debug)]
pub(super) enum Part {
    /// The file lies on this machine.
    Local(std::fs::File),
    /// Bytes from the start of the range on; fewer than it has mean that the file ends there.
    Remote { range: Range<u64>, bytes: Bytes, state: Option<State> },
    /// The answer begins elsewhere, and the wanted part lies too deep in it.
    TooFar,
}

/// Asks for a part of a file. An answer that begins before it is read on, as long as that is no more than so many bytes.
pub(super) async fn ask(
    source: &Source,
    media: &MediaId,
    asked: Range<u64>,
    most: u64,
) -> Result<Part, AdapterError> {
    let media = source.adapter.media(&media.file(), Some(asked.clone())).await?;
    let state = State::of(&media);
    let Media { start, content, .. } = media;
    let mut stream = match content {
        Content::Local(file) => return Ok(Part::Local(file)),
        Content::Stream(stream) => stream,
    };
    if start > asked.start || asked.end - start > most {
        return Ok(Part::TooFar);
    }
    let range = start..asked.end;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < range.end - range.start
        && let Some(chunk) = stream.next().await
    {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(Part::Remote { range, bytes: bytes.into(), state })
}

/// The fewest requests for these parts: those that overlap or have little between them are one.
pub(super) fn joined(parts: impl IntoIterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut parts: Vec<_> = parts.into_iter().filter(|part| part.start < part.end).collect();
    parts.sort_unstable_by_key(|part| part.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if part.start <= last.end.saturating_add(GAP) => last.end = last.end.max(part.end),
            _ => joined.push(part),
        }
    }
    joined
}

/// What was read of a file to learn what it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) parts: Parts,
    pub(super) seen: Seen,
}

/// What the answers so far said of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Seen {
    #[default]
    Nothing,
    Same(State),
    /// Too little to tell it from another one, or the answers were no parts.
    Untold,
    Changed,
}

/// What came of reading a header.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is looked into at once")]
pub(super) enum Told {
    Header(Header),
    Local(std::fs::File),
    /// It lies too deep in the file, or takes too many requests.
    TooMuch,
}

impl Head {
    /// Reads on, in no more than so many small requests, until the header is told.
    pub(super) async fn tell(
        &mut self,
        source: &Source,
        media: &MediaId,
        mut requests: usize,
        sniff: fn(&Parts) -> Result<Sniff, ImagingError>,
    ) -> Result<Told, ServeError> {
        loop {
            let broken = |error| ServeError::from_imaging(&source.name, media.as_str(), error);
            let wanted = match sniff(&self.parts).map_err(broken)? {
                Sniff::Known(header) => return Ok(Told::Header(header)),
                Sniff::NeedAll => return Ok(Told::TooMuch),
                Sniff::Need(_) if requests == 0 => return Ok(Told::TooMuch),
                Sniff::Need(range) => range,
            };
            requests -= 1;
            if matches!(&self.seen, Seen::Same(state) if state.total <= wanted.start) {
                self.parts.add(wanted, Bytes::new());
                continue;
            }
            let wanted = wanted.start..wanted.end.max(wanted.start.saturating_add(PIECE));
            let failed = |error| ServeError::from_adapter(&source.name, "image", error);
            match ask(source, media, wanted.clone(), FORWARD).await.map_err(failed)? {
                Part::Local(file) => return Ok(Told::Local(file)),
                Part::TooFar => return Ok(Told::TooMuch),
                Part::Remote { range, bytes, state } => {
                    self.see(state.filter(|_| range.start == wanted.start));
                    self.parts.add(range, bytes);
                }
            }
        }
    }

    fn see(&mut self, state: Option<State>) {
        self.seen = match (std::mem::take(&mut self.seen), state) {
            (Seen::Nothing, Some(state)) => Seen::Same(state),
            (Seen::Same(known), Some(state)) if known == state => Seen::Same(known),
            (Seen::Same(_) | Seen::Changed, Some(_)) => Seen::Changed,
            _ => Seen::Untold,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_are_one_request() {
        const END: u64 = u64::MAX;
        type Spans = &'static [(u64, u64)];
        let cases: [(&str, Spans, Spans); 8] = [
            ("none", &[], &[]),
            ("empty ones", &[(5, 5)], &[]),
            ("side by side", &[(10, 20), (20, 30)], &[(10, 30)]),
            ("in any order", &[(20, 30), (10, 20)], &[(10, 30)]),
            ("one within another", &[(0, 100), (10, 20)], &[(0, 100)]),
            ("a small gap", &[(0, 10), (10 + GAP, 20 + GAP)], &[(0, 20 + GAP)]),
            ("a large gap", &[(0, 10), (11 + GAP, 20 + GAP)], &[(0, 10), (11 + GAP, 20 + GAP)]),
            ("at the end of all", &[(END - 9, END), (0, 1)], &[(0, 1), (END - 9, END)]),
        ];
        for (name, parts, expected) in cases {
            let joined = joined(parts.iter().map(|(start, end)| *start..*end));
            let joined: Vec<_> = joined.into_iter().map(|span| (span.start, span.end)).collect();
            assert_eq!(joined, expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_joined_covers_the_parts_and_little_else(
            parts in prop::collection::vec((0u64..20 * GAP, 0u64..GAP), 0..40)
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(start, length)| start..start + length).collect();
            let joined = joined(parts.clone());
            let full: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            prop_assert!(joined.len() <= full.len());
            prop_assert!(joined.windows(2).all(|pair| pair[0].end + GAP < pair[1].start));
            for part in &full {
                let holders = joined.iter().filter(|span| span.start <= part.start && part.end <= span.end);
                prop_assert_eq!(holders.count(), 1);
            }
            for span in &joined {
                prop_assert!(full.iter().any(|part| part.start == span.start));
                prop_assert!(full.iter().any(|part| part.end == span.end));
                let mut within: Vec<_> = full.iter().filter(|part| span.contains(&part.start)).cloned().collect();
                within.sort_unstable_by_key(|part| part.start);
                let mut reached = span.start;
                for part in within {
                    prop_assert!(part.start <= reached + GAP);
                    reached = reached.max(part.end);
                }
            }
        }
    }

    #[test]
    fn answers_that_say_less_or_something_else_are_noticed() {
        let state = |total, version: &str| Some(State { total, version: version.to_owned() });
        let seen = |states: Vec<Option<State>>| {
            let mut head = Head::default();
            states.into_iter().for_each(|state| head.see(state));
            head.seen
        };
        assert_eq!(seen(vec![]), Seen::Nothing);
        assert_eq!(seen(vec![state(1, "a"), state(1, "a")]), Seen::Same(state(1, "a").unwrap()));
        assert_eq!(seen(vec![state(1, "a"), state(2, "a")]), Seen::Changed);
        assert_eq!(seen(vec![state(1, "a"), state(1, "b"), state(1, "a")]), Seen::Changed);
        assert_eq!(seen(vec![state(1, "a"), None, state(1, "a")]), Seen::Untold);
        assert_eq!(seen(vec![None, state(1, "a")]), Seen::Untold);
    }
}
