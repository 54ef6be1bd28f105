//! A page as a browser's parser reads it, with everything that is wrong with it.

use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use std::collections::BTreeSet;

pub(crate) struct Page {
    pub(crate) text: String,
    elements: Vec<Element>,
}

#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// All of it, of everything within.
    pub(crate) text: String,
    /// Ids of the elements around it.
    around: Vec<String>,
}

impl Element {
    pub(crate) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has_class(&self, class: &str) -> bool {
        self.get("class").is_some_and(|classes| classes.split_whitespace().any(|known| known == class))
    }

    pub(crate) fn is_within(&self, id: &str) -> bool {
        self.around.iter().any(|known| known == id)
    }
}

impl Page {
    /// # Panics
    /// When a parser of HTML has anything to say against it.
    pub(crate) fn parse(text: &str) -> Self {
        let dom = parse_document(RcDom::default(), ParseOpts::default()).one(text);
        let errors = dom.errors.borrow();
        assert!(errors.is_empty(), "{errors:?}");
        let mut elements = Vec::new();
        collect(&dom.document, &mut Vec::new(), &mut elements);
        Self { text: text.to_owned(), elements }
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements.iter().filter(move |element| element.name == name)
    }

    pub(crate) fn elements(&self) -> &[Element] {
        &self.elements
    }

    #[track_caller]
    pub(crate) fn by_id(&self, id: &str) -> &Element {
        self.elements.iter().find(|element| element.get("id") == Some(id)).unwrap_or_else(|| panic!("nothing is called {id}"))
    }

    /// # Panics
    /// When the page is not whole: names twice or nowhere, a chart without title, sentence, units or table, anything from elsewhere.
    #[track_caller]
    pub(crate) fn check(&self) {
        let ids: Vec<&str> = self.elements.iter().filter_map(|element| element.get("id")).collect();
        let known: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), known.len(), "an id stands twice: {ids:?}");
        for element in &self.elements {
            for id in element.get("aria-labelledby").iter().flat_map(|ids| ids.split_whitespace()) {
                assert!(known.contains(id) && !self.by_id(id).text.trim().is_empty(), "{id} says nothing");
            }
            for (name, value) in &element.attributes {
                let is_fetched = ["src", "srcset", "data", "action", "poster", "background", "xlink:href"].contains(&name.as_str());
                assert!(!is_fetched && !name.starts_with("on"), "{name} of {element:?}");
                if name == "href" {
                    assert!(value.strip_prefix('#').is_some_and(|id| known.contains(id)), "{value} leads nowhere");
                }
            }
            assert!(
                !["link", "img", "iframe", "object", "embed", "base", "form", "use"].contains(&element.name.as_str()),
                "{element:?}"
            );
        }
        let styles: String = self.all("style").map(|style| style.text.as_str()).collect();
        assert!(!styles.contains("url(") && !styles.contains("@import"));
        let scripts: Vec<&Element> = self.all("script").collect();
        assert_eq!(scripts.len(), 1);
        assert!(scripts[0].text.len() <= 6 * 1024, "{} bytes of script", scripts[0].text.len());
        assert!(self.text.len() < 1_000_000, "{} bytes", self.text.len());
        for figure in self.all("figure") {
            self.check_figure(figure.get("id").unwrap());
        }
        for part in ["findings", "thresholds", "capacity", "latency", "percentiles", "service", "rollouts", "traffic", "connecting"]
        {
            assert!(!self.by_id(part).text.is_empty(), "{part}");
        }
        for part in ["events", "errors", "breakdown", "setup"] {
            assert!(!self.by_id(part).text.is_empty(), "{part}");
        }
    }

    #[track_caller]
    fn check_figure(&self, id: &str) {
        let within = |name| self.all(name).filter(|element| element.is_within(id)).collect::<Vec<_>>();
        assert!(within("h3").len() == 1 && self.by_id(&format!("{id}-says")).text.ends_with('.'), "{id}");
        assert!(within("svg").iter().any(|svg| svg.get("role") == Some("img") && svg.get("aria-labelledby").is_some()), "{id}");
        let units: Vec<&str> = within("text").iter().filter(|text| text.has_class("unit")).map(|text| text.text.as_str()).collect();
        assert!(units.len() == 2 && units.iter().all(|unit| !unit.is_empty()), "{id}: {units:?}");
        assert!(within("details").len() == 1 && within("tr").len() >= 2, "{id} has no figures");
        for path in within("path") {
            assert!(!path.get("d").unwrap().contains("NaN") && !path.get("data-name").unwrap().is_empty(), "{path:?}");
        }
    }

    /// Cells of the table of a chart, row by row, its head first.
    pub(crate) fn table(&self, id: &str) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for element in self.elements.iter().filter(|element| element.is_within(id)) {
            match element.name.as_str() {
                "tr" => rows.push(Vec::new()),
                "td" | "th" => rows.last_mut().unwrap().push(element.text.clone()),
                _ => {}
            }
        }
        rows
    }
}

fn collect(node: &Handle, around: &mut Vec<String>, elements: &mut Vec<Element>) {
    let NodeData::Element { name, attrs, .. } = &node.data else {
        node.children.borrow().iter().for_each(|child| collect(child, around, elements));
        return;
    };
    let attributes: Vec<(String, String)> =
        attrs.borrow().iter().map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string())).collect();
    let id = attributes.iter().find(|(name, _)| name == "id").map(|(_, id)| id.clone());
    elements.push(Element { name: name.local.to_string(), attributes, text: text_of(node), around: around.clone() });
    around.extend(id.clone());
    node.children.borrow().iter().for_each(|child| collect(child, around, elements));
    if id.is_some() {
        around.pop();
    }
}

fn text_of(node: &Handle) -> String {
    match &node.data {
        NodeData::Text { contents } => contents.borrow().to_string(),
        _ => node.children.borrow().iter().map(text_of).collect(),
    }
}
