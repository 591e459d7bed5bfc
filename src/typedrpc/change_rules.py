"""What a change of a contract is called, and whom it breaks: one table; docs/contract-changes.md shows it."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Break = Literal["wire-callers", "wire-servers", "source-callers", "source-servers"]
"""Who fails: on the wire, a caller (or a server) that keeps the old contract, at one that has the new; in source, code
that was written for the old contract, and is checked and run with the new one.
"""

Direction = Literal["request", "reply"]
"""Which way a value goes: callers write requests and servers read them, with replies and errors it is the reverse."""

BREAKS: Final[dict[str, Break]] = {
    "WC": "wire-callers",
    "WS": "wire-servers",
    "SC": "source-callers",
    "SS": "source-servers",
}


class Rule(NamedTuple):
    """A kind of change. Where it is one of a type, it breaks others in a request than in a reply."""

    meaning: str
    request: frozenset[Break]
    reply: frozenset[Break]

    def breaks(self, direction: Direction) -> frozenset[Break]:
        """Whom it breaks."""
        return self.request if direction == "request" else self.reply


def _rule(meaning: str, breaks: str) -> Rule:
    both = _breaks(breaks)
    return Rule(meaning, both, both)


def _of_type(meaning: str, request: str, reply: str) -> Rule:
    return Rule(meaning, _breaks(request), _breaks(reply))


def _breaks(words: str) -> frozenset[Break]:
    return frozenset(BREAKS[word] for word in words.split())


CONTRACT_RULES: Final[dict[str, Rule]] = {
    "SERVICE_ADDED": _rule("a service is there", ""),
    "SERVICE_REMOVED": _rule("a service is gone", "WC SC SS"),
    "SERVICE_RENAMED": _rule("the service has another name on the wire", "WC WS"),
    "METHOD_ADDED": _rule("a method is there: an old server answers UNIMPLEMENTED, an old class lacks it", "WS SS"),
    "METHOD_REMOVED": _rule("a method is gone", "WC SC SS"),
    "METHOD_RENAMED": _rule("a method has another name in Python, and the same on the wire", "SC SS"),
    "METHOD_WIRE_NAME_CHANGED": _rule("a method has another name on the wire, and the same in Python", "WC WS"),
    "TOPIC_CHANGED": _rule("requests go to another topic", "WC WS"),
    "DIALECT_CHANGED": _rule("requests are written as another framework writes them", "WC WS"),
    "ONEWAY_ADDED": _rule("its calls have no value any more, for which old callers wait", "WC SC SS"),
    "ONEWAY_REMOVED": _rule("its calls have a value, which an old server does not send", "WS SS"),
    "DELIVERY_CHANGED": _rule("what a restart does to a request: it is lost, or may run twice", "WC WS"),
    "TIMEOUT_CHANGED": _rule("the default deadline of calls, which callers send along", ""),
    "RETRY_CHANGED": _rule("how callers try again", ""),
    "IDEMPOTENT_ADDED": _rule("it may be retried, and an old server may not bear that", "WS"),
    "IDEMPOTENT_REMOVED": _rule("it may not be retried any more: old callers go on, `retry=` is refused", "WC SC"),
    "PARAMETER_ADDED_REQUIRED": _rule("old callers do not give it, old servers ignore it", "WC WS SC SS"),
    "PARAMETER_ADDED_OPTIONAL": _rule("a parameter with a default, which old servers ignore", "WS SS"),
    "PARAMETER_REMOVED_REQUIRED": _rule("new servers ignore it, old servers miss it", "WC WS SC SS"),
    "PARAMETER_REMOVED_OPTIONAL": _rule("a parameter with a default, which new servers ignore", "WC SC SS"),
    "PARAMETER_RENAMED": _rule("the one parameter of another framework's method, which has no name there", "SC SS"),
    "PARAMETER_NOW_REQUIRED": _rule("it has no default any more", "WC SC SS"),
    "PARAMETER_NOW_OPTIONAL": _rule("it has a default, so that callers may leave it out", "WS SS"),
    "PARAMETER_KIND_CHANGED": _rule("it cannot be given by its place, or by its name, any more", "SC SS"),
    "PARAMETER_KIND_WIDENED": _rule("it may be given by its place and by its name", "SS"),
    "PARAMETER_ORDER_CHANGED": _rule("parameters that are given by their place have another one", "SC SS"),
    "KEYWORD_ORDER_CHANGED": _rule("the same parameters in another order, and no caller gives them by it", "SS"),
    "DEFAULT_CHANGED": _rule("a parameter's default: a server's class must have the same", "SS"),
    "ERROR_ADDED": _rule("a method declares an error, as which old servers do not answer", "WS"),
    "ERROR_REMOVED": _rule("a method does not declare it any more: what was it arrives as another", "WC SC SS"),
    "ERROR_CODE_CHANGED": _rule("an error has another status: it arrives as the built-in one of that", "WC WS"),
    "ERROR_BASE_CHANGED": _rule("an error derives from another built-in one: other `except` clauses catch it", "SC SS"),
}
"""Of services, methods, parameters and errors."""

TYPE_RULES: Final[dict[str, Rule]] = {
    "TYPE_WIDENED": _of_type("more values than before", "WS SS", "WC SC"),
    "TYPE_NARROWED": _of_type("fewer values than before", "WC SC", "WS SS"),
    "TYPE_CHANGED": _of_type("other values than before", "WC WS SC SS", "WC WS SC SS"),
    "TYPE_REPLACED": _of_type("a type of another name, or one without a name", "SC SS", "SC SS"),
    "MODEL_RENAMED": _of_type("a model, or an enum, has another name, which does not travel", "SC SS", "SC SS"),
    "FORMAT_ADDED": _of_type("text that must be of a format: `str` → `datetime`", "WC SC SS", "WS SC SS"),
    "FORMAT_REMOVED": _of_type("text that may be anything: `UUID` → `str`", "WS SC SS", "WC SC SS"),
    "FORMAT_CHANGED": _of_type("text of another format: `date` → `datetime`", "WC WS SC SS", "WC WS SC SS"),
    "ENUM_VALUE_ADDED": _of_type("a value of a `Literal` or an enum is there", "WS SS", "WC SC"),
    "ENUM_VALUE_REMOVED": _of_type("a value of a `Literal` or an enum is gone", "WC SC SS", "WS SC SS"),
    "ENUM_MEMBER_RENAMED": _of_type("a member of an enum has another name in Python", "SC SS", "SC SS"),
    "CONSTRAINT_TIGHTENED": _of_type("a bound, length, pattern or the like refuses more", "WC", "WS"),
    "CONSTRAINT_LOOSENED": _of_type("a bound, length, pattern or the like refuses less", "WS", "WC"),
    "CONSTRAINT_CHANGED": _of_type("a pattern or the like refuses others, or cannot be compared", "WC WS", "WC WS"),
    "FIELD_ADDED_REQUIRED": _of_type("a field without a default is there", "WC WS SC", "WS SS"),
    "FIELD_ADDED_OPTIONAL": _of_type("a field with a default is there, which old readers ignore", "WS", ""),
    "FIELD_REMOVED_REQUIRED": _of_type("a field without a default is gone", "WC WS SC SS", "WC SC SS"),
    "FIELD_REMOVED_OPTIONAL": _of_type("a field with a default is gone", "WC SC SS", "WC SC SS"),
    "FIELD_NOW_REQUIRED": _of_type("it has no default any more", "WC SC", "WS SS"),
    "FIELD_NOW_OPTIONAL": _of_type("it has a default, so that it may be left out", "WS", "WC"),
    "FIELD_DEFAULT_CHANGED": _of_type("a field's default, which typedrpc sends along", "", ""),
    "ADDED_FIELD_REFUSED": _of_type("a field is there, and old readers refuse what they do not know", "WS", "WC"),
    "REMOVED_FIELD_REFUSED": _of_type("a field is gone, and new readers refuse what they do not know", "WC", "WS"),
    "EXTRA_FIELDS_FORBIDDEN": _of_type("fields that are not declared are refused", "WC", "WS"),
    "EXTRA_FIELDS_ALLOWED": _of_type("fields that are not declared are refused no more", "WS", "WC"),
    "EXTRA_FIELDS_KEPT": _of_type("fields that are not declared are kept, which old readers drop", "WS", ""),
    "EXTRA_FIELDS_DROPPED": _of_type("fields that are not declared are dropped, which old readers keep", "WC", ""),
    "ANNOTATION_CHANGED": _of_type("`deprecated` and the like, by which nothing is refused", "", ""),
}
"""Of types, by the way that their values go."""

RULES: Final[dict[str, Rule]] = {**CONTRACT_RULES, **TYPE_RULES}
