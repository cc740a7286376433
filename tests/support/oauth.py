"""Google's side of OAuth 2, as far as calendars need it: authorise, token, refresh, revoke.

PKCE (S256), the redirect's address and the client's secret are checked as RFC 6749 and RFC 7636
say. Who consents is set by the test.
"""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    from tests.support.radicale import User

CLIENT_ID = "client-of-tests"
CLIENT_SECRET = "secret-of-the-client"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class OAuth:
    """What has been given out. `consenting` is the user who says yes, "" for a refusal."""

    users: Mapping[str, "User"] = field(default_factory=dict)
    consenting: str = ""
    lifetime_seconds: float = 3600
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    access_tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)

    def reset(self) -> None:
        self.consenting, self.lifetime_seconds = "", 3600
        for kept in (self.codes, self.refresh_tokens, self.access_tokens, self.revoked):
            kept.clear()

    def bearer(self, token: str, now: float) -> "User | None":
        """Whose token it is, if it is good now."""
        name, until = self.access_tokens.get(token, ("", 0.0))
        return self.users.get(name) if until > now else None

    def expire_access(self) -> None:
        """Every access token given out has expired; refreshing gives another."""
        self.access_tokens.clear()

    def revoke_all(self) -> None:
        """The user took the consent back at Google's: nothing that we have is good."""
        self.access_tokens.clear()
        self.refresh_tokens.clear()

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        asked = dict(parse_qsl(body.decode() if method == "POST" else parts.query))
        name = parts.path.removeprefix("/oauth/")
        if name == "authorize":
            return self._authorize(asked)
        return {"token": self._token, "revoke": self._revoke}[name](asked)

    def _authorize(self, asked: dict[str, str]) -> Answer:
        given = {"state": asked["state"]}
        if asked["client_id"] != CLIENT_ID or asked["code_challenge_method"] != "S256":
            return _error("invalid_request")
        if self.consenting:
            given["code"] = uuid4().hex
            self.codes[given["code"]] = {**asked, "user": self.consenting}
        else:
            given["error"] = "access_denied"
        location = f"{asked['redirect_uri']}?{urlencode(given)}"
        return Answer(302, {"Location": location}, b"")

    def _token(self, asked: dict[str, str]) -> Answer:
        if (asked.get("client_id"), asked.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _error("invalid_client", 401)
        if asked["grant_type"] == "refresh_token":
            user = self.refresh_tokens.get(asked["refresh_token"], "")
            return self._given(user, {}) if user else _error("invalid_grant")
        code = self.codes.pop(asked.get("code", ""), None)
        if code is None or code["redirect_uri"] != asked.get("redirect_uri"):
            return _error("invalid_grant")
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code["code_challenge"]:
            return _error("invalid_grant")
        refresh = f"refresh-{uuid4().hex}"
        self.refresh_tokens[refresh] = code["user"]
        return self._given(code["user"], {"refresh_token": refresh})

    def _given(self, user: str, more: dict[str, str]) -> Answer:
        token = f"access-{uuid4().hex}"
        self.access_tokens[token] = (user, time.time() + self.lifetime_seconds)
        return _json(200, {
            "access_token": token, "token_type": "Bearer",
            "expires_in": int(self.lifetime_seconds), **more,
        })  # fmt: skip

    def _revoke(self, asked: dict[str, str]) -> Answer:
        """As at Google: the refresh token or an access token takes all of the user's along."""
        token = asked.get("token", "")
        user = self.refresh_tokens.get(token) or self.access_tokens.get(token, ("", 0))[0]
        if not user:
            return _error("invalid_token")
        self.revoked.append(token)
        self.refresh_tokens = {t: u for t, u in self.refresh_tokens.items() if u != user}
        self.access_tokens = {t: v for t, v in self.access_tokens.items() if v[0] != user}
        return _json(200, {})


def _error(code: str, status: int = 400) -> Answer:
    return _json(status, {"error": code})


def _json(status: int, content: object) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
