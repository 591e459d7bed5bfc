"""The table of rules, and that docs/contract-changes.md shows it."""

from __future__ import annotations

from pathlib import Path

from typedrpc.change_rules import CONTRACT_RULES, TYPE_RULES, Break

PAGE = Path(__file__).parent.parent / "docs" / "contract-changes.md"


def sides(breaks: frozenset[Break]) -> list[str]:
    """Whom it breaks on the wire, and in source."""
    found: list[str] = []
    for level in ("wire", "source"):
        broken = [side for side in ("callers", "servers") if f"{level}-{side}" in breaks]
        found.append("both" if len(broken) == 2 else "".join(broken))
    return found


def row(*cells: str) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def table() -> list[str]:
    """What the page must show of every rule, in order."""
    contracts = [row(f"`{name}`", each.meaning, *sides(each.request)) for name, each in CONTRACT_RULES.items()]
    types = [
        row(f"`{name}`", each.meaning, *sides(each.request), *sides(each.reply)) for name, each in TYPE_RULES.items()
    ]
    return contracts + types


def test_the_page_has_every_rule_with_whom_it_breaks() -> None:
    assert [line for line in PAGE.read_text().splitlines() if line.startswith("| `") and "_" in line] == table()


def test_a_rule_of_contracts_is_the_same_whichever_way_values_go() -> None:
    assert all(rule.request == rule.reply for rule in CONTRACT_RULES.values())
    assert not CONTRACT_RULES.keys() & TYPE_RULES.keys()
