from pathlib import Path

import pytest

from app.core.outgoing import read_certificates
from app.core.setting_loading import load_settings
from app.core.settings import SettingsError

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        # This machine, whatever is set.
        ("", "http://localhost:9200/", True),
        ("", "https://api.localhost/", True),
        ("", "http://127.0.0.1:5001/", True),
        ("", "http://127.9.9.9/", True),
        ("", "http://[::1]:5001/", True),
        ("", "https://localhost.example.org/", False),
        ("", "https://www.openml.org/", False),
        ("*", "https://www.openml.org/", True),
        ("openml.org", "https://www.openml.org/", True),
        ("openml.org", "https://openml.org/", True),
        (".openml.org", "https://www.openml.org/", True),
        ("*.openml.org", "https://www.openml.org/", True),
        ("OpenML.org", "https://WWW.openml.ORG/", True),
        ("openml.org", "https://notopenml.org/", False),
        ("www.openml.org", "https://openml.org/", False),
        ("openml.org:8443", "https://openml.org:8443/", True),
        ("openml.org:8443", "https://openml.org/", False),
        ("openml.org:443", "https://openml.org/", True),
        ("10.1.2.3", "http://10.1.2.3:9200/", True),
        ("10.0.0.0/8", "http://10.1.2.3:9200/", True),
        ("10.0.0.0/8", "http://11.1.2.3:9200/", False),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("fd00::/8", "http://[fd12::1]/", True),
        ("[fd12::1]", "http://[fd12::1]/", True),
        ("example.com, 10.0.0.0/8 ,openml.org", "https://www.openml.org/", True),
        ("example.com,", "https://www.openml.org/", False),
    ],
)
def test_proxy_when_a_server_is_excepted_then_it_is_reached_directly(
    no_proxy: str,
    url: str,
    is_direct: bool,  # noqa: FBT001 - a column of the table
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTGOING_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    proxy = load_settings().way_out.proxy_to(url)

    assert (proxy is None) == is_direct


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": PROXY}, None, "HTTPS_PROXY"),
        ({"http_proxy": PROXY}, "HTTP_PROXY", None),
        ({"https_proxy": PROXY, "HTTP_PROXY": PROXY}, "HTTP_PROXY", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "proxy.example:3128"}, None, "HTTPS_PROXY"),
        (
            {"OUTGOING_PROXY": "https://proxy.example", "HTTPS_PROXY": PROXY},
            "OUTGOING_PROXY",
            "OUTGOING_PROXY",
        ),
        ({"OUTGOING_PROXY": "direct", "HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY}, None, None),
        # What other programs need as it is, harms nobody who says what this one shall take.
        ({"OUTGOING_PROXY": PROXY, "HTTPS_PROXY": "socks5://x"}, "OUTGOING_PROXY", "OUTGOING_PROXY"),
    ],
)
def test_proxy_when_named_by_settings_or_the_environment_then_it_is_the_one(
    environment: dict[str, str],
    http: str | None,
    https: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    way_out = load_settings().way_out

    found = (way_out.proxy_to("http://search.example/"), way_out.proxy_to("https://www.openml.org/"))
    assert tuple(proxy and proxy.setting for proxy in found) == (http, https)
    assert all(proxy is None or proxy.place.startswith("proxy.example:") for proxy in found)


@pytest.mark.parametrize(
    "address",
    [
        "socks5://proxy:1080",
        "http://",
        "http://proxy:0",
        "http://proxy:99999",
        "http://p roxy",
        "http://p/x/y",
    ],
)
@pytest.mark.parametrize("setting", ["OUTGOING_PROXY", "HTTP_PROXY", "HTTPS_PROXY"])
def test_proxy_when_it_is_none_then_what_to_write_and_no_password(
    setting: str, address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(setting, address.replace("://", "://ada:hunter-2@"))

    with pytest.raises(SettingsError, match=f"{setting}: .*write the address of a proxy") as refused:
        _ = load_settings().way_out

    assert "hunter-2" not in str(refused.value)


def test_certificates_when_the_file_is_none_then_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate")

    with pytest.raises(SettingsError, match="OUTGOING_CA_FILE holds no certificates"):
        read_certificates(str(tmp_path / "text"))
    with pytest.raises(SettingsError, match="OUTGOING_CA_FILE cannot be read: No such file"):
        read_certificates(str(tmp_path / "nowhere"))
