"""`metadata` with each table in it, whichever module describes it."""

from app.db import (
    factor_tables,
    passkey_tables,
    provider_tables,
    sign_in_tables,
    site_tables,
    token_tables,
    upload_tables,
)
from app.db.tables import metadata

__all__ = [
    "factor_tables",
    "metadata",
    "passkey_tables",
    "provider_tables",
    "sign_in_tables",
    "site_tables",
    "token_tables",
    "upload_tables",
]
