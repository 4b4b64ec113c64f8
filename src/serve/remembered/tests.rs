//! A source that answers, fails, closes and thinks, as a script says.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};

use super::renew::{PATIENCE, PAUSE, REFUSED, THINKING};
use super::*;
use crate::adapter::record::Access;
use crate::clock::FixedClock;
use crate::serve::Earlier;
use crate::serve::source::tests::source;
use crate::store::Memory;

impl Kept for String {
    fn weight(&self) -> u64 {
        self.len() as u64
    }
}

const TTL: Duration = Duration::from_secs(600);
const STALE: Duration = Duration::from_secs(3600);

/// A source that answers what it is told to, and counts how often it is asked.
struct Script {
    remembered: Remembered<String>,
    source: Arc<Source>,
    clock: Arc<FixedClock>,
    answers: Arc<Mutex<VecDeque<Result<String, ServeError>>>>,
    asked: Arc<AtomicUsize>,
    /// How long it thinks.
    slow: Arc<Mutex<Duration>>,
    /// What it says first of who may see it.
    word: Arc<Mutex<Option<Access>>>,
}

impl Script {
    fn new(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(FixedClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)));
        Self {
            remembered: Remembered::new(
                ("word", Of::Item),
                1 << 20,
                (store.clone(), Epochs::new(store, clock.clone())),
                Replicas::none(),
                clock.clone(),
            ),
            source: Arc::new(Source { record_ttl: TTL, stale: STALE, ..source("words") }),
            clock,
            answers: Arc::default(),
            asked: Arc::default(),
            slow: Arc::default(),
            word: Arc::default(),
        }
    }

    fn will(&self, answer: Result<&str, ServeError>) {
        self.answers.lock().unwrap().push_back(answer.map(str::to_owned));
    }

    async fn get(&self) -> Result<String, ServeError> {
        let (answers, asked) = (Arc::clone(&self.answers), Arc::clone(&self.asked));
        let (slow, word) = (*self.slow.lock().unwrap(), *self.word.lock().unwrap());
        let ask = |heard: Heard| async move {
            asked.fetch_add(1, Ordering::SeqCst);
            word.into_iter().for_each(|word| heard.note(word));
            if !slow.is_zero() {
                sleep(slow).await;
            }
            answers.lock().unwrap().pop_front().expect("asked more often than the test says")
        };
        self.remembered.get(&self.source, "id", ask).await.map(|value| (*value).clone())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn store() -> Arc<Memory> {
    Arc::new(Memory::new("test", 1 << 20))
}

fn away() -> ServeError {
    ServeError::Unreachable { name: "words".into(), message: "away".into(), retry_after: None }
}

fn unreadable(earlier: Earlier) -> ServeError {
    ServeError::Unreadable { name: "words".into(), message: "line 1".into(), earlier }
}

fn nothing() -> ServeError {
    ServeError::NotFound { kind: "item", id: "id".into() }
}

#[tokio::test]
async fn an_answer_is_good_for_its_time_and_then_asked_for_again() {
    let script = Script::new(store());
    script.will(Ok("one"));
    assert_eq!((script.get().await.unwrap(), script.get().await.unwrap()), ("one".into(), "one".into()));
    assert_eq!(script.asked(), 1);
    script.clock.advance(TTL);
    script.will(Ok("two"));
    assert_eq!((script.get().await.unwrap(), script.asked()), ("two".into(), 2));
}

#[tokio::test]
async fn an_older_answer_stands_in_while_the_source_is_left_alone() {
    let script = Script::new(store());
    script.will(Ok("one"));
    script.get().await.unwrap();
    script.clock.advance(TTL);
    script.will(Err(away()));
    for _ in 0..3 {
        assert_eq!(script.get().await.unwrap(), "one");
    }
    assert_eq!(script.asked(), 2, "one failure is enough for a while");
    script.clock.advance(PAUSE);
    script.will(Ok("two"));
    assert_eq!(script.get().await.unwrap(), "two");
}

#[tokio::test]
async fn nothing_stands_in_for_ever() {
    let script = Script::new(store());
    script.will(Ok("one"));
    script.get().await.unwrap();
    script.clock.advance(TTL + STALE);
    script.will(Err(away()));
    assert!(matches!(script.get().await, Err(ServeError::Unreachable { .. })));
}

#[tokio::test]
async fn what_is_gone_is_gone_at_once_and_not_asked_for_by_everybody() {
    let script = Script::new(store());
    script.will(Ok("one"));
    script.get().await.unwrap();
    script.clock.advance(TTL);
    script.will(Err(nothing()));
    for _ in 0..3 {
        assert!(matches!(script.get().await, Err(ServeError::NotFound { .. })));
    }
    assert_eq!(script.asked(), 2);
    script.clock.advance(REFUSED);
    script.will(Err(away()));
    assert!(matches!(script.get().await, Err(ServeError::Unreachable { .. })), "the old answer is forgotten");
}

#[tokio::test]
async fn an_answer_that_may_close_an_item_is_never_bridged() {
    let script = Script::new(store());
    script.will(Ok("one"));
    script.get().await.unwrap();
    script.clock.advance(TTL);
    script.will(Err(unreadable(Earlier::Void)));
    assert!(matches!(script.get().await, Err(ServeError::Unreadable { .. })));
    script.clock.advance(REFUSED);
    script.will(Err(away()));
    assert!(matches!(script.get().await, Err(ServeError::Unreachable { .. })));
}

/// Nothing is shown while the last word was nonsense; once there is none any more, what was known is worth something.
#[tokio::test]
async fn nonsense_hides_for_a_while_and_destroys_nothing() {
    let store = store();
    let script = Script::new(store.clone());
    script.will(Ok("one"));
    script.get().await.unwrap();
    script.clock.advance(TTL);
    script.will(Err(unreadable(Earlier::Kept)));
    for _ in 0..3 {
        assert!(matches!(script.get().await, Err(ServeError::Unreadable { .. })));
    }
    assert_eq!(script.asked(), 2);
    script.clock.advance(REFUSED);
    script.will(Err(away()));
    assert_eq!(script.get().await.unwrap(), "one");
    script.clock.advance(PAUSE);
    script.will(Ok("two"));
    assert_eq!(script.get().await.unwrap(), "two");
}

#[tokio::test]
async fn what_is_not_open_any_more_is_forgotten_even_when_nothing_else_is_known() {
    for word in [Access::Login, Access::Restricted, Access::Hidden] {
        let store = store();
        let script = Script::new(store.clone());
        script.will(Ok("one"));
        script.get().await.unwrap();
        script.clock.advance(TTL);
        *script.word.lock().unwrap() = Some(word);
        script.will(Err(away()));
        assert!(script.get().await.is_err(), "{word:?}");
        script.clock.advance(THINKING);
        for script in [script, Script::new(store)] {
            script.will(Err(away()));
            assert!(matches!(script.get().await, Err(ServeError::Unreachable { .. })), "{word:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_word_holds_before_the_source_has_ended() {
    for (word, secs) in [(Access::Hidden, 0), (Access::Unknown, 0), (Access::Login, 30), (Access::Open, 2)] {
        let script = Script::new(store());
        script.will(Ok("one"));
        script.get().await.unwrap();
        script.clock.advance(TTL);
        script.will(Ok("two"));
        *script.word.lock().unwrap() = Some(word);
        *script.slow.lock().unwrap() = Duration::from_secs(30);
        let start = Instant::now();
        let expected = match word {
            Access::Open => Some("one"),
            Access::Login => Some("two"),
            _ => None,
        };
        for _ in 0..3 {
            assert_eq!(script.get().await.ok().as_deref(), expected, "{word:?}");
        }
        assert_eq!((start.elapsed().as_secs(), script.asked()), (secs, 2), "{word:?}");
        sleep(Duration::from_secs(31)).await;
        assert_eq!((script.get().await.unwrap(), script.asked()), ("two".into(), 2), "{word:?}");
    }
}

/// What stands in already is taken back.
#[tokio::test(start_paused = true)]
async fn a_closing_word_holds_against_what_stands_in() {
    let script = Script::new(store());
    script.will(Ok("one"));
    script.get().await.unwrap();
    script.clock.advance(TTL);
    let heard = Heard::default();
    let (script, late) = (&script, heard.clone());
    let ask = |_: Heard| async { unreachable!("the flight is under way") };
    let flight = script.remembered.get(&script.source, "id", |heard| async move {
        sleep(Duration::from_secs(5)).await;
        heard.note(late.stricter(Access::Open).await);
        std::future::pending().await
    });
    assert_eq!(*flight.await.unwrap(), "one");
    heard.note(Access::Hidden);
    sleep(Duration::from_secs(5)).await;
    let told = script.remembered.get(&script.source, "id", ask).await;
    assert!(matches!(told, Err(ServeError::NotFound { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_is_waited_for_once_and_a_moment_only() {
    let script = Arc::new(Script::new(store()));
    script.will(Ok("one"));
    script.get().await.unwrap();
    script.clock.advance(TTL);
    script.will(Ok("two"));
    *script.slow.lock().unwrap() = Duration::from_secs(30);
    let start = Instant::now();
    assert_eq!(script.get().await.unwrap(), "one");
    assert_eq!(start.elapsed().as_secs(), PATIENCE.as_secs());
    for _ in 0..9 {
        assert_eq!(script.get().await.unwrap(), "one");
    }
    assert_eq!((start.elapsed().as_secs(), script.asked()), (PATIENCE.as_secs(), 2), "nobody else waits");
    sleep(Duration::from_secs(30)).await;
    assert_eq!((script.get().await.unwrap(), script.asked()), ("two".into(), 2), "the answer did arrive");
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_is_not_waited_for_after_a_restart_either() {
    let store = store();
    let before = Script::new(store.clone());
    before.will(Ok("one"));
    before.get().await.unwrap();
    let script = Script::new(store);
    script.clock.advance(TTL);
    script.will(Err(nothing()));
    *script.slow.lock().unwrap() = Duration::from_secs(30);
    let start = Instant::now();
    assert_eq!(script.get().await.unwrap(), "one");
    assert!(start.elapsed() < Duration::from_secs(5));
    sleep(Duration::from_secs(30)).await;
    assert!(matches!(script.get().await, Err(ServeError::NotFound { .. })), "what it says in the end holds");
}

#[tokio::test(start_paused = true)]
async fn without_an_older_answer_a_slow_source_is_waited_for() {
    let script = Script::new(store());
    script.will(Ok("one"));
    *script.slow.lock().unwrap() = Duration::from_secs(25);
    assert_eq!(script.get().await.unwrap(), "one");
}

#[tokio::test]
async fn a_restart_while_the_source_is_away_loses_nothing() {
    let store = store();
    let before = Script::new(store.clone());
    before.will(Ok("one"));
    before.get().await.unwrap();

    let after = Script::new(store.clone());
    assert_eq!((after.get().await.unwrap(), after.asked()), ("one".into(), 0), "still good");

    let later = Script::new(store);
    later.clock.advance(TTL);
    later.will(Err(away()));
    assert_eq!(later.get().await.unwrap(), "one");
}

#[tokio::test]
async fn another_system_under_the_same_name_does_not_inherit() {
    let store = store();
    let before = Script::new(store.clone());
    before.will(Ok("one"));
    before.get().await.unwrap();
    let mut after = Script::new(store);
    after.source =
        Arc::new(Source { identity: "another".into(), record_ttl: TTL, stale: STALE, ..source("words") });
    after.will(Ok("two"));
    assert_eq!(after.get().await.unwrap(), "two");
}

#[tokio::test]
async fn an_answer_from_the_future_is_not_believed() {
    let script = Script::new(store());
    script.clock.advance(TTL);
    script.will(Ok("one"));
    script.get().await.unwrap();
    let earlier = Script { clock: Arc::new(FixedClock::at(SystemTime::UNIX_EPOCH)), ..script };
    let remembered = Remembered { clock: earlier.clock.clone(), ..earlier.remembered.clone() };
    let earlier = Script { remembered, ..earlier };
    earlier.will(Ok("two"));
    assert_eq!(earlier.get().await.unwrap(), "two");
}

/// Two replicas on one store: what one is told to retract the other is told is void.
struct Replica {
    script: Script,
    replicas: Replicas,
}

fn replica(store: &Arc<Memory>) -> Replica {
    let patience = Duration::from_secs(60);
    let (mut script, replicas) = (Script::new(store.clone()), Replicas::sharing(store.clone(), patience));
    script.remembered.replicas = replicas.clone();
    Replica { script, replicas }
}

impl Replica {
    /// Hears all that the other one has to say.
    fn hear(&self, other: &Replica) {
        let mut said = other.replicas.said().unwrap();
        while let Ok(Gone { source, id, .. }) = said.try_recv() {
            self.script.remembered.drop_one(&source, &id);
        }
    }
}

/// The other replica's own question is under way, and has an earlier answer in its hands.
#[tokio::test(start_paused = true)]
async fn a_slow_flight_does_not_bring_back_what_another_replica_hears_is_closed() {
    for answer in [Ok("one"), Err(away()), Err(unreadable(Earlier::Kept))] {
        let store = store();
        let (one, other) = (replica(&store), replica(&store));
        let late = answer.is_ok();
        one.script.will(Ok("one"));
        one.script.get().await.unwrap();
        assert_eq!(other.script.get().await.unwrap(), "one");
        one.script.clock.advance(TTL);
        other.script.clock.advance(TTL);

        other.script.will(answer);
        *other.script.slow.lock().unwrap() = Duration::from_secs(30);
        let waiting = async { other.script.get().await };
        let closing = async {
            sleep(Duration::from_secs(1)).await;
            one.script.will(Err(nothing()));
            one.script.get().await.unwrap_err();
            other.hear(&one);
        };
        let (told, ()) = tokio::join!(waiting, closing);
        assert_eq!(told.is_ok(), late, "who asked before hears what the source said then");
        *other.script.slow.lock().unwrap() = Duration::ZERO;
        for replica in [&one, &other] {
            replica.script.clock.advance(REFUSED);
            replica.script.will(Err(away()));
            assert!(matches!(replica.script.get().await, Err(ServeError::Unreachable { .. })));
        }
    }
}

/// A store that was away may have lost everything, or heard of purges meanwhile.
#[tokio::test]
async fn after_a_gap_what_is_in_memory_is_looked_at_again() {
    #[derive(Debug, PartialEq)]
    enum Store {
        Kept,
        Emptied,
        Purged,
    }
    for (meanwhile, source, told, asked) in [
        (Store::Kept, Err(away()), Some("one"), 1),
        (Store::Emptied, Err(away()), Some("one"), 2),
        (Store::Emptied, Ok("two"), Some("two"), 2),
        (Store::Emptied, Err(nothing()), None, 2),
        (Store::Purged, Err(away()), None, 2),
        (Store::Purged, Ok("two"), Some("two"), 2),
    ] {
        let store = store();
        let Replica { script, .. } = replica(&store);
        script.will(Ok("one"));
        script.get().await.unwrap();
        match meanwhile {
            Store::Kept => {}
            Store::Emptied => _ = store.purge_now(&crate::store::Scope::new("words", None)),
            Store::Purged => {
                let elsewhere = Epochs::new(store.clone(), script.clock.clone());
                elsewhere.begin("words", Some("id")).await.1.unwrap();
            }
        }
        script.remembered.epochs.doubt();
        let known = script.remembered.memory.get(&("words".to_owned(), "id".to_owned()));
        let Some(State::Told(known)) = known else { panic!("{meanwhile:?}") };
        assert!(!script.remembered.is_fresh(&script.source, &known), "{meanwhile:?}");
        script.will(source);
        assert_eq!(script.get().await.ok().as_deref(), told, "{meanwhile:?}");
        assert_eq!(script.asked(), asked, "{meanwhile:?}");
    }
}

/// Its answer is worth as much as one that was given before.
#[tokio::test(start_paused = true)]
async fn a_gap_during_a_flight_loses_no_answer() {
    let Replica { script, .. } = replica(&store());
    script.will(Ok("one"));
    *script.slow.lock().unwrap() = Duration::from_secs(1);
    let gap = async {
        sleep(Duration::from_millis(500)).await;
        script.remembered.epochs.doubt();
    };
    let (told, ()) = tokio::join!(script.get(), gap);
    assert_eq!(told.unwrap(), "one");
    assert_eq!((script.get().await.unwrap(), script.asked()), ("one".into(), 1));
}

/// What stands in is in doubt as well, and the next gap is another one.
#[tokio::test]
async fn what_stands_in_after_a_gap_is_asked_for_again() {
    let store = store();
    let Replica { script, .. } = replica(&store);
    script.will(Ok("one"));
    script.get().await.unwrap();
    store.purge_now(&crate::store::Scope::new("words", None));
    for asked in [2, 3] {
        script.remembered.epochs.doubt();
        script.will(Err(away()));
        assert_eq!((script.get().await.unwrap(), script.asked()), ("one".into(), asked));
        assert_eq!((script.get().await.unwrap(), script.asked()), ("one".into(), asked));
    }
    script.clock.advance(PAUSE);
    script.will(Ok("two"));
    assert_eq!(script.get().await.unwrap(), "two");
}
