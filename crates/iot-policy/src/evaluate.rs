//! What several documents decide of one request (PROTOCOL-CORE 1.1): an explicit `Deny` anywhere wins, an `Allow` opens, and whatever
//! nobody speaks of is denied.

use crate::client::Client;
use crate::document::{Listed, Policy, Statement};
use crate::request::Request;
use crate::variable::Variable;
use std::sync::Arc;

/// What was decided, and by which statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// A statement allows it, and none denies it.
    Allowed(Found<'a>),
    /// A statement denies it, whatever others allow.
    ExplicitDeny(Found<'a>),
    /// No statement speaks of it.
    ImplicitDeny,
}

impl Decision<'_> {
    /// Whether it may be done.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// A statement of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The policy with its version.
    pub policy: &'a Policy,
    /// Which of its statements, from 1.
    pub number: usize,
    pub(crate) statement: &'a Statement,
}

/// Decides by the union of these policies; their order means nothing.
pub fn evaluate<'a>(policies: &'a [Arc<Policy>], client: &Client, request: &Request<'_>) -> Decision<'a> {
    let arn = request.arn();
    let action = request.action.as_str().to_ascii_lowercase();
    let mut allowed = None;
    for found in statements(policies) {
        // A second statement that allows the same changes nothing.
        if (allowed.is_some() && !found.statement.is_deny) || !found.statement.applies(&action, &arn, client, request) {
            continue;
        }
        if found.statement.is_deny {
            return Decision::ExplicitDeny(found);
        }
        allowed = Some(found);
    }
    allowed.map_or(Decision::ImplicitDeny, Decision::Allowed)
}

/// All statements, each with the policy that it stands in.
pub(crate) fn statements(policies: &[Arc<Policy>]) -> impl Iterator<Item = Found<'_>> {
    policies.iter().flat_map(|policy| {
        let statements = policy.document.statements.iter().enumerate();
        statements.map(move |(n, statement)| Found { policy, number: n + 1, statement })
    })
}

/// Whether a statement speaks of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match<'a> {
    Yes,
    No,
    /// This variable has no value: the statement does not apply, whatever its effect.
    Missing(&'a Variable),
}

impl Match<'_> {
    pub(crate) fn is_yes(self) -> bool {
        self == Self::Yes
    }
}

impl Statement {
    fn applies(&self, action: &str, arn: &str, client: &Client, request: &Request<'_>) -> bool {
        self.actions.covers(action, client, request).is_yes()
            && self.resources.covers(arn, client, request).is_yes()
            && self.conditions.iter().all(|condition| condition.holds(client, request))
    }
}

impl Listed {
    /// Whether it speaks of this; a variable without a value anywhere in the list keeps its statement from applying.
    pub(crate) fn covers(&self, text: &str, client: &Client, request: &Request<'_>) -> Match<'_> {
        if let Some(missing) = self.missing(client, request) {
            return Match::Missing(missing);
        }
        let is_listed = self.patterns.iter().any(|pattern| pattern.matches(text, client, request));
        if is_listed == self.is_not { Match::No } else { Match::Yes }
    }

    fn missing(&self, client: &Client, request: &Request<'_>) -> Option<&Variable> {
        self.patterns.iter().find_map(|pattern| pattern.missing(client, request))
    }
}

/// Variables of the statements that speak of the action and have no value, by their names.
#[must_use]
pub fn missing_values<'a>(policies: &'a [Arc<Policy>], client: &Client, request: &Request<'_>) -> Vec<&'a str> {
    let action = request.action.as_str().to_ascii_lowercase();
    let of_action = statements(policies).filter(|found| found.statement.actions.covers(&action, client, request).is_yes());
    let mut names: Vec<&str> = of_action
        .flat_map(|found| found.statement.resources.patterns.iter().flat_map(crate::pattern::Pattern::variables))
        .filter(|variable| variable.substitute(client, request).is_none())
        .map(Variable::name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
