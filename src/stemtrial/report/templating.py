"""How the pages' templates are read: escaping on, an undefined name an error, no stray blank lines."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates() -> Environment:
    """Return a fresh environment, to which a page adds its filters."""
    return Environment(
        loader=PackageLoader("stemtrial.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
