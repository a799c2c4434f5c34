"""A setting of a runtime in words."""

from __future__ import annotations

from edgekit.documents.tuning import SettingRecord
from edgekit.render.text import plural


def setting_text(setting: SettingRecord, *, runtime: bool = True) -> str:
    """``onnxruntime, 2 threads, pinned, graph=basic``."""
    parts = [setting.runtime] if runtime else []
    parts += [plural(setting.threads, "thread"), *["pinned"] * setting.pin]
    return ", ".join([*parts, *(f"{name}={value}" for name, value in setting.options.items())])
