"""Text that is not UTF-8: its encoding is found by what its words look like, asked about, or chosen."""

# ruff: noqa: RUF001 - letters of many alphabets

from collections.abc import Callable
from typing import Any

import pytest

from app.tabular import TabularError
from app.tabular.readers.encodings import likely, wide_encoding
from app.tabular.reading import Reading, encoding_named

Converter = Callable[..., Any]

TEXTS = {
    "cp1252": ("père", "Zoë Müller", "brûlée", "garçon", "où", "L’ORÉAL", "NESTLÉ®", "São Paulo", "Malmö"),
    "cp1250": ("Dvořák", "Český Krumlov", "Příbram", "žluťoučký kůň", "Łódź", "żółw", "Győr", "Šibenik"),
    "cp1251": ("имя", "город", "Вера", "Москва", "Санкт-Петербург", "площадь"),
    "cp1253": ("Αθήνα", "όνομα", "Θεσσαλονίκη", "πόλη"),
    "iso8859-2": ("Dvořák", "Český Krumlov", "Příbram", "žluťoučký kůň", "Łódź"),
    "koi8-r": ("имя", "город", "Вера", "Москва", "площадь"),
    "mac-roman": ("père", "crème brûlée", "naïve", "Müller", "Größe", "España", "Malmö"),
    "cp866": ("имя", "город", "Вера", "Москва", "площадь"),
    "gb18030": ("北京", "上海", "姓名", "城市", "广州市", "中国人民"),
    "big5": ("臺北", "姓名", "城市", "高雄", "臺中市"),
    "shift_jis": ("東京", "なまえ", "大阪", "カタカナ", "ひらがな", "山田太郎"),
    "euc_kr": ("서울", "부산", "이름", "도시", "대한민국", "김철수"),
    "euc_jp": ("東京", "なまえ", "大阪", "カタカナ", "山田太郎"),
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_words_when_in_a_legacy_encoding_then_read_right_or_asked_about(
    converter: Converter, encoding: str
) -> None:
    words = TEXTS[encoding]
    content = "name,n\n" + "".join(f"{word},{number}\n" for number, word in enumerate(words))
    done = converter(content.encode(encoding))
    assert encoding_named(encoding) == encoding
    doubts = {doubt.field: doubt for doubt in done.conversion.doubts}
    if done["name"][1] != list(words):
        assert any(
            tuple(word.encode(encoding).decode(choice, errors="replace") for word in words) == words
            for choice in doubts["encoding"].choices
        )
    assert any("not UTF-8" in each for each in done.conversion.warnings)
    chosen = converter(content.encode(encoding), reading=Reading(encoding=encoding))
    assert chosen["name"][1] == list(words)
    assert not any(doubt.field == "encoding" for doubt in chosen.conversion.doubts)


@pytest.mark.parametrize("encoding", ["cp1251", "cp1253", "mac-roman", "gb18030", "shift_jis"])
def test_words_when_enough_of_them_then_the_encoding_is_sure(encoding: str) -> None:
    near = likely([word.encode(encoding) for word in TEXTS[encoding] if not word.isascii()])
    assert [guess.encoding for guess in near] == [encoding]


def test_words_when_plausible_in_two_encodings_then_the_question_shows_both(converter: Converter) -> None:
    with pytest.raises(TabularError) as caught:
        converter("name,n\nespaña,1\nniño,2\nseñor,3\n".encode("cp1252"), refuse_doubts=True)
    assert caught.value.slug == "unsure-reading"
    assert "'niño'" in caught.value.message
    assert "'nińo'" in caught.value.message
    assert caught.value.choices == {"encoding": ["cp1252", "cp1250"]}


def test_a_long_cell_when_beside_words_that_are_not_utf8_then_their_encoding_is_found(
    converter: Converter,
) -> None:
    """Where each byte of a cell is tried as the beginning of one, half a minute is not enough for 100 kB."""
    content = f"name,gene\nKöln,{'acgt' * 250_000}\nMünchen,{'acgt' * 10}\n"
    done = converter(content.encode("cp1252"))
    assert done["name"][1] == ["Köln", "München"]
    assert len(done["gene"][1][0]) == 1_000_000


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-32"])
def test_unicode_when_without_a_mark_then_found_by_its_line_ends(converter: Converter, encoding: str) -> None:
    done = converter("имя,n\nВера,1\n東京,2\n".encode(encoding))
    assert done.conversion.columns[1].name == "n"
    assert done["n"][1] == [1, 2]
    assert done.conversion.doubts == ()


@pytest.mark.parametrize("start", [b"a,b\n1,2\n", b"a,b\n1,2\nx\x00y,3\n", b"\x00\x01\x02\x03" * 9, b""])
def test_bytes_when_no_wide_encoding_then_none_is_found(start: bytes) -> None:
    assert wide_encoding(start) is None


def test_a_chosen_encoding_when_the_bytes_contradict_it_then_refused_with_the_line(
    converter: Converter,
) -> None:
    with pytest.raises(TabularError) as caught:
        converter(b"a,b\n1,2\n\xe9,3\n", reading=Reading(encoding="utf-8"))
    assert (caught.value.slug, caught.value.line) == ("unsupported-encoding", 3)
    assert caught.value.hint
    assert "encoding" in caught.value.hint
