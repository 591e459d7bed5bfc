"""What changed between two JSON Schemas, as Pydantic writes them, and whom it breaks by the way that values go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from typedrpc.change_rules import RULES, Break, Direction
from typedrpc.schema_parts import (
    INFINITE,
    Union,
    as_json,
    constraint_rule,
    constraints,
    fits,
    is_any,
    kind,
    matters,
    member_names,
    named,
    object_of,
    reference,
    references,
    resolved,
    same_class,
    schema_of,
    texts,
    union_of,
    values_of,
    without,
)
from typedrpc.schemas import JsonSchema, default_text, type_text

Definitions = Mapping[str, JsonSchema]


class Spot(NamedTuple):
    """Where something changed: as text for people, and which way its values go."""

    where: str
    direction: Direction

    def at(self, where: str) -> Spot:
        """Another place, of the same direction."""
        return Spot(where, self.direction)

    def within(self, more: str) -> Spot:
        """A part of this place."""
        return Spot(self.where + more, self.direction)


class Comparison:
    """Collects what changed between schemas that share their definitions.

    `found` has for each change, (rule, where, text), whom it breaks. A model is compared once for each direction,
    however often it is used. `by_name`: a model of another name is another model, unless it was renamed.
    """

    def __init__(self, old: Definitions, new: Definitions, *, by_name: bool = True) -> None:
        self._old = old
        self._new = new
        self._compared: set[tuple[str, str, Direction]] = set()
        self._by_name = by_name
        self._unrolled: set[tuple[str, str]] = set()
        self.found: dict[tuple[str, str, str], frozenset[Break]] = {}

    def add(self, rule: str, spot: Spot, text: str) -> None:
        """One change; of those that are the same, whom they break is joined."""
        key = rule, spot.where, text
        self.found[key] = self.found.get(key, frozenset()) | RULES[rule].breaks(spot.direction)

    def wire(self) -> frozenset[Break]:
        """Whom all of it breaks on the wire: of a request, callers where it is narrower, servers where it is wider."""
        return frozenset(each for breaks in self.found.values() for each in breaks if each.startswith("wire"))

    def types(self, old: JsonSchema, new: JsonSchema, spot: Spot) -> None:
        """Compares two types."""
        if reference(old) and reference(new):
            self._members(old, new, spot)
            return
        kept = references(old) & references(new)
        before, after = union_of(old, self._old, kept), union_of(new, self._new, kept)
        if not (before.aliases or after.aliases):
            self._unions(before, after, f"{type_text(old)} → {type_text(new)}", spot)
        elif (pair := (as_json(old), as_json(new))) not in self._unrolled:  # a named union may contain itself
            self._unrolled.add(pair)
            self.add("TYPE_REPLACED", spot, f"{type_text(old)} → {type_text(new)}")
            self._unions(before, after, f"{type_text(old)} → {type_text(new)}", spot)
            self._unrolled.remove(pair)

    def _unions(self, before: Union, after: Union, text: str, spot: Spot) -> None:
        self._keywords(before.around, after.around, spot)
        pairs, gone, come = self._paired(before.members, after.members)
        for one, other in pairs:
            self._members(one, other, spot)
        if gone or come:
            self.add("TYPE_CHANGED" if gone and come else "TYPE_NARROWED" if gone else "TYPE_WIDENED", spot, text)

    def fields(self, old: JsonSchema, new: JsonSchema, spot: Spot) -> None:
        """Compares the fields of two objects."""
        before, after = object_of(old.get("properties")), object_of(new.get("properties"))
        had, has = texts(old.get("required")), texts(new.get("required"))
        for name in [*before, *(name for name in after if name not in before)]:
            place = spot.within(f".{name}")
            one, other = schema_of(before.get(name)), schema_of(after.get(name))
            if name not in after:
                self.add(f"FIELD_REMOVED_{_need(name in had)}", place, f"gone; it was {type_text(one)}")
                if new.get("additionalProperties") is False:
                    self.add("REMOVED_FIELD_REFUSED", place, "who writes it still is refused")
            elif name not in before:
                self.add(f"FIELD_ADDED_{_need(name in has)}", place, f"added: {_field_text(other, name in has)}")
                if old.get("additionalProperties") is False:
                    self.add("ADDED_FIELD_REFUSED", place, "who does not know it refuses it")
            else:
                if (name in had) != (name in has):
                    rule, text = ("REQUIRED", "required") if name in has else ("OPTIONAL", "no longer required")
                    self.add(f"FIELD_NOW_{rule}", place, f"it is {text}")
                    one, other = ({k: v for k, v in each.items() if k != "default"} for each in (one, other))
                self.types(one, other, place)

    def _paired(
        self, old: list[JsonSchema], new: list[JsonSchema]
    ) -> tuple[list[tuple[JsonSchema, JsonSchema]], bool, bool]:
        """The members that stand for each other, whether an old one has none, and whether a new one has none."""
        pairs: list[tuple[JsonSchema, JsonSchema]] = []
        gone, come = list(old), list(new)
        for test in (_same, self._alike, self._of_one_class, self._one_way):
            for one in list(gone):
                other = next((each for each in come if test(one, each)), None)
                if other is not None:
                    pairs.append((one, other))
                    gone.remove(one)
                    come.remove(other)
        if len(gone) == len(come) == 1:
            return [*pairs, (gone[0], come[0])], False, False
        return pairs, bool(gone), bool(come)

    def _alike(self, old: JsonSchema, new: JsonSchema) -> bool:
        name = named(old)
        return name == named(new) if name or named(new) else kind(old) == kind(new) and not is_any(old)

    def _of_one_class(self, old: JsonSchema, new: JsonSchema) -> bool:
        one, other = reference(old), reference(new)
        return bool(one and other) and same_class(one, self._old.get(one, {}), other, self._new.get(other, {}))

    def _one_way(self, old: JsonSchema, new: JsonSchema) -> bool:
        """Whether all values of one are values of the other, which have nothing inside."""
        if any(reference(each) or kind(each)[0] in ("array", "object") for each in (old, new)):
            return False
        apart = Comparison(self._old, self._new)
        apart._shapes(old, new, Spot("", "request"))
        return len(apart.wire()) < 2

    def _members(self, old: JsonSchema, new: JsonSchema, spot: Spot) -> None:
        """Compares two types that are no unions."""
        before, after = reference(old), reference(new)
        if before and after:
            self._keywords(old, new, spot)
            self._named(before, after, spot)
            return
        if named(new) == named(old) and named(new):
            spot = spot.at(f"model {named(new)}")
        self._shapes(resolved(old, self._old), resolved(new, self._new), spot)
        text = f"{type_text(old)} → {type_text(new)}"
        if named(old) != named(new) and (before or after) and ("TYPE_CHANGED", spot.where, text) not in self.found:
            self.add("TYPE_REPLACED", spot, text)

    def _named(self, old: str, new: str, spot: Spot) -> None:
        one, other = self._old.get(old, {}), self._new.get(new, {})
        if self._by_name and old != new and not same_class(old, one, new, other):
            renamed = old not in self._new and new not in self._old and self._resembles(one, other)
            if not renamed:
                self._replaced(old, new, spot)
                return
            self.add("MODEL_RENAMED", spot.at(f"model {old}"), f"{old} → {new}")
        if (old, new, spot.direction) not in self._compared:
            self._compared.add((old, new, spot.direction))
            self.types(one, other, spot.at(f"model {new}"))

    def _resembles(self, old: JsonSchema, new: JsonSchema) -> bool:
        """Whether one may be the other by another name: they have a field or a value in common, or the same type."""
        if values_of(old) or values_of(new):
            return len(without(values_of(old), values_of(new))) < len(values_of(old))
        if "properties" in old and "properties" in new:
            before, after = object_of(old["properties"]), object_of(new["properties"])
            return before.keys() == after.keys() or bool(before.keys() & after.keys())
        return kind(old) == kind(new)

    def _replaced(self, old: str, new: str, spot: Spot) -> None:
        self.add("TYPE_REPLACED", spot, f"{old} → {new}")
        apart = Comparison(self._old, self._new, by_name=False)
        apart.types(self._old.get(old, {}), self._new.get(new, {}), Spot("", "request"))
        if wire := apart.wire():
            rule = "TYPE_CHANGED" if len(wire) == 2 else "TYPE_NARROWED" if "wire-callers" in wire else "TYPE_WIDENED"
            self.add(rule, spot, f"{old} → {new}")

    def _shapes(self, old: JsonSchema, new: JsonSchema, spot: Spot) -> None:
        """Compares two types without names."""
        text = f"{type_text(old)} → {type_text(new)}"
        if values_of(old) or values_of(new):
            self._literals(old, new, spot, text)
        elif is_any(old) != is_any(new):
            self.add("TYPE_WIDENED" if is_any(new) else "TYPE_NARROWED", spot, text)
        elif kind(old) != kind(new):
            rule = _NUMBERS.get((kind(old)[0], kind(new)[0]), "TYPE_CHANGED")
            self.add(rule, spot, text)
            if rule != "TYPE_CHANGED":
                one, other = ({k: v for k, v in each.items() if k != INFINITE} for each in (old, new))
                self._keywords(one, other, spot)
        else:
            if old.get("format") != new.get("format"):
                rule = "ADDED" if "format" not in old else "REMOVED" if "format" not in new else "CHANGED"
                self.add(f"FORMAT_{rule}", spot, f"{text} (format {old.get('format')} → {new.get('format')})")
            if "properties" in old:
                self.fields(old, new, spot)
            self._parts(old, new, spot)
            self._keywords(old, new, spot)

    def _literals(self, old: JsonSchema, new: JsonSchema, spot: Spot, text: str) -> None:
        before, after = values_of(old), values_of(new)
        if before and after:
            for value in without(after, before):
                self.add("ENUM_VALUE_ADDED", spot, f"{value!r} is there")
            for value in without(before, after):
                self.add("ENUM_VALUE_REMOVED", spot, f"{value!r} is gone")
            names = member_names(new)
            for value, name in member_names(old).items():
                if names.get(value, name) != name:
                    self.add("ENUM_MEMBER_RENAMED", spot, f"{name} → {names[value]}")
            self._keywords(old, new, spot)
        elif all(fits(value, old if after else new) for value in before or after):
            self.add("TYPE_NARROWED" if after else "TYPE_WIDENED", spot, text)
        else:
            self.add("TYPE_CHANGED", spot, text)

    def _parts(self, old: JsonSchema, new: JsonSchema, spot: Spot) -> None:
        """Compares what lists, tuples and dicts are of, and whether a model takes what it does not know."""
        places, others = old.get("prefixItems"), new.get("prefixItems")
        if isinstance(places, list) and isinstance(others, list):
            if len(places) != len(others):
                self.add("TYPE_CHANGED", spot, f"{type_text(old)} → {type_text(new)}")
            for number, (one, other) in enumerate(zip(places, others, strict=False)):
                self.types(schema_of(one), schema_of(other), spot.within(f"[{number}]"))
        for key, place in (("items", "[]"), ("propertyNames", " keys")):
            if key in old or key in new:
                self.types(schema_of(old.get(key)), schema_of(new.get(key)), spot.within(place))
        patterns, now = object_of(old.get("patternProperties")), object_of(new.get("patternProperties"))
        if patterns.keys() != now.keys():
            said = [", ".join(map(repr, each)) or "anything" for each in (patterns, now)]
            self.add("CONSTRAINT_CHANGED", spot, f"keys fit {said[0]} → {said[1]}")
            return
        for pattern, one in patterns.items():
            self.types(schema_of(one), schema_of(now[pattern]), spot.within("{}"))
        self._extras(old, new, spot)

    def _extras(self, before: JsonSchema, after: JsonSchema, spot: Spot) -> None:
        old, new = before.get("additionalProperties"), after.get("additionalProperties")
        if old == new:
            return
        if new is False or old is False:
            word, text = ("FORBIDDEN", "refused") if new is False else ("ALLOWED", "no longer refused")
            self.add(f"EXTRA_FIELDS_{word}", spot, f"fields that are not declared are {text}")
        elif isinstance(old, dict) or isinstance(new, dict):
            self.types(schema_of(old), schema_of(new), spot.within("{}"))
        else:
            word, text = ("KEPT", "kept") if new is True else ("DROPPED", "dropped")
            self.add(f"EXTRA_FIELDS_{word}", spot, f"fields that are not declared are {text}")

    def _keywords(self, old: JsonSchema, new: JsonSchema, spot: Spot) -> None:
        """Compares all that is said of a type beside what it is."""
        before, after = constraints(old), constraints(new)
        for key in [*before, *(key for key in after if key not in before)]:
            one, other = matters(key, before.get(key), self._old), matters(key, after.get(key), self._new)
            if as_json(one) == as_json(other) and (key in before) == (key in after):
                continue
            rule = constraint_rule(key, one, other)
            said = [repr(value) if key in there else "none" for value, there in ((one, before), (other, after))]
            self.add(rule, spot, f"{key}: {said[0]} → {said[1]}")


_NUMBERS = {("integer", "number"): "TYPE_WIDENED", ("number", "integer"): "TYPE_NARROWED"}


def _same(old: JsonSchema, new: JsonSchema) -> bool:
    return old == new


def _need(required: bool) -> str:
    return "REQUIRED" if required else "OPTIONAL"


def _field_text(schema: JsonSchema, required: bool) -> str:
    return type_text(schema) + ("" if required else default_text(schema) or ", which may be left out")
