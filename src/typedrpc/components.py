"""The models of several services in one AsyncAPI document, and their JSON Schemas in the draft that it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from pydantic import JsonValue

from typedrpc.document import ContractDocument
from typedrpc.schemas import REFERENCE, JsonSchema

Places = Mapping[str, str]
"""What becomes of the references in a contract document."""

_VALUES: Final = {"default", "const", "enum", "examples"}
_NAMED: Final = {"properties", "patternProperties", "dependentSchemas"}
"""Of these, the keys are somebody's names."""


class Components:
    """The schemas of a document's components, to which services add theirs."""

    def __init__(self) -> None:
        self.schemas: dict[str, JsonValue] = {}
        self._keys: dict[tuple[str, str], str] = {}

    def add(self, document: ContractDocument) -> Places:
        """Adds the models of a service. Those of one name and content are one; of one name alone, the later ones get
        their service's name too.
        """
        places: dict[str, str] = {}
        added: dict[str, str] = {}
        for name in document.definitions:
            whole = name, _whole(name, document.definitions)
            if whole not in self._keys:
                taken = clean(name) in self.schemas
                key = free_key(self.schemas, f"{document.service}.{name}" if taken else name)
                self._keys[whole] = key
                self.schemas[key] = None
                added[key] = name
            places[REFERENCE + name] = f"#/components/schemas/{self._keys[whole]}"
        for key, name in added.items():
            self.schemas[key] = draft_07(document.definitions[name], places)
        return places


def draft_07(schema: JsonValue, places: Places) -> JsonValue:
    """A schema as AsyncAPI takes it, whose schemas are of draft 7: Pydantic's are of 2020-12."""
    if isinstance(schema, list):
        return [draft_07(each, places) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, JsonValue] = {}
    for key, each in schema.items():
        if key == "$ref" and isinstance(each, str):
            made[key] = places.get(each, each)
        elif key == "discriminator" and isinstance(each, dict):
            continue  # OpenAPI's; `oneOf` beside it says the same
        elif key == "prefixItems":
            made["items"] = draft_07(each, places)
        elif key == "items" and "prefixItems" in schema:
            made["additionalItems"] = draft_07(each, places)
        elif key in _NAMED and isinstance(each, dict):
            made[key] = {name: draft_07(value, places) for name, value in each.items()}
        else:
            made[key] = each if key in _VALUES else draft_07(each, places)
    if "$ref" in made and len(made) > 1:  # what stands beside a reference is ignored
        reference: JsonValue = {"$ref": made.pop("$ref")}
        others = made.get("allOf")
        made["allOf"] = [reference, *(others if isinstance(others, list) else [])]
    return made


def clean(name: str) -> str:
    """With nothing but the characters that AsyncAPI allows in a key."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def free_key(taken: Collection[str], name: str) -> str:
    """A key for the name that is not taken yet."""
    key, number = clean(name), 1
    while key in taken:
        number += 1
        key = f"{clean(name)}_{number}"
    return key


def _whole(name: str, definitions: Mapping[str, JsonSchema]) -> str:
    """A definition with all that it refers to, as text: two of one name are the same if these are."""
    found: dict[str, JsonValue] = {}
    wanted = [name]
    while wanted:
        each = wanted.pop()
        if each not in found and each in definitions:
            found[each] = definitions[each]
            wanted += _referred(definitions[each])
    return json.dumps(found, sort_keys=True)


def _referred(value: JsonValue) -> Iterable[str]:
    if isinstance(value, list):
        for each in value:
            yield from _referred(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key == "$ref" and isinstance(each, str):
                yield each.removeprefix(REFERENCE)
            yield from _referred(each)
