//! Things, thing types, and the principals of things.

use super::{PAGE_MAX, arn, attributes, expected_version, new_id, payload, principal, thing_name, type_name};
use crate::listeners::api::tags::tag_new;
use crate::listeners::api::{Answer, Call, Refused, empty, invalid};
use iot_jobs::ThingName;
use iot_jobs::wire::registry::{
    CreateThingBody, CreateTypeBody, CreatedThing, CreatedType, DeprecateTypeBody, DescribedThing, DescribedType, ListedThing,
    PRINCIPAL_HEADER, TypeMetadata, TypePropertiesBody, UpdateThingBody, encode, encode_page, parse, seconds,
};
use iot_jobs::wire::tags::parse_tags;
use jobs_engine::registry::{ResourceKind, Tagged, Thing, ThingSpec, ThingType, TypeName, TypeProperties, UpdateThing};
use serde_json::json;

/// The ways a certificate can be attached.
const EXCLUSIVE: &str = "EXCLUSIVE_THING";
const NON_EXCLUSIVE: &str = "NON_EXCLUSIVE_THING";

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("GET", ["things"]) => list_things(call),
        ("POST", ["things", name]) => create_thing(call, name),
        ("GET", ["things", name]) => describe_thing(call, name),
        ("PATCH", ["things", name]) => update_thing(call, name),
        ("DELETE", ["things", name]) => delete_thing(call, name),
        ("GET", ["thing-types"]) => list_types(call),
        ("POST", ["thing-types", name]) => create_type(call, name),
        ("GET", ["thing-types", name]) => describe_type(call, name),
        ("POST", ["thing-types", name, "deprecate"]) => deprecate_type(call, name),
        ("DELETE", ["thing-types", name]) => delete_type(call, name),
        ("PUT", ["things", name, "principals"]) => attach_principal(call, name),
        ("DELETE", ["things", name, "principals"]) => detach_principal(call, name),
        ("GET", ["things", name, "principals"]) => list_principals(call, name, false),
        ("GET", ["things", name, "principals-v2"]) => list_principals(call, name, true),
        ("GET", ["principals", "things"]) => list_principal_things(call, false),
        ("GET", ["principals", "things-v2"]) => list_principal_things(call, true),
        _ => return None,
    })
}

fn create_thing(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = thing_name(name)?;
    let body: CreateThingBody = parse("CreateThing", call.body)?;
    let spec = ThingSpec {
        thing_type: type_name(body.thing_type_name.as_deref())?,
        attributes: body.attribute_payload.map(payload).unwrap_or_default(),
    };
    let id = call.service.call_registry(|registry, engine, _| {
        let id = registry.create_thing(&name, spec, new_id())?;
        engine.create_thing(&name);
        Ok::<_, Refused>(id)
    })?;
    let (thing_name, thing_arn) = (name.as_str(), arn(ResourceKind::Thing, name.as_str()));
    Ok(encode(&CreatedThing { thing_name, thing_arn, thing_id: id.to_string() }))
}

fn describe_thing(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = thing_name(name)?;
    call.service.call_registry(|registry, _, _| {
        let thing = registry.thing(&name)?;
        Ok(encode(&DescribedThing {
            default_client_id: name.as_str(),
            thing_name: name.as_str(),
            thing_id: thing.id.to_string(),
            thing_arn: arn(ResourceKind::Thing, name.as_str()),
            thing_type_name: thing.thing_type.as_ref().map(TypeName::as_str),
            attributes: attributes(&thing.attributes),
            version: thing.version,
        }))
    })
}

fn update_thing(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = thing_name(name)?;
    let body: UpdateThingBody = parse("UpdateThing", call.body)?;
    let update = UpdateThing {
        thing_type: type_name(body.thing_type_name.as_deref())?,
        remove_type: body.remove_thing_type,
        attributes: body.attribute_payload.map(payload),
        expected_version: body.expected_version,
    };
    call.service.call_registry(|registry, _, _| registry.update_thing(&name, update))?;
    Ok(empty())
}

/// The session of a thing that is deleted ends with it (inferred).
fn delete_thing(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, version) = (thing_name(name)?, expected_version(call)?);
    call.service.call_registry(|registry, engine, now| {
        registry.check_thing_deletion(&name, version)?;
        if engine.has_thing(&name) {
            engine.delete_thing(&name, now)?;
        }
        registry.delete_thing(&name, version)?;
        call.service.sessions.expel(&name);
        Ok::<_, Refused>(())
    })?;
    Ok(empty())
}

/// Which things ListThings is to tell.
struct ThingFilter<'a> {
    attribute: Option<&'a str>,
    value: Option<&'a str>,
    is_prefix: bool,
    thing_type: Option<&'a str>,
}

impl<'a> ThingFilter<'a> {
    fn of(call: &'a Call<'_>) -> Result<Self, Refused> {
        let (attribute, value) = (call.query.get("attributeName"), call.query.get("attributeValue"));
        if value.is_some() && attribute.is_none() {
            return Err(invalid("attributeValue needs attributeName").into());
        }
        let (is_prefix, thing_type) = (call.query.flag("usePrefixAttributeValue"), call.query.get("thingTypeName"));
        Ok(Self { attribute, value, is_prefix, thing_type })
    }

    fn matches(&self, thing: &Thing) -> bool {
        let has_value = |found: &str| match self.value {
            None => true,
            Some(value) if self.is_prefix => found.starts_with(value),
            Some(value) => found == value,
        };
        self.attribute.is_none_or(|name| thing.attributes.get(name).is_some_and(has_value))
            && self.thing_type.is_none_or(|name| thing.thing_type.as_ref().is_some_and(|found| found.as_str() == name))
    }
}

fn list_things(call: &Call<'_>) -> Result<Answer, Refused> {
    let (page, filter) = (call.query.page(PAGE_MAX)?, ThingFilter::of(call)?);
    call.service.call_registry(|registry, _, _| {
        let found = registry.things().filter(|(_, thing)| filter.matches(thing));
        let (things, token) = page.cut(found, |(name, _)| name.as_str());
        let listed = things.into_iter().map(|(name, thing)| ListedThing {
            thing_name: name.as_str(),
            thing_type_name: thing.thing_type.as_ref().map(TypeName::as_str),
            thing_arn: arn(ResourceKind::Thing, name.as_str()),
            attributes: attributes(&thing.attributes),
            version: thing.version,
        });
        Ok(encode_page("things", listed, "nextToken", token))
    })
}

// ------------------------------------------------------------------------------------------------------------- thing types

fn create_type(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = TypeName::new(name)?;
    let body: CreateTypeBody = parse("CreateThingType", call.body)?;
    let properties = TypeProperties {
        description: body.thing_type_properties.thing_type_description,
        searchable_attributes: body.thing_type_properties.searchable_attributes.unwrap_or_default(),
    };
    let tags = parse_tags(body.tags)?;
    let id = call.service.call_registry(|registry, _, now| {
        let id = registry.create_type(&name, properties, new_id(), now)?;
        tag_new(registry, &Tagged::Type(name.clone()), tags)?;
        Ok::<_, Refused>(id)
    })?;
    let (thing_type_name, thing_type_arn) = (name.as_str(), arn(ResourceKind::ThingType, name.as_str()));
    Ok(encode(&CreatedType { thing_type_name, thing_type_arn, thing_type_id: id.to_string() }))
}

fn described_type<'a>(name: &'a TypeName, found: &ThingType, with_id: bool) -> DescribedType<'a> {
    let searchable = &found.properties.searchable_attributes;
    DescribedType {
        thing_type_name: name.as_str(),
        thing_type_id: with_id.then(|| found.id.to_string()),
        thing_type_arn: arn(ResourceKind::ThingType, name.as_str()),
        thing_type_properties: TypePropertiesBody {
            thing_type_description: found.properties.description.clone(),
            searchable_attributes: (!searchable.is_empty()).then(|| searchable.clone()),
        },
        thing_type_metadata: TypeMetadata {
            deprecated: found.deprecated_ms.is_some(),
            deprecation_date: found.deprecated_ms.map(seconds),
            creation_date: seconds(found.created_ms),
        },
    }
}

fn describe_type(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = TypeName::new(name)?;
    call.service.call_registry(|registry, _, _| Ok(encode(&described_type(&name, registry.thing_type(&name)?, true))))
}

fn list_types(call: &Call<'_>) -> Result<Answer, Refused> {
    let (page, wanted) = (call.query.page(PAGE_MAX)?, call.query.get("thingTypeName"));
    call.service.call_registry(|registry, _, _| {
        let found = registry.types().filter(|(name, _)| wanted.is_none_or(|wanted| name.as_str() == wanted));
        let (types, token) = page.cut(found, |(name, _)| name.as_str());
        let listed = types.into_iter().map(|(name, found)| described_type(name, found, false));
        Ok(encode_page("thingTypes", listed, "nextToken", token))
    })
}

fn deprecate_type(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = TypeName::new(name)?;
    let body: DeprecateTypeBody = parse("DeprecateThingType", call.body)?;
    call.service.call_registry(|registry, _, now| registry.deprecate_type(&name, body.undo_deprecate, now))?;
    Ok(empty())
}

fn delete_type(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = TypeName::new(name)?;
    call.service.call_registry(|registry, _, now| registry.delete_type(&name, now))?;
    Ok(empty())
}

// -------------------------------------------------------------------------------------------------------------- principals

/// Whether the call is about exclusive attachments: `None` when it does not say.
fn is_exclusive(call: &Call<'_>) -> Result<Option<bool>, Refused> {
    match call.query.get("thingPrincipalType") {
        None => Ok(None),
        Some(EXCLUSIVE) => Ok(Some(true)),
        Some(NON_EXCLUSIVE) => Ok(Some(false)),
        Some(other) => Err(invalid(format!("thingPrincipalType must be {EXCLUSIVE} or {NON_EXCLUSIVE}, not {other:?}")).into()),
    }
}

fn attach_principal(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, id) = (thing_name(name)?, principal(call, PRINCIPAL_HEADER)?);
    let exclusive = is_exclusive(call)?.unwrap_or(false);
    call.service.call_registry(|registry, _, _| registry.attach_thing(id, &name, exclusive))?;
    Ok(empty())
}

fn detach_principal(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, id) = (thing_name(name)?, principal(call, PRINCIPAL_HEADER)?);
    call.service.call_registry(|registry, _, _| registry.detach_thing(id, &name))?;
    call.service.sessions.dismiss(|thing, certificate| thing == Some(&name) && certificate == id);
    Ok(empty())
}

/// The newer form (`is_v2`) tells how each is attached, too.
fn list_principals(call: &Call<'_>, name: &str, is_v2: bool) -> Result<Answer, Refused> {
    let (name, page, wanted) = (thing_name(name)?, call.query.page(PAGE_MAX)?, is_exclusive(call)?);
    call.service.call_registry(|registry, _, _| {
        let mut found = Vec::new();
        for id in registry.principals_of(&name)? {
            let exclusive = registry.certificate(id)?.exclusive;
            if !is_v2 || wanted.is_none_or(|wanted| wanted == exclusive) {
                found.push((arn(ResourceKind::Certificate, &id.to_string()), exclusive));
            }
        }
        let (found, token) = page.cut(found, |(arn, _)| arn);
        Ok(if is_v2 {
            let objects =
                found.into_iter().map(|(arn, exclusive)| json!({ "principal": arn, "thingPrincipalType": type_text(exclusive) }));
            encode_page("thingPrincipalObjects", objects, "nextToken", token)
        } else {
            encode_page("principals", found.into_iter().map(|(arn, _)| arn), "nextToken", token)
        })
    })
}

fn list_principal_things(call: &Call<'_>, is_v2: bool) -> Result<Answer, Refused> {
    let (id, page, wanted) = (principal(call, PRINCIPAL_HEADER)?, call.query.page(PAGE_MAX)?, is_exclusive(call)?);
    call.service.call_registry(|registry, _, _| {
        let certificate = registry.certificate(id)?;
        let is_wanted = !is_v2 || wanted.is_none_or(|wanted| wanted == certificate.exclusive);
        let (things, token) = page.cut(certificate.things.iter().filter(|_| is_wanted), |name| name.as_str());
        let kind = type_text(certificate.exclusive);
        Ok(if is_v2 {
            let objects = things.into_iter().map(|name| json!({ "thingName": name.as_str(), "thingPrincipalType": kind }));
            encode_page("principalThingObjects", objects, "nextToken", token)
        } else {
            encode_page("things", things.into_iter().map(ThingName::as_str), "nextToken", token)
        })
    })
}

fn type_text(exclusive: bool) -> &'static str {
    if exclusive { EXCLUSIVE } else { NON_EXCLUSIVE }
}
