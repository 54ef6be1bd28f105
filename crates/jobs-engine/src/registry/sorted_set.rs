//! A set of a few: what most certificates have one of, and what is there for every one of a large fleet.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

/// In the order of its members, without room for more than there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortedSet<T>(Box<[T]>);

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T: Ord> SortedSet<T> {
    /// Adding again is fine.
    pub(super) fn insert(&mut self, member: T) {
        if let Err(place) = self.0.binary_search(&member) {
            let mut members = std::mem::take(&mut self.0).into_vec();
            members.reserve_exact(1);
            members.insert(place, member);
            self.0 = members.into();
        }
    }

    /// Removing what is not there is fine.
    pub(super) fn remove(&mut self, member: &T) {
        if let Ok(place) = self.0.binary_search(member) {
            let mut members = std::mem::take(&mut self.0).into_vec();
            members.remove(place);
            self.0 = members.into();
        }
    }

    /// The member that equals this one.
    pub fn get<Q: Ord + ?Sized>(&self, member: &Q) -> Option<&T>
    where
        T: Borrow<Q>,
    {
        self.0.binary_search_by(|known| known.borrow().cmp(member)).ok().map(|place| &self.0[place])
    }

    /// Whether it is in there.
    pub fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.get(member).is_some()
    }
}

impl<T> SortedSet<T> {
    /// In their order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, T> IntoIterator for &'a SortedSet<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_in_order_and_there_once() {
        let mut set = SortedSet::default();
        for member in [3, 1, 2, 3, 1] {
            set.insert(member);
        }
        assert!(set.iter().eq(&[1, 2, 3]) && set.len() == 3 && set.contains(&2) && !set.contains(&4));
        set.remove(&2);
        set.remove(&2);
        assert!(set.iter().eq(&[1, 3]) && !set.is_empty());
    }
}
