"""A document on standard input, compared with a schema of a Google API: its discovery document.

    python discovery.py dataflow.v1b3 TemplateMetadata < metadata.json

Runs in the environment of google.txt; Google's client brings the discovery documents. Strict: what
the API does not know is refused, also what it does not take any more.
"""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

_FORMATS = {"int64": "^-?[0-9]+$", "google-duration": r"^[0-9]+(\.[0-9]{1,9})?s$"}


def to_json_schema(node: dict[str, Any]) -> dict[str, Any]:
    """A schema of a discovery document as JSON Schema; what is required, its descriptions say."""
    if "$ref" in node:
        return {"$ref": f"#/$defs/{node['$ref']}"}
    schema = {"type": node["type"]} if node.get("type") != "any" else {}
    if node.get("format") in _FORMATS and node["type"] == "string":
        schema["pattern"] = _FORMATS[node["format"]]
    if "enum" in node:
        deprecated = node.get("enumDeprecated", [False] * len(node["enum"]))
        pairs = zip(node["enum"], deprecated, strict=True)
        schema["enum"] = [value for value, gone in pairs if not gone]
    if "items" in node:
        schema["items"] = to_json_schema(node["items"])
    if "additionalProperties" in node:
        schema["additionalProperties"] = to_json_schema(node["additionalProperties"])
    elif node.get("type") == "object":
        taken = {
            name: child
            for name, child in node.get("properties", {}).items()
            if not child.get("readOnly") and not child.get("deprecated")
        }
        schema["properties"] = {name: to_json_schema(child) for name, child in taken.items()}
        schema["required"] = [name for name, child in taken.items() if _says(child, "Required.")]
        schema["additionalProperties"] = False
    return schema


def _says(node: dict[str, Any], word: str) -> bool:
    return bool(node.get("description", "").startswith(word))


def main() -> int:
    """Print what does not fit, a line each; 1 if there is any."""
    api, name = sys.argv[1:]
    path = files("googleapiclient.discovery_cache") / "documents" / f"{api}.json"
    schemas = json.loads(path.read_text(encoding="utf-8"))["schemas"]
    schema = {
        "$ref": f"#/$defs/{name}",
        "$defs": {known: to_json_schema(node) for known, node in schemas.items()},
    }
    Draft202012Validator.check_schema(schema)
    errors = list(Draft202012Validator(schema).iter_errors(json.load(sys.stdin)))
    for error in errors:
        print(f"{error.json_path}: {error.message}")
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
