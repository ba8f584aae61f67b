"""Finding a user's app.py and reading the application that it declares."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from penstock.app.application import App
from penstock.errors import UsageError

APP_FILE = "app.py"


def find_app_file(given: Path | None, here: Path) -> Path:
    """The file that was named, `app.py` here, or the only one in a folder right below."""
    if given is not None:
        path = given / APP_FILE if given.is_dir() else given
        if not path.is_file():
            raise UsageError(f"{path} is not there; `penstock init shop` writes an application into ./shop")
        return path
    if (here / APP_FILE).is_file():
        return here / APP_FILE
    below = sorted(path for path in here.glob(f"*/{APP_FILE}") if _declares(path))
    if len(below) == 1:
        return below[0]
    if below:
        names = ", ".join(str(path.relative_to(here)) for path in below)
        raise UsageError(f"there is more than one application here; name one of {names}")
    raise UsageError(
        f"there is no {APP_FILE} here; `penstock init shop` writes one, and `penstock up FOLDER` runs one elsewhere"
    )


def _declares(path: Path) -> bool:
    """Other tools have files called app.py too."""
    try:
        return "penstock" in path.read_text()
    except (OSError, UnicodeDecodeError):
        return False


def load_app(path: Path) -> App:
    """Run the file as a module, with its folder importable, and take the one App that it holds."""
    path = path.resolve()
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    found = {id(value): value for value in vars(module).values() if isinstance(value, App)}
    if len(found) != 1:
        says = "no application" if not found else f"{len(found)} applications"
        raise UsageError(f"{path} declares {says}; it needs one `app = penstock.App(…)`")
    return next(iter(found.values()))
