"""Spellings of one e-mail address, and addresses that only look like it."""

from app.core.addresses import are_same


def test_addresses_when_compared_then_the_same_in_any_case_and_spelling_alone() -> None:
    assert are_same("ada@bücher.example", "Ada@XN--BCHER-KVA.example")
    assert are_same("ada@example.org", "ADA@Example.org")
    # Two domains of two owners, though folding the case makes them one.
    for spelled in ("ada@straße.example", "ada@xn--strae-oqa.example"):
        assert not are_same(spelled, "ada@strasse.example")
        assert not are_same("ada@strasse.example", spelled)
    assert not are_same("ada@example.org", "ada@example.com")
