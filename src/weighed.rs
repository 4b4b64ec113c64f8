//! Caches in memory whose entries have a weight.
//!
//! They are divided into parts with a lock each, and what does not fit into a part is not kept. As many as there
//! usually are, some for each core, are too many for large entries: so whoever makes a cache says how large they get.

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Options, OptionsBuilder, Weighter};

/// More parts are of no use: a lock is held for a look-up only.
const MOST: u64 = 64;

/// A cache of so much weight that keeps any entry up to `largest`, where most weigh about `usual`.
pub fn cache<K, V, W>(weight: u64, usual: u64, largest: u64, weighter: W) -> Cache<K, V, W>
where
    K: Eq + Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    let options = options(weight, usual, largest);
    Cache::with_options(options, weighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

/// What makes a cache like that.
pub fn options(weight: u64, usual: u64, largest: u64) -> Options {
    // An entry may take 97 % of a part.
    let parts = (weight / 33 * 32 / largest.max(1)).clamp(1, MOST);
    OptionsBuilder::new()
        .shards(1 << parts.ilog2())
        .estimated_items_capacity(usize::try_from(weight / usual.max(1)).unwrap_or(usize::MAX))
        .weight_capacity(weight)
        .build()
        .expect("the capacities are given above")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone)]
    struct ByLength;

    impl Weighter<u64, u64> for ByLength {
        fn weight(&self, _: &u64, length: &u64) -> u64 {
            *length
        }
    }

    proptest! {
        #[test]
        fn the_largest_is_kept(weight in 1..1_u64 << 40, usually in 1..100_000_u64, share in 1.05..10_000.0, key: u64) {
            let largest = (weight as f64 / share) as u64;
            let cache = cache(weight, weight / usually, largest, ByLength);
            cache.insert(key, largest);
            prop_assert_eq!(cache.get(&key), Some(largest));
        }
    }
}
