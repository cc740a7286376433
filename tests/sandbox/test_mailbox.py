"""Mail sent to the sandbox, and how it can be read."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import Any

from .harness import Process

ICS = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


def send(process: Process, to: str, subject: str = "Your booking") -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Surehold <no-reply@sure.test>", to, subject
    mail.set_content("Kia ora — sign in: https://sure.test/in?token=abc&next=/a.\n")
    mail.add_alternative(
        '<p>Hello <a href="https://sure.test/html">there</a><script>x()</script></p>',
        subtype="html",
    )
    mail.add_attachment(ICS.encode(), maintype="text", subtype="calendar", filename="booking.ics")
    mail.add_attachment(b"\x00\x01", maintype="image", subtype="png", filename="map.png")
    with smtplib.SMTP("127.0.0.1", process.smtp_port) as server:
        server.send_message(mail)


def read(process: Process, to: str) -> list[dict[str, Any]]:
    answer = process.http.get("/_sandbox/mailbox", params={"to": to, "format": "json"})
    return list(answer.json())


def test_mails_are_kept_with_all_their_parts(sandbox: Process) -> None:
    send(sandbox, "parts@example.com")
    mail = read(sandbox, "parts@example.com")[0]
    assert (mail["to"], mail["subject"]) == (["parts@example.com"], "Your booking")
    assert mail["from"] == "Surehold <no-reply@sure.test>"
    assert mail["text"].startswith("Kia ora — sign in")
    assert "Hello" in mail["html"]
    assert mail["links"] == ["https://sure.test/in?token=abc&next=/a", "https://sure.test/html"]
    calendar, picture = mail["attachments"]
    assert (calendar["name"], calendar["type"]) == ("booking.ics", "text/calendar")
    assert "BEGIN:VCALENDAR" in calendar["content"]
    assert (picture["encoding"], picture["content"]) == ("base64", "AAE=")
    one = sandbox.http.get(
        f"/_sandbox/mailbox/{mail['id']}", headers={"Accept": "application/json"}
    )
    assert one.json() == mail


def test_the_newest_comes_first_and_addresses_filter(sandbox: Process) -> None:
    for subject in ("one", "two"):
        send(sandbox, "order@example.com", subject)
    send(sandbox, "somebody@example.com")
    assert [mail["subject"] for mail in read(sandbox, "Order@example.com")] == ["two", "one"]
    assert read(sandbox, "nobody@example.com") == []


def test_a_person_can_read_them(sandbox: Process) -> None:
    send(sandbox, "person@example.com", "<b>Bold</b>")
    mail = read(sandbox, "person@example.com")[0]
    where = f"/_sandbox/mailbox/{mail['id']}"
    index = sandbox.http.get("/_sandbox/mailbox").text
    page = sandbox.http.get(where).text
    assert where in index
    assert "&lt;b&gt;Bold" in index
    assert "<b>Bold" not in index + page
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert 'href="https://sure.test/in?token=abc&amp;next=/a" target="_blank"' in page


def test_a_mails_html_cannot_do_anything(sandbox: Process) -> None:
    send(sandbox, "frame@example.com")
    mail = read(sandbox, "frame@example.com")[0]
    answer = sandbox.http.get(f"/_sandbox/mailbox/{mail['id']}/html")
    assert '<base target="_blank">' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy


def test_attachments_can_be_downloaded(sandbox: Process) -> None:
    send(sandbox, "files@example.com")
    mail = read(sandbox, "files@example.com")[0]
    files = f"/_sandbox/mailbox/{mail['id']}/attachments"
    assert sandbox.http.get(f"{files}/1").content == b"\x00\x01"
    assert "booking.ics" in sandbox.http.get(f"{files}/0").headers["Content-Disposition"]
    assert sandbox.http.get(f"{files}/2").status_code == 404


def test_the_index_leads_to_everything(sandbox: Process) -> None:
    page = sandbox.http.get("/_sandbox/").text
    for name in ("mailbox", "sessions", "faults", "state"):
        assert f'href="/_sandbox/{name}"' in page
        answer = sandbox.http.get(f"/_sandbox/{name}", headers={"Accept": "text/html"})
        assert answer.headers["Content-Type"].startswith("text/html")
