"""What is said of a change of a contract, from old to new and back, and how it is listed."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from contract_source import NOBODY, RAISES, changes, changes_at, document, method, names_of, users, words
from typedrpc import ContractError, Rpc
from typedrpc.change_rules import CONTRACT_RULES, RULES, TYPE_RULES
from typedrpc.changes import Change, contract_changes, listing, services_changes

ONEWAY = method("x: int", decorator="oneway=True")

ROWS: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    # from, to; the rules with whom they break; those of the reverse
    (
        users(method()),
        users(method(), method(name="put")),
        {"METHOD_ADDED": "WS SS"},
        {"METHOD_REMOVED": "WC SC SS"},
    ),
    (
        users(method()),
        users(method(name="fetch", decorator="name='get'")),
        {"METHOD_RENAMED": "SC SS"},
        {"METHOD_RENAMED": "SC SS"},
    ),
    (
        users(method()),
        users(method(decorator="name='fetch'")),
        {"METHOD_WIRE_NAME_CHANGED": "WC WS"},
        {"METHOD_WIRE_NAME_CHANGED": "WC WS"},
    ),
    (
        users(method()),
        users(method(), options="topic='people'"),
        {"TOPIC_CHANGED": "WC WS"},
        {"TOPIC_CHANGED": "WC WS"},
    ),
    (
        users(method("x: int")),
        users(method("x: int"), options="dialect='spring'"),
        {"DIALECT_CHANGED": "WC WS"},
        {"DIALECT_CHANGED": "WC WS"},
    ),
    (users(method("x: int", "int")), users(ONEWAY), {"ONEWAY_ADDED": "WC SC SS"}, {"ONEWAY_REMOVED": "WS SS"}),
    (
        users(method()),
        users(method(), options="delivery='at_most_once'"),
        {"DELIVERY_CHANGED": "WC WS"},
        {"DELIVERY_CHANGED": "WC WS"},
    ),
    (users(method()), users(method(decorator="timeout=5")), {"TIMEOUT_CHANGED": ""}, {"TIMEOUT_CHANGED": ""}),
    (
        users(method(decorator="idempotent=True")),
        users(method(decorator="idempotent=True, retry=Retry()")),
        {"RETRY_CHANGED": ""},
        {"RETRY_CHANGED": ""},
    ),
    (
        users(method()),
        users(method(decorator="idempotent=True")),
        {"IDEMPOTENT_ADDED": "WS"},
        {"IDEMPOTENT_REMOVED": "WC SC"},
    ),
    (
        users(method("a: int")),
        users(method("a: int, b: int")),
        {"PARAMETER_ADDED_REQUIRED": "WC WS SC SS"},
        {"PARAMETER_REMOVED_REQUIRED": "WC WS SC SS"},
    ),
    (
        users(method("a: int")),
        users(method("a: int, b: int = 1")),
        {"PARAMETER_ADDED_OPTIONAL": "WS SS"},
        {"PARAMETER_REMOVED_OPTIONAL": "WC SC SS"},
    ),
    (
        users(method("a: int"), options="dialect='spring'"),
        users(method("b: int"), options="dialect='spring'"),
        {"PARAMETER_RENAMED": "SC SS"},
        {"PARAMETER_RENAMED": "SC SS"},
    ),
    (
        users(method(), options="dialect='spring'"),
        users(method("b: int = 1"), options="dialect='spring'"),
        {"PARAMETER_ADDED_REQUIRED": "WC WS SC SS"},
        {"PARAMETER_REMOVED_REQUIRED": "WC WS SC SS"},
    ),
    (
        users(method("a: int = 1")),
        users(method("a: int")),
        {"PARAMETER_NOW_REQUIRED": "WC SC SS"},
        {"PARAMETER_NOW_OPTIONAL": "WS SS"},
    ),
    (
        users(method("a: int")),
        users(method("*, a: int")),
        {"PARAMETER_KIND_CHANGED": "SC SS"},
        {"PARAMETER_KIND_WIDENED": "SS"},
    ),
    (
        users(method("a: int")),
        users(method("a: int, /")),
        {"PARAMETER_KIND_CHANGED": "SC SS"},
        {"PARAMETER_KIND_WIDENED": "SS"},
    ),
    (
        users(method("a: int, b: int")),
        users(method("b: int, a: int")),
        {"PARAMETER_ORDER_CHANGED": "SC SS"},
        {"PARAMETER_ORDER_CHANGED": "SC SS"},
    ),
    (
        users(method("a: int = 1")),
        users(method("b: int = 1, a: int = 1")),
        {"PARAMETER_ORDER_CHANGED": "SC SS", "PARAMETER_ADDED_OPTIONAL": "WS SS"},
        {"PARAMETER_REMOVED_OPTIONAL": "WC SC SS"},
    ),
    (
        users(method("*, a: int, b: int")),
        users(method("*, b: int, a: int")),
        {"KEYWORD_ORDER_CHANGED": "SS"},
        {"KEYWORD_ORDER_CHANGED": "SS"},
    ),
    (
        users(method("a: int = 1")),
        users(method("a: int = 2")),
        {"DEFAULT_CHANGED": "SS"},
        {"DEFAULT_CHANGED": "SS"},
    ),
    (
        users(method(), before=NOBODY),
        users(method(decorator=RAISES), before=NOBODY),
        {"ERROR_ADDED": "WS"},
        {"ERROR_REMOVED": "WC SC SS"},
    ),
    (
        users(method(decorator=RAISES), before=NOBODY),
        users(method(decorator=RAISES), before=NOBODY.replace("NOT_FOUND", "ABORTED")),
        {"ERROR_CODE_CHANGED": "WC WS"},
        {"ERROR_CODE_CHANGED": "WC WS"},
    ),
    (
        users(method(decorator=RAISES), before=NOBODY),
        users(method(decorator=RAISES), before=NOBODY.replace("RpcError, code=Status.NOT_FOUND", "NotFound")),
        {"ERROR_BASE_CHANGED": "SC SS"},
        {"ERROR_BASE_CHANGED": "SC SS"},
    ),
    (
        users(method(decorator=RAISES), before=NOBODY),
        users(method(decorator=RAISES), before=NOBODY + "    name: str\n"),
        {"FIELD_ADDED_REQUIRED": "WS SS"},
        {"FIELD_REMOVED_REQUIRED": "WC SC SS"},
    ),
]


@pytest.mark.parametrize(("old", "new", "there", "back"), ROWS)
def test_a_change_of_a_contract_breaks_whom_it_must(
    old: str, new: str, there: dict[str, str], back: dict[str, str]
) -> None:
    assert changes(old, new) == set(there.items())
    assert changes(new, old) == set(back.items())


UNREPORTED = {"SERVICE_ADDED", "SERVICE_REMOVED", "SERVICE_RENAMED"}


def test_every_rule_of_contracts_is_among_these_rows() -> None:
    tested = {rule for _, _, there, back in ROWS for rule in (*there, *back)}
    assert CONTRACT_RULES.keys() - tested == UNREPORTED
    types = (Path(__file__).parent / "test_schema_changes.py").read_text()
    assert [rule for rule in TYPE_RULES if f'"{rule}"' not in types] == []


def test_a_place_of_a_change_is_named() -> None:
    one, other = users(method("a: int", decorator=RAISES), before=NOBODY), users(method("a: str"))
    assert changes_at(one, other) == {"TYPE_CHANGED": "users/get parameter a", "ERROR_REMOVED": "users/get"}
    one = users(method(decorator=RAISES), before=NOBODY)
    assert changes_at(one, one.replace("id: int", "id: str")) == {"TYPE_CHANGED": "error Nobody.id"}


def test_what_is_too_long_to_read_is_cut_on_both_sides() -> None:
    kinds = [f"Annotated[int, Field(json_schema_extra={{'not': {{'enum': ['{n}'] * 9999}}}})]" for n in "ab"]
    one, other = (document(users(method(f"it: {kind}"))) for kind in kinds)
    (change,) = contract_changes(one, other)
    old, new = change.text.split(" → ")
    assert (len(old), len(new), old[-3:], new[-3:]) == (250, 250, "...", "...")
    assert old.startswith("not: {'enum': ['a', 'a'")
    assert new.startswith("{'enum': ['b', 'b'")
    long, longer = (document(users(method(f"it: str = 'x' * {n}"))) for n in (9998, 9999))
    assert len(contract_changes(long, longer)[0].text) < 600
    assert contract_changes(long, long) == []


def test_services_are_paired_by_name() -> None:
    old, new = document(users(method())), document(users(method("x: int")))
    other = old.model_copy(update={"service": "people"})
    found = services_changes([old, other], [new])
    assert [(each.rule, each.where, words(each.breaks)) for each in found] == [
        ("PARAMETER_ADDED_REQUIRED", "users/get parameter x", "WC WS SC SS"),
        ("SERVICE_REMOVED", "people", "WC SC SS"),
    ]
    assert [(each.rule, words(each.breaks)) for each in services_changes([old], [old, other])] == [
        ("SERVICE_ADDED", "")
    ]


def test_one_service_on_each_side_may_have_another_name() -> None:
    old = document(users(method()))
    new = document(users(method()).replace("'users'", "'people'"))
    assert [(each.rule, words(each.breaks)) for each in services_changes([old], [new])] == [
        ("SERVICE_RENAMED", "WC WS")
    ]


RICH = [
    *itertools.chain.from_iterable((old, new) for old, new, _, _ in ROWS),
    *(
        users(method(f"it: {kind}", kind, decorator=RAISES), before=NOBODY)
        for kind in (
            *("int", "float", "Decimal", "str", "bytes", "bool", "None", "UUID", "datetime", "date", "timedelta"),
            *("list[int]", "set[int]", "tuple[int, ...]", "tuple[int, int]", "dict[str, int]", "dict[int, str]"),
            *("JsonValue", "Literal[1]", "Literal[True]", "Literal['1']", "int | str", "int | None"),
            "Annotated[Json[int], PlainSerializer(str)]",
            *("AnyUrl", "FilePath", "IPvAnyAddress"),
            *(
                f"Annotated[int, Field(json_schema_extra={each})]"
                for each in ("{'x-a': 1}", "{'x-a': 2}", "{'not': {}}")
            ),
        )
    ),
    *(
        users(method("it: M", "list[M]"), before=f"class M(BaseModel{options}):\n    {fields}\n")
        for options, fields in (
            *(("", "x: int"), ("", "x: int = 1"), ("", "x: int = 2"), ("", "x: int = Field(alias='X')")),
            *((", extra='forbid'", "x: int"), (", extra='allow'", "x: int"), ("", "x: 'list[M]'"), ("", "pass")),
            *(("", "x: Annotated[int, Field(deprecated=True)]"), ("", "x: int = Field(default_factory=int)")),
        )
    ),
]


@pytest.mark.parametrize("source", RICH)
def test_a_contract_has_not_changed_from_itself(source: str) -> None:
    assert contract_changes(document(source), document(source)) == []


def test_contracts_of_different_hashes_have_changes_and_of_the_same_hash_none() -> None:
    documents = [document(source) for source in dict.fromkeys(RICH)]
    for old, new in itertools.permutations(documents, 2):
        assert (old.hash == new.hash) == (contract_changes(old, new) == []), f"{old}\n{new}"


NOT_REFUSED = {
    "ONEWAY_REMOVED",
    "ERROR_REMOVED",
    "ERROR_BASE_CHANGED",
    "FIELD_ADDED_REQUIRED",
    "FIELD_REMOVED_REQUIRED",
}
"""Type checkers or a handler's own code find these."""


@pytest.mark.parametrize(
    ("old", "new", "rules"), [*((o, n, t) for o, n, t, _ in ROWS), *((n, o, b) for o, n, _, b in ROWS)]
)
def test_a_class_that_implements_the_old_contract_is_refused_where_it_is_said(
    old: str, new: str, rules: dict[str, str]
) -> None:
    body = re.sub(r"method\(.*\)", "method", old[old.index("    @service") :])
    source = new + "\nclass Server(Users):\n" + body + "Server()\n"
    if any("SS" in breaks for rule, breaks in rules.items() if rule not in NOT_REFUSED):
        with pytest.raises((ContractError, TypeError)):
            names_of(source)
    else:
        names_of(source)


@pytest.mark.parametrize(
    ("own", "rule"),
    [("oneway=True", "ONEWAY_REMOVED"), ("raises=[Nobody]", "ERROR_REMOVED")],
)
def test_a_class_that_repeats_what_its_contract_said_is_refused_too(own: str, rule: str) -> None:
    old, new = users(method(decorator=own), before=NOBODY), users(method(), before=NOBODY)
    assert rule in dict(changes(old, new))
    with pytest.raises(ContractError):
        names_of(new + "\nclass Server(Users):\n" + method(decorator=own, body="return None"))


def test_callers_may_not_go_on_retrying_what_is_not_idempotent_any_more() -> None:
    client = Rpc.in_memory().client(names_of(users(method()))["Users"])
    with pytest.raises(RuntimeError, match="idempotent"):
        client.get.with_options(retry=names_of("")["Retry"]())


def test_the_listing_says_whom_each_breaks_and_what_to_roll_out_first() -> None:
    def last(*words: str) -> str:
        found = [Change(rule="R", where="w", text="t", breaks=RULES[rule].request) for rule in words]
        return listing(found).splitlines()[-1]

    assert last() == "no changes"
    assert last("TIMEOUT_CHANGED") == "1 change: none breaks anybody on the wire; roll out in any order"
    assert last("METHOD_ADDED", "METHOD_ADDED") == (
        "2 changes: 2 break servers on the wire; roll out servers before callers"
    )
    assert last("METHOD_REMOVED") == "1 change: 1 breaks callers on the wire; roll out callers before servers"
    assert last("METHOD_REMOVED", "METHOD_ADDED", "TIMEOUT_CHANGED") == (
        "3 changes: 1 breaks callers and 1 breaks servers on the wire; no order of roll-out is safe"
    )
    one, other = users(method()), users(method(), method(name="put"))
    assert listing(contract_changes(document(one), document(other))).splitlines()[:2] == [
        "WIRE     SOURCE   CHANGE",
        "servers  servers  METHOD_ADDED users/put: added",
    ]
