"""Everything an operator can set, read once at start from the environment, `.env` and secret files.

Names are those of the environment in lower case. A variable `NAME_FILE` names a file that holds the value of
`NAME` (Docker and Kubernetes secrets). Names of the Flask backend that still mean something are honoured.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

from pydantic import (
    AliasChoices,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.core.development_secret import keep_development_secret
from app.core.errors import OperatorError
from app.core.mailboxes import Mailbox, parse_mailbox
from app.core.production import production_complaints
from app.core.providers import Provider, read_providers
from app.core.setting_checks import MINIMUM_SECRET_BYTES, require_number_in_bounds
from app.core.setting_groups import EverybodysSettings, LargerSitesSettings, RareSettings
from app.core.setting_types import split_commas, split_keys
from app.core.way_out import Proxy, WayOut, proxy_of

NO_PROXY_AT_ALL = "direct"
SEARCH_VERSION = "6"
"""The search server's, as the build is told; `/es/` speaks 6 and 8."""
SITE_ADDRESS = "/"
"""What the build calls this service by: the host that the page came from, whatever its name is."""
FILES_ADDRESS = "/data/"
"""What the build calls the file server by: our own address for it."""
PROXY_NAMES = frozenset({"http_proxy", "https_proxy", "no_proxy"})
"""Variables that every program heeds, and this one; they are described in docs/deploy.md."""
SMTPS_PORT = 465
"""Where mail servers speak TLS from the first byte (RFC 8314)."""
_MYSQL_DRIVERS = ("mysql", "mysql+pymysql", "mysql+mysqldb", "mariadb", "mariadb+pymysql")
ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", **dict.fromkeys(_MYSQL_DRIVERS, "mysql+aiomysql")}


class SettingsError(OperatorError):
    """The service cannot start as it is configured; the text says what to set."""


def missing_extra(setting: str, *extras: str) -> SettingsError:
    """Return the error of a setting whose library is not installed. No package index has this project."""
    choices = " or ".join(f'pip install ".[{extra}]"' for extra in extras)
    return SettingsError(
        f"{setting} needs a library that is not installed. In the folder of the checkout: {choices} "
        "(or the path of the wheel, where a wheel was installed, in place of the dot)."
    )


def unusable_folder(data_dir: Path, error: OSError) -> SettingsError:
    """Return the error of a folder of data that cannot be made or written to."""
    return SettingsError(
        f"DATA_DIR cannot be used: {data_dir.absolute()}: {error.strerror}. "
        "Set it to a folder that this user may write to."
    )


class Settings(EverybodysSettings, LargerSitesSettings, RareSettings):
    """All settings, checked: by themselves, together, and for production."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    _generated_secret: str = PrivateAttr(default="")
    _given: Mapping[str, Any] = PrivateAttr(default_factory=dict)

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
        return init_settings, NamesSource(settings_cls, env_settings, dotenv_settings)

    @field_validator("*")
    @classmethod
    def _require_numbers_in_bounds(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, int | float):
            require_number_in_bounds(str(info.field_name), value)
        return value

    @field_validator("outgoing_proxy")
    @classmethod
    def _require_proxy(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and text != NO_PROXY_AT_ALL:
            proxy_of(text, "OUTGOING_PROXY")
        return value

    @field_validator("react_app_url_api", "react_app_url_elasticsearch", mode="before")
    @classmethod
    def _ignore_placeholder(cls, value: object, info: ValidationInfo) -> object:
        # The frontend's own .env sets each of these names to its placeholder.
        if isinstance(value, str) and value.startswith("<REACT_APP_"):
            return cls.model_fields[str(info.field_name)].default
        return value

    @field_validator("react_app_url_elasticsearch")
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

    @model_validator(mode="wrap")
    @classmethod
    def _keep_what_is_given(cls, given: dict[str, Any], make: ModelWrapValidatorHandler[Self]) -> Self:
        """Let an empty name leave the other of its setting the say; keep the rest, which messages and proxies need."""
        several = {name for field in cls.model_fields for name in names_of(field) if len(names_of(field)) > 1}
        kept = {
            name: value
            for name, value in given.items()
            if name not in several or value not in ("", SecretStr(""))
        }
        if "email_server" in kept:
            kept["email_server"] = f"https://{kept['email_server']}"
        settings = make(kept)
        settings._given = kept  # noqa: SLF001 - its own
        complaints = list(production_complaints(settings)) if settings.environment == "production" else []
        if complaints:
            raise SettingsError("This configuration is not fit for production.\n- " + "\n- ".join(complaints))
        return settings

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's signature
        """Make the development secret where none is set."""
        super().model_post_init(context)
        if self.environment == "development" and not self._configured_secret():
            try:
                self._generated_secret = keep_development_secret(self.data_dir / "development-secret")
            except OSError as error:
                raise unusable_folder(self.data_dir, error) from None

    def name_of(self, field: str) -> str:
        """Return the name by which a setting is set, as the environment writes it."""
        return next((name for name in names_of(field) if name in self._given), field).upper()

    @property
    def given(self) -> frozenset[str]:
        """The names that are set, in lower case."""
        return frozenset(self._given)

    @property
    def token_secret(self) -> str:
        """The key that access tokens are signed with."""
        return self._configured_secret() or self._generated_secret

    @property
    def accepted_secrets(self) -> tuple[str, ...]:
        """Other keys that access tokens may be signed with."""
        return split_keys(self.accepted_secret_keys.get_secret_value())

    @cached_property
    def providers(self) -> tuple[Provider, ...]:
        """The providers that people may sign in with."""
        return read_providers(self.sign_in_providers.get_secret_value())

    def _configured_secret(self) -> str:
        """Return the secret that is set; one that anybody could guess counts as none, on a laptop, too."""
        configured = self.app_secret_key.get_secret_value()
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
        return self.public_url or self.local_url

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
        return not self.openml_server

    @property
    def openml_url(self) -> str:
        """Root of the OpenML server, with a slash at the end; the sandbox where none is set."""
        return self.sandbox_url if self.uses_sandbox else f"{self.openml_server.rstrip('/')}/"

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
            http=proxy or _proxy_or_none("HTTP_PROXY", self._given.get("http_proxy", "")),
            https=proxy or _proxy_or_none("HTTPS_PROXY", self._given.get("https_proxy", "")),
            direct=split_commas(self._given.get("no_proxy", "")),
            ca_file=self.outgoing_ca_file,
        )

    @property
    def build_values(self) -> dict[str, str]:
        """What the placeholders of the build stand for; every address ends in a slash."""
        api = self.react_app_url_api or ("/" if "reads" in self.pass_on else self.openml_url)
        return {
            "REACT_APP_URL_SITE_BACKEND": SITE_ADDRESS,
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


def names_of(field: str) -> tuple[str, ...]:
    """Return the names that a setting can be set by, in lower case, the one that counts first."""
    alias = Settings.model_fields[field].validation_alias
    return tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (field,)


def every_name() -> frozenset[str]:
    """Return all variables that are heeded, in lower case, but for `NAME_FILE`."""
    return PROXY_NAMES.union(*map(names_of, Settings.model_fields))


class NamesSource(PydanticBaseSettingsSource):
    """Reads every name: from the environment, from the file that the variable `NAME_FILE` names, from `.env`.

    What is found stays under its name, so that of two names of one setting the same comes first wherever they are set,
    and that a message can use the one that the operator knows.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        environment: PydanticBaseSettingsSource,
        env_file: PydanticBaseSettingsSource,
    ) -> None:
        super().__init__(settings_cls)
        self._environment = cast("EnvSettingsSource", environment).env_vars
        self._env_file = cast("EnvSettingsSource", env_file).env_vars

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - interface
        """Return the text that a name is set to, or None."""
        return self._text_of(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return every name that is set."""
        found = ((name, self._text_of(name)) for name in every_name())
        return {name: text for name, text in found if text is not None}

    def _text_of(self, name: str) -> str | None:
        # Empty is what a file says, and no variable: those are none then.
        text = self._environment.get(name) or self._read_file_of(name)
        return self._env_file.get(name) if text is None else text

    def _read_file_of(self, name: str) -> str | None:
        """Return the file's text without its final line end; None if no file is named."""
        path = self._environment.get(f"{name}_file")
        if path is None:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name.upper()}_FILE cannot be read: {unreadable(error)}") from None


def unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Return why a file of settings cannot be read."""
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"


def _reachable(host: str) -> str:
    """Return the host as an address names it; a wildcard is reached on the machine itself."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{name}]" if ":" in name else name
