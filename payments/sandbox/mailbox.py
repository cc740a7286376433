"""A mail server that delivers nowhere, and a page to read what was sent."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

from .markup import link, page, table
from .store import Obj, Store
from .web import Page, as_json

_ADDRESS = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
# Mail is foreign: no script, no forms, links open outside.
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';"
    " style-src 'unsafe-inline'; img-src data:"
)


class Mailbox:
    """Mails as they are kept and shown."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, sender: str, recipients: list[str], raw: bytes) -> None:
        """Put a mail in the box."""
        subject = str(_parse(raw).get("Subject", ""))
        with self._store.transaction():
            self._store.run(
                "INSERT INTO mails (at, sender, recipients, subject, raw) VALUES (?, ?, ?, ?, ?)",
                time.time(),
                sender,
                json.dumps(recipients),
                subject,
                raw,
            )

    def clear(self) -> None:
        """Throw everything away."""
        with self._store.transaction():
            self._store.run("DELETE FROM mails")

    def mails(self, to: str | None) -> list[Obj]:
        """Mails, newest first, optionally those to one address."""
        rows = self._store.run("SELECT * FROM mails ORDER BY id DESC LIMIT 500")
        mails = [_mail(dict(row)) for row in rows]
        wanted = (to or "").strip().lower()
        return [mail for mail in mails if not wanted or wanted in [a.lower() for a in mail["to"]]]

    def get(self, object_id: str) -> Obj | None:
        """One mail."""
        rows = self._store.run("SELECT * FROM mails WHERE id = ?", object_id)
        return _mail(dict(rows[0])) if rows else None

    # Pages

    def index(self, to: str | None, *, as_data: bool) -> Page:
        """``/_sandbox/mailbox``."""
        mails = self.mails(to)
        if as_data:
            return as_json(mails)
        rows = [
            [
                link(f"/_sandbox/mailbox/{mail['id']}", mail["subject"] or "(no subject)"),
                "<br>".join(_who(address) for address in mail["to"]),
                f'<time datetime="{mail["at"]}">{mail["at"][:19].replace("T", " ")}</time>',
            ]
            for mail in mails
        ]
        whose = f" to {to}" if to else ""
        body = table(["Subject", "To", "Sent (UTC)"], rows, empty=f"No mail{whose} yet.")
        everything = f"<p>{link('/_sandbox/mailbox', 'Show all')}</p>" if to else ""
        return Page(200, page("Mailbox", f"<h1>Mailbox</h1>{everything}{body}", wide=True))

    def show(self, object_id: str, *, as_data: bool) -> Page:
        """``/_sandbox/mailbox/{id}``."""
        mail = self.get(object_id)
        if mail is None:
            return _nothing()
        if as_data:
            return as_json(mail)
        return Page(200, page(mail["subject"] or "Mail", _body(mail), wide=True))

    def html(self, object_id: str) -> Page:
        """The mail's own HTML, for the frame."""
        mail = self.get(object_id)
        if mail is None or mail["html"] is None:
            return _nothing()
        content = '<base target="_blank">' + mail["html"]
        return Page(200, content, headers={"Content-Security-Policy": _MAIL_POLICY})

    def attachment(self, object_id: str, number: str) -> Page:
        """One attached file, to download."""
        mail = self.get(object_id)
        files = mail["attachments"] if mail else []
        if not number.isdigit() or int(number) >= len(files):
            return _nothing()
        file = files[int(number)]
        content = file["content"]
        raw = base64.b64decode(content) if file["encoding"] == "base64" else content.encode()
        name = f"attachment; filename*=UTF-8''{quote(file['name'])}"
        return Page(200, raw, "application/octet-stream", {"Content-Disposition": name})


def _nothing() -> Page:
    return Page(404, page("No such mail", "<h1>There is no such mail</h1>"))


def _who(address: str) -> str:
    return link(f"/_sandbox/mailbox?to={quote(address)}", address)


def _body(mail: Obj) -> str:
    frame = ""
    if mail["html"] is not None:
        frame = (
            '<h2>As the reader sees it</h2><iframe title="The mail"'
            ' sandbox="allow-popups allow-popups-to-escape-sandbox"'
            f' src="/_sandbox/mailbox/{mail["id"]}/html"></iframe>'
        )
    files = "".join(
        f'<li><a href="/_sandbox/mailbox/{mail["id"]}/attachments/{number}">'
        f'{escape(file["name"])}</a> <span class="soft">{escape(file["type"])}</span></li>'
        for number, file in enumerate(mail["attachments"])
    )
    return (
        f"<p>{link('/_sandbox/mailbox', 'All mail')}</p><h1>{escape(mail['subject'])}</h1>"
        f'<p class="soft">From {escape(mail["from"])} to {", ".join(map(_who, mail["to"]))},'
        f" {mail['at'][:19].replace('T', ' ')} UTC</p>"
        f"{'<h2>Attached</h2><ul>' + files + '</ul>' if files else ''}{frame}"
        f"<h2>As text</h2><pre class=card>{_linked(mail['text'] or '')}</pre>"
    )


def _linked(text: str) -> str:
    """Text with its addresses made clickable."""
    parts, end = [], 0
    for found in _ADDRESS.finditer(text):
        address = escape(found.group())
        parts.append(escape(text[end : found.start()]))
        parts.append(f'<a href="{address}" target="_blank" rel="noopener">{address}</a>')
        end = found.end()
    return "".join(parts) + escape(text[end:])


# Reading mails


def _parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def _mail(row: Obj) -> Obj:
    message = _parse(row["raw"])
    text, html = _part(message, "plain"), _part(message, "html")
    return {
        "id": row["id"],
        "to": json.loads(row["recipients"]),
        "from": str(message.get("From", row["sender"])),
        "subject": row["subject"],
        "text": text,
        "html": html,
        "attachments": [_attachment(part) for part in message.iter_attachments()],
        "at": datetime.fromtimestamp(row["at"], UTC).isoformat(),
        "links": links(text or "", html or ""),
    }


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else str(part.get_content())


def _attachment(part: Any) -> Obj:
    """Text as text, everything else as base64."""
    type_name, content = part.get_content_type(), part.get_payload(decode=True) or b""
    if type_name.startswith("text/"):
        charset = part.get_content_charset() or "utf-8"
        shown, encoding = content.decode(charset, errors="replace"), "text"
    else:
        shown, encoding = base64.b64encode(content).decode(), "base64"
    name = part.get_filename() or "attachment"
    return {"name": name, "type": type_name, "content": shown, "encoding": encoding}


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href") if tag == "a" else None
        if address and address.startswith(("http://", "https://")):
            self.found.append(address)


def links(text: str, html: str) -> list[str]:
    """Every web address a reader could follow, each once, in order."""
    anchors = _Anchors()
    anchors.feed(html)
    return list(dict.fromkeys([*_ADDRESS.findall(text), *anchors.found]))


# Receiving mails


class _Receiver:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(  # noqa: N802 - aiosmtpd calls it by this name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        """Called by aiosmtpd with a whole mail."""
        self._mailbox.keep(envelope.mail_from or "", envelope.rcpt_tos, envelope.content)
        return "250 Kept"


def listen(mailbox: Mailbox, host: str, port: int) -> Callable[[], None]:
    """Take mail on ``port`` in a thread of its own; returns how to stop."""
    from aiosmtpd.controller import Controller

    controller = Controller(_Receiver(mailbox), hostname=host, port=port)
    controller.start()
    stopped = threading.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            controller.stop()

    return stop
