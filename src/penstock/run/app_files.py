"""Finding a user's app.py and reading the application that it declares."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from penstock.app.application import App
from penstock.errors import UsageError

APP_FILE = "app.py"
_TRACE_LINES_MAX = 12


def find_app_file(given: Path | None, here: Path) -> Path:
    """The file that was named, `app.py` here, or the only one in a folder right below."""
    if given is not None:
        path = given / APP_FILE if given.is_dir() else given
        if not path.is_file():
            raise UsageError(f"{path} is not there; `penstock init shop` writes an application into ./shop")
        return path
    if (here / APP_FILE).is_file():
        return here / APP_FILE
    below = sorted(path for path in here.glob(f"*/{APP_FILE}") if declares(path))
    if len(below) == 1:
        return below[0]
    if below:
        names = ", ".join(str(path.relative_to(here)) for path in below)
        raise UsageError(f"there is more than one application here; name one of {names}")
    raise UsageError(
        f"there is no {APP_FILE} here; `penstock init shop` writes one, and `penstock up FOLDER` runs one elsewhere"
    )


def declares(path: Path) -> bool:
    """Other tools have files called app.py too."""
    try:
        return "penstock" in path.read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _trace_of(error: BaseException, folder: Path) -> str:
    """The user's own frames and the error: how we called their file is of no help."""
    told = traceback.TracebackException.from_exception(error)
    own = [frame for frame in told.stack if Path(frame.filename).is_relative_to(folder)]
    told.stack = traceback.StackSummary.from_list(own)
    lines = "".join(told.format(chain=False)).rstrip().splitlines()
    return "\n".join(lines[-_TRACE_LINES_MAX:])


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
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path} does not load:\n{_trace_of(error, path.parent)}") from error
    found = {id(value): value for value in vars(module).values() if isinstance(value, App)}
    if len(found) != 1:
        says = "no application" if not found else f"{len(found)} applications"
        raise UsageError(f"{path} declares {says}; it needs one `app = penstock.App(…)`")
    return next(iter(found.values()))
