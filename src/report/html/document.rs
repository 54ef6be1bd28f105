//! What every page has around its parts: it needs nothing else, and nothing from elsewhere gets into it.

use super::text::printable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");

/// A page.
pub(crate) struct Document<'a> {
    pub(crate) title: &'a str,
    /// Rules behind those that all pages have.
    pub(crate) style: &'static str,
    /// Nothing is missing where it does not run.
    pub(crate) script: Option<&'static str>,
    pub(crate) body: Markup,
}

impl Document<'_> {
    /// The page as text.
    pub(crate) fn render(&self) -> String {
        let style = format!("{STYLE}{}", self.style);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy(&style, self.script));
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style { (PreEscaped(&style)) }
                }
                body {
                    (self.body)
                    @if let Some(script) = self.script { script { (PreEscaped(script)) } }
                }
            }
        };
        printable(&page.into_string())
    }
}

/// Nothing is fetched, and no script or style runs but those of the page itself.
fn policy(style: &str, script: Option<&str>) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    let script = script.map_or_else(|| "'none'".to_owned(), hash);
    format!("default-src 'none'; style-src {}; script-src {script}; base-uri 'none'; form-action 'none'", hash(style))
}
