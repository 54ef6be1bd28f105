"""Every answer of the control plane against AWS's own model of it, as it comes with botocore."""

import json
import re

# Epoch seconds of this century, so that milliseconds are noticed.
SECONDS = (1_000_000_000, 5_000_000_000)


def check_shape(shape, value, where):
    """No member that the model does not know, none missing that it requires, each of its type, enum, length and pattern."""
    match shape.type_name:
        case "structure":
            assert isinstance(value, dict), f"{where} is {value!r}"
            members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
            assert set(value) <= set(members), f"{where} has {sorted(set(value) - set(members))}, which the model does not know"
            assert set(shape.required_members) <= set(value), f"{where} lacks {sorted(set(shape.required_members) - set(value))}"
            for name, inner in value.items():
                check_shape(members[name], inner, f"{where}.{name}")
        case "list":
            for index, inner in enumerate(value):
                check_shape(shape.member, inner, f"{where}[{index}]")
        case "map":
            for key, inner in value.items():
                check_shape(shape.value, inner, f"{where}.{key}")
        case "string":
            assert isinstance(value, str), f"{where} is {value!r}"
            assert not shape.enum or value in shape.enum, f"{where} is {value!r}, not of {shape.enum}"
            assert shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", len(value)), f"{where} is {value!r}"
            pattern = shape.metadata.get("pattern", "")
            assert r"\p" in pattern or re.match(pattern, value), f"{where} is {value!r}, not {pattern}"
        case "integer" | "long":
            assert type(value) is int, f"{where} is {value!r}"
        case "double" | "float":
            assert type(value) in (int, float), f"{where} is {value!r}"
        case "boolean":
            assert type(value) is bool, f"{where} is {value!r}"
        case "timestamp":
            assert type(value) in (int, float) and SECONDS[0] < value < SECONDS[1], f"{where} is {value!r}"
        case other:
            raise AssertionError(f"{where}: what is a {other}?")


# Ids of requests so far, which SDKs tell as `ResponseMetadata.RequestId`.
request_ids = set()


def check_answer(operation_model, response_dict, **_rest):
    """For botocore's event `before-parse`. A refusal must be one the model knows for this operation, with its status."""
    where, status = operation_model.name, response_dict["status_code"]
    request_id = response_dict["headers"].get("x-amzn-requestid")
    assert request_id and request_id not in request_ids, f"{where}: the id {request_id} of a request"
    request_ids.add(request_id)
    body = json.loads(response_dict["body"] or b"{}")
    if status == 200:
        if operation_model.output_shape is not None:
            check_shape(operation_model.output_shape, body, where)
        return
    code = response_dict["headers"].get("x-amzn-errortype")
    assert code and isinstance(body.get("message"), str), f"{where}: {status} {body}"
    known = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in operation_model.error_shapes}
    # Not of one operation: what the signature, or the operation itself, is refused with.
    if status != 403 and code != "UnknownOperationException":
        assert known.get(code) == status, f"{where}: {status} {code}; the model knows {known}"
