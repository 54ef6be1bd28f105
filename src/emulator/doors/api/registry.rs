//! Operations of the registry, and where the data plane is.

use super::{Answer, Call, Refused, empty, invalid};
use crate::jobs::{GroupName, ThingName};
use crate::wire::control;

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("POST", ["things", name]) => create_thing(call, name),
        ("POST", ["thing-groups", name]) => create_group(call, name),
        ("PUT", ["thing-groups", "addThingToThingGroup"]) => add_thing_to_group(call),
        ("GET", ["endpoint"]) => Ok(serde_json::json!({ "endpointAddress": call.settings.data_endpoint }).to_string().into_bytes()),
        _ => return None,
    })
}

fn create_thing(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = ThingName::new(name).map_err(invalid)?;
    call.service.call(|engine, _| engine.create_thing(&name));
    Ok(control::encode_created("thing", control::THING, name.as_str()))
}

fn create_group(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = GroupName::new(name).map_err(invalid)?;
    call.service.call(|engine, _| engine.create_group(&name));
    Ok(control::encode_created("thingGroup", control::THING_GROUP, name.as_str()))
}

fn add_thing_to_group(call: &Call<'_>) -> Result<Answer, Refused> {
    let (thing, group) = control::parse_add_thing(call.body)?;
    call.service.call(|engine, now| engine.add_thing_to_group(&thing, &group, now))?;
    Ok(empty())
}
