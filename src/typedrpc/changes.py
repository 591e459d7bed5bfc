"""What changed between two contracts, and whom it breaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from typedrpc.change_rules import BREAKS, RULES, Break
from typedrpc.document import (
    ContractDocument,
    ErrorDocument,
    MethodDocument,
    ParameterDocument,
    declared_errors,
    object_schema,
)
from typedrpc.schema_changes import Comparison, Spot
from typedrpc.schemas import JsonSchema, default_text, type_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: its rule, as in the table of rules; where it is; what it is from and to; and whom it breaks."""

    rule: str
    where: str
    text: str
    breaks: frozenset[Break]

    def __str__(self) -> str:
        return f"{self.rule} {self.where}: {self.text}"


def contract_changes(old: ContractDocument, new: ContractDocument) -> list[Change]:
    """What is different in the new contract, compatible changes too. Descriptions and orders that say nothing are no
    changes: that of fields, of the values of a `Literal`, of the members of a union.
    """
    found = _Contracts(old, new)
    found.compare()
    return found.changes()


def services_changes(old: Sequence[ContractDocument], new: Sequence[ContractDocument]) -> list[Change]:
    """The same of several services, by their names; where there is one on each side, it may have another name."""
    if len(old) == len(new) == 1:
        return contract_changes(old[0], new[0])
    before, after = {each.service: each for each in old}, {each.service: each for each in new}
    changes: list[Change] = []
    for name in dict.fromkeys([*before, *after]):
        if name in before and name in after:
            changes += contract_changes(before[name], after[name])
        else:
            rule, text = ("SERVICE_ADDED", "added") if name in after else ("SERVICE_REMOVED", "gone")
            changes.append(Change(rule=rule, where=name, text=text, breaks=RULES[rule].request))
    return changes


def _as_changes(comparison: Comparison) -> list[Change]:
    return [
        Change(rule=rule, where=where, text=_brief(text), breaks=breaks)
        for (rule, where, text), breaks in comparison.found.items()
    ]


_LONGEST: Final = 250


def _brief(text: str) -> str:
    """What it is from and what it is to, each no longer than people read: the documents have all of it."""
    return " → ".join(f"{each[: _LONGEST - 3]}..." if len(each) > _LONGEST else each for each in text.split(" → ", 1))


class _Contracts:
    """Compares two documents."""

    def __init__(self, old: ContractDocument, new: ContractDocument) -> None:
        self._old = old
        self._new = new
        self._types = Comparison(old.definitions, new.definitions)

    def changes(self) -> list[Change]:
        return _as_changes(self._types)

    def compare(self) -> None:
        old, new = self._old, self._new
        if old.service != new.service:
            self._add("SERVICE_RENAMED", new.service, f"{old.service} → {new.service}")
        pairs = _pairs(old.methods, new.methods)
        for one in old.methods:
            where = f"{new.service}/{one.name}"
            if (other := pairs.get(one.name)) is None:
                self._add("METHOD_REMOVED", where, "gone")
            else:
                self._method(one, other, f"{new.service}/{other.name}")
        kept = {method.name for method in pairs.values()}
        for method in new.methods:
            if method.name not in kept:
                self._add("METHOD_ADDED", f"{new.service}/{method.name}", "added")

    def _add(self, rule: str, where: str, text: str) -> None:
        self._types.add(rule, Spot(where, "request"), text)

    def _method(self, old: MethodDocument, new: MethodDocument, where: str) -> None:
        if old.name != new.name:
            self._add("METHOD_WIRE_NAME_CHANGED", where, f"{old.name} → {new.name}")
        if old.python_name != new.python_name:
            self._add("METHOD_RENAMED", where, f"in Python {old.python_name} → {new.python_name}")
        if old.topic != new.topic and (old.topic, new.topic) != (self._old.service, self._new.service):
            self._add("TOPIC_CHANGED", where, f"topic {old.topic} → {new.topic}")
        for name in ("dialect", "delivery", "timeout", "retry"):
            one, other = getattr(old, name), getattr(new, name)
            if one != other:
                said = [str(value) if value is not None else "none" for value in (one, other)]
                self._add(f"{name.upper()}_CHANGED", where, f"{name} {said[0]} → {said[1]}")
        for name in ("oneway", "idempotent"):
            if getattr(old, name) != getattr(new, name):
                rule, text = ("ADDED", "is") if getattr(new, name) else ("REMOVED", "is no longer")
                self._add(f"{name.upper()}_{rule}", where, f"it {text} {name}")
        bare = old.dialect == new.dialect != "typedrpc"
        _Parameters(self._types, where, bare=bare).compare(old.parameters, new.parameters)
        if old.reply is not None and new.reply is not None:
            self._types.types(old.reply, new.reply, Spot(f"{where} reply", "reply"))
        self._raises(old, new, where)

    def _raises(self, old: MethodDocument, new: MethodDocument, where: str) -> None:
        before, after = _errors(self._old, old), _errors(self._new, new)
        for name in dict.fromkeys([*before, *after]):
            if name not in after:
                self._add("ERROR_REMOVED", where, f"it does not raise {name} any more")
            elif name not in before:
                self._add("ERROR_ADDED", where, f"it may raise {name}")
            else:
                self._error(before[name], after[name])

    def _error(self, old: ErrorDocument, new: ErrorDocument) -> None:
        where = f"error {new.type}"
        if old.code != new.code:
            self._add("ERROR_CODE_CHANGED", where, f"status {old.code} → {new.code}")
        if old.base != new.base:
            self._add("ERROR_BASE_CHANGED", where, f"base {old.base} → {new.base}")
        self._types.fields(object_schema(old.fields), object_schema(new.fields), Spot(where, "reply"))


def _errors(document: ContractDocument, method: MethodDocument) -> dict[str, ErrorDocument]:
    """Those that a method raises, by the name that travels."""
    return {error.type: error for error in declared_errors(document, method).values()}


def _pairs(old: Sequence[MethodDocument], new: Sequence[MethodDocument]) -> dict[str, MethodDocument]:
    """By the old wire name, the method that each has become: of the same wire name, else of the same Python name."""
    same = {method.name: method for method in new}
    pairs = {method.name: same[method.name] for method in old if method.name in same}
    left = {method.python_name: method for method in new if method.name not in pairs}
    for method in old:
        if method.name not in pairs and method.python_name in left:
            pairs[method.name] = left[method.python_name]
    return pairs


class _Parameters:
    """Compares the parameters of one method. `bare`: its body is the one parameter's value, without a name."""

    def __init__(self, types: Comparison, where: str, *, bare: bool) -> None:
        self._types = types
        self._where = where
        self._bare = bare

    def compare(self, old: list[ParameterDocument], new: list[ParameterDocument]) -> None:
        before, after = {p.name: p for p in old}, {p.name: p for p in new}
        if self._bare and len(old) == len(new) == 1 and before.keys() != after.keys():
            self._add("PARAMETER_RENAMED", new[0].name, f"{old[0].name} → {new[0].name}")
            before = {new[0].name: old[0]}
        for name, parameter in before.items():
            if name in after:
                self._parameter(parameter, after[name])
            else:
                self._add(f"PARAMETER_REMOVED_{self._need(parameter)}", name, f"gone; it was {_text(parameter)}")
        for name, parameter in after.items():
            if name not in before:
                self._add(f"PARAMETER_ADDED_{self._need(parameter)}", name, f"added: {_text(parameter)}")
        self._order(list(before.values()) if self._bare else old, new)

    def _add(self, rule: str, name: str, text: str) -> None:
        where = f"{self._where} parameter {name}" if name else self._where
        self._types.add(rule, Spot(where, "request"), text)

    def _need(self, parameter: ParameterDocument) -> str:
        """A body that is there or not has no default."""
        return "REQUIRED" if parameter.required or self._bare else "OPTIONAL"

    def _parameter(self, old: ParameterDocument, new: ParameterDocument) -> None:
        if old.kind != new.kind:
            rule = "PARAMETER_KIND_WIDENED" if new.kind == "positional_or_keyword" else "PARAMETER_KIND_CHANGED"
            self._add(rule, new.name, f"{_words(old.kind)} → {_words(new.kind)}")
        if old.required != new.required:
            rule, text = ("REQUIRED", "required") if new.required else ("OPTIONAL", "no longer required")
            self._add(f"PARAMETER_NOW_{rule}", new.name, f"it is {text}: {_text(old)} → {_text(new)}")
        elif not new.required and _default(old) != _default(new):
            self._add("DEFAULT_CHANGED", new.name, f"{_text(old)} → {_text(new)}")
        spot = Spot(f"{self._where} parameter {new.name}", "request")
        self._types.types(_plain(old), _plain(new), spot)

    def _order(self, old: list[ParameterDocument], new: list[ParameterDocument]) -> None:
        """New parameters that are given by their place may only come last."""
        names = {p.name: p.kind for p in new}
        by_place = [p.name for p in old if p.kind != _BY_NAME and names.get(p.name, _BY_NAME) != _BY_NAME]
        now = [p.name for p in new if p.kind != _BY_NAME]
        if by_place != now[: len(by_place)]:
            self._add("PARAMETER_ORDER_CHANGED", "", f"by their place: {', '.join(by_place)} → {', '.join(now)}")
            return
        before, after = [p.name for p in old if p.name in names], [p.name for p in new]
        others = {p.name for p in old}
        if before != [name for name in after if name in others]:
            self._add("KEYWORD_ORDER_CHANGED", "", f"{', '.join(before)} → {', '.join(after)}")


_BY_NAME: Final = "keyword_only"
_NOTHING: Final = object()


def _default(parameter: ParameterDocument) -> object:
    default = parameter.json_schema.get("default", _NOTHING)
    return default, type(default)  # 1 is not True


def _plain(parameter: ParameterDocument) -> JsonSchema:
    return {key: value for key, value in parameter.json_schema.items() if key != "default"}


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _text(parameter: ParameterDocument) -> str:
    return type_text(parameter.json_schema) + ("" if parameter.required else default_text(parameter.json_schema))


def listing(changes: Sequence[Change]) -> str:
    """The changes as text: whom each breaks, what it is, and at last how to roll out."""
    rows = [("WIRE", "SOURCE", "CHANGE")] if changes else []
    rows += [(_sides(each, "W"), _sides(each, "S"), str(each)) for each in changes]
    lines = [f"{wire:<8} {source:<8} {text}" for wire, source, text in rows]
    return "\n".join([*lines, conclusion(changes)])


def _sides(change: Change, level: str) -> str:
    callers, servers = BREAKS[f"{level}C"] in change.breaks, BREAKS[f"{level}S"] in change.breaks
    return "both" if callers and servers else "callers" if callers else "servers" if servers else "-"


def conclusion(changes: Iterable[Change]) -> str:
    """How many break whom on the wire, and what to roll out first."""
    changes = list(changes)
    callers, servers = (sum(BREAKS[word] in each.breaks for each in changes) for word in ("WC", "WS"))
    if not changes:
        return "no changes"
    count = f"{len(changes)} change{'s' if len(changes) > 1 else ''}"
    broken = [f"{n} break{'s' if n == 1 else ''} {who}" for n, who in ((callers, "callers"), (servers, "servers")) if n]
    order = {
        (False, False): "roll out in any order",
        (True, False): "roll out callers before servers",
        (False, True): "roll out servers before callers",
        (True, True): "no order of roll-out is safe",
    }[bool(callers), bool(servers)]
    return f"{count}: {' and '.join(broken) or 'none breaks anybody'} on the wire; {order}"
