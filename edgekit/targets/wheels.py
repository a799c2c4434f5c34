"""Which packages a device can have: the wheels that exist for its Python, C library and processor, and that run there.

The tags of some wheels are too optimistic: the versions of glibc and libstdc++ below are those that the libraries
inside really require. Verified by download and use, November 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgekit.device.protocol.requests import HostFacts
from edgekit.device.runtime_table import RUNTIMES, USUAL_FORMATS, default_runtimes

Version = tuple[int, ...]

MIN_PYTHON = (3, 9)


@dataclass(frozen=True)
class Wheel:
    """A release that is known to run. ``python``: the first and last version of Python that it has wheels for."""

    runtime: str
    version: str
    python: tuple[Version, Version]
    glibc: dict[str, Version]
    """The C library that it requires, by machine. A machine that is missing has no wheel."""
    glibcxx: Version = ()
    old_numpy: bool = False
    """It was built for NumPy 1."""
    needs: tuple[str, ...] = ()
    """Other packages that it imports; dependencies are not installed by themselves."""

    @property
    def requirement(self) -> str:
        return f"{RUNTIMES[self.runtime].distribution}=={self.version}"


WHEELS: tuple[Wheel, ...] = (
    Wheel("litert", "2.3.0", ((3, 10), (3, 14)), {"x86_64": (2, 34), "aarch64": (2, 34)}, glibcxx=(3, 4, 30)),
    Wheel("litert", "1.4.0", ((3, 9), (3, 12)), {"x86_64": (2, 30), "aarch64": (2, 30)}),
    Wheel(
        "tflite-runtime",
        "2.14.0",
        ((3, 9), (3, 11)),
        {"x86_64": (2, 17), "aarch64": (2, 34), "armv7l": (2, 34)},
        old_numpy=True,
    ),
    Wheel(
        "tflite-runtime",
        "2.13.0",
        ((3, 9), (3, 10)),
        {"x86_64": (2, 17), "aarch64": (2, 17), "armv7l": (2, 17)},
        old_numpy=True,
    ),
    Wheel("onnxruntime", "1.31.1", ((3, 11), (3, 14)), {"x86_64": (2, 28), "aarch64": (2, 28)}),
    Wheel("onnxruntime", "1.23.2", ((3, 10), (3, 13)), {"x86_64": (2, 27), "aarch64": (2, 27)}),
    Wheel("onnxruntime", "1.19.2", ((3, 9), (3, 12)), {"x86_64": (2, 27), "aarch64": (2, 27)}),
    Wheel("openvino", "2026.4.1", ((3, 10), (3, 14)), {"x86_64": (2, 28), "aarch64": (2, 35)}),
    Wheel("openvino", "2025.3.0", ((3, 9), (3, 13)), {"x86_64": (2, 17), "aarch64": (2, 35)}),
    Wheel(
        "ncnn",
        "1.0.20261020",
        ((3, 9), (3, 14)),
        {"x86_64": (2, 28), "aarch64": (2, 28), "armv7l": (2, 31)},
    ),
    Wheel(
        "tflm",
        "0.dev20261023182759",
        ((3, 10), (3, 13)),
        {"x86_64": (2, 28)},
        needs=("flatbuffers>=24.3", "pyyaml>=6"),
    ),
)
"""For each runtime, in order of preference."""

NUMPY_MACHINES = ("x86_64", "aarch64")
"""Machines that NumPy and Pillow have wheels for. On others, they come from the system's packages."""

APT = {"numpy": "python3-numpy", "pillow": "python3-pil"}


@dataclass(frozen=True)
class Plan:
    """What will be installed: ``requirements`` as pip reads them, ``runtimes`` by format (the default ones).

    ``needs_system``: the names of packages that only the device's system has; ``problem``: why nothing at all can be
    installed; ``notes``: what is left out, and why.
    """

    requirements: tuple[str, ...] = ()
    runtimes: dict[str, str] = field(default_factory=dict)
    needs_system: tuple[str, ...] = ()
    problem: str | None = None
    notes: tuple[str, ...] = ()


def plan(facts: HostFacts, runtime: str | None = None) -> Plan:
    """The packages for the machine that ``facts`` describe.

    ``runtime`` takes the place of the default runtime of its format. One that is no default, or that is only installed
    on request, is installed beside them.
    """
    problem = _problem(facts)
    if problem is not None:
        return Plan(problem=problem)
    chosen = {file_format: _best_wheel(file_format, facts, runtime) for file_format in USUAL_FORMATS}
    wheels = [wheel for wheel in chosen.values() if wheel is not None]
    if runtime is not None and (not RUNTIMES[runtime].default or RUNTIMES[runtime].on_request):
        extra = _first_wheel([runtime], facts)
        if extra is None:
            return Plan(problem=f"{runtime} has no wheel for {describe(facts)}")
        wheels.append(extra)
    if not wheels:
        return Plan(problem=f"no runtime has a wheel for {describe(facts)}{_alternative(facts)}")
    numpy, system = _numpy(facts, old=any(wheel.old_numpy for wheel in wheels))
    return Plan(
        requirements=(*numpy, *(text for wheel in wheels for text in (wheel.requirement, *wheel.needs))),
        runtimes={kind: wheel.requirement for kind, wheel in chosen.items() if wheel is not None},
        needs_system=system,
        notes=tuple(
            f"no runtime for .{file_format} files on {describe(facts)}, so they cannot be measured there"
            for file_format, wheel in chosen.items()
            if wheel is None
        ),
    )


def platform_tags(facts: HostFacts) -> list[str]:
    """Each wheel tag that this C library supports, newest first: pip does not derive the older ones itself."""
    machine, (major, minor) = facts["machine"], _version(facts["libc_version"])[:2]
    tags = [f"manylinux_{major}_{older}_{machine}" for older in range(minor, 16, -1)]
    return [*tags, f"manylinux2014_{machine}", f"linux_{machine}"]


def describe(facts: HostFacts) -> str:
    """``Python 3.11 on armv7l (32-bit) with glibc 2.36``."""
    python = ".".join(map(str, facts["python"][:2]))
    bits = " (32-bit)" if facts["bits"] == 32 else ""
    return f"Python {python} on {facts['machine']}{bits} with {facts['libc']} {facts['libc_version']}".rstrip()


def _problem(facts: HostFacts) -> str | None:
    """Why nothing can be installed on this system, or None."""
    if facts["implementation"] != "cpython":
        return f"the runtimes need CPython, and this Python is {facts['implementation']}"
    if tuple(facts["python"][:2]) < MIN_PYTHON:
        return f"Python 3.9 or newer is required, and the target has {describe(facts)}{_alternative(facts)}"
    if facts["system"] != "Linux":
        return (
            f"packages can be installed on Linux targets only, and this is {facts['system']}; "
            "set the target's python to one that has them"
        )
    if facts["libc"] != "glibc":
        return f"the runtimes need glibc, and this system has {facts['libc']} (as Alpine Linux does)"
    if facts["machine"] == "armv6l":
        return (
            "no runtime supports ARMv6 (Raspberry Pi Zero, Zero W and 1); a Zero 2 W with a 64-bit system is supported"
        )
    return None


def _alternative(facts: HostFacts) -> str:
    """What would help, as the end of a sentence."""
    if facts["bits"] == 32:
        return (
            ". A 64-bit system has all runtimes, and runs on Raspberry Pi 3, 4, 5 and Zero 2 W. With 32 bits, "
            "Raspberry Pi OS Bookworm (Python 3.11) is the last system that has one"
        )
    return ". Newer systems have one, such as Raspberry Pi OS Bookworm (64-bit) or later"


def _best_wheel(file_format: str, facts: HostFacts, runtime: str | None) -> Wheel | None:
    """The wheel of a default runtime for ``file_format`` that runs on the machine: of ``runtime`` if it is one."""
    names = [default.name for default in default_runtimes(file_format)]
    return _first_wheel([runtime] if runtime in names else names, facts)


def _first_wheel(names: Sequence[str], facts: HostFacts) -> Wheel | None:
    return next((wheel for wheel in WHEELS if wheel.runtime in names and _runs(wheel, facts)), None)


def _runs(wheel: Wheel, facts: HostFacts) -> bool:
    (first, last), needed = wheel.python, wheel.glibc.get(facts["machine"])
    return (
        first <= tuple(facts["python"][:2]) <= last
        and needed is not None
        and _version(facts["libc_version"]) >= needed
        and _has_glibcxx(wheel, facts)
    )


def _has_glibcxx(wheel: Wheel, facts: HostFacts) -> bool:
    found = facts["glibcxx"]
    return not wheel.glibcxx or found is None or _version(found) >= wheel.glibcxx


def _numpy(facts: HostFacts, *, old: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """NumPy and Pillow as requirements, and those that are missing and must come from the system."""
    if facts["machine"] in NUMPY_MACHINES:
        return ("numpy>=1.22,<2" if old else "numpy>=1.26,<3", "pillow>=10.3,<13"), ()
    return (), tuple(APT[name] for name in APT if name not in facts["installed"])


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
