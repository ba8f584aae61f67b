"""Pages as text: the Jinja environment with the words and number formats that all pages share. Everything is escaped."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from penstock.console.context import Context
from penstock.console.guard import PREFIX

HERE = Path(__file__).parent
NAVIGATION = (  # Path, label, icon, the key after `g`.
    ("", "Overview", "overview", "o"),
    ("/tables", "Tables", "tables", "t"),
    ("/streams", "Streams", "streams", "s"),
    ("/lake", "Lake and SQL", "lake", "l"),
    ("/predictors", "Predictors", "predictors", "p"),
    ("/boards", "Dashboards", "boards", "d"),
    ("/recipes", "Recipes", "recipes", "r"),
)
_UNITS = ("B", "KB", "MB", "GB", "TB")


class Pages:
    """Renders templates for one console."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        filters: dict[str, Callable[..., str]] = {
            "amount": amount,
            "size": size,
            "ago": lambda us: ago(int(us), context.now_us()),
            "moment": moment,
            "value": value_text,
            "kind": kind_of,
            "json": lambda held: orjson.dumps(held, option=orjson.OPT_INDENT_2, default=_plain).decode(),
            "data": data,
            "cell": cell,
            "column_type": column_type,
            "line": lambda held: orjson.dumps(held, default=_plain).decode(),
            "part": lambda text: quote(str(text), safe=""),
            "dollars": dollars,
            "seconds": seconds,
        }
        self._environment.filters |= filters
        self._environment.globals |= {
            "prefix": PREFIX,
            "navigation": NAVIGATION,
            "application": context.app.name,
            "api_url": context.api_url,
            "assets": _fingerprint(HERE / "static"),
        }
        for source in ("icons.html", "copying.html"):
            macros = self._environment.get_template(source).module
            self._environment.globals |= {
                name: macro for name, macro in vars(macros).items() if callable(macro)
            }

    def compile_all(self) -> None:
        """Called in a thread: compiled by the first who opens a page, a template takes 10 to 20 ms of the event loop."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def show(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        state = request.state
        html = self._environment.get_template(template).render(
            nonce=state.nonce,
            token=state.token,
            needs_sign_in=state.outside,
            path=request.url.path.removeprefix(PREFIX).rstrip("/"),
            done=request.query_params.get("done"),
            **values,
        )
        return HTMLResponse(html, status)


def _fingerprint(folder: Path) -> str:
    """Changes with any of the files, so that a browser never shows new pages with old styles."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.rglob("*.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


# -- Values --


def data(held: Any) -> Markup:
    """JSON for a script element of data, which ends at the first `</script`: no `<` is left in it."""
    text = orjson.dumps(held, default=_plain).decode()
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def cell(value: Any, type_: str = "") -> str:
    """A value of an answer: a decimal without the zeros that only its scale asks for."""
    if isinstance(value, str):
        trims = type_.startswith("decimal") and "." in value
        return (value.rstrip("0").rstrip(".") or "0") if trims else value
    return orjson.dumps(value, default=_plain).decode()


def column_type(arrow: str) -> str:
    """Arrow's name of a type as SQL people say it."""
    if arrow.startswith("timestamp"):
        return "timestamp"
    return arrow.replace("decimal128", "decimal").replace("string", "text").replace(", ", ",")


# -- Words and numbers --


def amount(number: float | None) -> str:
    """`1,234,567`, `0.5`, `–` for none."""
    if number is None:
        return "–"
    if float(number).is_integer():
        return f"{int(number):,}"
    if abs(number) >= 0.01:
        return f"{number:,.2f}".rstrip("0").rstrip(".")
    # `0.000027`: a power of ten is no word for people, but for what is all zeros otherwise.
    return f"{Decimal(f'{number:.2g}'):f}" if abs(number) >= 1e-6 else f"{number:.2g}"


def size(count: float | None) -> str:
    if count is None:
        return "–"
    left, unit = float(count), 0
    while left >= 1000 and unit < len(_UNITS) - 1:
        left, unit = left / 1024, unit + 1
    return f"{left:.0f} {_UNITS[unit]}" if unit == 0 or left >= 10 else f"{left:.1f} {_UNITS[unit]}"


def seconds(count: float | None) -> str:
    """A duration as people say it."""
    if count is None:
        return "–"
    if count < 0.001:
        return f"{count * 1e6:.0f} µs"
    if count < 1:
        return f"{count * 1000:.0f} ms" if count >= 0.01 else f"{count * 1000:.1f} ms"
    for bound, unit, word in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if count < bound:
            return f"{count / unit:.0f} {word}"
    return f"{count / 86_400:.0f} days"


def ago(then_us: int, now_us: int) -> str:
    passed = max(0.0, (now_us - then_us) / 1_000_000)
    return "just now" if passed < 2 else f"{seconds(passed)} ago"


def moment(when: datetime | float | None) -> str:
    if when is None:
        return "–"
    if not isinstance(when, datetime):
        when = datetime.fromtimestamp(when, UTC)
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def dollars(price: float) -> str:
    if price == 0:
        return "$0"
    return f"${price:,.2f}" if price >= 0.01 else f"${price:.2g}" if price >= 1e-4 else "< $0.0001"


def kind_of(value: Mapping[str, Any]) -> str:
    return next(iter(value), "")


def value_text(value: Mapping[str, Any] | None) -> str:
    """An attribute value in a cell: the text itself, and JSON for what is nested."""
    if value is None:
        return ""
    kind, held = next(iter(value.items()))
    match kind:
        case "S" | "N":
            return str(held)
        case "BOOL":
            return "true" if held else "false"
        case "NULL":
            return "null"
        case "B":
            return b64encode(held).decode() if isinstance(held, bytes) else str(held)
        case "M":
            return "{" + ", ".join(f"{name}: {value_text(each)}" for name, each in held.items()) + "}"
        case "L":
            return "[" + ", ".join(value_text(each) for each in held) + "]"
        case _:
            return "{" + ", ".join(value_text({kind[0]: each}) for each in held) + "}"


def _plain(held: object) -> object:
    if isinstance(held, bytes):
        return b64encode(held).decode()
    if isinstance(held, datetime):
        return held.isoformat()
    return str(held)
