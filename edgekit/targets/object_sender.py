"""Sending files to a device: only those that it lacks, each checked on arrival."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from edgekit.device.protocol.requests import HaveRequest, PutRequest, SizedObject
from edgekit.device.protocol.verbs import HAVE, PUT
from edgekit.errors import TargetError
from edgekit.targets.connection import ConnectionLost
from edgekit.targets.device_client import TRIES, DeviceClient
from edgekit.targets.upload import read_blocks


class ObjectSender:
    """Remembers what a device has, so that it is asked only once."""

    def __init__(self, client: DeviceClient) -> None:
        self._client = client
        self._there: set[str] = set()

    def send(self, files: Mapping[str, str]) -> None:
        """Bring ``files`` (object name -> path here) to the device.

        Raises :class:`TargetError` if there is not enough space, or if a file arrives damaged twice.
        """
        damages = cuts = 0
        while missing := self._missing(files):
            try:
                self._put(missing, files)
            except ConnectionLost as lost:
                cuts += 1
                if cuts == TRIES:
                    raise lost.error from None
                self._client.reconnect(lost)
                continue
            damaged = set(files) - self._there
            if not damaged:
                return
            damages += 1
            if damages == 2:
                raise TargetError(
                    f"files arrive damaged on {self._client.name} repeatedly",
                    where=files[min(damaged)],
                    hint="check the device's memory card and network",
                )
            self._client.progress.warn(
                f"{len(damaged)} of {len(missing)} files arrived damaged on {self._client.name}; sending them again"
            )

    def forget(self, names: Iterable[str]) -> None:
        """These objects are no longer on the device."""
        self._there -= set(names)

    def _missing(self, files: Mapping[str, str]) -> dict[str, int]:
        """The sizes of the objects that the device lacks. Raises :class:`TargetError` if they do not fit."""
        wanted = sorted(set(files) - self._there)
        if not wanted:
            return {}
        answer = self._client.ask(HAVE, HaveRequest(objects=wanted))
        self._there |= set(wanted) - set(answer["missing"])
        sizes = {name: Path(files[name]).stat().st_size for name in answer["missing"]}
        needed, free = sum(sizes.values()), max(0, answer["free_bytes"])
        if needed > free:
            config = self._client.config
            raise TargetError(
                f"not enough space on {config.name}: {needed / 1e6:.1f} MB to send, {free / 1e6:.1f} MB available",
                where=f"{config.name}:{config.folder}",
                hint="free some space there, or give the target another folder",
            )
        return sizes

    def _put(self, sizes: Mapping[str, int], files: Mapping[str, str]) -> None:
        objects: list[SizedObject] = [{"name": name, "size": size} for name, size in sizes.items()]
        total = sum(sizes.values())
        body = (block for name, size in sizes.items() for block in read_blocks(files[name], size))
        with self._client.progress.bar(f"send {total / 1e6:.1f} MB", len(sizes)) as bar:
            for event in self._client.stream(PUT, PutRequest(objects=objects), body):
                if event["event"] == "stored":
                    self._there.add(event["name"])
                    bar.advance()
