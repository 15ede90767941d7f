"""Every row of the record that concerns datasets is replayed, or its exception is listed with the reason."""

from tests.sandbox import test_observed_lifecycle, test_observed_uploads

REASON_ENGINE = "an engine's upload: the sandbox has its own engine inside, and answers administrators 101"
REASON_FETCH = "a dataset by address alone: the sandbox fetches nothing and answers 136"
REASON_HALF_CLOSE = (
    "412/135 after a half-close: uvicorn closes the connection, so no answer can be sent; nothing is stored"
)
REASON_RACE = (
    "24 uploads of one name at once: versions are counted in a transaction, so none is refused with 134"
)

EXCEPTIONS = {
    "091": REASON_HALF_CLOSE,
    "102": REASON_HALF_CLOSE,
    "135": REASON_ENGINE,
    "138": REASON_ENGINE,
    "177": "an empty 500 once; the same probe came again as 403, with code 474",
    "736": REASON_RACE,
    "737": REASON_RACE,
    "738": REASON_RACE,
    "745": REASON_RACE,
    "746": REASON_RACE,
    "777": "a body with a length and in chunks was taken; the HTTP parser below the sandbox refuses it with 400",
    "783": REASON_FETCH,
    "784": REASON_FETCH,
    "785": REASON_FETCH,
}

# Rows that need more than a line of a table: each is named in a comment of the test that has it.
ELSEWHERE = {
    "022",  # asking for 100-continue
    *("062", "063", "103", "104", "106"),  # what a description reads like afterwards
    *("107", "108", "109", "110"),  # private datasets
    *("120", "121", "133"),  # uploads that the other rows are about, and a download
    *("125", "126", "136", "137", "139", "140", "141"),  # after processing
    *(str(number) for number in range(501, 509)),  # PHP's own limits
    "723",  # a folder that cannot be written
    *("739", "740", "741", "742", "743", "744", "747", "748"),  # many uploads of one name at once
    *("772", "773", "774"),  # many equal tags at once
    "775",  # beyond what the web server takes
    "778",  # the first row once more
}


def numbers(first: int, last: int) -> set[str]:
    return {f"{number:03}" for number in range(first, last + 1)}


RECORDED = (
    numbers(1, 93)
    | numbers(101, 187)
    | {"189"}
    | numbers(226, 228)
    | numbers(401, 403)
    | numbers(479, 485)
    | {"487"}
) | (numbers(489, 493) | numbers(501, 508) | {"723"} | numbers(736, 748) | numbers(772, 785))


def test_record_when_compared_with_the_tests_then_each_row_is_replayed_or_excused() -> None:
    replayed = {row.number for row in test_observed_uploads.ROWS} | {
        row.row for row in test_observed_lifecycle.ROWS
    }
    replayed.remove("402a")  # the tag that row 402 meets again

    assert replayed | ELSEWHERE | EXCEPTIONS.keys() == RECORDED
    assert not replayed & EXCEPTIONS.keys()
    assert not ELSEWHERE & (replayed | EXCEPTIONS.keys())
