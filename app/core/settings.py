"""Everything an operator can set, read once at start from the environment, `.env` and secret files.

Names are those of the environment in lower case. A variable `NAME_FILE` names a file that holds the value of
`NAME` (Docker and Kubernetes secrets). Names of the Flask backend that still mean something are honoured.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

from pydantic import (
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.core.development_secret import keep_development_secret
from app.core.errors import OperatorError
from app.core.mailboxes import Mailbox, parse_mailbox
from app.core.production import production_complaints
from app.core.setting_checks import (
    MINIMUM_SECRET_BYTES,
    require_host,
    require_http_url,
    require_number_in_bounds,
    require_server_url,
)
from app.core.setting_groups import EverybodysSettings, LargerSitesSettings, RareSettings
from app.core.way_out import Proxy, WayOut, proxy_of

NO_PROXY_AT_ALL = "direct"
SEARCH_VERSION = "6"
"""The search server's, as the build is told; `/es/` speaks 6 and 8."""
FILES_ADDRESS = "/data/"
"""What the build calls the file server by: our own address for it."""
SMTPS_PORT = 465
"""Where mail servers speak TLS from the first byte (RFC 8314)."""
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mysql+pymysql": "mysql+aiomysql",
    "mysql+mysqldb": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "mariadb+pymysql": "mysql+aiomysql",
}


class SettingsError(OperatorError):
    """The service cannot start as it is configured; the text says what to set."""


def missing_extra(setting: str, *extras: str) -> SettingsError:
    """Return the error of a setting whose library is not installed. No package index has this project."""
    choices = " or ".join(f'pip install ".[{extra}]"' for extra in extras)
    return SettingsError(
        f"{setting} needs a library that is not installed. In the folder of the checkout: {choices} "
        "(or the path of the wheel, where a wheel was installed, in place of the dot)."
    )


class Settings(EverybodysSettings, LargerSitesSettings, RareSettings):
    """All settings, checked: by themselves, together, and for production."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    _generated_secret: str = PrivateAttr(default="")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let arguments win over the environment, that over secret files, those over `.env`."""
        return init_settings, env_settings, SecretFilesSource(settings_cls), dotenv_settings

    @field_validator("cors_origins", "trusted_proxies", "rate_limits", "no_proxy", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _strip_slashes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin.rstrip("/") for origin in value)

    @field_validator("public_url", "redirect_url")
    @classmethod
    def _strip_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("*")
    @classmethod
    def _require_numbers_in_bounds(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, int | float):
            require_number_in_bounds(str(info.field_name), value)
        return value

    @field_validator(
        "public_url",
        "openml_server",
        "url_api",
        "elasticsearch_server",
        "dashboard_server",
        "croissant_server",
        "aws_endpoint_url",
    )
    @classmethod
    def _require_http_url(cls, value: str) -> str:
        if value:
            require_http_url(value)
        return value

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _require_server_url(cls, value: SecretStr) -> SecretStr:
        require_server_url(value.get_secret_value())
        return value

    @field_validator("redirect_url")
    @classmethod
    def _require_http_url_or_path(cls, value: str) -> str:
        if value and not value.startswith("/"):
            require_http_url(value)
        return value

    @field_validator("outgoing_proxy")
    @classmethod
    def _require_proxy(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and text != NO_PROXY_AT_ALL:
            proxy_of(text, "OUTGOING_PROXY")
        return value

    @field_validator("smtp_server")
    @classmethod
    def _require_host(cls, value: str) -> str:
        if value:
            require_host(value)
        return value

    @field_validator("email_server")
    @classmethod
    def _require_authority(cls, value: str) -> str:
        if value:
            require_http_url(f"https://{value}")
        return value

    @field_validator("email_sender", "contact_email")
    @classmethod
    def _require_mailbox(cls, value: str) -> str:
        parse_mailbox(value)
        return value

    @field_validator(
        "react_app_url_site_backend",
        "react_app_url_api",
        "react_app_url_elasticsearch",
        mode="before",
    )
    @classmethod
    def _ignore_placeholder(cls, value: object, info: ValidationInfo) -> object:
        # The frontend's own .env sets each of these names to its placeholder.
        if isinstance(value, str) and value.startswith("<REACT_APP_"):
            return cls.model_fields[str(info.field_name)].default
        return value

    @field_validator("react_app_url_site_backend", "react_app_url_elasticsearch")
    @classmethod
    def _end_in_slash(cls, value: str) -> str:
        return f"{value.rstrip('/')}/"

    @model_validator(mode="after")
    def _require_mail_settings_that_agree(self) -> Self:
        if self.smtp_server and self.smtp_port == SMTPS_PORT and not self.smtp_use_tls:
            raise SettingsError(
                f"SMTP_PORT is {SMTPS_PORT}, where mail servers speak TLS from the first byte. Set SMTP_USE_TLS=true."
            )
        if self.smtp_server and bool(self.smtp_login) != bool(self.smtp_pass.get_secret_value()):
            raise SettingsError("SMTP_LOGIN and SMTP_PASS belong together. Set both, or neither.")
        return self

    @model_validator(mode="after")
    def _refuse_what_production_must_not_do(self) -> Self:
        if self.environment == "production":
            complaints = list(production_complaints(self))
            if complaints:
                raise SettingsError(
                    "This configuration is not fit for production.\n- " + "\n- ".join(complaints)
                )
        return self

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's signature
        """Make the development secret where none is set."""
        super().model_post_init(context)
        if self.environment == "development" and not self._configured_secret():
            try:
                self._generated_secret = keep_development_secret(self.data_dir / "development-secret")
            except OSError as error:
                raise _unusable(self.data_dir, error) from None

    @property
    def token_secret(self) -> str:
        """The key that access tokens are signed with."""
        return self._configured_secret() or self._generated_secret

    def _configured_secret(self) -> str:
        """Return the secret that is set; one that anybody could guess counts as none, on a laptop, too."""
        configured = self.jwt_secret_key.get_secret_value() or self.app_secret_key.get_secret_value()
        return configured if len(configured.encode()) >= MINIMUM_SECRET_BYTES else ""

    @property
    def database_url(self) -> str:
        """`DATABASE_URI` with an asynchronous driver; a SQLite file in `DATA_DIR` when it is empty."""
        uri = self.database_uri.get_secret_value() or f"sqlite:///{self.data_dir.resolve() / 'openml.db'}"
        scheme, separator, rest = uri.partition("://")
        if not separator:
            raise SettingsError(
                "DATABASE_URI is not an address. Write e.g. mysql://user:password@host/openml"
            )
        return f"{ASYNC_DRIVERS.get(scheme, scheme)}://{rest}"

    @property
    def site_url(self) -> str:
        """Where people reach this service, without a slash at the end."""
        if self.public_url:
            return self.public_url
        if self.email_server:
            return f"https://{self.email_server.rstrip('/')}"
        return self.local_url

    @property
    def local_url(self) -> str:
        """Where this service is reached on its own machine, without a slash at the end."""
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def sender(self) -> Mailbox:
        """Who sends every mail."""
        return parse_mailbox(self.email_sender)

    @property
    def contact(self) -> Mailbox:
        """Where feedback goes."""
        return parse_mailbox(self.contact_email)

    @property
    def sandbox_url(self) -> str:
        """Root of the built-in sandbox."""
        return f"http://{_reachable(self.host)}:{self.sandbox_port}/"

    @property
    def uses_sandbox(self) -> bool:
        """Whether datasets are published on the built-in sandbox."""
        return not (self.openml_server or self.url_api)

    @property
    def openml_url(self) -> str:
        """Root of the OpenML server, with a slash at the end; the sandbox where none is set."""
        configured = self.openml_server or self.url_api
        return self.sandbox_url if self.uses_sandbox else f"{configured.rstrip('/')}/"

    @property
    def croissant_url(self) -> str:
        """Root of the server of Croissant files, with a slash at the end."""
        return f"{self.croissant_server.rstrip('/')}/" if self.croissant_server else self.openml_url

    @property
    def way_out(self) -> WayOut:
        """How other servers are reached.

        Raises:
            SettingsError: a variable of the environment names no proxy that can be used.
        """
        chosen = self.outgoing_proxy.get_secret_value()
        if chosen == NO_PROXY_AT_ALL:
            return WayOut(ca_file=self.outgoing_ca_file)
        proxy = _proxy_or_none("OUTGOING_PROXY", chosen)
        return WayOut(
            http=proxy or _proxy_or_none("HTTP_PROXY", self.http_proxy.get_secret_value()),
            https=proxy or _proxy_or_none("HTTPS_PROXY", self.https_proxy.get_secret_value()),
            direct=self.no_proxy,
            ca_file=self.outgoing_ca_file,
        )

    @property
    def build_values(self) -> dict[str, str]:
        """What the placeholders of the build stand for; every address ends in a slash."""
        api = self.react_app_url_api or ("/" if self.pass_openml_reads else self.openml_url)
        return {
            "REACT_APP_URL_SITE_BACKEND": self.react_app_url_site_backend,
            "REACT_APP_URL_API": f"{api.rstrip('/')}/",
            "REACT_APP_URL_ELASTICSEARCH": self.react_app_url_elasticsearch,
            "REACT_APP_ELASTICSEARCH_VERSION_MAYOR": SEARCH_VERSION,
            "REACT_APP_URL_MINIO": FILES_ADDRESS,
        }


def _proxy_or_none(setting: str, text: str) -> Proxy | None:
    try:
        return proxy_of(text, setting) if text else None
    except ValueError as error:
        # Other programs may need it as it is.
        raise SettingsError(f"{setting}: {error}. Or set OUTGOING_PROXY, which comes first.") from None


class SecretFilesSource(PydanticBaseSettingsSource):
    """Reads `NAME` from the file that the variable `NAME_FILE` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - interface
        """Return the file's text without its final line end, or None."""
        path = os.environ.get(f"{field_name.upper()}_FILE")  # noqa: TID251 - the one place
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(f"{field_name.upper()}_FILE cannot be read: {reason}") from None

    def __call__(self) -> dict[str, Any]:
        """Return every value that a file gives."""
        found = ((name, self.get_field_value(field, name)[0]) for name, field in self._fields())
        return {name: value for name, value in found if value is not None}

    def _fields(self) -> Iterator[tuple[str, FieldInfo]]:
        yield from self.settings_cls.model_fields.items()


def load_settings() -> Settings:
    """Read the settings from where the process stands.

    Raises:
        SettingsError: a value is missing, malformed or unsafe; the text says what to set.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        # The values stay out of the text: one of them may be a secret.
        found = [(str((*e["loc"], "")[0]).upper(), e["msg"]) for e in error.errors()]
        # A list may have several wrong entries; its name and what to write are said once.
        complaints = dict.fromkeys(f"{name}: {text.removeprefix('Value error, ')}" for name, text in found)
        raise SettingsError("Some settings have wrong values.\n- " + "\n- ".join(complaints)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"The file .env cannot be read: {reason}") from None
    _require_folder(settings.data_dir)
    return settings


def _require_folder(path: Path) -> None:
    """Make the folder if there is none, and see whether a file can be written there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            return
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(data_dir: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"DATA_DIR cannot be used: {data_dir.absolute()}: {error.strerror}. "
        "Set it to a folder that this user may write to."
    )


def _reachable(host: str) -> str:
    """Return the host as an address names it; a wildcard is reached on the machine itself."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{name}]" if ":" in name else name
