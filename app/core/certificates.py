"""The certificates that servers we call are checked against."""

import ssl
from functools import cache


@cache
def trusted_certificates(ca_file: str = "") -> ssl.SSLContext:
    """Return the system's, read once a process, which takes longer than to import a library.

    Raises:
        SettingsError: see `read_certificates`.
    """
    return read_certificates(ca_file)


def read_certificates(ca_file: str = "") -> ssl.SSLContext:
    """Return the system's certificates (or those of `SSL_CERT_FILE`, in their place), and beside them those of a file.

    Raises:
        SettingsError: the file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            from app.core.settings import SettingsError  # noqa: PLC0415 - clients of the service have no settings

            raise SettingsError(
                "OUTGOING_CA_FILE holds no certificates. Name a file in PEM format."
            ) from None
        except OSError as error:
            from app.core.settings import SettingsError  # noqa: PLC0415 - clients of the service have no settings

            raise SettingsError(f"OUTGOING_CA_FILE cannot be read: {error.strerror}") from None
    return context


def with_advice(reason: str) -> str:
    """Return why a connection failed, and what to set where it is for a certificate."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return f"{reason}; if its authority is your own, name the authority's file in OUTGOING_CA_FILE"
    return reason
