"""Which packages a device can have: the wheels that exist for its Python, C library and processor, and run there.

The tags of some wheels promise more than they keep: the versions of glibc and libstdc++ below are those that the
libraries inside really ask for. Checked by download and use, November 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Version = tuple[int, ...]

MIN_PYTHON = (3, 9)


@dataclass(frozen=True)
class Wheel:
    """A release that is known to run. ``python``: first and last version of Python it has wheels for."""

    runtime: str
    distribution: str
    version: str
    python: tuple[Version, Version]
    glibc: dict[str, Version]
    """By machine, the C library it needs; a machine that is missing has no wheel."""
    glibcxx: Version = ()
    old_numpy: bool = False
    """It was built for NumPy 1."""

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"


TFLITE: tuple[Wheel, ...] = (
    Wheel(
        "litert",
        "ai-edge-litert",
        "2.3.0",
        ((3, 10), (3, 14)),
        {"x86_64": (2, 34), "aarch64": (2, 34)},
        glibcxx=(3, 4, 30),
    ),
    Wheel("litert", "ai-edge-litert", "1.4.0", ((3, 9), (3, 12)), {"x86_64": (2, 30), "aarch64": (2, 30)}),
    Wheel(
        "tflite-runtime",
        "tflite-runtime",
        "2.14.0",
        ((3, 9), (3, 11)),
        {"x86_64": (2, 17), "aarch64": (2, 34), "armv7l": (2, 34)},
        old_numpy=True,
    ),
    Wheel(
        "tflite-runtime",
        "tflite-runtime",
        "2.13.0",
        ((3, 9), (3, 10)),
        {"x86_64": (2, 17), "aarch64": (2, 17), "armv7l": (2, 17)},
        old_numpy=True,
    ),
)
"""In order of preference."""

ONNX: tuple[Wheel, ...] = (
    Wheel("onnxruntime", "onnxruntime", "1.31.1", ((3, 11), (3, 14)), {"x86_64": (2, 28), "aarch64": (2, 28)}),
    Wheel("onnxruntime", "onnxruntime", "1.23.2", ((3, 10), (3, 13)), {"x86_64": (2, 27), "aarch64": (2, 27)}),
    Wheel("onnxruntime", "onnxruntime", "1.19.2", ((3, 9), (3, 12)), {"x86_64": (2, 27), "aarch64": (2, 27)}),
)

NUMPY_MACHINES = ("x86_64", "aarch64")
"""Machines that NumPy and Pillow have wheels for; elsewhere they come from the system's packages."""

APT = {"numpy": "python3-numpy", "pillow": "python3-pil"}


@dataclass(frozen=True)
class Plan:
    """What will be installed: ``requirements`` as pip reads them, ``runtimes`` by format.

    ``needs_system``: packages that only the device's own system has, by name there; ``problem`` says why nothing at
    all can be done; ``notes`` what cannot.
    """

    requirements: tuple[str, ...] = ()
    runtimes: dict[str, str] = field(default_factory=dict)
    needs_system: tuple[str, ...] = ()
    problem: str | None = None
    notes: tuple[str, ...] = ()


def plan(facts: dict[str, Any], runtime: str | None = None) -> Plan:
    """The packages for the machine that ``facts`` (of the device program) describe.

    ``runtime`` asks for one kind of TFLite runtime (``litert`` or ``tflite-runtime``).
    """
    problem = _impossible(facts)
    if problem is not None:
        return Plan(problem=problem)
    wanted = tuple(w for w in TFLITE if runtime not in ("litert", "tflite-runtime") or w.runtime == runtime)
    tflite, onnx = _first(wanted, facts), _first(ONNX, facts)
    chosen = [wheel for wheel in (tflite, onnx) if wheel is not None]
    if not chosen:
        return Plan(problem=f"no runtime has a wheel for {describe(facts)}{_way_out(facts)}")
    notes = tuple(
        f"no {name} for {describe(facts)}: {kind} files cannot be measured there"
        for name, kind, wheel in (("TFLite runtime", ".tflite", tflite), ("ONNX Runtime", ".onnx", onnx))
        if wheel is None
    )
    runtimes = {name: w.requirement for name, w in (("tflite", tflite), ("onnx", onnx)) if w is not None}
    if facts["machine"] in NUMPY_MACHINES:
        numpy = "numpy>=1.22,<2" if any(wheel.old_numpy for wheel in chosen) else "numpy>=1.26,<3"
        basis: tuple[str, ...] = (numpy, "pillow>=10.3,<13")
        system: tuple[str, ...] = ()
    else:
        basis = ()
        system = tuple(APT[name] for name in APT if name not in facts["installed"])
    requirements = (*basis, *(wheel.requirement for wheel in chosen))
    return Plan(requirements, runtimes, system, None, notes)


def platform_tags(facts: dict[str, Any]) -> list[str]:
    """Every tag of wheels that this C library takes, the newest first: pip does not derive the older ones itself."""
    machine, (major, minor) = facts["machine"], _version(facts["libc_version"])[:2]
    tags = [f"manylinux_{major}_{older}_{machine}" for older in range(minor, 16, -1)]
    return [*tags, f"manylinux2014_{machine}", f"linux_{machine}"]


def describe(facts: dict[str, Any]) -> str:
    """``Python 3.11 on armv7l (32-bit) with glibc 2.36``."""
    python = ".".join(map(str, facts["python"][:2]))
    bits = " (32-bit)" if facts["bits"] == 32 else ""
    return f"Python {python} on {facts['machine']}{bits} with {facts['libc']} {facts['libc_version']}".rstrip()


def _impossible(facts: dict[str, Any]) -> str | None:
    if facts["implementation"] != "cpython":
        return f"the runtimes are made for CPython, not for {facts['implementation']}"
    if tuple(facts["python"][:2]) < MIN_PYTHON:
        return f"Python 3.9 or newer is needed, and {describe(facts)} is there{_way_out(facts)}"
    if facts["system"] != "Linux":
        return f"packages are put on Linux machines only, not on {facts['system']}: give a python that has them"
    if facts["libc"] != "glibc":
        return f"the runtimes are made for glibc, and this system has {facts['libc']} (Alpine Linux, for example)"
    if facts["machine"] == "armv6l":
        return "a Raspberry Pi Zero, Zero W or 1 (ARMv6) has no runtime at all; a Zero 2 W with a 64-bit system has"
    return None


def _way_out(facts: dict[str, Any]) -> str:
    if facts["bits"] == 32:
        return (
            ". A 64-bit system has all of them: Raspberry Pi 3, 4, 5 and Zero 2 W can run it. With 32 bits, Raspberry "
            "Pi OS Bookworm (Python 3.11) is the last that has a runtime"
        )
    return ". A newer system has: Raspberry Pi OS Bookworm or later, 64-bit"


def _first(wheels: tuple[Wheel, ...], facts: dict[str, Any]) -> Wheel | None:
    python, glibc = tuple(facts["python"][:2]), _version(facts["libc_version"])
    for wheel in wheels:
        first, last = wheel.python
        needed = wheel.glibc.get(facts["machine"])
        if first <= python <= last and needed is not None and glibc >= needed and _has_cxx(wheel, facts):
            return wheel
    return None


def _has_cxx(wheel: Wheel, facts: dict[str, Any]) -> bool:
    found = facts["glibcxx"]
    return not wheel.glibcxx or found is None or _version(found) >= wheel.glibcxx


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
