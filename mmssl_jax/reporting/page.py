"""The page itself: one HTML file with all that it shows, which asks nothing of the network."""

import base64
import hashlib
from importlib import resources
from typing import Any

from mmssl_jax.errors import InputError

_TEMPLATE = resources.files("mmssl_jax.reporting") / "template"
_MISSING = 'a report needs Vega-Altair, jinja2 and Pillow: pip install ".[report]"'


def check_installed() -> None:
    """Raises InputError where the extra is not installed, before any work is done."""
    try:
        import altair  # noqa: F401
        import jinja2  # noqa: F401
        import PIL  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise InputError(f"{_MISSING} ({error})") from error


def render(content: dict[str, Any]) -> str:
    """The HTML of a report; whatever comes from the data stands in it as text, never as markup."""
    import jinja2
    import vl_convert

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _read(name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    library = _inline(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    own = _inline(_read("report.js"))
    scripts = {"library": library, "own": own}
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts.values())
    template = environment.get_template("report.html")
    page: str = template.render(
        content, scripts=scripts, allowed=allowed, style=_read("report.css")
    )
    return page


def _read(name: str) -> str:
    return (_TEMPLATE / name).read_text(encoding="utf-8")


def _inline(script: str) -> str:
    """As it may stand within <script>: the parser of HTML would end it at the first '</script'."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    """By which the page's policy lets a script run, and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
