//! One chart as a `<figure>`: title, one sentence that says what it shows, static SVG, and a table of its figures.
//!
//! The lines lie in an inner SVG that stretches with the page; axes, labels and marks are placed in percent around it, so text has its
//! own size at every width. Colours come from the style sheet.

use super::scale::{Kind, Scale};
use super::text::table;
use super::timeline::Line;
use maud::{Markup, html};

/// Lines of one chart, at most: as many as the style sheet tells apart.
pub(super) const SERIES_MAX: usize = 8;
/// Steps of the coordinates of a line, on both axes.
const GRID: f64 = 10_000.0;
/// A point without neighbours is drawn as a short line.
const LONE_POINT: &str = "h50";
/// Labels that are nearer to each other, as shares of the axis, would overlap.
const LIMIT_GAP: f64 = 0.09;
const EVENT_GAP: f64 = 0.04;
/// What the name of a phase takes of the axis, on a narrow page.
const PHASE_ROOM: f64 = 0.2;

/// A chart with everything that belongs to it.
pub(super) struct Chart {
    /// Unique on the page, in letters that need no escape.
    pub(super) id: String,
    pub(super) title: String,
    /// What it shows, in one sentence.
    pub(super) says: String,
    pub(super) x: Axis,
    pub(super) y: Scale,
    pub(super) series: Vec<Series>,
    pub(super) limits: Vec<Limit>,
    pub(super) moments: Moments,
    /// Points to be seen, with the place of their series.
    pub(super) dots: Vec<(usize, f64, f64)>,
}

/// The axis from left to right, and where on it lines and table have their values.
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) fine: Vec<f64>,
    pub(super) coarse: Vec<f64>,
    /// The head of the table's first column.
    pub(super) head: &'static str,
}

pub(super) struct Series {
    pub(super) name: String,
    pub(super) line: Line,
}

/// A threshold as a line.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) at: f64,
    /// Seconds that it is about.
    pub(super) from: f64,
    pub(super) to: f64,
    /// All of it, for the legend.
    pub(super) name: String,
    /// Its check alone, for the line.
    pub(super) check: String,
}

/// What happened when: on every chart over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    /// Name and first second.
    pub(super) phases: Vec<(String, f64)>,
    /// Beginning and end of each event, in seconds.
    pub(super) events: Vec<(f64, f64)>,
}

/// What stands on the page, and under which name.
pub(super) struct Figure {
    pub(super) id: String,
    pub(super) markup: Markup,
}

impl Chart {
    pub(super) fn figure(self) -> Figure {
        Figure { markup: self.markup(), id: self.id }
    }

    fn markup(&self) -> Markup {
        let Self { id, title, says, x, y, series, .. } = self;
        let is_smooth = x.scale.kind == Kind::Percentile;
        html! {
            figure id=(id) {
                figcaption {
                    h3 id={ (id) "-title" } { (title) }
                    p id={ (id) "-says" } { (says) }
                }
                (self.legend())
                div.plot data-x=(x.scale.kind.key()) data-x0=(x.scale.low) data-x1=(x.scale.high) data-y=(y.kind.key()) data-y0=(y.low) data-y1=(y.high) data-unit=(y.unit) {
                    svg.chart.smooth[is_smooth] role="img" aria-labelledby={ (id) "-title " (id) "-says" } {
                        (self.events())
                        (self.grid())
                        (self.phases())
                        svg.lines viewBox={ "0 0 " (GRID) " " (GRID) } preserveAspectRatio="none" width="100%" height="100%" {
                            @for (n, series) in series.iter().enumerate() {
                                path.{ "s" (n) } data-name=(series.name) d=(self.path(&series.line)) {}
                            }
                        }
                        @for (n, at, value) in &self.dots {
                            circle.{ "s" (n) } r="4" cx=(percent(x.scale.place(*at))) cy=(percent(1.0 - y.place(*value))) {}
                        }
                        (self.limits())
                    }
                }
                details { summary { "Figures" } (self.table()) }
            }
        }
    }

    fn legend(&self) -> Markup {
        let key = |class: &str| html! { svg.key aria-hidden="true" { line class=(class) x1="0" x2="100%" y1="50%" y2="50%" {} } };
        html! {
            ul.legend {
                @for (n, series) in self.series.iter().enumerate() { li { (key(&format!("s{n}"))) (series.name) } }
                @for limit in &self.limits { li { (key("limit")) (limit.name) } }
                @if !self.moments.events.is_empty() { li { span.event-key {} "event" } }
            }
        }
    }

    fn grid(&self) -> Markup {
        let (x, y) = (&self.x.scale, &self.y);
        html! {
            @for tick in &y.ticks {
                @let at = percent(1.0 - y.place(tick.at));
                line.grid x1="0" x2="100%" y1=(at) y2=(at) {}
                text.tick.y x="0" dx="-6" y=(at) dy=".32em" { (tick.label) }
            }
            @for tick in &x.ticks {
                @let at = percent(x.place(tick.at));
                line.grid x1=(at) x2=(at) y1="0" y2="100%" {}
                text.tick.x.crowded[tick.is_crowded] x=(at) y="100%" dy="18" { (tick.label) }
            }
            text.unit x="0" dx="-46" y="0" dy="-24" { (y.title()) }
            text.unit.x x="100%" y="100%" dy="36" { (x.title()) }
        }
    }

    /// A name stands where its phase has room for it.
    fn phases(&self) -> Markup {
        let place = |from: f64| self.x.scale.place(from);
        let phases = &self.moments.phases;
        let ends = phases.iter().skip(1).map(|(_, from)| place(*from)).chain([1.0]);
        html! {
            @for ((name, from), end) in phases.iter().zip(ends) {
                @let from = place(*from);
                line.phase x1=(percent(from)) x2=(percent(from)) y1="-14" y2="100%" {}
                @if end - from >= PHASE_ROOM { text.phase x=(percent(from)) dx="4" y="0" dy="-6" { (name) } }
            }
        }
    }

    fn events(&self) -> Markup {
        let events: Vec<(f64, f64)> =
            self.moments.events.iter().map(|(from, to)| (self.x.scale.place(*from), self.x.scale.place(*to))).collect();
        html! {
            @for (from, to) in &events {
                rect.event x=(percent(*from)) width=(percent((to - from).max(0.003))) y="0" height="100%" {}
            }
            @for (place, numbers) in numbered(&events) {
                text.event x=(percent(place)) dx="3" y="0" dy="12" { (numbers) }
            }
        }
    }

    fn limits(&self) -> Markup {
        let mut labelled: Vec<f64> = Vec::new();
        let marks: Vec<(&Limit, f64, bool)> = self
            .limits
            .iter()
            .map(|limit| {
                let place = 1.0 - self.y.place(limit.at);
                let has_room = labelled.iter().all(|other| (other - place).abs() >= LIMIT_GAP);
                labelled.extend(has_room.then_some(place));
                (limit, place, has_room)
            })
            .collect();
        html! {
            @for (limit, place, has_room) in marks {
                @let (from, to) = (percent(self.x.scale.place(limit.from)), percent(self.x.scale.place(limit.to)));
                line.limit x1=(from) x2=(to) y1=(percent(place)) y2=(percent(place)) {}
                @if has_room { text.limit x=(to) dx="-4" y=(percent(place)) dy=(if place < LIMIT_GAP { "14" } else { "-5" }) { (limit.check) } }
            }
        }
    }

    /// Moves and lines; where a value is missing, the line ends.
    fn path(&self, line: &Line) -> String {
        let at = |share: f64| (share * GRID).round() as i64;
        let points = self.x.fine.iter().zip(&line.fine).map(|(x, value)| {
            let value = (*value)?;
            Some((at(self.x.scale.place(*x)), at(1.0 - self.y.place(value))))
        });
        let points: Vec<Option<(i64, i64)>> = points.collect();
        let mut path = String::new();
        for stretch in points.split(Option::is_none) {
            let stretch: Vec<(i64, i64)> = stretch.iter().flatten().copied().collect();
            path.extend(stretch.first().map(|(x, y)| format!("M{x} {y}")));
            path.extend(stretch.windows(2).map(|pair| format!("l{} {}", pair[1].0 - pair[0].0, pair[1].1 - pair[0].1)));
            if stretch.len() == 1 {
                path += LONE_POINT;
            }
        }
        path
    }

    fn table(&self) -> Markup {
        let Self { title, x, y, series, .. } = self;
        let head = std::iter::once(x.head.to_owned()).chain(series.iter().map(|series| series.name.clone())).collect();
        let row = |(n, at): (usize, &f64)| {
            let cell =
                |series: &Series| series.line.coarse.get(n).copied().flatten().map_or_else(|| "-".into(), |value| y.written(value));
            std::iter::once(x.scale.written(*at)).chain(series.iter().map(cell)).collect()
        };
        let known = |n: usize| series.iter().any(|series| series.line.coarse.get(n).copied().flatten().is_some());
        let rows = x.coarse.iter().enumerate().filter(|(n, _)| known(*n)).map(row).collect();
        table(&format!("{title} ({})", y.unit), head, rows, 1)
    }
}

/// Numbers of the events that begin at about one place, and the place.
fn numbered(events: &[(f64, f64)]) -> Vec<(f64, String)> {
    let mut sorted: Vec<(f64, usize)> = events.iter().zip(1..).map(|(event, number)| (event.0, number)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut groups: Vec<(f64, String)> = Vec::new();
    for (place, number) in sorted {
        match groups.last_mut() {
            Some((known, numbers)) if place - *known < EVENT_GAP => *numbers += &format!(",{number}"),
            _ => groups.push((place, number.to_string())),
        }
    }
    groups
}

/// With two decimals where they tell anything.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4).round() / 1e2)
}
