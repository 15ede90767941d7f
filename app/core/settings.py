"""Everything an operator can set, read once at start from the environment, `.env` and secret files.

Names are those of the environment in lower case. A variable `NAME_FILE` names a file that holds the value of
`NAME` (Docker and Kubernetes secrets). Names of the Flask backend that still mean something are honoured.
"""

import os
import secrets
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from app.core.errors import OperatorError
from app.core.mailboxes import Mailbox, parse_mailbox
from app.core.setting_checks import (
    is_this_machine,
    require_host,
    require_http_url,
    require_number_in_bounds,
    require_server_url,
)
from app.core.way_out import Proxy, WayOut, proxy_of

MINIMUM_SECRET_BYTES = 32
NO_PROXY_AT_ALL = "direct"
SMTPS_PORT = 465
"""Where mail servers speak TLS from the first byte (RFC 8314)."""
PUBLISHED_SECRETS = frozenset({"abcd", "changethis", "change-me", "changeme", "secret", "your-secret-key"})
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mysql+pymysql": "mysql+aiomysql",
    "mysql+mysqldb": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "mariadb+pymysql": "mysql+aiomysql",
}

Commas = Annotated[tuple[str, ...], NoDecode]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode]


class SettingsError(OperatorError):
    """The service cannot start as it is configured; the text says what to set."""


def missing_extra(setting: str, *extras: str) -> SettingsError:
    """Return the error of a setting whose library is not installed. No package index has this project."""
    choices = " or ".join(f'pip install ".[{extra}]"' for extra in extras)
    return SettingsError(
        f"{setting} needs a library that is not installed. In the folder of the checkout: {choices} "
        "(or the path of the wheel, where a wheel was installed, in place of the dot)."
    )


class Settings(BaseSettings):
    """One field a setting; its description is the documentation (docs/configuration.md is made from it)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    # --- service
    environment: Literal["development", "production"] = Field(
        "development",
        description="`production` refuses to start with anything that is only safe on a laptop.",
    )
    host: str = Field("127.0.0.1", description="Address that `openml-web serve` and `make run` listen on.")
    port: int = Field(
        5000, ge=0, le=65535, description="Port that `openml-web serve` and `make run` listen on."
    )
    public_url: str = Field(
        "", description="Address under which people reach this service, e.g. `https://www.openml.org`."
    )
    data_dir: Path = Field(
        Path("var"), description="Folder for everything the service keeps on disk; made if it is missing."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text to a terminal and JSON lines elsewhere."
    )
    cors_origins: Commas = Field(
        ("http://localhost:3000", "http://localhost:3050", "http://localhost:8000", "https://www.openml.org"),
        description="Origins, separated by commas, whose pages may call this service from a browser; "
        "as it is, the frontend and its successor in development, and OpenML's own site.",
    )
    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks, separated by commas, of proxies whose `X-Forwarded-For` is believed. "
        "Set it behind a proxy: rate limits and sessions go by the client's address.",
    )
    allow_plain_http: bool = Field(
        default=False,
        description="Let production start with a `PUBLIC_URL` or `OPENML_SERVER` that begins with `http://`: passwords "
        "and API keys go over that line as they are. For a network of its own.",
    )
    redirect_url: str = Field(
        "", description="Prefix of the short links' targets (`/d/61`); empty means this service itself."
    )
    embedded_worker: bool = Field(
        default=True,
        description="Deliver mail and publish uploads inside each web process; "
        "set it to `false` where `openml-web worker` runs on its own.",
    )
    # --- database
    database_uri: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy address of the user database, `mysql://user:password@host/openml` or "
        "`sqlite:///file`. Empty: `openml.db` in `DATA_DIR`.",
    )
    database_pool_size: int = Field(
        5,
        ge=1,
        description="Connections that a process opens at most; on MariaDB or MySQL twice as many, half of them for "
        "single reads. They are opened when they are needed and closed after half a minute of rest (docs/scaling.md).",
    )
    database_timeout_seconds: float = Field(
        10,
        ge=0.1,
        description="Longest wait for an answer of the database, and the longest that a statement may take; a new "
        "connection, or one of the pool, is waited for half as long. Then the answer is 503 with Retry-After.",
    )
    # --- secrets
    app_secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs access tokens unless `JWT_SECRET_KEY` is set. At least 32 bytes; "
        "`openssl rand -hex 32` makes one. Development makes its own in `DATA_DIR` where none, or a "
        "shorter one, is set.",
    )
    jwt_secret_key: SecretStr = Field(
        SecretStr(""), description="Signs access tokens; empty: `APP_SECRET_KEY`."
    )
    access_token_minutes: int = Field(120, ge=1, description="Life of an access token.")
    password_hash_threads: int = Field(
        0, ge=0, description="Password hashes computed at the same time; 0 means one per processor."
    )
    password_hash_queue: int = Field(
        256, ge=1, description="Password hashes that may wait; beyond it the answer is 503 with Retry-After."
    )
    password_minimum_length: int = Field(
        8, ge=1, le=64, description="Shortest password accepted, in characters."
    )
    signup_hides_accounts: bool = Field(
        default=False,
        description="`true`: signing up with a known address answers `User created` and mails its owner, instead of "
        "saying that the account exists.",
    )
    audit_days: int = Field(365, ge=1, description="How long an account's security events are kept.")
    # --- rate limits
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="Redis, `redis://host:6379/0`, where processes on several machines count rate limits together, "
        "wake each other and pass on who logged out (needs the extra `redis`). Empty: they count in the database, and "
        "look there.",
    )
    rate_limits: Commas = Field(
        (),
        description="Changes to the rate limits, `name=amount/period` separated by commas, e.g. "
        "`login-address=500/5 minutes` (docs/security.md lists them all).",
    )
    # --- mail
    send_email: bool = Field(
        default=True,
        description="`false` sends no mail and makes accounts active at once; development only.",
    )
    smtp_server: str = Field(
        "", description="Mail server. Empty (development only): each mail becomes a file in `DATA_DIR/mail`."
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_login: str = Field("", description="Name to log in with; empty means no login.")
    smtp_pass: SecretStr = Field(SecretStr(""), description="Password to log in with.")
    smtp_use_tls: bool = Field(
        default=False,
        description="Speak TLS (STARTTLS; on port 465 from the first byte) and refuse to go on without.",
    )
    smtp_through_proxy: bool = Field(
        default=False,
        description="Reach the mail server, too, through the proxy of `OUTGOING_PROXY` or `HTTPS_PROXY` (CONNECT). "
        "Most networks that have a proxy have a mail server inside.",
    )
    smtp_timeout_seconds: float = Field(30, gt=0, description="Longest wait for the mail server.")
    email_sender: str = Field(
        "openml@localhost", description="Sender of every mail: an address, or `Name <address>`."
    )
    email_server: str = Field(
        "", description="Host in mail links (`https://EMAIL_SERVER/…`); `PUBLIC_URL` comes first."
    )
    contact_email: str = Field(
        "openmachinelearning@gmail.com",
        description="Where feedback goes, and what mails give as the team's address.",
    )
    security_contact: str = Field(
        "",
        pattern=r"^((mailto:|https://)[!-~]+)?$",
        description="Whom to tell of a security hole, `mailto:…` or `https://…`: `/.well-known/security.txt` says so.",
    )
    reset_minutes: int = Field(60, ge=1, description="Life of the link that resets a password.")
    unconfirmed_days: int = Field(
        30,
        ge=1,
        description="How long an account whose address was never confirmed is kept. Only accounts that were made here, "
        "and never open, are removed.",
    )
    confirmation_hours: int = Field(48, ge=1, description="Life of the link that confirms an e-mail address.")
    # --- worker
    broker_url: SecretStr = Field(
        SecretStr(""),
        description="Broker that hands out mails and uploads to workers: `redis://host:6379/1` (needs the extra "
        "`redis-queue`) or `amqp://user:password@host/vhost` (RabbitMQ, `rabbitmq`). Empty: workers look for them in "
        "the database, which holds them in any case.",
    )
    broker_prefix: str = Field(
        "openml-web",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Begins the name of everything at `BROKER_URL` and of the channel at `REDIS_URL`; "
        "installations that share a server need one each.",
    )
    ready_queue_seconds: float = Field(
        600,
        gt=0,
        description="`/health/ready` says no when a mail, an upload or a task that is due has been waiting for a "
        "worker for longer.",
    )
    lease_seconds: float = Field(
        60, gt=0, description="A worker that has not been heard of for so long loses its work to another."
    )
    reconcile_seconds: float = Field(
        120, ge=0, description="How long to look for an upload whose answer was lost before it is sent again."
    )
    # --- OpenML
    openml_server: str = Field(
        "",
        description="Root of the OpenML server that datasets are published on, e.g. `https://www.openml.org/`. "
        "Empty (development only): the sandbox on `SANDBOX_PORT`, which `make run` or `openml-web sandbox` starts.",
    )
    url_api: str = Field("", description="The Flask backend's name for `OPENML_SERVER`.")
    openml_timeout_seconds: float = Field(
        900, gt=0, description="Longest wait for an answer of the OpenML server after the last byte was sent."
    )
    elasticsearch_server: str = Field(
        "", description="Root of the search server that OpenML's index lives on. Empty: no search."
    )
    # --- way out
    outgoing_proxy: SecretStr = Field(
        SecretStr(""),
        description="Proxy on the way to other servers (OpenML, search, Croissant, dashboards, the store), "
        "`http://host:port`, with `name:password@` if it wants them. Empty: `HTTPS_PROXY` and `HTTP_PROXY`; `direct`: "
        "none. This machine itself is always reached directly.",
    )
    https_proxy: SecretStr = Field(
        SecretStr(""), description="Proxy to servers with TLS, where `OUTGOING_PROXY` is empty."
    )
    http_proxy: SecretStr = Field(
        SecretStr(""), description="Proxy to servers without TLS, where `OUTGOING_PROXY` is empty."
    )
    no_proxy: Commas = Field(
        (),
        description="What is reached without a proxy, separated by commas: hosts, domains (`example.org` is also all "
        "below it), addresses, networks (`10.0.0.0/8`); each may end in `:port`. `*`: everything.",
    )
    outgoing_ca_file: str = Field(
        "",
        description="File of certificates (PEM) of authorities of your own, which are believed beside the system's: by "
        "those who call other servers, the store and the mail server. `SSL_CERT_FILE` replaces the system's.",
    )
    # --- site
    spa_dir: str = Field(
        "",
        description="A build of the React frontend: its folder, or a `.zip`, `.tar.gz` of it. Empty: none.",
    )
    spa_source_maps: bool = Field(
        default=False, description="Serve the build's source maps (`*.map`) as well."
    )
    spa_content_policy: str = Field(
        "",
        description="Content-Security-Policy of the build's page. Empty: one that fits the official build; "
        "`off`: none but that no other site may frame it.",
    )
    react_app_url_site_backend: str = Field(
        "/", description="What the build calls this service by; `/` is the host that the page came from."
    )
    react_app_url_api: str = Field(
        "",
        description="What the build calls OpenML's REST API by, without `api/v1/`. Empty: `/`, or the OpenML "
        "server where `PASS_OPENML_READS` is `false`.",
    )
    react_app_url_elasticsearch: str = Field(
        "/es/", description="What the build calls the search server by; `/es/` is this service's binding."
    )
    react_app_elasticsearch_version_mayor: str = Field(
        "6", description="The search server's version that the build is told; `/es/` speaks 6 and 8."
    )
    react_app_url_minio: str = Field("/data/", description="What the build calls the file server by.")
    dashboard_server: str = Field(
        "",
        description="Root of the Dash application that draws `/dashboard/…`. Empty: a page says there is none.",
    )
    croissant_server: str = Field(
        "", description="Root of the server of `/croissant/dataset/ID`. Empty: the OpenML server."
    )
    pass_croissant: bool = Field(default=True, description="Answer `GET /croissant/dataset/ID`.")
    pass_openml_reads: bool = Field(
        default=True, description="Answer `GET /api/…` with what the OpenML server says, without API keys."
    )
    pass_openml_files: bool = Field(
        default=True, description="Answer `GET /data/…/download/…` with the OpenML server's files."
    )
    sandbox_port: int = Field(5001, ge=0, le=65535, description="Port of the built-in OpenML sandbox.")
    sandbox_keys: SecretStr = Field(
        SecretStr(""),
        description="API keys that the sandbox knows, `key=role` separated by commas (roles `admin`, `writer`, "
        "`read-only`). Empty: every well-formed key is a writer of its own.",
    )
    sandbox_processing_seconds: float = Field(
        1, ge=0, description="How long the sandbox leaves a dataset in preparation before it processes it."
    )
    # --- uploads
    upload_max_bytes: int = Field(
        50_000_000_000, ge=1, description="Largest file accepted by `POST /data-upload`, in bytes."
    )
    upload_stall_seconds: float = Field(
        60, gt=0, description="How long an upload may take to send 4096 bytes before it is given up."
    )
    download_least_rate: int = Field(
        8192,
        ge=1,
        description="Fewest bytes a second that a reader of an answer has to take; who takes less is cut off.",
    )
    download_stall_seconds: float = Field(
        30, gt=0, description="How long a reader may take nothing at all before being cut off."
    )
    upload_wait_seconds: float = Field(
        1800,
        gt=0,
        description="How long `POST /data-upload` waits for OpenML before it answers 504; "
        "the upload goes on.",
    )
    conversion_memory_bytes: int = Field(
        1_500_000_000, ge=300_000_000, description="Memory that one conversion may use, in bytes."
    )
    conversion_cpu_seconds: int = Field(3600, ge=1, description="Processor time that one conversion may use.")
    conversions_at_once: int = Field(
        2, ge=1, description="Conversions that one worker runs at the same time."
    )
    conversions_per_machine: int = Field(
        0,
        ge=0,
        description="Conversions that all processes with the same `DATA_DIR` run at the same time. 0: as many as the "
        "machine has processors.",
    )
    max_columns: int = Field(50_000, ge=1, description="Columns that a dataset may have.")
    max_cell_bytes: int = Field(1_000_000, ge=1, description="Bytes that one cell may have.")
    max_unpacked_bytes: int = Field(
        100_000_000_000, ge=1, description="Bytes that a file may have once it is unpacked, and as ARFF."
    )
    max_labels: int = Field(100_000, ge=1, description="Labels that a nominal column may have.")
    upload_expire_hours: float = Field(
        72,
        gt=0,
        description="How long an upload whose bytes are missing, or that waits for its owner to publish it, may lie "
        "still before it is given up.",
    )
    uploads_per_user: int = Field(
        1000, ge=1, description="Unfinished uploads that one user may have; more are answered 429."
    )
    upload_user_bytes: int = Field(
        200_000_000_000,
        ge=1,
        description="Bytes that the uploads of one user may take on the disk together, with what is made of them; "
        "more are answered 413.",
    )
    disk_reserve_bytes: int = Field(
        2_000_000_000,
        ge=0,
        description="Bytes that stay free on the disk; an upload that would use them is answered 507, and conversions "
        "leave half as much again.",
    )
    receives_at_once: int = Field(
        2000, ge=1, description="Bodies of uploads that one process takes at once; more are answered 503."
    )
    receives_per_user: int = Field(
        200,
        ge=1,
        description="Bodies of uploads that one process takes of one user at once; more are answered 429.",
    )
    uploads_waiting: int = Field(
        20_000,
        ge=1,
        description="Uploads that may wait for a worker; more are answered 503 before their bytes.",
    )
    watchers_at_once: int = Field(
        1000, ge=1, description="Streams of events that one process keeps open; more are answered 503."
    )
    conversions_per_user: int = Field(
        2, ge=1, description="Conversions of one user's uploads that all workers together do at once."
    )
    upload_keep_hours: int = Field(
        24,
        ge=0,
        description="How long the file of a failed upload is kept for another attempt, and counts for its owner.",
    )

    # --- store
    storage_url: str = Field(
        "",
        description="S3-compatible store for upload bytes and pictures that several machines share, `s3://bucket` or "
        "`s3://bucket/prefix` (needs the extra `s3`). Empty: folders in `DATA_DIR`.",
    )
    aws_endpoint_url: str = Field(
        "",
        description="Root of the store, e.g. `https://minio.example.org:9000`. Empty: Amazon's for the region.",
    )
    aws_region: str = Field("", description="The store's region; empty: `us-east-1`.")
    aws_access_key_id: SecretStr = Field(
        SecretStr(""),
        description="Key id for the store. Empty: the role that the machine or the pod has on AWS.",
    )
    aws_secret_access_key: SecretStr = Field(
        SecretStr(""), description="The key that belongs to `AWS_ACCESS_KEY_ID`."
    )
    aws_session_token: SecretStr = Field(
        SecretStr(""), description="Token of a temporary `AWS_ACCESS_KEY_ID`; empty for a lasting one."
    )
    storage_path_style: bool = Field(
        default=True,
        description="Ask for `endpoint/bucket/…`, which every store understands; `false`: `bucket.endpoint/…`.",
    )
    storage_allow_http: bool = Field(
        default=False,
        description="Allow an `AWS_ENDPOINT_URL` without TLS, for a store on a network of its own.",
    )
    storage_timeout_seconds: float = Field(
        30,
        gt=0,
        description="Longest wait for the store to take or give 5 MiB, and for bytes to have their turn there; "
        "beyond it the answer is 503 with Retry-After.",
    )
    # --- pictures
    picture_max_bytes: int = Field(
        20_000_000, ge=1, description="Largest file accepted by `POST /image`, in bytes."
    )
    picture_max_pixels: int = Field(
        52_000_000,
        ge=1,
        le=200_000_000,
        description="Width times height of a picture that is decoded at most; each may need 17 bytes of memory.",
    )
    pictures_at_once: int = Field(
        2, ge=1, description="Pictures that one process redraws at the same time; 32 more wait."
    )

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
        "react_app_url_minio",
        "react_app_elasticsearch_version_mayor",
        mode="before",
    )
    @classmethod
    def _ignore_placeholder(cls, value: object, info: ValidationInfo) -> object:
        # The frontend's own .env sets each of these names to its placeholder.
        if isinstance(value, str) and value.startswith("<REACT_APP_"):
            return cls.model_fields[str(info.field_name)].default
        return value

    @field_validator("react_app_url_site_backend", "react_app_url_elasticsearch", "react_app_url_minio")
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
            complaints = list(_production_complaints(self))
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
                self._generated_secret = _keep_development_secret(self.data_dir / "development-secret")
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
            "REACT_APP_ELASTICSEARCH_VERSION_MAYOR": self.react_app_elasticsearch_version_mayor,
            "REACT_APP_URL_MINIO": self.react_app_url_minio,
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
        found = [(".".join(map(str, e["loc"])).upper(), e["msg"]) for e in error.errors()]
        complaints = [f"{name}: {text.removeprefix('Value error, ')}" for name, text in found]
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


def _production_complaints(settings: Settings) -> Iterator[str]:
    yield from _secret_complaints(settings)
    upstream = settings.openml_server or settings.url_api
    if not upstream:
        yield "OPENML_SERVER is not set. Set it to the OpenML server, e.g. https://www.openml.org/"
    elif _is_sandbox(upstream, settings.sandbox_port):
        yield "OPENML_SERVER is the built-in sandbox, which publishes nothing. Set it to a real OpenML server."
    if not settings.send_email:
        yield "SEND_EMAIL=false makes accounts active without a confirmed address. Remove it and set SMTP_SERVER."
    if not settings.smtp_server:
        yield "SMTP_SERVER is not set. Set it to your mail server: accounts are confirmed by mail."
    if not settings.sender.is_reachable:
        yield (
            f"EMAIL_SENDER ends in {settings.sender.domain}, which is nowhere: mail servers refuse such mails. "
            "Set it to an address of yours, e.g. OpenML <noreply@openml.org>"
        )
    if not (settings.public_url or settings.email_server):
        yield "PUBLIC_URL is not set. Set it to the address that people see; links in mails start with it."
    yield from _exposure_complaints(settings)


def _exposure_complaints(settings: Settings) -> Iterator[str]:
    """Say where secrets would go over a line, or to a page, that anybody may have."""
    for name in ("public_url", "openml_server", "url_api"):
        if getattr(settings, name).lower().startswith("http://") and not settings.allow_plain_http:
            yield (
                f"{name.upper()} begins with http://, which sends passwords and keys as they are. Set it to https://…, "
                "or ALLOW_PLAIN_HTTP=true for a network of its own."
            )
    if "*" in settings.cors_origins:
        yield "CORS_ORIGINS is *, which lets every page call this service. Name the origins that may."
    has_password = settings.smtp_login or settings.smtp_pass.get_secret_value()
    if has_password and not settings.smtp_use_tls and not is_this_machine(settings.smtp_server):
        yield "SMTP_PASS would be sent without TLS. Set SMTP_USE_TLS=true."


def _secret_complaints(settings: Settings) -> Iterator[str]:
    if not (settings.jwt_secret_key.get_secret_value() or settings.app_secret_key.get_secret_value()):
        yield "APP_SECRET_KEY is not set. Set it to a random text of at least 32 bytes (openssl rand -hex 32)."
    for name in ("app_secret_key", "jwt_secret_key"):
        value = getattr(settings, name).get_secret_value()
        if value.lower() in PUBLISHED_SECRETS:
            yield f"{name.upper()} is a published example. Set it to a random text (openssl rand -hex 32)."
        elif value and len(value.encode()) < MINIMUM_SECRET_BYTES:
            yield f"{name.upper()} is shorter than 32 bytes. Set it to a longer random text (openssl rand -hex 32)."


def _is_sandbox(url: str, sandbox_port: int) -> bool:
    parts = urlsplit(url)
    return parts.hostname in {"localhost", "127.0.0.1", "::1", "0.0.0.0"} and parts.port == sandbox_port  # noqa: S104 - compared, not bound


def _reachable(host: str) -> str:
    """Return the host as an address names it; a wildcard is reached on the machine itself."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{name}]" if ":" in name else name


def _keep_development_secret(path: Path) -> str:
    """Return the secret kept in `path`, making it (mode 0600) on the first start.

    The file is linked into place, so that two processes starting together agree on one secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(MINIMUM_SECRET_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()
