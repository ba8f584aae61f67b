"""One supervised process: started with a pipe to report on, its lines read, its silence noticed, its end waited for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TypeAlias

import msgspec

from penstock.run.reports import FD_VARIABLE, Report, decode

_READ_BYTES = 64 * 1024
_LINE_BYTES_MAX = 16 * 1024  # What is longer is cut: a log is to be read.
_Pipe: TypeAlias = tuple[asyncio.StreamReader, asyncio.ReadTransport]
_LAST_WORDS_S = 5.0  # Between asking a hung process for its stacks and killing it.


class Child:
    """One life of a process. `ended` resolves to its exit code once its last line is read."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lines: _Pipe,
        reports: _Pipe,
        on_line: Callable[[str], None],
        on_report: Callable[[Report], None],
    ) -> None:
        self.pid = process.pid
        self.heard_s = monotonic()
        self._process = process
        self._on_line, self._on_report = on_line, on_report
        self._readers = (
            asyncio.create_task(_each_line(lines[0], self._line)),
            asyncio.create_task(_each_line(reports[0], self._report)),
        )
        self._transports = lines[1], reports[1]
        self.ended = asyncio.create_task(self._end())

    def tell(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def end_within(self, seconds: float) -> bool:
        """Ask it to stop; if it has not within the time, kill it. Whether it went by itself."""
        self.tell(signal.SIGTERM)
        done, _ = await asyncio.wait([self.ended], timeout=seconds)
        if not done:
            self.tell(signal.SIGKILL)
            await self.ended
        return bool(done)

    async def cut_off(self) -> None:
        """It hangs: let it print where (faulthandler does on SIGABRT), then end it for certain."""
        self.tell(signal.SIGABRT)
        done, _ = await asyncio.wait([self.ended], timeout=_LAST_WORDS_S)
        if not done:
            self.tell(signal.SIGKILL)

    async def _end(self) -> int:
        code = await self._process.wait()
        # A grandchild may hold the pipes open after it; what this process said itself is there already.
        await asyncio.wait(self._readers, timeout=1.0)
        for reader in self._readers:
            reader.cancel()
        for transport in self._transports:
            transport.close()
        return code

    def _line(self, line: bytes) -> None:
        self._on_line(line[:_LINE_BYTES_MAX].decode("utf-8", "replace"))

    def _report(self, line: bytes) -> None:
        self.heard_s = monotonic()
        try:
            report = decode(line)
        except msgspec.DecodeError as error:
            self._on_line(f"WARNING penstock.run: a report that is none: {error}")
            return
        if report.kind != "alive":
            self._on_report(report)


async def start(
    arguments: list[str],
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
    on_report: Callable[[Report], None],
) -> Child:
    # Pipes of our own: asyncio takes a process for alive as long as anybody holds one of its pipes, and a process that was
    # killed may leave others behind that do.
    pipes = [os.pipe(), os.pipe()]
    (_, for_lines), (_, for_reports) = pipes
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-u",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=for_lines,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(for_reports,),
            env={**environment, FD_VARIABLE: str(for_reports)},
            # Ctrl-C goes to the terminal's whole group; the order of the end is the supervisor's.
            start_new_session=True,
        )
    except BaseException:
        for reading, _ in pipes:
            os.close(reading)
        raise
    finally:
        for _, writing in pipes:
            os.close(writing)
    lines, reports = [await _reader(reading) for reading, _ in pipes]
    return Child(process, lines, reports, on_line, on_report)


async def _reader(reading: int) -> _Pipe:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    return reader, transport


async def _each_line(stream: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
    """Line by line, however long one is: StreamReader's own readline gives up on a long one."""
    rest = b""
    while chunk := await stream.read(_READ_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            take(line)
        if len(rest) > _LINE_BYTES_MAX:
            take(rest)
            rest = b""
    if rest:
        take(rest)
