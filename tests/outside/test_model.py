"""Every rule that AWS's models have for requests, broken one at a time: members that are missing, too short, too long, out of range, of
another pattern, or no word of those there are. The endpoint refuses each, whichever operation and member it is."""

import re

import boto3
import botocore
import botocore.config
import pytest
from botocore.session import get_session

# Longer texts than a body may have.
CHARACTERS_MAX = 200_000
# How Java spells classes of characters, and how Python does, as far as these tests need them.
CLASSES = {r"\p{Upper}": "A-Z", r"\p{Digit}": "0-9", r"\p{Graph}": "!-~", r"[^\p{C}]": r"[^\x00-\x1f\x7f-\x9f]"}


def matches(pattern, text):
    """Whether AWS's pattern, in Java, takes the whole text; `None` where Python cannot tell."""
    for java, python in CLASSES.items():
        pattern = pattern.replace(java, python)
    return None if r"\p" in pattern else re.fullmatch(pattern, text, re.ASCII) is not None


def good(shape):
    """The least that a shape may be."""
    match shape.type_name:
        case "structure":
            return {name: good(shape.members[name]) for name in shape.required_members}
        case "list":
            return [good(shape.member)]
        case "map":
            return {}
        case "string" if shape.enum:
            return shape.enum[0]
        case "string":
            length = max(shape.metadata.get("min", 1), 1)
            pattern = shape.metadata.get("pattern", ".*")
            candidates = ("a" * length, "A" * length, "1" * length, "arn:" + "a" * length)
            return next((text for text in candidates if matches(pattern, text) is not False), candidates[0])
        case "boolean":
            return True
        case "blob":
            return b"x"
        case _:
            return shape.metadata.get("min", 1)


def broken(shape):
    """Values that break one rule of a shape or of one below it, with what is wrong and the names on the way."""
    rules = shape.metadata
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if name in shape.required_members:
                    yield "missing", [name], {key: value for key, value in good(shape).items() if key != name}
                for what, names, value in broken(member):
                    yield what, [name, *names], good(shape) | {name: value}
        case "list":
            if rules.get("min"):
                yield "empty", [], []
            if "max" in rules:
                yield "too many", [], [good(shape.member)] * (rules["max"] + 1)
            for what, names, value in broken(shape.member):
                yield what, names, [value]
        case "map":
            for what, names, key in broken(shape.key):
                yield f"key {what}", names, {key: good(shape.value)}
            for what, names, value in broken(shape.value):
                yield what, names, {good(shape.key): value}
        case "string":
            yield from broken_text(shape, rules)
        case "integer" | "long" | "double" | "float":
            if "min" in rules:
                yield "too small", [], rules["min"] - 1
            if "max" in rules:
                yield "too large", [], rules["max"] + 1


def broken_text(shape, rules):
    if shape.enum:
        yield "no such word", [], "NOTHING"
        return
    least, pattern = good(shape), rules.get("pattern", ".*")
    if rules.get("min"):
        yield "too short", [], least[: rules["min"] - 1]
    if rules.get("max", CHARACTERS_MAX) < CHARACTERS_MAX:
        yield "too long", [], least[:1] * (rules["max"] + 1)
    for strange in ("\0", "\x7f", " ", "\u00e9", "/"):
        if matches(pattern, strange + least[1:]) is False:
            yield f"with {strange!r}", [], strange + least[1:]


def cases(service):
    model = get_session().get_service_model(service)
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        if shape is not None:
            yield name, shape


class Client:
    """Calls operations by their names in the model, with nothing checked before it leaves."""

    def __init__(self, site, service):
        config = botocore.config.Config(parameter_validation=False, retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
        session = boto3.Session(**site.keys(), region_name="us-east-1")
        self.client = session.client(service, endpoint_url=site.api, verify=str(site.ca), config=config)

    def call(self, operation, arguments):
        """The name of the refusal and its message; nothing where it was taken."""
        try:
            getattr(self.client, botocore.xform_name(operation))(**arguments)
        except self.client.exceptions.ClientError as error:
            return error.response["Error"]["Code"], error.response["Error"]["Message"]
        return None, ""


def can_travel(shape, what, names):
    """An empty segment is another path, and no header has control characters or is sent where it is missing."""
    location = shape.members[names[0]].serialization.get("location")
    return not (location == "uri" and (what in ("missing", "too short"))) and location != "header"


@pytest.mark.parametrize("service", ["iot", "iot-jobs-data"])
def test_every_rule_of_the_model_is_kept(site, service):
    client, served, tried, taken = Client(site, service), 0, 0, []
    for operation, shape in cases(service):
        if client.call(operation, good(shape) | names_of_nobody(shape))[0] == "UnknownOperationException":
            continue
        served += 1
        for what, names, arguments in broken(shape):
            if not can_travel(shape, what, names):
                continue
            tried += 1
            code, message = client.call(operation, arguments)
            if code != "InvalidRequestException":
                taken.append(f"{operation}.{'.'.join(names)} {what}: {code} {message}")
    assert taken == [], f"{len(taken)} of {tried}:\n" + "\n".join(taken)
    least = {"iot": (60, 500), "iot-jobs-data": (4, 20)}[service]
    assert (served, tried) >= least, f"{tried} rules of {served} operations"


def names_of_nobody(shape):
    """For what tells whether an operation is served: nothing of another test is changed by it."""
    places = {name: member.serialization.get("location") for name, member in shape.members.items()}
    return {name: "of-the-model" for name, place in places.items() if place == "uri" and "Number" not in name}
