"""What `openml-web doctor` says of the mail server, and of the sender's domain."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult

from app.core.settings import Settings
from app.doctor import mail
from app.doctor.diagnosis import Level
from tests.doctor.conftest import Diagnose, told

HIDDEN = "a secret that nobody prints"


@pytest.fixture
def mail_server(unused_port: int) -> Iterator[int]:
    def refuse(*_: Any) -> AuthResult:
        return AuthResult(success=False, handled=False)

    controller = Controller(
        Sink(), hostname="127.0.0.1", port=unused_port, authenticator=refuse, auth_require_tls=False
    )
    controller.start()
    yield unused_port
    controller.stop()


async def test_mail_when_the_password_is_wrong_then_a_fault_else_a_test_mail_leaves(
    diagnose: Diagnose, mail_server: int
) -> None:
    server = {"smtp_server": "127.0.0.1", "smtp_port": mail_server}

    faults = told(await diagnose("mail", smtp_login="ada", smtp_pass=HIDDEN, **server), Level.FAULT)
    well = await diagnose("mail", wishes={"mail_to": "ada@example.org"}, **server)
    none = await diagnose("mail", wishes={"mail_to": "no address"}, **server)

    assert "login refused: 535. Where mails go is said by SMTP_SERVER" in faults
    assert HIDDEN not in faults
    assert "takes mails of openml@example.org" in told(well, Level.OK)
    assert f"A test mail is out: 127.0.0.1:{mail_server} took it for ada@example.org" in told(well, Level.OK)
    assert "A test mail to no address did not leave" in told(none, Level.FAULT)


async def test_mail_when_the_server_says_nothing_then_that_one_is_named(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.doctor.mail.SMTP_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        faults = told(await diagnose("mail", smtp_server="127.0.0.1", smtp_port=port), Level.FAULT)

    assert f"127.0.0.1:{port}: it does not answer within 0.1 seconds. Where mails go is said by" in faults


async def test_mail_when_tls_is_offered_and_not_used_then_warned(
    diagnose: Diagnose, unused_port: int
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    controller = Controller(Sink(), hostname="127.0.0.1", port=unused_port, tls_context=context)
    controller.start()
    server = {"smtp_server": "127.0.0.1", "smtp_port": unused_port}
    try:
        without = await diagnose("mail", **server)
        unknown = await diagnose("mail", smtp_use_tls=True, **server)
    finally:
        controller.stop()

    assert "offers TLS, and mails go without. Set SMTP_USE_TLS=true." in told(without, Level.WARNING)
    assert "name the authority's file in OUTGOING_CA_FILE" in told(unknown, Level.FAULT)


RECORDS = {
    "good.example.": ["v=spf1 mx -all", "some other text"],
    "key._domainkey.good.example.": ["v=DKIM1; p=abc"],
    "_domainkey.good.example.": [],
    "_dmarc.good.example.": ["v=DMARC1; p=none"],
    "twice.example.": ["v=spf1 mx -all", "v=spf1 a -all"],
}


class NameServer(asyncio.DatagramProtocol):
    """Answers what `RECORDS` has."""

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = dns.message.make_response(dns.message.from_wire(data))
        name = answer.question[0].name
        texts = RECORDS.get(str(name))
        answer.set_rcode(dns.rcode.NXDOMAIN if texts is None else dns.rcode.NOERROR)
        if texts:
            answer.answer.append(
                dns.rrset.from_text(name, 60, "IN", "TXT", *(json.dumps(text) for text in texts))
            )
        self.transport.sendto(answer.to_wire(), addr)


@pytest.mark.parametrize(
    ("domain", "lacks"),
    [
        ("good.example", []),
        ("twice.example", ["2 SPF", "DKIM", "DMARC"]),
        ("bare.example", ["no SPF", "DKIM", "DMARC"]),
    ],
)
async def test_sender_when_its_domain_says_nothing_of_it_then_warned_which_record_it_lacks(
    diagnose: Diagnose, domain: str, lacks: list[str]
) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        wishes = {"dns": True, "name_server": f"127.0.0.1:{port}"}
        found = await diagnose("sender", wishes=wishes, email_sender=f"openml@{domain}")
    finally:
        transport.close()

    warnings = told(found, Level.WARNING).splitlines()
    assert len(warnings) == len(lacks)
    assert all(word in line for word, line in zip(lacks, warnings, strict=True))
    assert not told(found, Level.FAULT)


async def test_mail_when_it_goes_nowhere_then_warned(diagnose: Diagnose, settings: Settings) -> None:
    off = told(await diagnose("mail", send_email=False), Level.WARNING)
    files = told(await diagnose("mail"), Level.WARNING)

    assert "SEND_EMAIL=false: no mail is sent" in off
    assert f"SMTP_SERVER is not set: mails are files in {settings.data_dir / 'mail'}" in files


async def test_sender_when_the_name_server_is_away_then_warned(
    diagnose: Diagnose, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "DNS_SECONDS", 0.2)
    wishes = {"dns": True, "name_server": f"127.0.0.1:{unused_port}"}

    warned = told(await diagnose("sender", wishes=wishes), Level.WARNING)

    assert "The name servers do not answer for example.org" in warned
