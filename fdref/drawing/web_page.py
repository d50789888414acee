"""Web pages that need nothing else: no script, no file beside them, no network."""

from __future__ import annotations

from base64 import b64encode

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATES = Environment(
    loader=PackageLoader("fdref"),
    autoescape=True,  # whatever is filled in is text, not HTML
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **values: object) -> str:
    """Fill in one of the `templates`; the same for the same values.

    Examples
    --------
    >>> render("page.html", title="A & B", facts={}).count("<title>A &amp; B</title>")
    1
    """
    return TEMPLATES.get_template(template).render(values)


def data_uri(data: bytes, kind: str = "png") -> str:
    """Return a picture's file as an address that holds it.

    >>> data_uri(b"PNG")
    'data:image/png;base64,UE5H'
    """
    return f"data:image/{kind};base64,{b64encode(data).decode()}"
