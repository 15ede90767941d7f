"""What `make mutants` breaks is there to be broken."""

from tests.mutants import MUTANTS, ROOT


def test_mutants_when_the_code_has_moved_on_then_each_text_still_stands_in_it_once() -> None:
    found = {mutant.name: (ROOT / mutant.file).read_text().count(mutant.text) for mutant in MUTANTS}

    assert found == dict.fromkeys(found, 1)
    assert len(found) == len(MUTANTS)


def test_mutants_when_tests_are_renamed_then_each_is_named_as_it_is_now() -> None:
    named = {test.partition("[")[0] for mutant in MUTANTS for test in mutant.tests}
    files = {test.partition("::")[0]: (ROOT / test.partition("::")[0]).read_text() for test in named}

    unknown = {
        test for test in named if f"def {test.partition('::')[2]}(" not in files[test.partition("::")[0]]
    }

    assert not unknown
