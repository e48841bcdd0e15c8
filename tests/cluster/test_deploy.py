"""The manifest of a cluster, against the schema that a cluster checks it with."""

import copy
import json
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
MANIFEST = yaml.safe_load((ROOT / "deploy/raycluster.yaml").read_text())
SCHEMA = jsonschema.Draft202012Validator(json.loads((Path(__file__).parent / "raycluster.schema.json").read_text()))


def test_the_manifest_fits_the_schema_of_rayclusters():
    SCHEMA.validate(MANIFEST)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("authOptions", {"mode": "tokens"}),
        ("headGroupSpec", {"rayStartParams": {"num-cpus": 0}, "template": {}}),
        ("headgroupSpec", {}),
    ],
)
def test_the_schema_refuses_what_a_cluster_would(where, value):
    wrong = copy.deepcopy(MANIFEST)
    wrong["spec"][where] = value
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(wrong)


def test_every_node_is_alike_and_of_this_ray_and_wants_a_token():
    spec = MANIFEST["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["rayVersion"] == version("ray")
    head, worker = (
        group["template"]["spec"]["containers"][0] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
    )
    assert all(head[key] == worker[key] for key in ("image", "env", "envFrom", "volumeMounts"))
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_no_secret_stands_in_the_manifest():
    for group in (MANIFEST["spec"]["headGroupSpec"], *MANIFEST["spec"]["workerGroupSpecs"]):
        for variable in group["template"]["spec"]["containers"][0]["env"]:
            assert not any(word in variable["name"] for word in ("SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY"))
