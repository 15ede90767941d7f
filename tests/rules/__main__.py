"""`python -m tests.rules`: the rules of docs/architecture.md that no library checks, over all of `app`.

Each module beside this one, `rule_….py`, is one rule: its docstring's first line says what to do, and its function
`violations` yields what breaks the rule in one source file.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.rules.source import Source, read_sources

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def broken(sources: list[Source]) -> Iterator[str]:
    """Yield a line for each place that breaks a rule."""
    for path in sorted(HERE.glob("rule_*.py")):
        rule = importlib.import_module(f"tests.rules.{path.stem}")
        what_to_do = (rule.__doc__ or "").splitlines()[0]
        for source in sources:
            for line, what in rule.violations(source):
                yield f"{source.name}:{line}: {what}. {what_to_do}"


def main() -> int:
    """Print what breaks a rule; 1 if anything does."""
    found = list(broken(read_sources(ROOT)))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
