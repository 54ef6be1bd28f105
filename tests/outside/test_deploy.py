"""The manifest for Kubernetes, held against the schemas of the versions in support, offline."""

import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
MANIFEST = ROOT / "deploy" / "kubernetes.yaml"
VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")


def resources():
    return list(yaml.safe_load_all(MANIFEST.read_text()))


def job():
    return next(resource for resource in resources() if resource["kind"] == "Job")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_resource_is_one_of_that_version(version):
    found = resources()
    assert {resource["kind"] for resource in found} == {"ConfigMap", "Service", "StatefulSet", "Job"}
    for resource in found:
        kubernetes_validate.validate(resource, version, strict=True)


def test_a_field_that_is_none_is_seen():
    spoilt = job()
    spoilt["spec"]["completionMod"] = "Indexed"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, VERSIONS[-1], strict=True)


def test_a_worker_is_never_started_again():
    spec = job()["spec"]
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", spec["parallelism"])
    assert (spec["backoffLimitPerIndex"], spec["podReplacementPolicy"]) == (0, "Failed")
    assert "maxFailedIndexes" not in spec, "a worker that has drained exits with 105: it must not end those that drain still"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_options_of_its_workers_are_those_of_the_program(binary):
    told = subprocess.run([binary, "worker", "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    (container,) = job()["spec"]["template"]["spec"]["containers"]
    command, *options = container["args"]
    assert command == "worker" and all(re.match(r"--[a-z-]+", option)[0] + " " in told for option in options), told
