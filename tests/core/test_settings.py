import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.setting_loading import load_settings, load_settings_with
from app.core.settings import Settings, SettingsError
from app.mail.messages import create_messages

GOOD_SECRET = "0123456789abcdef0123456789abcdef"
PRODUCTION = {
    "environment": "production",
    "app_secret_key": GOOD_SECRET,
    "openml_server": "https://www.openml.org/",
    "smtp_server": "mail.example.org",
    "email_sender": "OpenML <noreply@example.org>",
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


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", ()),
        (f"{GOOD_SECRET}, {GOOD_SECRET[::-1]}\n", (GOOD_SECRET, GOOD_SECRET[::-1])),
        (f"{GOOD_SECRET}\n{GOOD_SECRET[::-1]}", (GOOD_SECRET, GOOD_SECRET[::-1])),
        (f"{GOOD_SECRET},short", None),
    ],
)
def test_accepted_keys_when_set_then_each_is_long_enough_and_none_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, keys: tuple[str, ...] | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCEPTED_SECRET_KEYS", text)
    if keys is not None:
        assert load_settings().accepted_secrets == keys
        return

    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "ACCEPTED_SECRET_KEYS: one of them is shorter than 32 bytes" in str(refused.value)
    assert GOOD_SECRET not in str(refused.value)


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
    "change",
    [
        {"public_url": "http://www.openml.org", "openml_server": "http://openml/", "allow_plain_http": True},
        {"smtp_login": "ada", "smtp_pass": "sesame-open", "smtp_server": "localhost"},
        {"smtp_login": "ada", "smtp_pass": "sesame-open", "smtp_server": "127.0.0.1"},
        {"smtp_login": "ada", "smtp_pass": "sesame-open", "smtp_use_tls": True},
    ],
)
def test_production_when_the_line_is_ones_own_or_it_is_allowed_then_it_starts(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    assert build(tmp_path, **{**PRODUCTION, **change}).environment == "production"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"app_secret_key": ""}, "APP_SECRET_KEY is not set"),
        ({"app_secret_key": "abcd"}, "APP_SECRET_KEY is a published example"),
        ({"app_secret_key": "changethis"}, "APP_SECRET_KEY is a published example"),
        ({"app_secret_key": GOOD_SECRET[1:]}, "APP_SECRET_KEY is shorter than 32 bytes"),
        ({"openml_server": ""}, "OPENML_SERVER is not set"),
        ({"openml_server": "http://localhost:5001/"}, "OPENML_SERVER is the built-in sandbox"),
        ({"smtp_server": ""}, "SMTP_SERVER is not set"),
        ({"send_email": False}, "SEND_EMAIL=false makes accounts active"),
        ({"public_url": ""}, "PUBLIC_URL is not set"),
        ({"email_sender": "openml@localhost"}, "EMAIL_SENDER ends in localhost"),
        ({"email_sender": "OpenML <noreply@mail.localdomain>"}, "EMAIL_SENDER ends in mail.localdomain"),
        ({"email_sender": "noreply@intranet"}, "EMAIL_SENDER ends in intranet"),
        ({"public_url": "http://www.openml.org"}, "PUBLIC_URL begins with http://"),
        ({"openml_server": "http://www.openml.org/"}, "OPENML_SERVER begins with http://"),
        ({"cors_origins": "https://a.example,*"}, "CORS_ORIGINS is *"),
        ({"smtp_login": "ada", "smtp_pass": "sesame-open"}, "SMTP_PASS would be sent without TLS"),
    ],
)
def test_production_when_something_is_unsafe_then_the_start_says_what_to_set(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        build(tmp_path, **{**PRODUCTION, **change})

    assert complaint in str(refused.value)
    assert GOOD_SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"JWT_SECRET_KEY": "abcd"}, "JWT_SECRET_KEY is a published example"),
        ({"OPENML_SERVER": "", "URL_API": "HTTP://www.openml.org/"}, "URL_API begins with http://"),
        ({"OPENML_SERVER": "", "URL_API": "https://localhost:5001/"}, "URL_API is the built-in sandbox"),
    ],
)
def test_production_when_another_name_of_a_setting_is_unsafe_then_the_complaint_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], complaint: str
) -> None:
    for name, value in (PRODUCTION | given).items():
        monkeypatch.setenv(name.upper(), value)

    with pytest.raises(SettingsError) as refused:
        build(tmp_path)

    [found] = str(refused.value).splitlines()[1:]
    assert found.startswith(f"- {complaint}")


SECOND_NAMES = [
    # The name that counts, the other one, and two values.
    ("JWT_SECRET_KEY", "APP_SECRET_KEY", GOOD_SECRET, GOOD_SECRET[::-1]),
    ("OPENML_SERVER", "URL_API", "https://one.example/", "https://two.example/"),
    ("PUBLIC_URL", "EMAIL_SERVER", "https://one.example", "two.example/"),
]
SETS = {
    "JWT_SECRET_KEY": lambda settings: settings.token_secret,
    "OPENML_SERVER": lambda settings: settings.openml_url,
    "PUBLIC_URL": lambda settings: settings.site_url,
}


@pytest.mark.parametrize(("first", "second", "one", "two"), SECOND_NAMES)
@pytest.mark.parametrize("second_in", ["environment", ".env", "file"])
@pytest.mark.parametrize("first_in", ["environment", ".env", "file", "nowhere", "empty", "empty file"])
def test_names_of_one_setting_when_both_may_be_set_then_the_same_counts_wherever_they_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    first: str,
    second: str,
    one: str,
    two: str,
    first_in: str,
    second_in: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value, place in ((first, one, first_in), (second, two, second_in)):
        if place in {"environment", "empty"}:
            monkeypatch.setenv(name, "" if place == "empty" else value)
        elif place == ".env":
            with Path(".env").open("a") as file:
                file.write(f"{name}={value}\n")
        elif place != "nowhere":
            (tmp_path / name).write_text("" if place == "empty file" else f"{value}\n")
            monkeypatch.setenv(f"{name}_FILE", name)

    found = SETS[first](load_settings())

    is_first = first_in in {"environment", ".env", "file"}
    assert found == (one if is_first else {"two.example/": "https://two.example"}.get(two, two))


def test_name_when_its_value_is_wrong_then_the_sentence_has_the_one_that_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("URL_API", "www.openml.org")
    monkeypatch.setenv("EMAIL_SERVER", "www openml org")

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert [line.partition(":")[0] for line in str(refused.value).splitlines()[1:]] == [
        "- EMAIL_SERVER",
        "- URL_API",
    ]


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("none", ()),
        ("reads", ("reads",)),
        (" files, croissant ,", ("files", "croissant")),
        ("", ("croissant", "reads", "files")),
    ],
)
def test_pass_on_when_set_then_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, passed: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PASS_ON", text)

    assert build(tmp_path).pass_on == passed


@pytest.mark.parametrize("text", ["read", "reads,none", "true"])
def test_pass_on_when_it_names_something_else_then_the_start_says_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASS_ON", text)

    with pytest.raises(SettingsError, match="- PASS_ON: Input should be 'croissant', 'reads' or 'files'"):
        load_settings()


def test_wildcard_host_when_an_address_is_shown_then_it_can_be_opened(tmp_path: Path) -> None:
    settings = build(tmp_path, host="0.0.0.0", port=80, sandbox_port=81)

    assert settings.site_url == "http://127.0.0.1:80"
    assert settings.openml_url == "http://127.0.0.1:81/"


SENDERS = {
    "noreply@openml.org": ("", "noreply@openml.org"),
    "OpenML Team <noreply@openml.org>": ("OpenML Team", "noreply@openml.org"),
    '"OpenML, the team" <noreply@openml.org>': ("OpenML, the team", "noreply@openml.org"),
    "Das Büro <noreply@openml.org>": ("Das Büro", "noreply@openml.org"),
    "<noreply@openml.org>": ("", "noreply@openml.org"),
    "openml@localhost": ("", "openml@localhost"),
}
"""Spellings of a mailbox, its name and its address."""
NO_SENDERS = [
    "",
    "OpenML",
    "OpenML <>",
    "a@b.org, c@d.org",
    "OpenML <a@b.org> and others",
    "Team: a@b.org;",
    "a b@c.org",
    "a@b..org",
    "a@-b.org",
    "jörg@b.org",
    "a@bücher.de",
    "OpenML <a@b.org>\r\nBcc: c@d.org",
    f"a@{'b' * 250}.org",
]


@pytest.mark.parametrize("name", ["email_sender", "contact_email"])
@pytest.mark.parametrize("text", SENDERS)
def test_mailbox_when_it_is_one_then_every_mail_can_be_written(tmp_path: Path, name: str, text: str) -> None:
    settings = build(tmp_path, **{name: text})

    mailbox = settings.sender if name == "email_sender" else settings.contact
    assert (mailbox.name, mailbox.address) == SENDERS[text]
    create_messages(settings)


@pytest.mark.parametrize("name", ["email_sender", "contact_email"])
@pytest.mark.parametrize("text", NO_SENDERS)
def test_mailbox_when_it_is_none_then_the_start_says_what_to_write(
    tmp_path: Path, name: str, text: str
) -> None:
    with pytest.raises(ValidationError, match=r"name@example\.org") as refused:
        build(tmp_path, **{name: text})

    assert refused.value.errors()[0]["loc"] == (name,)


URLS = [
    "public_url",
    "openml_server",
    "url_api",
    "elasticsearch_server",
    "dashboard_server",
    "croissant_server",
    "aws_endpoint_url",
    "redirect_url",
]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "text",
    [
        "www.openml.org",
        "ftp://openml.org",
        "https://",
        "https://open ml.org",
        "http://host:port/",
        "https://a?b",
    ],
)
def test_address_when_nothing_could_be_asked_there_then_refused_at_start(
    tmp_path: Path, name: str, text: str
) -> None:
    with pytest.raises(ValidationError, match="with its scheme"):
        build(tmp_path, **{name: text})


@pytest.mark.parametrize("text", ["smtp://mail.example.org", "mail.example.org:587", "mail server", "a/b"])
def test_mail_server_when_it_is_more_than_a_host_then_refused_at_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError, match="the name of the host alone"):
        build(tmp_path, smtp_server=text)


@pytest.mark.parametrize("text", ["mail", "mail.example.org", "127.0.0.1", "::1"])
def test_mail_server_when_it_is_a_host_then_taken(tmp_path: Path, text: str) -> None:
    assert build(tmp_path, smtp_server=text).smtp_server == text


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"smtp_port": 465}, "Set SMTP_USE_TLS=true"),
        ({"smtp_login": "postmaster"}, "SMTP_LOGIN and SMTP_PASS belong together"),
        ({"smtp_pass": "a secret"}, "SMTP_LOGIN and SMTP_PASS belong together"),
    ],
)
def test_mail_settings_when_no_mail_could_leave_then_refused_at_start(
    tmp_path: Path, values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        build(tmp_path, smtp_server="mail.example.org", **values)


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in {int, float}]


@pytest.mark.parametrize("name", NUMBERS)
def test_number_when_nobody_could_compute_with_it_then_refused_at_start(tmp_path: Path, name: str) -> None:
    for text in ("inf", "nan", "1e300", "9" * 30):
        with pytest.raises(ValidationError):
            build(tmp_path, **{name: text})


def test_file_when_it_empties_a_setting_then_its_default_is_what_a_move_goes_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE_URL", "s3://openml-web")
    file = tmp_path / "new.env"
    file.write_text("STORAGE_URL=\n")

    assert (load_settings().storage_url, load_settings_with(file).storage_url) == ("s3://openml-web", "")
