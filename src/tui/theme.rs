//! Styles: the sixteen colours of the terminal's own scheme, and never a colour alone. Cyan, magenta and red stay apart for
//! colour-blind eyes and stand on light and dark ground; text keeps the terminal's foreground.

use load_metrics::StageRole;
use ratatui::style::{Color, Modifier, Style};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// `NO_COLOR` is not set.
    pub has_colour: bool,
}

impl Theme {
    fn colour(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// The first series of a chart, and what goes well.
    #[must_use]
    pub fn accent(self) -> Style {
        self.colour(Color::Cyan)
    }

    /// The second series of a chart.
    #[must_use]
    pub fn second(self) -> Style {
        self.colour(Color::Magenta)
    }

    /// What went wrong.
    #[must_use]
    pub fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Executions at a stage.
    #[must_use]
    pub fn stage(self, role: StageRole) -> Style {
        match role {
            StageRole::Open | StageRole::Good => self.accent(),
            StageRole::Bad => self.bad(),
        }
    }

    #[must_use]
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    #[must_use]
    pub fn muted(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    #[must_use]
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
