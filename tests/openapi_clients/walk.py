"""From sign-up to a published dataset with what openapi-python-client made: `walk.py URL FOLDER_OF_MAILS`."""

import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from openml_client import AuthenticatedClient, Client
from openml_client.api.accounts import confirm, create_token, signup
from openml_client.api.uploads import (
    change_upload,
    create_upload,
    get_upload,
    get_upload_offset,
    publish_upload,
)
from openml_client.models import (
    DraftMetadata,
    LinkRequest,
    Problem,
    SignupRequest,
    SignupResponse,
    TokenRequest,
    TokenResponse,
    UploadDetailResponse,
    UploadRequest,
)
from openml_client.types import UNSET, File

CONTENT = b"level,flood\n" + b"".join(b"%d,%s\n" % (row, (b"yes", b"no")[row % 2]) for row in range(2000))
CHUNK_BYTES = 8192
ENDED = {"active", "failed", "cancelled", "duplicate"}
SECONDS = 60
T = TypeVar("T")


def wait_for(look: Callable[[], T | None]) -> T:
    """Return what `look` finds, once it finds something."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise TimeoutError


def sign_up(url: str, mails: Path) -> AuthenticatedClient:
    """Make an account, open the link in the mail, sign in."""
    client = Client(base_url=url)
    email, password = "ada@example.org", "seven rivers flow north"
    person = SignupRequest(first_name="Ada", last_name="Lovelace", email=email, password=password)
    made = signup.sync(client=client, body=person)
    assert isinstance(made, SignupResponse), made
    assert made.msg == "User created"

    mail = wait_for(lambda: next(mails.glob("*.eml"), None))
    link = next(word for word in mail.read_text().split() if "token=" in word)
    assert confirm.sync_detailed(client=client, body=LinkRequest(url=link)).status_code == 200

    wrong = create_token.sync(client=client, body=TokenRequest(username=email, password="not this one"))
    assert not isinstance(wrong, TokenResponse)
    token = create_token.sync(client=client, body=TokenRequest(username=email, password=password))
    assert isinstance(token, TokenResponse), token
    return AuthenticatedClient(base_url=url, token=token.access_token)


def send(client: AuthenticatedClient, upload_id: str) -> None:
    """Send the file in parts, with a loss in between, and go on from where the service stands."""
    while (offset := offset_of(client, upload_id)) < len(CONTENT):
        part = CONTENT[offset : offset + CHUNK_BYTES]
        sent = change_upload.sync_detailed(
            upload_id,
            client=client,
            body=File(BytesIO(part)),
            upload_offset=offset,
            upload_complete="?1" if offset + len(part) == len(CONTENT) else "?0",
        )
        assert sent.status_code == 204, sent.content
        if offset == 0:
            again = change_upload.sync(
                upload_id, client=client, body=File(BytesIO(part)), upload_offset=1, upload_complete="?0"
            )
            assert isinstance(again, Problem), again
            assert again.status == 409
            assert again.expected_offset == len(part)


def offset_of(client: AuthenticatedClient, upload_id: str) -> int:
    """Return how many bytes are safe."""
    return int(get_upload_offset.sync_detailed(upload_id, client=client).headers["Upload-Offset"])


def ended(client: AuthenticatedClient, upload_id: str) -> UploadDetailResponse | None:
    """Return the upload, once nothing more will happen."""
    found = get_upload.sync(upload_id, client=client)
    assert isinstance(found, UploadDetailResponse), found
    return found if found.state in ENDED else None


def publish(
    client: AuthenticatedClient, file_name: str, content: bytes | None = None
) -> UploadDetailResponse:
    """Return an upload that has ended."""
    size = len(CONTENT if content is None else content)
    known = DraftMetadata(dataset_name="river-levels", description="Daily river levels.")
    wanted = UploadRequest(file_name=file_name, size=size, metadata=known)
    begun = create_upload.sync(client=client, body=wanted, idempotency_key=f"walk {file_name}")
    assert isinstance(begun, UploadDetailResponse), begun
    if content is None:
        send(client, begun.id)
    else:
        bad = change_upload.sync_detailed(
            begun.id, client=client, body=File(BytesIO(content)), upload_offset=0, upload_complete="?1"
        )
        assert bad.status_code == 204, bad.content
    asked = publish_upload.sync(
        begun.id, client=client, body=DraftMetadata(licence="CC0", def_tar_att="flood")
    )
    assert isinstance(asked, UploadDetailResponse), asked
    return wait_for(lambda: ended(client, begun.id))


def main(url: str, mails: str) -> None:
    """Publish a file, and fail with another one."""
    client = sign_up(url, Path(mails))
    published = publish(client, "river.csv")
    assert published.state == "active", published
    assert published.error is None
    assert published.row_count == 2000

    refused = publish(client, "ragged.csv", b"level,flood\n1,2\n3\n")
    assert isinstance(refused.error, Problem), refused
    assert refused.error.reason == "ragged-row", refused.error
    assert refused.error.row == 2
    assert refused.error.hint is not UNSET
    print(published.dataset_id)  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(*sys.argv[1:])
