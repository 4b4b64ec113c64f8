//! All keys of a scope, found by going through all there are, and dropped.

use std::time::Duration;

use redis::Pipeline;
use tokio::time::Instant;

use super::PREFIX;
use super::link::{Link, Node};
use crate::store::{Dropped, Scope};

/// Keys that Redis looks at in one step: some hundred microseconds, in which nobody else is served.
const STEP: usize = 1000;
/// How long all steps may take together: some ten million keys.
const LONGEST: Duration = Duration::from_secs(50);

/// Drops all that belongs to a scope, on all nodes; each step has the time of any question.
pub(super) async fn sweep(link: &Link, scope: &Scope) -> Result<Dropped, String> {
    let (begun, mut dropped) = (Instant::now(), Dropped::default());
    for node in link.nodes().await? {
        for pattern in patterns(scope) {
            let mut cursor = "0".to_owned();
            loop {
                let (next, found) = step(link, node, &cursor, &pattern).await?;
                let ours = found.into_iter().filter(|name| holds(scope, name)).collect::<Vec<_>>();
                dropped += unlink(link, node, &ours).await?;
                cursor = next;
                if cursor == "0" {
                    break;
                }
                if begun.elapsed() > LONGEST {
                    return Err(format!(
                        "it has more keys than are looked through in {} s",
                        LONGEST.as_secs()
                    ));
                }
            }
        }
    }
    Ok(dropped)
}

async fn step(
    link: &Link,
    node: Node,
    cursor: &str,
    pattern: &str,
) -> Result<(String, Vec<Vec<u8>>), String> {
    let mut scan = redis::pipe();
    scan.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
    let (found,) = link.ask_at(node, &scan).await?;
    Ok(found)
}

/// Each key by itself: those of a cluster may not be named together.
async fn unlink(link: &Link, node: Node, names: &[Vec<u8>]) -> Result<Dropped, String> {
    if names.is_empty() {
        return Ok(Dropped::default());
    }
    let mut unlink = Pipeline::with_capacity(2 * names.len());
    for name in names {
        unlink.cmd("STRLEN").arg(name).cmd("UNLINK").arg(name);
    }
    let answers: Vec<u64> = link.ask_at(node, &unlink).await?;
    let mut dropped = Dropped::default();
    for (bytes, entries) in answers.iter().step_by(2).zip(answers.iter().skip(1).step_by(2)) {
        dropped += Dropped { entries: *entries, bytes: bytes * entries };
    }
    Ok(dropped)
}

/// A pattern lets through more than what is meant: its stars stand for slashes, too.
fn holds(scope: &Scope, name: &[u8]) -> bool {
    let key = std::str::from_utf8(name).ok().and_then(|name| name.strip_prefix(PREFIX));
    key.is_some_and(|key| scope.holds(key))
}

fn patterns(scope: &Scope) -> Vec<String> {
    let (source, items) = scope.parts();
    let source = plain(source);
    match items {
        None => vec![format!("{PREFIX}*/{source}/*")],
        Some(items) => items.iter().map(|item| format!("{PREFIX}*/{source}/*/{}/*", plain(item))).collect(),
    }
}

/// A text whose signs mean themselves.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for sign in text.chars() {
        if matches!(sign, '*' | '?' | '[' | ']' | '\\') {
            plain.push('\\');
        }
        plain.push(sign);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_an_id_mean_themselves() {
        assert_eq!(plain(r"a*[b]?\-^c"), r"a\*\[b\]\?\\-^c");
        assert_eq!(patterns(&Scope::new("maps", None)), ["loggia:*/maps/*"]);
    }
}
