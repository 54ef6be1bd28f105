//! A map of a few: what most things have one entry of, and what is there for every thing of a large fleet.

use std::ops::{Index, RangeInclusive};

/// In the order of its keys. A tree would have room for eleven entries as soon as there is one.
#[derive(Debug)]
pub(super) struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|place| &mut self.0[place].1)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Adds an entry, or replaces the one with the same key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(1 + self.0.len() / 2);
                }
                self.0.insert(place, (key, value));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.place(key).ok().map(|place| self.0.remove(place).1)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &(K, V)> {
        self.0.iter()
    }

    /// Entries with keys of a range.
    pub(super) fn range(&self, keys: RangeInclusive<K>) -> impl DoubleEndedIterator<Item = &(K, V)> {
        let start = self.0.partition_point(|(key, _)| key < keys.start());
        let count = self.0[start..].partition_point(|(key, _)| key <= keys.end());
        self.0[start..start + count].iter()
    }

    pub(super) fn into_keys(self) -> impl Iterator<Item = K> {
        self.0.into_iter().map(|(key, _)| key)
    }
}

impl<K: Ord, V> Index<&K> for SortedMap<K, V> {
    type Output = V;

    /// # Panics
    /// When there is no such entry.
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("an entry with this key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(calls in prop::collection::vec((0_u8..3, 0_u8..8, 0_u16..100), 0..60), from in 0_u8..9, until in 0_u8..9) {
            let (mut map, mut model) = (SortedMap::default(), BTreeMap::new());
            for (call, key, value) in calls {
                match call {
                    0 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    1 => {
                        for found in [map.get_mut(&key), model.get_mut(&key)].into_iter().flatten() {
                            *found = value;
                        }
                    }
                    _ => {
                        map.insert(key, value);
                        model.insert(key, value);
                    }
                }
                prop_assert_eq!((map.get(&key), map.contains_key(&key)), (model.get(&key), model.contains_key(&key)));
            }
            prop_assert!(map.iter().map(|(key, value)| (key, value)).eq(model.iter()));
            if from <= until {
                prop_assert!(map.range(from..=until).rev().map(|(key, value)| (key, value)).eq(model.range(from..=until).rev()));
            }
            prop_assert!(map.into_keys().eq(model.into_keys()));
        }
    }
}
