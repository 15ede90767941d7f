"""What an operator can set, grouped by who needs it; docs/configuration.md is made of it in this order.

`Settings` in `app.core.settings` puts the groups together and checks them. A field's description is its documentation.
"""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings

from app.core.setting_types import (
    Address,
    Commas,
    Endpoint,
    Host,
    Issuers,
    ListenAddress,
    MailboxText,
    Networks,
    Origins,
    PassedOn,
    Prefix,
    PrefixOrPath,
    SecretKeys,
    ServerAddress,
    SignInProviders,
    TimingsText,
)
from app.core.timings import Timings


class EverybodysSettings(BaseSettings):
    """What every installation looks at before it goes into production."""

    environment: Literal["development", "production"] = Field(
        "development",
        description="`production` refuses to start with anything that is only safe on a laptop.",
    )
    host: str = Field("127.0.0.1", description="Address that `openml-web serve` and `make run` listen on.")
    port: int = Field(
        5000, ge=0, le=65535, description="Port that `openml-web serve` and `make run` listen on."
    )
    public_url: Prefix = Field(
        "",
        validation_alias=AliasChoices("public_url", "email_server"),
        description="Address under which people reach this service, e.g. `https://www.openml.org`. The Flask backend's "
        "`EMAIL_SERVER=www.openml.org` means the same.",
    )
    data_dir: Path = Field(
        Path("var"), description="Folder for everything the service keeps on disk; made if it is missing."
    )
    database_uri: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy address of the user database, `mysql://user:password@host/openml` or "
        "`sqlite:///file`. Empty: `openml.db` in `DATA_DIR`.",
    )
    app_secret_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("jwt_secret_key", "app_secret_key"),
        description="Signs access tokens; where `JWT_SECRET_KEY` is set, too, that is used. At least 32 bytes; "
        "`openssl rand -hex 32` makes one. Development makes its own in `DATA_DIR` where none, or a "
        "shorter one, is set.",
    )
    openml_server: Address = Field(
        "",
        validation_alias=AliasChoices("openml_server", "url_api"),
        description="Root of the OpenML server that datasets are published on, e.g. `https://www.openml.org/`; the "
        "Flask backend's `URL_API` means the same. Empty (development only): the sandbox on `SANDBOX_PORT`, which "
        "`make run` or `openml-web sandbox` starts.",
    )
    elasticsearch_server: Address = Field(
        "",
        description="Root of the Elasticsearch or OpenSearch that OpenML's index lives on. Empty: the index that this "
        "service keeps itself (docs/search.md).",
    )
    spa_dir: str = Field(
        "",
        description="A build of the React frontend: its folder, or a `.zip`, `.tar.gz` of it. Empty: none.",
    )
    send_email: bool = Field(
        default=True,
        description="`false` sends no mail and makes accounts active at once; development only.",
    )
    smtp_server: Host = Field(
        "", description="Mail server. Empty (development only): each mail becomes a file in `DATA_DIR/mail`."
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_login: str = Field("", description="Name to log in with; empty means no login.")
    smtp_pass: SecretStr = Field(SecretStr(""), description="Password to log in with.")
    smtp_use_tls: bool = Field(
        default=False,
        description="Speak TLS (STARTTLS; on port 465 from the first byte) and refuse to go on without.",
    )
    email_sender: MailboxText = Field(
        "openml@localhost", description="Sender of every mail: an address, or `Name <address>`."
    )
    contact_email: MailboxText = Field(
        "openmachinelearning@gmail.com",
        description="Where feedback goes, and what mails give as the team's address.",
    )
    security_contact: str = Field(
        "",
        pattern=r"^((mailto:|https://)[!-~]+)?$",
        description="Whom to tell of a security hole, `mailto:…` or `https://…`: `/.well-known/security.txt` says so.",
    )
    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks, separated by commas, of proxies whose `X-Forwarded-For` is believed. "
        "Set it behind a proxy: rate limits and sessions go by the client's address.",
    )
    sign_in_providers: SignInProviders = Field(
        SecretStr(""),
        description="Providers that people may sign in with, and our id and secret at each (docs/sign-in.md), as JSON: "
        '`{"github": {"client_id": "…", "client_secret": "…"}, "campus": {"name": "Our university", "issuer": '
        '"https://login.example.org", "client_id": "…", "client_secret": "…"}}`. Empty: none, and nothing is shown.',
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")


class LargerSitesSettings(BaseSettings):
    """What sites set that have several machines, large uploads, servers beside this one, or a proxy on the way out."""

    embedded_worker: bool = Field(
        default=True,
        description="Deliver mail and publish uploads inside each web process; "
        "set it to `false` where `openml-web worker` runs on its own.",
    )
    metrics_listen: ListenAddress = Field(
        "",
        description="Address where Prometheus reads the metrics of all processes of this machine, e.g. "
        "`127.0.0.1:9464` (docs/metrics.md). It has no password: let nobody else reach it. Empty: nothing is measured.",
    )
    search_index: bool = Field(
        default=True,
        description="Keep an index of what the OpenML server lists, in `DATA_DIR/index`: it answers searches where "
        "`ELASTICSEARCH_SERVER` is empty, and our own pages (docs/search.md). `false`: there is none.",
    )
    otel_exporter_otlp_endpoint: Address = Field(
        "",
        description="Root of an OpenTelemetry collector that takes OTLP over HTTP, e.g. `http://127.0.0.1:4318`: "
        "traces go there (docs/telemetry.md; needs the extra `otel`). Empty: none are made.",
    )
    otel_exporter_otlp_headers: SecretStr = Field(
        SecretStr(""),
        description="Headers that the collector wants, `name=value` separated by commas, e.g. for a key.",
    )
    otel_traces_sampler_arg: float = Field(
        0.002,
        ge=0,
        le=1,
        description="Share of all traces that are kept, from 0 to 1; each whole or not at all. What a share costs "
        "stands in docs/telemetry.md.",
    )
    sentry_dsn: ServerAddress = Field(
        SecretStr(""),
        description="Where faults are told by Sentry's protocol (Sentry, GlitchTip), `https://key@host/number`: their "
        "kind and where in the code, nothing of a request (docs/telemetry.md; needs the extra `sentry`). Empty: only "
        "the log has them.",
    )
    database_pool_size: int = Field(
        5,
        ge=1,
        description="Connections that a process opens at most; on MariaDB or MySQL twice as many, half of them for "
        "single reads. They are opened when they are needed and closed after half a minute of rest (docs/scaling.md).",
    )
    redis_url: ServerAddress = Field(
        SecretStr(""),
        description="Redis, `redis://host:6379/0`, where processes on several machines count rate limits together, "
        "wake each other and pass on who logged out (needs the extra `redis`). Empty: they count in the database, and "
        "look there.",
    )
    broker_url: ServerAddress = Field(
        SecretStr(""),
        description="Broker that hands out mails and uploads to workers: `redis://host:6379/1` (needs the extra "
        "`redis`) or `amqp://user:password@host/vhost` (RabbitMQ, `rabbitmq`). Empty: workers look for them in "
        "the database, which holds them in any case.",
    )
    broker_prefix: str = Field(
        "openml-web",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Begins the name of everything at `BROKER_URL` and of the channel at `REDIS_URL`; "
        "installations that share a server need one each.",
    )
    rate_limits: Commas = Field(
        (),
        description="Changes to the rate limits, `name=amount/period` separated by commas, e.g. "
        "`login-address=500/5 minutes` (docs/security.md lists them all).",
    )
    storage_url: str = Field(
        "",
        description="S3-compatible store for upload bytes and pictures that several machines share, `s3://bucket` or "
        "`s3://bucket/prefix` (needs the extra `s3`). Empty: folders in `DATA_DIR`.",
    )
    aws_endpoint_url: Endpoint = Field(
        "",
        description="Root of the store, e.g. `https://minio.example.org:9000`; for a store that wants the bucket in "
        "the host, e.g. `https://{bucket}.oss-eu-central-1.aliyuncs.com`. Empty: Amazon's for the region.",
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
    conversions_per_machine: int = Field(
        0,
        ge=0,
        description="Conversions that all processes with the same `DATA_DIR` run at the same time. 0: as many as the "
        "machine has processors.",
    )
    conversion_memory_bytes: int = Field(
        1_500_000_000, ge=300_000_000, description="Memory that one conversion may use, in bytes."
    )
    upload_max_bytes: int = Field(
        50_000_000_000, ge=1, description="Largest file accepted by `POST /data-upload`, in bytes."
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
    dashboard_server: Address = Field(
        "",
        description="Root of the Dash application that draws `/dashboard/…`. Empty: a page says there is none.",
    )
    croissant_server: Address = Field(
        "", description="Root of the server of `/croissant/dataset/ID`. Empty: the OpenML server."
    )
    outgoing_proxy: SecretStr = Field(
        SecretStr(""),
        description="Proxy on the way to other servers (OpenML, search, Croissant, dashboards, the store), "
        "`http://host:port`, with `name:password@` if it wants them. Empty: `HTTPS_PROXY` and `HTTP_PROXY`; `direct`: "
        "none. This machine itself is always reached directly.",
    )
    outgoing_ca_file: str = Field(
        "",
        description="File of certificates (PEM) of authorities of your own, which are believed beside the system's: by "
        "those who call other servers, the store and the mail server. `SSL_CERT_FILE` replaces the system's.",
    )


class RareSettings(BaseSettings):
    """What few ever set: other names of the Flask backend and the frontend, waits, ways of a site of its own."""

    accepted_secret_keys: SecretKeys = Field(
        SecretStr(""),
        description="Other keys than `APP_SECRET_KEY` whose access tokens are accepted, between commas or line ends: "
        "the next one, and the one before, while the key is changed (docs/upgrade.md). At least 32 bytes each.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` writes text to a terminal and JSON lines elsewhere."
    )
    log_file: str = Field(
        "",
        description="File that log lines are written to as well, beside standard error; all processes of a machine "
        "write to the same one. Empty: none.",
    )
    log_file_bytes: int = Field(
        100_000_000,
        ge=100_000,
        description="Size at which `LOG_FILE` is put aside, as `LOG_FILE.1`, and begun anew.",
    )
    log_files: int = Field(
        5, ge=1, le=1000, description="How many files are kept that were put aside; the oldest goes."
    )
    trusted_issuers: Issuers = Field(
        ("https://token.actions.githubusercontent.com", "https://gitlab.com"),
        description="CI services, separated by commas, whose jobs users may let publish in their name "
        "(docs/api.md#trusted-publishing): the `iss` of their tokens. Keys are asked of these only. `none` of them.",
    )
    cors_origins: Origins = Field(
        ("http://localhost:3000", "http://localhost:3050", "http://localhost:8000", "https://www.openml.org"),
        description="Origins, separated by commas, whose pages may call this service from a browser; "
        "as it is, the frontend and its successor in development, and OpenML's own site.",
    )
    allow_plain_http: bool = Field(
        default=False,
        description="Let production start with a `PUBLIC_URL` or `OPENML_SERVER` that begins with `http://`: passwords "
        "and API keys go over that line as they are. For a network of its own.",
    )
    passkeys: Literal["auto", "true", "false"] = Field(
        "auto",
        validation_alias=AliasChoices("passkeys", "openml_passkey_enabled"),
        description="Whether people may sign in with passkeys. `auto`: where `PUBLIC_URL` is `https://` with a "
        "name, or `localhost`, for browsers want that. The Flask backend's `OPENML_PASSKEY_ENABLED` means the same.",
    )
    rp_id: str = Field(
        "",
        description="Domain that passkeys are bound to, for good: under another one they are lost. Empty: the host of "
        "`PUBLIC_URL`; a domain above it, `openml.org`, lets sites below it share them.",
    )
    rp_origin: Origins = Field(
        (),
        description="Origins whose pages may use passkeys, separated by commas, that of `PUBLIC_URL` among them, e.g. "
        "`https://www.openml.org,https://new.openml.org`. Empty: that of `PUBLIC_URL`.",
    )
    redirect_url: PrefixOrPath = Field(
        "", description="Prefix of the short links' targets (`/d/61`); empty means this service itself."
    )
    password_minimum_length: int = Field(
        8, ge=1, le=64, description="Shortest password accepted, in characters."
    )
    breached_passwords: Path | None = Field(
        None,
        description="Passwords that other sites have lost, which nobody may choose: the folder of ranges, or the file "
        "ordered by hash, of Pwned Passwords (SHA-1; docs/security.md says how to get them). Empty: only the list of "
        "common passwords that comes along.",
    )
    administrators_need_second_factor: bool = Field(
        default=False,
        description="`true`: nothing below `/admin` is done without a second factor (docs/second-factor.md), which "
        "each administrator sets up at `/auth/security`.",
    )
    signup_hides_accounts: bool = Field(
        default=False,
        description="`true`: signing up with a known address answers `User created` and mails its owner, instead of "
        "saying that the account exists.",
    )
    smtp_through_proxy: bool = Field(
        default=False,
        description="Reach the mail server, too, through the proxy of `OUTGOING_PROXY` or `HTTPS_PROXY` (CONNECT). "
        "Most networks that have a proxy have a mail server inside.",
    )
    spa_content_policy: str = Field(
        "",
        description="Content-Security-Policy of the build's page. Empty: one that fits the official build; "
        "`off`: none but that no other site may frame it.",
    )
    react_app_url_api: str = Field(
        "",
        description="What the build calls OpenML's REST API by, without `api/v1/`. Empty: `/`, or the OpenML "
        "server where `PASS_ON` is without `reads`.",
    )
    react_app_url_elasticsearch: str = Field(
        "/es/", description="What the build calls the search server by; `/es/` is this service's binding."
    )
    pass_on: PassedOn = Field(
        ("croissant", "reads", "files"),
        description="What is answered with what other servers say: `croissant` (`GET /croissant/dataset/ID`), `reads` "
        "(`GET /api/…`, from the OpenML server, without API keys) and `files` (`GET /data/…/download/…`, from there, "
        "too), separated by commas; `none` of them.",
    )
    sandbox_port: int = Field(5001, ge=0, le=65535, description="Port of the built-in OpenML sandbox.")
    sandbox_keys: SecretStr = Field(
        SecretStr(""),
        description="API keys that the sandbox knows, `key=role` separated by commas (roles `admin`, `writer`, "
        "`read-only`). Empty: every well-formed key is a writer of its own.",
    )
    storage_allow_http: bool = Field(
        default=False,
        description="Allow an `AWS_ENDPOINT_URL` without TLS, for a store on a network of its own.",
    )
    timings: TimingsText = Field(
        Timings(),
        description="How long things are waited for or kept, where that is to differ from the table below: "
        'JSON, e.g. `{"lease_seconds": 30}`.',
    )
