"""Patterns of subjects: which CI jobs are meant, and which look alike."""

import pytest

from app.core.subjects import fits, key_of, require_pattern

MAIN = "repo:rivers/levels:ref:refs/heads/main"


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        (MAIN, MAIN),
        ("repo:rivers/levels:ref:refs/heads/*", MAIN),
        ("repo:rivers/levels:ref:refs/tags/v*", "repo:rivers/levels:ref:refs/tags/v1.0"),
        ("repo:rivers/levels:*", "repo:rivers/levels:pull_request"),
        ("repo:rivers/levels:environment:*-eu", "repo:rivers/levels:environment:live-eu"),
        ("project_path:g/p:ref_type:*:ref:main", "project_path:g/p:ref_type:branch:ref:main"),
        ("a-job", "a-job"),
    ],
)
def test_subject_when_the_pattern_means_it_then_it_fits(pattern: str, subject: str) -> None:
    assert fits(require_pattern(pattern), subject)
    assert key_of(pattern) == key_of(subject)


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        (MAIN, "repo:rivers/levels-evil:ref:refs/heads/main"),
        (MAIN, "repo:rivers-evil/levels:ref:refs/heads/main"),
        (MAIN, "repo:Rivers/levels:ref:refs/heads/main"),
        (MAIN, f"{MAIN} "),
        (MAIN, f"{MAIN}/x"),
        (MAIN, f"x{MAIN}"),
        (MAIN, "repo:rivers/levels:ref:refs/heads/mainx"),
        (MAIN, "repo/rivers:levels:ref:refs/heads/main"),
        ("repo:rivers/levels:*", MAIN),
        ("repo:rivers/levels:ref:refs/heads/*", "repo:rivers/levels:ref:refs/heads/release/1"),
        ("repo:rivers/levels:ref:refs/heads/*", "repo:rivers/levels:ref:refs/heads/"),
        ("repo:rivers/levels:ref:refs/heads/*", "repo:rivers/levels:ref:refs/tags/main"),
        ("repo:rivers/levels:ref:refs/heads/a*a", "repo:rivers/levels:ref:refs/heads/a"),
        ("repo:rivers/levels:ref:refs/heads/ma.n", MAIN),
    ],
)
def test_subject_when_it_only_looks_alike_then_it_does_not_fit(pattern: str, subject: str) -> None:
    assert not fits(require_pattern(pattern), subject)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "*",
        "repo:*/levels:ref:x",
        "repo:rivers/*",
        "repo:rivers/lev*:ref:x",
        "repo:a/b:x*y*z",
        "repo:a/b:é",
        "a\n",
        "x" * 256,
    ],
)
def test_pattern_when_it_would_mean_too_much_then_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"[Ww]rite"):
        require_pattern(pattern)
