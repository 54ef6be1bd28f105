//! What the query of a call says: flags, and the paging that all lists share.

use super::{Query, Refused, invalid};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Items of a page when the call does not say (inferred).
pub(super) const PAGE_DEFAULT: usize = 25;
/// Starts what a token encodes, so that text that is no token is told from one.
const TOKEN_TAG: &str = "after:";

impl Query {
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// The page that `maxResults` (1 to `max`) and `nextToken` ask for.
    ///
    /// # Errors
    /// `InvalidRequest` for a number that is out of range, or a token that no answer has given.
    pub(super) fn page(&self, max: usize) -> Result<Page, Refused> {
        self.page_of("maxResults", "nextToken", max)
    }

    /// As [`Self::page`], where an operation calls its parameters otherwise.
    pub(super) fn page_of(&self, size: &str, token: &str, max: usize) -> Result<Page, Refused> {
        let wrong_size = |text: &str| invalid(format!("{size} must be 1 to {max}, not {text:?}"));
        let size = match self.get(size) {
            Some(text) => text.parse().ok().filter(|n| (1..=max).contains(n)).ok_or_else(|| wrong_size(text))?,
            None => PAGE_DEFAULT.min(max),
        };
        Ok(Page { size, ..self.page_after(token)? })
    }

    /// As [`Self::page`], where a call cannot say how many it wants.
    pub(super) fn page_after(&self, token: &str) -> Result<Page, Refused> {
        let after = match self.get(token) {
            Some(text) => Some(decode_token(text).ok_or_else(|| invalid(format!("{token} is no token of this endpoint")))?),
            None => None,
        };
        Ok(Page { size: PAGE_DEFAULT, after })
    }
}

fn decode_token(text: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    text.strip_prefix(TOKEN_TAG).map(str::to_owned)
}

/// A part of a list whose items are in the order of their keys. A token names the last key that was told, so that items which come
/// and go between two pages neither repeat others nor hide them.
pub(super) struct Page {
    size: usize,
    after: Option<String>,
}

impl Page {
    /// The items of this page, and the token for the next one if there is more. Keys ascend.
    pub(super) fn cut<T>(&self, items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        self.cut_ordered(items, true, key)
    }

    /// As [`Self::cut`], where keys may descend.
    pub(super) fn cut_ordered<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        is_ascending: bool,
        key: impl Fn(&T) -> &str,
    ) -> (Vec<T>, Option<String>) {
        let is_due = |item: &T| match &self.after {
            None => true,
            Some(after) if is_ascending => key(item) > after.as_str(),
            Some(after) => key(item) < after.as_str(),
        };
        let mut rest = items.into_iter().filter(is_due);
        let page: Vec<T> = rest.by_ref().take(self.size).collect();
        let is_last = rest.next().is_none();
        let token = page.last().filter(|_| !is_last).map(|last| STANDARD.encode(format!("{TOKEN_TAG}{}", key(last))));
        (page, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_even_when_items_come_and_go() {
        let mut items = vec!["a", "b", "c", "d", "e"];
        let page = |query: &str| Query::parse(query).page(250).unwrap_or_else(|_| panic!("{query}"));
        let (first, token) = page("maxResults=2").cut(items.clone(), |item| item);
        assert_eq!(first, ["a", "b"]);
        items.retain(|item| *item != "b");
        let (second, token) = page(&format!("maxResults=3&nextToken={}", token.unwrap())).cut(items.clone(), |item| item);
        assert_eq!((second, token), (vec!["c", "d", "e"], None));
        for wrong in ["maxResults=0", "maxResults=251", "maxResults=x", "nextToken=abc", "nextToken=YWJj", "nextToken="] {
            assert!(Query::parse(wrong).page(250).is_err(), "{wrong}");
        }
    }
}
