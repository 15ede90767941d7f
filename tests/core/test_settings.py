import stat
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings, SettingsError, load_settings

GOOD_SECRET = "0123456789abcdef0123456789abcdef"
PRODUCTION = {
    "environment": "production",
    "app_secret_key": GOOD_SECRET,
    "openml_server": "https://www.openml.org/",
    "smtp_server": "mail.example.org",
    "public_url": "https://www.openml.org",
}


def build(tmp_path: Path, **values: Any) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, **values)


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("sqlite:///openml.db", "sqlite+aiosqlite:///openml.db"),
        ("mysql://u:p@host/openml", "mysql+aiomysql://u:p@host/openml"),
        ("mysql+pymysql://u:p@host/openml", "mysql+aiomysql://u:p@host/openml"),
        ("mysql+mysqldb://u:p@host/openml", "mysql+aiomysql://u:p@host/openml"),
        ("mariadb://u:p@host/openml", "mysql+aiomysql://u:p@host/openml"),
        ("mysql+aiomysql://u:p@host/openml", "mysql+aiomysql://u:p@host/openml"),
    ],
)
def test_database_address_when_driver_is_synchronous_then_asynchronous_one(
    tmp_path: Path, uri: str, url: str
) -> None:
    assert build(tmp_path, database_uri=uri).database_url == url


def test_database_address_when_not_set_then_file_in_data_dir(tmp_path: Path) -> None:
    assert build(tmp_path).database_url == f"sqlite+aiosqlite:///{tmp_path / 'openml.db'}"


def test_env_file_when_it_is_the_flask_backends_then_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(
        "DATABASE_URI=mysql+pymysql://root:secret@db/openml\nAPP_SECRET_KEY=abcd\nJWT_SECRET_KEY=abcd\n"
        "TESTING=True\nSMTP_SERVER=email-server\nSMTP_PORT=587\nSMTP_LOGIN=postmaster\nSMTP_PASS=test\n"
        "SMTP_USE_TLS=True\nEMAIL_SENDER=openml@example.org\nEMAIL_SERVER=new.openml.org\nSEND_EMAIL=True\n"
        "REDIRECT_URL=https://new.openml.org\nURL_API=https://www.openml.org/\nFLASK_APP=autoapp.py\n"
        "CORS_ORIGINS=http://localhost:3000,http://localhost:8000,http://127.0.0.1:3000\n"
    )

    settings = load_settings()

    assert settings.database_url == "mysql+aiomysql://root:secret@db/openml"
    assert settings.cors_origins == (
        "http://localhost:3000",
        "http://localhost:8000",
        "http://127.0.0.1:3000",
    )
    assert settings.smtp_use_tls
    assert settings.openml_url == "https://www.openml.org/"
    assert settings.site_url == "https://new.openml.org"
    assert len(settings.token_secret) == 64, "one that everybody knows is not used"


def test_secret_file_when_named_then_its_text_is_the_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(f"{GOOD_SECRET}\n")
    monkeypatch.setenv("APP_SECRET_KEY_FILE", str(tmp_path / "secret"))

    assert build(tmp_path).token_secret == GOOD_SECRET


def test_secret_file_when_missing_then_the_sentence_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_SECRET_KEY_FILE", str(tmp_path / "nowhere"))

    with pytest.raises(SettingsError, match="APP_SECRET_KEY_FILE cannot be read"):
        build(tmp_path)


def test_wrong_value_when_it_is_a_secret_then_it_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "not-a-port-but-perhaps-a-secret")

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert "PORT" in str(refused.value)
    assert "perhaps-a-secret" not in str(refused.value)


def test_development_secret_when_made_then_private_and_kept(tmp_path: Path) -> None:
    first = build(tmp_path).token_secret

    assert len(first) == 64
    assert build(tmp_path).token_secret == first
    assert stat.S_IMODE((tmp_path / "development-secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["development-secret"]


def test_production_when_everything_is_set_then_it_starts(tmp_path: Path) -> None:
    settings = build(tmp_path, **PRODUCTION)

    assert settings.token_secret == GOOD_SECRET
    assert not (tmp_path / "development-secret").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"app_secret_key": ""}, "APP_SECRET_KEY is not set"),
        ({"app_secret_key": "abcd"}, "APP_SECRET_KEY is a published example"),
        ({"app_secret_key": "changethis"}, "APP_SECRET_KEY is a published example"),
        ({"app_secret_key": GOOD_SECRET[1:]}, "APP_SECRET_KEY is shorter than 32 bytes"),
        ({"jwt_secret_key": "abcd"}, "JWT_SECRET_KEY is a published example"),
        ({"openml_server": ""}, "OPENML_SERVER is not set"),
        ({"openml_server": "http://localhost:5001/"}, "OPENML_SERVER is the built-in sandbox"),
        ({"smtp_server": ""}, "SMTP_SERVER is not set"),
        ({"send_email": False}, "SEND_EMAIL=false makes accounts active"),
        ({"public_url": ""}, "PUBLIC_URL is not set"),
    ],
)
def test_production_when_something_is_unsafe_then_the_start_says_what_to_set(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        build(tmp_path, **{**PRODUCTION, **change})

    assert complaint in str(refused.value)
    assert GOOD_SECRET not in str(refused.value)


def test_wildcard_host_when_an_address_is_shown_then_it_can_be_opened(tmp_path: Path) -> None:
    settings = build(tmp_path, host="0.0.0.0", port=80, sandbox_port=81)

    assert settings.site_url == "http://127.0.0.1:80"
    assert settings.openml_url == "http://127.0.0.1:81/"
