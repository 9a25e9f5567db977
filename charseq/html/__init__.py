"""Pages from Jinja templates; each is a single file without scripts that loads nothing else."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from charseq.console.terminal import escape_terminal
from charseq.html import escape, formats


def render(template: str, **context: object) -> str:
    """Return the page that a template of `charseq/html/templates` makes of the values.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not among them.
    """
    return environment().get_template(template).render(context)


@cache
def environment() -> Environment:
    """Return the environment of the templates, which escapes every value that is not Markup."""
    jinja = Environment(
        loader=PackageLoader("charseq.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {
        "number": formats.format_number,
        "plural": formats.format_plural,
        "decimals": "{:.{}f}".format,
        "share": formats.format_share,
        "text": escape.escape_html,
        "marked": escape.escape_marked,
        "plain": escape_terminal,
        "character": escape.escape_character,
        "character_name": escape.character_name,
    }
    jinja.tests["needing_a_name"] = escape.needs_name
    jinja.globals["format_range"] = formats.format_range
    return jinja
