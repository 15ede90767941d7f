"""The guards of exactly-once, taken out one by one: `make mutants`, or `python -m tests.mutants --short`.

Each mutant breaks one guard in a copy of the tree, and the named tests have to fail. A guard that no test holds, a text
that is not there any more, or a test that fails without any mutant, ends it with 1. `--short` leaves out what needs
MariaDB or takes long; `--only WORD` tries those whose name has the word.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAILED = 1
"""What pytest ends with when tests failed; everything else means that they were not tried."""
LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Mutant:
    """A guard, where it stands, what it is broken into, and the tests that hold it."""

    name: str
    file: str
    text: str
    broken: str
    tests: tuple[str, ...]
    is_short: bool = True


def _leases(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/worker/test_leases.py::{name}" for name in names)


_TOO_LATE = "test_row_when_its_lease_has_ended_and_another_has_it_then_the_first_changes_nothing"
_ONCE = "tests/uploads/test_once.py::test_upload_when_"
_OF_THE_OWNER = (
    "    if lease_owner is not None:\n        mine = sa.and_(mine, uploads.c.lease_owner == lease_owner)\n"
)
MUTANTS = [
    Mutant(
        "the look at OpenML before a restored upload is sent",
        "app/uploads/at_openml.py",
        "    if upload.newest_before is not None:",
        "    if False:",
        (
            "tests/backup/test_backup.py::test_backup_when_uploads_run_then_each_is_published_once_though_two_sites_had_it",
        ),
        is_short=False,
    ),
    Mutant(
        "the lease's owner in set_state",
        "app/db/uploads.py",
        f"{_OF_THE_OWNER}    changes",
        "    changes",
        _leases(f"{_TOO_LATE}[sqlite-publish]"),
    ),
    Mutant(
        "the lease's owner in set_values",
        "app/db/uploads.py",
        f"{_OF_THE_OWNER}    return",
        "    return",
        _leases(f"{_TOO_LATE}[sqlite-publish]"),
    ),
    Mutant(
        "the lease's owner in a queue",
        "app/db/queue.py",
        "sa.and_(table.c.id == row_id, table.c.lease_owner == lease_owner, self._in_state)",
        "sa.and_(table.c.id == row_id, self._in_state)",
        _leases(f"{_TOO_LATE}[sqlite-mails]", f"{_TOO_LATE}[sqlite-tasks]"),
    ),
    Mutant(
        "the condition of the claiming UPDATE",
        "app/db/queue.py",
        '.where(table.c.id == sa.bindparam("candidate"), self._due())',
        '.where(table.c.id == sa.bindparam("candidate"))',
        _leases("test_row_when_two_have_seen_it_and_one_has_taken_it_then_the_other_moves_on[mails-mariadb]"),
        is_short=False,
    ),
    Mutant(
        "a lease that has not ended",
        "app/db/queue.py",
        'return sa.and_(self._in_state, self._table.c.available_at <= sa.bindparam("now"))',
        "return self._in_state",
        _leases(f"{_TOO_LATE}[sqlite-mails]"),
    ),
    Mutant(
        "leases are renewed",
        "app/worker/queues.py",
        "                await self.renew(found)\n",
        "                pass\n",
        _leases("test_work_when_it_takes_several_leases_then_nobody_else_gets_the_row[sqlite-mails]"),
    ),
    Mutant(
        "work stops when its lease is lost",
        "app/worker/queues.py",
        "            except LeaseLostError:\n                return\n",
        "            except LeaseLostError:\n                continue\n",
        _leases(
            "test_work_when_another_has_the_row_then_it_is_stopped_long_before_the_lease_would_end[sqlite]"
        ),
    ),
    Mutant(
        "work stops when its lease may be lost",
        "app/worker/queues.py",
        "            if left <= 0:\n                break\n",
        "            left = max(left, 0.1)\n",
        _leases("test_work_when_the_lease_cannot_be_renewed_then_it_is_stopped_before_others_begin[sqlite]"),
    ),
    Mutant(
        "what was done is written down when the database is back",
        "app/worker/queues.py",
        "                if time.monotonic() > deadline:\n                    raise\n",
        "                raise\n",
        _leases("test_work_when_its_end_cannot_be_written_down_then_tried_until_it_can[sqlite]"),
    ),
    Mutant(
        "nothing stays of a step that was refused",
        "app/worker/queues.py",
        "            if not await record(session):\n                raise LeaseLostError\n",
        "            await record(session)\n",
        (
            "tests/uploads/test_once.py::test_dataset_when_its_watcher_was_overtaken_then_no_mail_and_no_step_of_the_late_one[published-sqlite]",
        ),
    ),
    Mutant(
        "a mail goes out only from whoever has it",
        "app/mail/transport.py",
        "        await self._confirm()\n",
        "",
        (
            "tests/mail/test_delivery.py::test_mail_when_another_worker_has_it_by_the_time_it_would_go_out_then_it_does_not[sqlite]",
        ),
    ),
    Mutant(
        "patience with a server that looks at a mail",
        "app/mail/transport.py",
        "ACCEPTANCE_FACTOR = 20",
        "ACCEPTANCE_FACTOR = 1",
        (
            "tests/mail/test_delivery.py::test_mail_when_the_server_looks_at_it_for_longer_than_other_replies_take_then_it_goes_out_once[sqlite]",
        ),
    ),
    Mutant(
        "the MD5 when looking for what arrived",
        "app/uploads/at_openml.py",
        "if (await openml.get_dataset(dataset_id)).md5 == upload.arff_md5:",
        "if (await openml.get_dataset(dataset_id)).md5:",
        (f"{_ONCE}a_newer_dataset_of_its_name_has_other_bytes_then_it_is_not_taken_for_it[sqlite]",),
    ),
    Mutant(
        "the grace before sending again",
        "app/uploads/at_openml.py",
        "claimed.now() - claimed.upload.sent_at < grace:",
        "claimed.now() - claimed.upload.sent_at < 0 * grace:",
        (f"{_ONCE}nobody_knows_of_it_then_nothing_is_sent_before_openml_had_its_time[sqlite]",),
    ),
    Mutant(
        "only datasets newer than the attempt",
        "app/uploads/at_openml.py",
        "if item.dataset_id > (upload.newest_before or 0)]",
        "if item.dataset_id]",
        (f"{_ONCE}an_older_dataset_has_its_name_and_bytes_then_it_is_not_taken_for_it[sqlite]",),
    ),
    Mutant(
        "only datasets that no other upload made",
        "app/uploads/at_openml.py",
        "        if dataset_id in taken:\n            continue\n",
        "",
        (f"{_ONCE}another_of_ours_made_the_dataset_with_its_bytes_then_it_is_not_taken_for_it[sqlite]",),
    ),
    Mutant(
        "looking before sending again",
        "app/uploads/pipeline.py",
        "            UploadState.SENDING: partial(reconcile, self),\n",
        "            UploadState.SENDING: partial(send, self),\n",
        (f"{_ONCE}it_arrived_though_nobody_heard_then_it_is_found_and_not_sent[sqlite]",),
    ),
    Mutant(
        "the state that a step begins in",
        "app/db/uploads.py",
        "    begins = uploads.c.state == step.before\n",
        "    begins = sa.true()\n",
        _leases("test_upload_when_it_stands_elsewhere_or_was_renewed_then_it_is_not_moved[sqlite]"),
    ),
    Mutant(
        "what else must hold for a step",
        "app/db/uploads.py",
        "begins if step.condition is None else sa.and_(begins, HOLDS[step.condition](now))",
        "begins",
        _leases("test_upload_when_it_stands_elsewhere_or_was_renewed_then_it_is_not_moved[sqlite]"),
    ),
    Mutant(
        "wakes after the commit, not before",
        "app/db/engine.py",
        "    session.info.setdefault(WAKE, set()).add(topic)\n",
        "    pass\n",
        (
            "tests/worker/test_leases.py::test_topic_when_promised_then_told_after_the_commit_and_only_then[sqlite]",
        ),
    ),
    Mutant(
        "an earlier upload of the same file",
        "app/db/uploads.py",
        "        uploads.c.received_sha256 == sha256,\n",
        "        uploads.c.received_sha256 != sha256,\n",
        (
            "tests/uploads/test_resources.py::test_upload_when_same_file_and_name_come_again_then_the_earlier_one",
        ),
    ),
    Mutant(
        "one upload for an Idempotency-Key",
        "app/db/uploads.py",
        ".where(uploads.c.idempotency_key == key)",
        ".where(uploads.c.idempotency_key == key + 'x')",
        ("tests/uploads/test_resources.py::test_idempotency_key_when_request_is_repeated_then_one_upload",),
    ),
    Mutant(
        "bytes of the latest writer only",
        "app/db/upload_bytes.py",
        "        uploads.c.lease_owner == lease_owner,\n",
        "",
        _leases("test_bytes_when_another_writer_has_come_then_they_do_not_count[sqlite]"),
    ),
    Mutant(
        "bytes that begin where those that count end",
        "app/db/upload_bytes.py",
        "        uploads.c.received_bytes == offset,\n",
        "",
        _leases("test_bytes_when_another_writer_has_come_then_they_do_not_count[sqlite]"),
    ),
    Mutant(
        "a link works once",
        "app/db/account_tokens.py",
        "sa.and_(account_tokens.c.token_digest == token_digest, account_tokens.c.used_at.is_(None))",
        "sa.and_(account_tokens.c.token_digest == token_digest)",
        _leases("test_account_rows_when_somebody_was_faster_then_refused[sqlite]"),
    ),
    Mutant(
        "no login with a password that was changed meanwhile",
        "app/db/logins.py",
        'users.c.password == sa.bindparam("password_hash")',
        'sa.func.length(sa.bindparam("password_hash")) > 0',
        _leases("test_account_rows_when_somebody_was_faster_then_refused[sqlite]"),
    ),
    Mutant(
        "a new hash of a password that is still the same",
        "app/db/users.py",
        "sa.and_(users.c.id == user_id, users.c.password == old_hash)",
        "sa.and_(users.c.id == user_id)",
        _leases("test_account_rows_when_somebody_was_faster_then_refused[sqlite]"),
    ),
    Mutant(
        "tokens that claim to be later than a cut-off",
        "app/accounts/sessions.py",
        "    await revoked_tokens.add_later_tokens(session, user_id, now)\n",
        "",
        (
            "tests/accounts/signed_in/test_sessions.py::test_token_when_its_machine_was_ahead_and_all_sessions_are_ended_then_it_is_too[sqlite-5]",
        ),
    ),
    Mutant(
        "tokens without a row after a cut-off",
        "app/deps.py",
        " or state.last_seen_at is None)",
        ")",
        (
            "tests/accounts/signed_in/test_sessions.py::test_token_when_its_machine_was_ahead_and_all_sessions_are_ended_then_it_is_too[sqlite-5]",
        ),
    ),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try every mutant that was asked for; 1 if one survives or cannot be tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args(arguments)
    chosen = [one for one in MUTANTS if options.only in one.name and (one.is_short or not options.short)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "tree"
        _copy_tree(copy)
        whole = _run(copy, sorted({test for one in chosen for test in one.tests}))
        if whole != 0:
            print(f"the tests fail without any mutant (pytest ended with {whole})")
            return 1
        return 1 if list(_survivors(copy, chosen)) else 0


def _survivors(copy: Path, chosen: Sequence[Mutant]) -> Iterator[Mutant]:
    for mutant in chosen:
        began = time.monotonic()
        verdict = _try(copy, mutant)
        print(f"{verdict:<10} {time.monotonic() - began:5.1f} s  {mutant.name}", flush=True)
        if verdict != "killed":
            yield mutant


def _try(copy: Path, mutant: Mutant) -> str:
    """Break the guard, run its tests, mend it, and say how that ended."""
    path = copy / mutant.file
    whole = path.read_text()
    if whole.count(mutant.text) != 1:
        return "not found"
    path.write_text(whole.replace(mutant.text, mutant.broken))
    try:
        ended = _run(copy, mutant.tests)
    finally:
        path.write_text(whole)
    return {0: "survived", FAILED: "killed"}.get(ended, "not tried")


def _run(copy: Path, tests: Sequence[str]) -> int:
    """Run the tests on the copy, one after another, until one fails."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests]
    try:
        return subprocess.run(
            command,
            cwd=copy,
            env={**os.environ, "TEST_LONG": "1", "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST_SECONDS * max(1, len(tests)),
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        # A guard against waiting for ever is one, too.
        return FAILED


def _copy_tree(copy: Path) -> None:
    """Copy what git knows of, as it lies here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = ROOT / name
        if source.is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


if __name__ == "__main__":
    sys.exit(main())
