//! Answers on their way: together they hold a bounded number of bytes, however slowly clients take them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;

use super::around::Inner;
use super::{Body, Client, Problem};

/// All of them. Ten thousand tiles, or the largest pictures that a few dozen clients wait for.
const MOST: u64 = 512 << 20;
/// One client of so many may have its share of that to itself: nobody shuts out the others.
const CLIENTS: u64 = 8;

/// What answers weigh together. Clones weigh the same answers.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    pans: Arc<Mutex<Pans>>,
    most: u64,
}

#[derive(Debug, Default)]
struct Pans {
    all: Pan,
    of: HashMap<IpAddr, Pan>,
}

/// Bytes on their way. Answers from a cache may share theirs: what lies in memory once is counted once.
#[derive(Debug, Default)]
struct Pan {
    bytes: u64,
    answers: HashMap<Place, usize>,
}

/// Where the bytes of an answer are, and how many. Nothing else can be there while they are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    address: usize,
    length: u64,
}

impl Place {
    fn of(bytes: &Bytes) -> Self {
        Self { address: bytes.as_ptr() as usize, length: bytes.len() as u64 }
    }
}

impl Pan {
    /// Whether there is room for an answer; one alone may always go.
    fn has_room(&self, place: &Place, most: u64) -> bool {
        self.bytes == 0 || self.answers.contains_key(place) || self.bytes.saturating_add(place.length) <= most
    }

    fn put(&mut self, place: Place) {
        let answers = self.answers.entry(place).or_default();
        *answers += 1;
        if *answers == 1 {
            self.bytes += place.length;
        }
    }

    fn take(&mut self, place: &Place) {
        let Some(answers) = self.answers.get_mut(place) else { return };
        *answers -= 1;
        if *answers == 0 {
            self.answers.remove(place);
            self.bytes -= place.length;
        }
    }
}

impl Default for Scales {
    fn default() -> Self {
        Self::up_to(MOST)
    }
}

impl Scales {
    fn up_to(bytes: u64) -> Self {
        Self { pans: Arc::default(), most: bytes }
    }

    /// Lets an answer go if it is not too much beside all others, nor beside the others of its client. What is no
    /// longer than one piece goes at once, out of our hands: there is nothing to hold back.
    pub(super) fn weigh(&self, client: IpAddr, body: Body) -> Result<Body, Problem> {
        let Some(bytes) = body.whole().filter(|_| !body.is_light()).cloned() else { return Ok(body) };
        let (client, place) = (share(client), Place::of(&bytes));
        {
            let mut pans = self.pans();
            let own = pans.of.get(&client).is_none_or(|own| own.has_room(&place, self.most / CLIENTS));
            if !own {
                return Err(Problem::busy(
                    "too many large answers are on their way to you, and slowly taken",
                ));
            }
            if !pans.all.has_room(&place, self.most) {
                return Err(Problem::busy("too many large answers are on their way to slow clients"));
            }
            pans.all.put(place);
            pans.of.entry(client).or_default().put(place);
        }
        let load = Load { scales: self.clone(), client, bytes };
        // Held by the closure, and so until the last of the body was handed over or nobody wants it any more.
        Ok(Body::new(body.map_err(move |error| {
            let _held = &load;
            error
        })))
    }

    fn pans(&self) -> MutexGuard<'_, Pans> {
        self.pans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer in the pans, until it is let go.
struct Load {
    scales: Scales,
    client: IpAddr,
    bytes: Bytes,
}

impl Drop for Load {
    fn drop(&mut self) {
        let (place, mut pans) = (Place::of(&self.bytes), self.scales.pans());
        pans.all.take(&place);
        if let Some(own) = pans.of.get_mut(&self.client) {
            own.take(&place);
            if own.answers.is_empty() {
                pans.of.remove(&self.client);
            }
        }
    }
}

/// Who shares a share: an address, or the network that one customer of IPv6 is given.
fn share(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// Weighs every answer that comes from further in.
pub(super) async fn weighed(scales: Scales, req: Request<Body>, inner: Inner) -> Response<Body> {
    let client = req.extensions().get::<Client>().map_or(Client::UNKNOWN, |client| client.address);
    let (head, body) = inner.run(req).await.into_parts();
    match scales.weigh(client, body) {
        Ok(body) => Response::from_parts(head, body),
        Err(problem) => problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::activity::PIECE;

    const UNIT: usize = 2 * PIECE;

    fn answer(units: usize) -> Body {
        Body::from(vec![0; units * UNIT])
    }

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn answers_go_while_there_is_room() {
        let scales = Scales::up_to((CLIENTS as usize * UNIT) as u64);
        let held: Vec<_> = (1..=8).map(|last| scales.weigh(client(last), answer(1)).unwrap()).collect();
        insta::assert_snapshot!(scales.weigh(client(9), answer(1)).unwrap_err().detail, @"too many large answers are on their way to slow clients");
        let piece = Body::from(vec![0; PIECE]);
        assert!(scales.weigh(client(9), piece).is_ok(), "what goes at once always goes");
        drop(held);
        assert!(scales.pans().of.is_empty());
        assert!(scales.weigh(client(9), answer(9)).is_ok(), "one alone may always go");
    }

    #[test]
    fn nobody_takes_the_share_of_others() {
        let scales = Scales::up_to((CLIENTS as usize * 4 * UNIT) as u64);
        let held = [scales.weigh(client(1), answer(3)).unwrap(), scales.weigh(client(1), answer(1)).unwrap()];
        insta::assert_snapshot!(scales.weigh(client(1), answer(1)).unwrap_err().detail, @"too many large answers are on their way to you, and slowly taken");
        assert!(scales.weigh(client(2), answer(1)).is_ok());
        drop(held);
        assert!(scales.weigh(client(1), answer(4)).is_ok());
    }

    #[test]
    fn what_lies_in_memory_once_is_counted_once() {
        let scales = Scales::up_to((CLIENTS as usize * UNIT) as u64);
        let cached = Bytes::from(vec![0; UNIT]);
        let mut held: Vec<_> =
            (0..300).map(|n| scales.weigh(client(n as u8 % 3), cached.clone().into()).unwrap()).collect();
        let weights = || {
            let pans = scales.pans();
            (pans.all.bytes, pans.of.len())
        };
        assert_eq!(weights(), (UNIT as u64, 3));
        held.truncate(1);
        assert_eq!(weights(), (UNIT as u64, 1));
        held.clear();
        assert_eq!(weights(), (0, 0));
    }

    #[test]
    fn a_network_of_ipv6_has_one_share() {
        let share = |text: &str| share(text.parse().unwrap());
        assert_eq!(share("2001:db8:1:2:3:4:5:6"), share("2001:db8:1:2::1"));
        assert_ne!(share("2001:db8:1:2::1"), share("2001:db8:1:3::1"));
    }
}
