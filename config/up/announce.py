"""The last thing `up` says: where everything is, and how to get in."""

from typing import Any

from config.up.steps import say


def facts(env: dict[str, str], demo: dict[str, Any]) -> list[tuple[str, str]]:
    """What to print, as names and values."""
    site = env["SITE_URL"].rstrip("/")
    rows = [("Site", f"{site}{demo.get('site', '/')}"), ("Admin", f"{site}/admin/")]
    rows.append(("API docs", f"{site}/api/v1/docs"))
    if sandbox := env.get("SUREHOLD_SANDBOX_URL"):
        if env.get("EMAIL_URL", "").startswith("smtp://127.0.0.1"):
            rows.append(("Mailbox", f"{sandbox}/_sandbox/mailbox"))
        if env.get("STRIPE_API_HOST") == sandbox:
            rows.append(("Stripe sandbox", f"{sandbox}/_sandbox"))
    rows += [("", "")] if demo else []
    rows += [(str(login["what"]), _login(login)) for login in demo.get("logins", [])]
    rows += [("Discount code", str(demo["code"]))] if demo.get("code") else []
    rows += [("API key", str(demo["api_key"]))] if demo.get("api_key") else []
    return rows


def _login(login: dict[str, Any]) -> str:
    if login.get("password"):
        return f"{login['email']}  password {login['password']}"
    return f"{login['email']}  (sign in by mail)"


def box(rows: list[tuple[str, str]], took: float) -> str:
    """The rows in a frame that a terminal of any width shows."""
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:<{width}}{value}".rstrip() for name, value in rows]
    title = f" Surehold is ready ({took:.0f} s). Ctrl-C stops it. "
    inner = max(len(title), *(len(line) + 2 for line in lines))
    body = "\n".join(f"│ {line:<{inner - 2}} │" for line in lines)
    return f"┌{title:─^{inner}}┐\n{body}\n└{'─' * inner}┘"


def announce(env: dict[str, str], demo: dict[str, Any], took: float) -> None:
    say("\n" + box(facts(env, demo), took) + "\n")
