//! Answers on their way: together they hold a bounded number of bytes, however slowly clients take them.

use std::sync::Arc;

use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;

use super::around::Inner;
use super::{Body, Problem};

/// All of them. Ten thousand tiles, or the largest pictures that a few dozen clients wait for.
const MOST: usize = 512 << 20;
/// What is counted; permits are no more than a number, but there is a highest one.
const UNIT: usize = 1024;

/// What answers weigh together. Clones weigh the same answers.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    free: Arc<Semaphore>,
    most: usize,
}

impl Default for Scales {
    fn default() -> Self {
        Self::up_to(MOST)
    }
}

impl Scales {
    fn up_to(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes / UNIT)), most: bytes }
    }

    /// Lets an answer go if it is not too much beside all others; one alone may always go.
    fn weigh(&self, body: Body) -> Result<Body, Problem> {
        let bytes = body.size_hint().exact().map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let units = u32::try_from(bytes.min(self.most) / UNIT).expect("there are fewer units than 2^32");
        match Arc::clone(&self.free).try_acquire_many_owned(units) {
            // Held by the closure, and so until the last of the body was handed over or nobody wants it any more.
            Ok(permit) => Ok(Body::new(body.map_err(move |error| {
                let _held = &permit;
                error
            }))),
            Err(_) => Err(Problem::busy("too many large answers are on their way to slow clients")),
        }
    }
}

/// Weighs every answer that comes from further in.
pub(super) async fn weighed(scales: Scales, req: Request<Body>, inner: Inner) -> Response<Body> {
    let (head, body) = inner.run(req).await.into_parts();
    match scales.weigh(body) {
        Ok(body) => Response::from_parts(head, body),
        Err(problem) => problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_while_there_is_room() {
        let scales = Scales::up_to(10 * UNIT);
        let answer = |units: usize| scales.weigh(Body::from(vec![0; units * UNIT]));
        let (first, second) = (answer(6).unwrap(), answer(4).unwrap());
        insta::assert_snapshot!(answer(1).unwrap_err().detail, @"too many large answers are on their way to slow clients");
        assert!(scales.weigh(Body::from("a few words")).is_ok(), "errors and words always go");
        drop(first);
        let third = answer(6).unwrap();
        drop((second, third));
        assert!(answer(11).is_ok(), "one alone may always go");
    }
}
