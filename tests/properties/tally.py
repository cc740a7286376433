"""How often each rule ran and what came of it, over all runs of this process."""

from collections import Counter, defaultdict

_counts: dict[str, Counter[str]] = defaultdict(Counter)
runs = 0


def begin() -> None:
    """Another run of the machine has begun."""
    global runs
    runs += 1


def add(rule: str, outcome: str) -> None:
    _counts[rule][outcome] += 1


def steps() -> int:
    """How many rules have run."""
    return sum(sum(outcomes.values()) for outcomes in _counts.values())


def table() -> str:
    """One line a rule: how often it ran, then its outcomes, the most frequent first."""
    lines = [f"{runs} runs, {steps()} steps"]
    for rule, outcomes in sorted(_counts.items()):
        said = ", ".join(f"{name} {many}" for name, many in outcomes.most_common())
        lines.append(f"{sum(outcomes.values()):>7}  {rule}: {said}")
    return "\n".join(lines)
