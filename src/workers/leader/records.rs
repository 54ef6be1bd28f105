//! Records that come in parts.

use crate::workers::message::Part;
use std::collections::BTreeMap;

/// Of all parts that wait for others.
const WAITING_BYTES_MAX: usize = 512 << 20;

/// Parts of records that are not whole yet, by slice and second.
#[derive(Debug, Default)]
pub(super) struct Records {
    parts: BTreeMap<(u32, u64), BTreeMap<u32, Vec<u8>>>,
    bytes: usize,
}

impl Records {
    /// The record, once all of its parts are there.
    ///
    /// # Errors
    /// When too much waits for what is missing.
    pub(super) fn take(&mut self, slice: u32, second: u64, part: Part, body: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if part.of == 1 {
            return Ok(Some(body.to_vec()));
        }
        if self.bytes + body.len() > WAITING_BYTES_MAX {
            self.forget(slice);
            return Err(format!(
                "its second {second} comes in parts, and {} MiB of such parts wait already",
                WAITING_BYTES_MAX >> 20
            ));
        }
        let parts = self.parts.entry((slice, second)).or_default();
        let before = parts.insert(part.part, body.to_vec());
        self.bytes = self.bytes + body.len() - before.map_or(0, |before| before.len());
        if parts.len() < part.of as usize {
            return Ok(None);
        }
        let record: Vec<u8> = self.parts.remove(&(slice, second)).into_iter().flat_map(BTreeMap::into_values).flatten().collect();
        self.bytes -= record.len();
        Ok(Some(record))
    }

    /// Nothing more comes of this slice.
    pub(super) fn forget(&mut self, slice: u32) {
        for (_, parts) in self.parts.extract_if((slice, 0)..=(slice, u64::MAX), |_, _| true) {
            self.bytes -= parts.values().map(Vec::len).sum::<usize>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_when_all_of_its_parts_are_there_however_they_come() {
        let mut records = Records::default();
        let part = |part, of| Part { part, of };
        let mut take = |slice, second, part, body: &[u8]| records.take(slice, second, part, body).unwrap();
        assert_eq!(take(0, 7, part(0, 1), b"ab"), Some(b"ab".to_vec()));
        assert_eq!(take(0, 8, part(1, 2), b"d"), None);
        assert_eq!(take(0, 8, part(1, 2), b"d"), None, "the same once more");
        assert_eq!(take(1, 8, part(0, 2), b"x"), None, "of another slice");
        assert_eq!(take(0, 9, part(0, 2), b"e"), None);
        assert_eq!(take(0, 9, part(1, 2), b"f"), Some(b"ef".to_vec()), "a later one");
        assert_eq!(take(0, 8, part(0, 2), b"c"), Some(b"cd".to_vec()));
        assert_eq!(records.bytes, 1, "what waits for the rest");
        records.forget(1);
        assert!(records.bytes == 0 && records.parts.is_empty());
    }

    #[test]
    fn parts_that_nobody_completes_do_not_fill_the_memory() {
        let mut records = Records { bytes: WAITING_BYTES_MAX - 1, ..Records::default() };
        let told = records.take(0, 8, Part { part: 0, of: 2 }, b"ab").unwrap_err();
        assert!(told.contains("512 MiB of such parts"), "{told}");
    }
}
