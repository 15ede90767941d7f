"""Passwords that other sites have lost: both forms of Pwned Passwords, and what is none."""

import hashlib
from pathlib import Path

import pytest

from app.core.breached_passwords import BreachedPasswords, open_breached
from app.core.settings import SettingsError


def hash_of(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def write_file(path: Path, passwords: list[str], *, end: str = "\r\n") -> Path:
    lines = [f"{hash_of(password)}:{number % 90 + 1}" for number, password in enumerate(passwords)]
    path.write_text(end.join(sorted(lines)) + end, newline="")
    return path


def write_folder(folder: Path, passwords: list[str], *, suffix: str = ".txt") -> Path:
    folder.mkdir()
    for prefix in ("00000", "80000", "FFFFF"):
        (folder / f"{prefix}{suffix}").write_text(f"{'0' * 35}:1\r\n", newline="")
    for password in passwords:
        found = hash_of(password)
        with (folder / f"{found[:5]}{suffix}").open("a", newline="") as file:
            file.write(f"{found[5:]}:3\r\n")
    return folder


def opened(path: Path) -> BreachedPasswords:
    found = open_breached(path)
    assert found is not None
    return found


@pytest.mark.every(3)
@pytest.mark.parametrize("count", [1, 2, 90, 5000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_file_when_asked_then_each_of_its_passwords_is_found_and_no_other(
    tmp_path: Path, count: int, end: str
) -> None:
    lost = [f"lost password {number}" for number in range(count)]
    breached = opened(write_file(tmp_path / "hashes.txt", lost, end=end))

    assert all(breached.has(each) for each in lost)
    assert not any(breached.has(f"kept password {number}") for number in range(200))


@pytest.mark.parametrize("suffix", ["", ".txt"])
def test_folder_when_asked_then_only_its_passwords_are_found(tmp_path: Path, suffix: str) -> None:
    lost = [f"lost password {number}" for number in range(50)]
    breached = opened(write_folder(tmp_path / "ranges", lost, suffix=suffix))

    assert all(breached.has(each) for each in lost)
    assert not any(breached.has(f"kept password {number}") for number in range(200))


def test_file_when_of_another_kind_then_said_what_to_write(tmp_path: Path) -> None:
    by_count = tmp_path / "by_count.txt"
    lines = [f"{hash_of(str(number))}:{9000 - number}" for number in range(1000)]
    by_count.write_text("\n".join(lines))
    ntlm = tmp_path / "ntlm.txt"
    ntlm.write_text(f"{'A' * 32}:1\n")
    half = write_folder(tmp_path / "half", [])
    (half / "80000.txt").unlink()
    ntlm_ranges = write_folder(tmp_path / "ntlm", [])
    (ntlm_ranges / "FFFFF.txt").write_text(f"{'A' * 27}:1\n")
    (tmp_path / "empty.txt").touch()
    wrong = {
        by_count: "is not ordered by hash",
        ntlm: "lines that are not HASH:COUNT",
        half: "has no range 80000",
        ntlm_ranges: "not SUFFIX:COUNT",
        tmp_path / "empty.txt": "lines that are not",
        tmp_path / "missing.txt": "cannot be read (No such file or directory)",
    }
    for path, reason in wrong.items():
        with pytest.raises(SettingsError) as refused:
            open_breached(path)
        assert reason in str(refused.value), path
        assert "BREACHED_PASSWORDS" in str(refused.value)
        assert "Pwned Passwords" in str(refused.value)
    assert open_breached(None) is None
