"""What to copy into a page of another site, in the workspace's own form."""

from typing import Any

from django.conf import settings
from django.utils.html import format_html
from unfold.decorators import display

_SNIPPET = """<script src="{site}/embed.js" async></script>
<surehold-calendar workspace="{slug}">
  <a href="{site}/w/{slug}/">{name}: book a time</a>
</surehold-calendar>"""


class EmbedSnippet:
    """A read-only field of the workspace's admin page."""

    @display(description="To copy")
    def embed_snippet(self, workspace: Any) -> str:
        """The calendar of the whole workspace; one resource is an attribute more."""
        if not workspace.embed_origins:
            return "Name a site above and save: then the lines for its pages stand here."
        text = _SNIPPET.format(site=settings.SITE_URL, slug=workspace.slug, name=workspace.name)
        return format_html(
            '<pre style="white-space: pre-wrap">{}</pre><p>For one resource add '
            '<code>resource="…"</code>, the last part of its address; for a button that opens it, '
            '<code>mode="button"</code>.</p>',
            text,
        )
