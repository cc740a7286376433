"""The process: sockets, threads, start and end."""

from __future__ import annotations

import logging
import select
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from . import due, objects
from .api import Api, Call, ClientGoneError
from .config import Settings
from .core import Clock, Sandbox
from .delivery import Deliverer
from .faults import FaultBox
from .idempotency import Keys
from .mailbox import Mailbox, listen
from .onboarding import Onboarding
from .paypage import PayPage
from .store import Store
from .tools import Tools, read
from .web import Page, as_json, redirect

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


def build(settings: Settings) -> Sandbox:
    """A sandbox on the state it left behind, with its platform account."""
    store = Store(settings.data / "sandbox.sqlite3")
    clock = Clock(store)
    sandbox = Sandbox(settings, store, clock, FaultBox())
    if store.get(settings.platform, kind="account") is None:
        profile = {"business_profile": {"name": "Sandbox platform"}}
        platform = objects.account(settings.platform, int(clock.now()), profile)
        with store.transaction():
            store.add(settings.platform, platform)
    Keys(store).recover()
    return sandbox


class Faces:
    """Everything that answers, by the first part of the path."""

    def __init__(self, sandbox: Sandbox, deliverer: Deliverer, mailbox: Mailbox) -> None:
        self.api = Api(sandbox)
        self.pay = PayPage(sandbox)
        self.connect = Onboarding(sandbox)
        self.tools = Tools(sandbox, deliverer, mailbox)

    def answer(self, call: Call) -> Page:
        """The answer to any request."""
        top, _, rest = call.path.lstrip("/").partition("/")
        if top == "pay" and call.method in ("GET", "POST"):
            return self.pay.show(rest) if call.method == "GET" else self.pay.submit(rest, call.body)
        if top == "connect" and call.method in ("GET", "POST"):
            page = self.connect
            return page.show(rest) if call.method == "GET" else page.submit(rest, call.body)
        if top == "_sandbox":
            return self.tools.answer(
                read(call.method, call.path, call.query, call.body, call.headers)
            )
        if not top:
            return redirect("/_sandbox/")
        answer = self.api.answer(call)
        return Page(answer.status, answer.body, "application/json", answer.headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    faces: Faces

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("a connection broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 300
    server: _Server

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", errors="replace") if length else ""
        call = Call(self.command, parts.path, parts.query, body, self.headers, self._still_there)
        try:
            page = self.server.faces.answer(call)
        except ClientGoneError:
            self.close_connection = True
            return
        except Exception:
            log.exception("%s %s failed", self.command, parts.path)
            page = as_json({"error": {"type": "api_error", "message": "The sandbox failed."}}, 500)
        self._send(page)

    do_GET = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - names the base class calls

    def _send(self, page: Page) -> None:
        body = page.body.encode() if isinstance(page.body, str) else page.body
        self.send_response(page.status)
        for name, value in page.all_headers().items():
            self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        if page.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _still_there(self) -> bool:
        """Whether the client has not hung up."""
        watch = select.poll()
        watch.register(self.connection, select.POLLIN)
        if not watch.poll(0):
            return True
        try:
            return self.connection.recv(1, socket.MSG_PEEK) != b""
        except OSError:
            return False

    def log_message(self, message: str, *args: object) -> None:
        log.debug(message, *args)


def _tick(sandbox: Sandbox) -> None:
    """End what has run out, once a second, whether anybody looks or not."""
    keys = Keys(sandbox.store)
    while not sandbox.stopping.wait(TICK_SECONDS):
        try:
            due.run(sandbox)
            if int(time.time()) % 3600 == 0:
                keys.forget_old(sandbox.clock.now())
        except Exception:
            log.exception("the clock stumbled")


def _no_mail() -> None:
    """Stop nothing."""


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    sandbox = build(settings)
    deliverer, mailbox = Deliverer(sandbox), Mailbox(sandbox.store)
    server = _Server((settings.host, settings.port), _Handler)
    server.faces = Faces(sandbox, deliverer, mailbox)
    stop_mail = _no_mail
    if settings.smtp_port:
        stop_mail = listen(mailbox, settings.host, settings.smtp_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sandbox.stopping.set())
    deliverer.start()
    for target, arguments in ((_tick, (sandbox,)), (server.serve_forever, (0.05,))):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    log.info("listening on %s, mail on port %s", settings.base_url, settings.smtp_port or "none")
    sandbox.stopping.wait()
    server.shutdown()
    server.server_close()
    stop_mail()
    sandbox.store.close()
    log.info("stopped")
