//! Which items are to be warmed: those that are named, those of a list, or all that the source tells of.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::access::{Action, Verdict, decide};
use crate::adapter::record::Listed;
use crate::cli::Failure;
use crate::serve::warming::Warming;

/// Lines of a list that are read ahead.
const AHEAD: usize = 64;
/// Bytes of a line; no source has longer ids.
const LONGEST: u64 = 64 << 10;

/// An item, as far as is known before it is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) id: String,
    /// As the listing tells it.
    pub(super) version: Option<String>,
    /// Whether the listing says that nobody sees its pixels.
    pub(super) is_closed: bool,
}

/// Items as they are found.
pub(super) type Items = BoxStream<'static, Result<Wanted, Failure>>;

impl From<String> for Wanted {
    fn from(id: String) -> Self {
        Self { id, version: None, is_closed: false }
    }
}

impl From<Listed> for Wanted {
    fn from(listed: Listed) -> Self {
        let closed = |access| decide(access, Action::View) != Verdict::Allowed;
        let is_closed = listed.access.is_some_and(closed);
        Self { id: listed.id.to_string(), version: listed.version, is_closed }
    }
}

/// Those that are named.
pub(super) fn named(ids: &[String]) -> Items {
    stream::iter(ids.to_owned()).map(|id| Ok(id.into())).boxed()
}

/// All of the source.
pub(super) fn all(warming: &Warming) -> Items {
    warming
        .listed()
        .map(|listed| {
            listed.map(Wanted::from).map_err(|error| Failure::Source(format!("the listing: {error}")))
        })
        .boxed()
}

/// One a line of a file, or of standard input where that is called `-`.
pub(super) fn of_list(path: &Path) -> Result<Items, Failure> {
    let name = path.to_owned();
    if path == Path::new("-") {
        return Ok(lines(io::stdin(), name).boxed());
    }
    match File::open(path) {
        Ok(file) => Ok(lines(file, name).boxed()),
        Err(error) => Err(Failure::Usage(format!("cannot read the list `{}`: {error}", path.display()))),
    }
}

/// Lines that are neither empty nor remarks. Who reads may wait for a person who types, so that is done by a thread that
/// nobody waits for.
fn lines(list: impl Read + Send + 'static, name: PathBuf) -> impl Stream<Item = Result<Wanted, Failure>> {
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    thread::spawn(move || {
        let mut list = BufReader::new(list);
        for number in 1_u64.. {
            let line = match line(&mut list) {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    let error = format!("cannot read the list `{}`, line {number}: {error}", name.display());
                    _ = sender.blocking_send(Err(Failure::Usage(error)));
                    break;
                }
            };
            if !line.is_empty() && !line.starts_with('#') && sender.blocking_send(Ok(line.into())).is_err() {
                break;
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

fn line(list: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    list.take(LONGEST).read_until(b'\n', &mut line)?;
    if line.len() as u64 == LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    let ended = (!line.is_empty()).then(|| String::from_utf8(line));
    let line = ended.transpose().map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(line.map(|line| line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: impl Into<Vec<u8>>) -> Vec<Result<String, String>> {
        let list = lines(io::Cursor::new(text.into()), "new".into());
        list.map(|item| item.map(|item| item.id).map_err(|error| error.to_string())).collect().await
    }

    #[tokio::test]
    async fn a_list_has_one_id_a_line() {
        let found = read("a.tif\n\n# more\r\n  b c.tif  \r\n#d\nlast").await;
        assert_eq!(found, ["a.tif", "b c.tif", "last"].map(|id| Ok(id.to_owned())));
        assert!(read("").await.is_empty());
    }

    #[tokio::test]
    async fn what_is_no_list_is_told_with_its_line() {
        let found = read(b"a\n\xff\xfe\nb\n").await;
        assert_eq!(found[1..], [Err("cannot read the list `new`, line 2: it is not UTF-8".to_owned())]);
        let found = read(vec![b'a'; 1 << 20]).await;
        assert_eq!(
            found,
            [Err("cannot read the list `new`, line 1: it is longer than 65536 bytes".to_owned())]
        );
    }
}
