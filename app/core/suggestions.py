"""Did you mean …? The names most like a misspelt one, found in a bounded time whatever the names are."""

import time
from collections.abc import Collection, Iterator
from difflib import SequenceMatcher
from itertools import islice

LONGEST = 256
"""Characters of a name; longer ones are not compared, because the time grows with the square of the length."""
LOOKED_AT = 100_000
"""Candidates that are looked at for one that differs in case or blanks only."""
COMPARED = 2000
"""Candidates of about the same length that are compared letter by letter."""
SECONDS = 0.02
"""Of the processor, for comparing; the best of what was compared until then is the answer."""
NAMES_HELPED = 5
"""Names of one request for which suggestions are looked for; whoever has more wrong has another list in mind."""
ALIKE = 0.6
"""Share of characters in common, from which on two names are alike."""


def suggest(name: str, candidates: Collection[str], *, most: int = 3, alike: float = ALIKE) -> list[str]:
    """Return at most `most` candidates that somebody may have meant by `name`, the likeliest first.

    Blocks for `SECONDS` of processor time, and the time it takes to look at `LOOKED_AT` names, at most. Where a
    request brings several names, ask for the first `NAMES_HELPED` only.

    Args:
        name: as it was written.
        candidates: the names that there are.
        most: how many to return.
        alike: share of characters in common (`difflib.SequenceMatcher.ratio`) that a candidate needs.
    """
    if len(name) > LONGEST:
        return []
    fitting = [each for each in islice(candidates, LOOKED_AT) if len(each) <= LONGEST]
    folded = name.strip().casefold()
    same = [each for each in fitting if each.strip().casefold() == folded]
    if same:
        return same[:most]
    scored = sorted(_compare(name, fitting, alike), key=lambda found: found[0], reverse=True)
    return [candidate for _, candidate in scored[:most]]


def _compare(name: str, candidates: list[str], alike: float) -> Iterator[tuple[float, str]]:
    """Yield the candidates that are alike, each with its share of characters in common, until the time is up."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(name)
    until = time.thread_time() + SECONDS
    of_like_length = (
        each for each in candidates if 2 * min(len(each), len(name)) >= alike * (len(each) + len(name))
    )
    for candidate in islice(of_like_length, COMPARED):
        if time.thread_time() > until:
            return
        matcher.set_seq1(candidate)
        # The first is an upper bound, and cheap.
        if matcher.quick_ratio() >= alike and (share := matcher.ratio()) >= alike:
            yield share, candidate
