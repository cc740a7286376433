"""State machines as data: one table gives the check, the trigger and the diagram (INV-3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import pgtrigger

from config.kernel.errors import InvalidTransition
from config.kernel.triggers import refuse

_known: dict[str, "TransitionTable"] = {}


def known() -> list["TransitionTable"]:
    """Every table of the product, by name, for the docs."""
    return [_known[name] for name in sorted(_known)]


@dataclass(frozen=True)
class TransitionTable:
    """The states a row may start in and the moves it may make.

    `name` is the machine's name in errors and constraint names: `<name>_first_state`,
    `<name>_transition`, `<name>_version`.
    """

    name: str
    first: frozenset[str]
    moves: Mapping[str, frozenset[str]]

    def __post_init__(self) -> None:
        _known[self.name] = self

    @property
    def states(self) -> list[str]:
        """Every state named anywhere in the table, sorted."""
        targets = {to for tos in self.moves.values() for to in tos}
        return sorted(self.first | set(self.moves) | targets)

    def allows(self, from_state: str, to_state: str) -> bool:
        return to_state in self.moves.get(from_state, frozenset())

    def check(self, from_state: str, to_state: str) -> None:
        """Raise InvalidTransition (`invalid_transition`, 409) when the table has no such move."""
        if not self.allows(from_state, to_state):
            raise InvalidTransition(
                f"A {self.name} that is {_words(from_state)} cannot become {_words(to_state)}.",
                from_state=from_state,
                to_state=to_state,
            )

    def trigger(self) -> pgtrigger.Trigger:
        """The same table as a guard of the database: first states, moves, version plus one."""
        first = ", ".join(f"'{state}'" for state in sorted(self.first))
        moves = ", ".join(f"'{a}>{b}'" for a in sorted(self.moves) for b in sorted(self.moves[a]))
        func = f"""
            IF TG_OP = 'INSERT' THEN
                IF NOT NEW.state = ANY (ARRAY[{first}]) THEN
                    {refuse(f"{self.name}_first_state", f"a {self.name} cannot start there")}
                END IF;
            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN
                IF NOT (OLD.state || '>' || NEW.state) = ANY (ARRAY[{moves}]::text[]) THEN
                    {refuse(f"{self.name}_transition", f"a {self.name} cannot make this move")}
                END IF;
                IF NEW.version <> OLD.version + 1 THEN
                    {refuse(f"{self.name}_version", "a move raises the version by one")}
                END IF;
            END IF;
            RETURN NEW;
        """
        return pgtrigger.Trigger(
            name="transitions",
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("state"),
            when=pgtrigger.Before,
            func=func,
        )

    def diagram(self) -> str:
        """The table as a Mermaid state diagram, for the docs."""
        lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in sorted(self.first))]
        for a in sorted(self.moves):
            lines += [f"    {a} --> {b}" for b in sorted(self.moves[a])]
        return "\n".join(lines)


def _words(state: str) -> str:
    return state.replace("_", " ")
