"""The sandbox's own look: one style sheet inside every page, no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = """
@layer base, layout, components;
@layer base {
  :root { color-scheme: light dark;
    --paper: light-dark(oklch(97.5% .008 85), oklch(20% .012 85));
    --card: light-dark(oklch(99.5% .004 85), oklch(25% .012 85));
    --ink: light-dark(oklch(24% .015 85), oklch(94% .01 85));
    --soft: light-dark(oklch(43% .015 85), oklch(78% .012 85));
    --line: light-dark(oklch(86% .012 85), oklch(38% .012 85));
    --go: light-dark(oklch(42% .09 160), oklch(80% .11 160));
    --on-go: light-dark(oklch(99% .005 160), oklch(20% .03 160));
    --harm: light-dark(oklch(46% .17 27), oklch(80% .12 27)); }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
    font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
  h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; text-wrap: balance; }
  h2 { font-size: 1.125rem; margin: 1.5rem 0 .5rem; }
  p { margin: 0 0 1rem; } a { color: var(--go); }
  :focus-visible { outline: 3px solid var(--go); outline-offset: 2px; }
}
@layer layout {
  main { width: min(100% - 2rem, 30rem); margin: 1.5rem auto 3rem; }
  main.wide { width: min(100% - 2rem, 60rem); }
  .scroll { overflow-x: auto; }
  form { margin: 0; } form + form, form + p { margin-top: .75rem; }
}
@layer components {
  .banner { background: var(--ink); color: var(--paper); text-align: center; font-weight: 600;
    margin: 0; padding: .5rem 1rem; }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
    padding: 1.25rem; margin: 1rem 0; }
  .soft { color: var(--soft); } .digits { color: var(--soft); white-space: nowrap; }
  .sum { display: grid; grid-template-columns: 1fr auto; row-gap: .5rem; margin: 0; }
  .sum dd { margin: 0; padding-left: 1rem; text-align: right; }
  .total { border-top: 1px solid var(--line); padding-top: .5rem; font-weight: 650; }
  .note { border-left: 4px solid var(--harm); padding: .75rem 1rem; background: var(--card);
    margin-bottom: 1rem; }
  .note strong { color: var(--harm); }
  label.field { display: block; font-weight: 600; margin-bottom: 1rem; }
  input[type=email], input[type=number], select { display: block; width: 100%;
    min-height: 44px; margin-top: .25rem; padding: .5rem .75rem; font: inherit; color: inherit;
    background: var(--paper); border: 1px solid var(--soft); border-radius: 8px; }
  fieldset { border: 0; margin: 0 0 1rem; padding: 0; }
  legend { font-weight: 600; padding: 0; margin-bottom: .25rem; }
  .choice { display: flex; gap: .75rem; align-items: center; min-height: 44px; cursor: pointer;
    padding: .25rem .75rem; border: 1px solid var(--line); border-radius: 8px; margin-top: .5rem; }
  .choice:has(:checked) { border-color: var(--go); }
  input[type=radio] { accent-color: var(--go); width: 1.2rem; height: 1.2rem; flex: none; }
  button, .button { display: block; width: 100%; min-height: 44px; padding: .6rem 1rem;
    font: inherit; font-weight: 650; text-align: center; text-decoration: none; cursor: pointer;
    border-radius: 8px; border: 1px solid var(--go); background: var(--go); color: var(--on-go); }
  .quiet { background: transparent; color: var(--ink); border-color: var(--soft); }
  .buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
  .buttons form { margin: 0; } .buttons button { width: auto; white-space: nowrap; }
  .choose { display: grid; gap: 0 1rem; align-items: end;
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); }
  .choose button { margin-bottom: 1rem; }
  .card > h2 { margin-top: 0; }
  table { border-collapse: collapse; width: 100%; }
  th { white-space: nowrap; }
  th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line);
    vertical-align: top; }
  pre { white-space: pre-wrap; } iframe { width: 100%; height: 70vh; border: 1px solid var(--line);
    border-radius: 8px; background: white; }
}
"""


def page(title: str, body: str, *, wide: bool = False) -> str:
    """A whole document; ``body`` is HTML and already safe."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(title)} - Sandbox</title><style>{_STYLE}</style></head><body>"
        '<header><p class="banner">Sandbox — no real money</p></header>'
        f"<main{' class=wide' if wide else ''}>{body}</main></body></html>"
    )


def table(headings: list[str], rows: list[list[str]], *, empty: str) -> str:
    """A table of safe cells, or a sentence where there is nothing to show."""
    if not rows:
        return f'<p class="soft">{escape(empty)}</p>'
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def link(address: str, text: Any) -> str:
    """A link inside the sandbox."""
    return f'<a href="{escape(address)}">{escape(str(text))}</a>'
