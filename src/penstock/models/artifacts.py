"""Model files: written once under the hash of their bytes, durable before anything names them, checked when read.

A1. The name is the SHA-256 of the content, so a file never changes, and writing it twice is writing it once.
A2. File and folder are synced before `put` returns: a registry row never names a file that a power cut could take.
A3. Bytes that do not have their hash are `Corruption`, never a model.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from penstock.errors import Corruption, UsageError


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class ArtifactFolder:
    """A folder of model files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> str:
        name = hash_of(content)
        target = self.folder / name
        if target.exists():
            return name
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".new-", delete=False) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(target)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return name

    def get(self, name: str) -> bytes:
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise UsageError(f"model file {name} is not in {self.folder}") from None
        return checked(name, content)


def checked(name: str, content: bytes) -> bytes:
    if hash_of(content) != name:
        raise Corruption(f"model file {name} does not have the bytes that it was written with")
    return content
