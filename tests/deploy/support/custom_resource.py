"""DEFINITION FILE: does the one document in FILE fit the CustomResourceDefinition in DEFINITION?

Run by the Python that requirements.txt is installed for. It prints what does not fit, and ends
with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml


def main() -> int:
    definition, document = (yaml.safe_load(Path(name).read_text()) for name in sys.argv[1:])
    group, _, name = document["apiVersion"].partition("/")
    (version,) = (v for v in definition["spec"]["versions"] if v["name"] == name)
    spec = definition["spec"]
    assert (spec["group"], spec["names"]["kind"]) == (group, document["kind"])
    schema = version["schema"]["openAPIV3Schema"]
    close(schema)
    # What every object has, a definition need not name.
    schema["properties"].update(apiVersion={}, kind={}, metadata={"type": "object"})
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(document))
    for error in errors:
        print(f"{error.json_path}: {error.message}", file=sys.stderr)
    return int(bool(errors))


def close(schema: Any) -> None:
    """Let nothing be there that is not named, as the API server does with strict validation."""
    if isinstance(schema, list):
        for part in schema:
            close(part)
    elif isinstance(schema, dict):
        for part in schema.values():
            close(part)
        named = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
        if named and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)


if __name__ == "__main__":
    sys.exit(main())
