"""Every row of the record is replayed, or its exception is listed with the reason."""

import test_faults
import test_observed_lifecycle
import test_observed_tasks_and_studies
import test_observed_uploads
from sandbox_replay import numbers_of

REASON_ENGINE = "an engine's upload: the sandbox has its own engine inside, and answers administrators 101"
REASON_FETCH = "a dataset by address alone: the sandbox fetches nothing and answers 136"
REASON_HALF_CLOSE = (
    "412/135 after a half-close: uvicorn closes the connection, so no answer can be sent; nothing is stored"
)
EXCEPTIONS = {
    "091": REASON_HALF_CLOSE,
    "102": REASON_HALF_CLOSE,
    "135": REASON_ENGINE,
    "138": REASON_ENGINE,
    "177": "an empty 500 once; the same probe came again as 403, with code 474",
    "455": "an unknown run that was attached, 200 with a count of 0: the same code refuses one in row 423 and an "
    "unknown task in row 447, so the sandbox answers 1045",
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
    # Many uploads of one name at once: here none is refused with 134 by chance, but by the fault race-134.
    *(str(number) for number in range(736, 749)),
    *(str(number) for number in range(756, 765)),  # many equal tasks at once
    *("772", "773", "774"),  # many equal tags at once
    "775",  # beyond what the web server takes
    "778",  # the first row once more
}


def numbers(first: int, last: int) -> set[str]:
    return {f"{number:03}" for number in range(first, last + 1)}


# Every number of the tables A to F.
RECORDED = (
    numbers(1, 93)
    | numbers(101, 228)
    | numbers(401, 493)
    | numbers(501, 508)
    | numbers(701, 724)
    | numbers(736, 748)
    | numbers(756, 764)
    | numbers(772, 785)
    | numbers(801, 816)
)


def test_record_when_compared_with_the_tests_then_each_row_is_replayed_or_excused() -> None:
    replayed = {row.number for row in test_observed_uploads.ROWS}.union(
        *(
            numbers_of(module.ROWS)
            for module in (test_observed_lifecycle, test_observed_tasks_and_studies, test_faults)
        )
    )

    assert replayed | ELSEWHERE | EXCEPTIONS.keys() == RECORDED
    assert not replayed & EXCEPTIONS.keys()
    assert not ELSEWHERE & (replayed | EXCEPTIONS.keys())
