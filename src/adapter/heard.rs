//! Who may see an item, as heard from its answers so far.

use std::sync::Arc;

use tokio::sync::watch;

use super::record::Access;

/// The strictest word so far. It stands beside the record that is being asked for: it counts as soon as it was
/// said, however long the rest takes and whatever becomes of it. Clones hear the same.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<watch::Sender<Option<Access>>>);

impl Heard {
    /// The strictest word; `None`: no answer has said anything.
    pub fn access(&self) -> Option<Access> {
        *self.0.borrow()
    }

    /// Takes down what one answer says.
    pub fn note(&self, access: Access) {
        self.0.send_if_modified(|heard| {
            let is_stricter = Some(access) > *heard;
            if is_stricter {
                *heard = Some(access);
            }
            is_stricter
        });
    }

    /// Waits for a word that is stricter than `known`.
    pub async fn stricter(&self, known: Access) -> Access {
        let mut news = self.0.subscribe();
        let is_stricter = |heard: &Option<Access>| heard.is_some_and(|heard| heard > known);
        let heard = news.wait_for(is_stricter).await.expect("the sender lives as long as `self`");
        heard.unwrap_or(known)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_strictest_word_holds_in_any_order() {
        for words in [[Access::Open, Access::Hidden], [Access::Hidden, Access::Open]] {
            let heard = Heard::default();
            assert_eq!(heard.access(), None);
            words.iter().for_each(|word| heard.note(*word));
            assert_eq!(heard.access(), Some(Access::Hidden));
        }
    }

    #[test]
    fn who_waits_is_told_of_stricter_words_only() {
        let heard = Heard::default();
        let mut waiting = Box::pin(heard.stricter(Access::Login));
        for word in [Access::Open, Access::Login] {
            heard.note(word);
            assert_eq!(waiting.as_mut().now_or_never(), None, "{word:?}");
        }
        heard.note(Access::Hidden);
        assert_eq!(waiting.now_or_never(), Some(Access::Hidden));
        assert_eq!(heard.stricter(Access::Open).now_or_never(), Some(Access::Hidden), "said before");
    }
}
