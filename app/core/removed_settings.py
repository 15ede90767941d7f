"""Settings that were removed, and what holds instead: one that is still set is logged as a warning at start."""

import structlog
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from app.core.settings import Settings
from app.core.timings import Timings

REMOVED = {
    "ACCESS_TOKEN_MINUTES": "an access token lives for two hours",
    "CONFIRMATION_HOURS": "a link that confirms an address works for 48 hours",
    "CONVERSIONS_AT_ONCE": "a worker does two conversions at once; start more workers, up to CONVERSIONS_PER_MACHINE",
    "CONVERSIONS_PER_USER": "all workers together do two conversions of one user at once",
    "CONVERSION_CPU_SECONDS": "a conversion may use an hour of processor time",
    "DOWNLOAD_LEAST_RATE": "a reader of an answer has to take 8192 bytes a second",
    "DOWNLOAD_STALL_SECONDS": "a reader may take nothing at all for 30 seconds",
    "MAX_CELL_BYTES": "a cell may have 1 000 000 bytes",
    "MAX_COLUMNS": "a dataset may have 50 000 columns",
    "MAX_LABELS": "a nominal column may have 100 000 labels",
    "MAX_UNPACKED_BYTES": "a file may have 100 GB once it is unpacked, and as ARFF",
    "PASSWORD_HASH_QUEUE": "256 password hashes may wait in a process",
    "PASSWORD_HASH_THREADS": "a process computes as many password hashes at once as there are processors",
    "PASS_CROISSANT": "PASS_ON names what is passed on: croissant,reads,files",
    "PASS_OPENML_FILES": "PASS_ON names what is passed on: croissant,reads,files",
    "PASS_OPENML_READS": "PASS_ON names what is passed on: croissant,reads,files",
    "PICTURES_AT_ONCE": "a process redraws two pictures at once, and 32 wait",
    "PICTURE_MAX_BYTES": "the file of a picture may have 20 MB",
    "PICTURE_MAX_PIXELS": "a picture may have 52 million pixels",
    "REACT_APP_ELASTICSEARCH_VERSION_MAYOR": "the build is told 6; `/es/` speaks 6 and 8",
    "REACT_APP_URL_MINIO": "the build calls the file server by `/data/`",
    "REACT_APP_URL_SITE_BACKEND": "the build calls this service by `/`",
    "RECEIVES_AT_ONCE": "a process takes 2000 bodies of uploads at once",
    "RECEIVES_PER_USER": "a process takes 200 bodies of uploads of one user at once",
    "RESET_MINUTES": "a link that resets a password works for an hour",
    "SANDBOX_PROCESSING_SECONDS": "the sandbox takes a second; `openml-sandbox` has `--processing-seconds`",
    "SMTP_TIMEOUT_SECONDS": "the mail server is waited for for 30 seconds",
    "SPA_SOURCE_MAPS": "source maps of the build are not served",
    "STORAGE_PATH_STYLE": "the bucket stands in the path; a store that wants it in the host has {bucket} there in "
    "AWS_ENDPOINT_URL",
    "UPLOADS_WAITING": "20 000 uploads may wait for a worker",
    "UPLOAD_EXPIRE_HOURS": "an upload may lie still for 72 hours",
    "UPLOAD_KEEP_HOURS": "the file of a failed upload is kept for 24 hours",
    "WATCHERS_AT_ONCE": "a process keeps 1000 streams of events open",
    **{name.upper(): f'TIMINGS sets it: {{"{name}": …}}' for name in Timings.model_fields},
}
"""By their names in the environment."""

log = structlog.get_logger(__name__)


def warn_of_removed_settings() -> None:
    """Log one line that names those which the environment or `.env` sets, and what holds instead."""
    found = find_removed_settings()
    if found:
        # In one field: a field with the name of a setting about passwords or tokens would be blanked.
        now = "; ".join(f"{name}: {REMOVED[name]}" for name in found)
        log.warning("what is set is no setting any more, and ignored", now=now)


def find_removed_settings() -> list[str]:
    """Return the names that the environment or `.env` sets, by themselves or as `NAME_FILE`."""
    given = EnvSettingsSource(Settings).env_vars.keys() | DotEnvSettingsSource(Settings).env_vars.keys()
    return [name for name in REMOVED if given & {name.lower(), f"{name}_file".lower()}]
