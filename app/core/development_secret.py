"""The key that signs tokens on a laptop, where nobody has set one."""

import os
import secrets
from pathlib import Path

from app.core.setting_checks import MINIMUM_SECRET_BYTES


def keep_development_secret(path: Path) -> str:
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
