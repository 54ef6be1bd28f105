//! Which things there are: so many by a template, or those of a file.

use super::super::list;
use super::super::plan::{CohortPlan, FleetList, FleetPlan};
use super::names;
use config_text::{Code, Located, Reader};
use iot_jobs::ThingName;
use sim_units::text;

/// Limits of a scenario that are this program's own.
const THINGS_MAX: i64 = 1_000_000;
const INDEX_MAX: i64 = 1_000_000_000;

/// Reads `things`, `things_from`, `thing_name` and `first_index`.
pub(super) fn things(reader: &Reader<'_>, plan: &mut FleetPlan) {
    let things = reader.integer(
        ("things", "how many things there are; with `things_from` the first ones of the file. Required where there is no file"),
        1..=THINGS_MAX,
    );
    let file = reader
        .string(("things_from", "a CSV file that names the things: column `thing`, and `cert`, `key`, `cohort` where wanted"));
    plan.first_index =
        reader.integer(("first_index", "the `{index}` of the first thing"), 0..=INDEX_MAX).map_or(0, |index| index.value as u64);
    let template =
        reader.with(("thing_name", "the thing names"), "a name template such as \"sim-{index:06}\"", text::name_template);
    if let Some(things) = &things {
        plan.things = things.value as u64;
    }
    match (file, template) {
        (Some(file), template) => {
            if let Some(template) = template {
                let help = "the file names the things: leave thing_name out";
                reader.conflict(&template.place, "fleet.thing_name and fleet.things_from do not go together", help);
            }
            take_list(reader, plan, &file, things);
        }
        (None, template) => {
            if things.is_none() && !reader.has("things") && !reader.has("things_from") {
                reader.missing("things", "say how many things there are, as in things = 1_000, or things_from = \"fleet.csv\"");
            }
            if let Some(template) = template {
                plan.thing_name = template.value;
            }
            check_names(reader, plan);
        }
    }
}

/// `things` takes the first ones.
fn take_list(reader: &Reader<'_>, plan: &mut FleetPlan, file: &Located<String>, things: Option<Located<i64>>) {
    let wrong = |place, message: String| reader.gathered.push(Code::BadValue, place, message, None);
    let mut listed = match list::read(&file.value, THINGS_MAX as usize) {
        Ok(listed) => listed,
        Err(mistakes) => {
            mistakes.into_iter().for_each(|mistake| wrong(&file.place, format!("fleet.things_from: {mistake}")));
            return;
        }
    };
    if let Some(Located { value, place }) = things {
        if value as usize > listed.len() {
            wrong(&place, format!("{} names {} things, fewer than fleet.things = {value}", file.value, listed.len()));
        }
        listed.truncate(value as usize);
    }
    plan.things = listed.len() as u64;
    plan.list = Some(FleetList { path: file.value.clone(), things: listed.into() });
}

fn check_names(reader: &Reader<'_>, plan: &FleetPlan) {
    let place = reader.place_of("thing_name");
    if plan.thing_name.index.is_none() && plan.things > 1 {
        let help = Some("put {index} or {index:06} into the name".to_owned());
        reader.gathered.push(Code::BadValue, &place, format!("{} things would have one name", plan.things), help);
    }
    if let Err(error) = ThingName::new(&plan.thing_name.name(plan.first_index + plan.things - 1)) {
        reader.gathered.push(Code::BadValue, &place, format!("fleet.thing_name makes no thing names: {error}"), None);
    }
}

/// The share of a cohort, where the file says who is in it.
pub(super) fn listed_share(cohort: &Reader<'_>, fleet: &FleetPlan, name: Option<&Located<String>>) -> f64 {
    if cohort.has("share") {
        let help = "leave share out, or the column cohort of the file";
        cohort.conflict(&cohort.place_of("share"), "the file of fleet.things_from says who is in a cohort", help);
    }
    fleet.list.as_ref().zip(name).map_or(0.0, |(list, name)| list.share_of(&name.value))
}

/// Every cohort that the file names must be there.
pub(super) fn check_cohorts(root: &Reader<'_>, fleet: &FleetPlan, cohorts: &[CohortPlan]) {
    let Some(list) = &fleet.list else { return };
    let unknown = list.things.iter().filter_map(|thing| Some((thing.row, thing.cohort.as_deref()?)));
    let unknown: Vec<_> = unknown.filter(|(_, name)| !cohorts.iter().any(|cohort| cohort.name == *name)).collect();
    let place = root.place_of("fleet");
    let known = || Some(format!("known here: {}", names(cohorts.iter().map(|cohort| &cohort.name))));
    for (row, name) in unknown.iter().take(list::MISTAKES_SHOWN) {
        let message = format!("{} row {row}, column cohort: unknown cohort {name:?}", list.path);
        root.gathered.push(Code::UnknownName, &place, message, known());
    }
    if unknown.len() > list::MISTAKES_SHOWN {
        let message = format!("{} has {} more unknown cohorts", list.path, unknown.len() - list::MISTAKES_SHOWN);
        root.gathered.push(Code::UnknownName, &place, message, known());
    }
}
