"""Frames from a camera: picamera2 on a Raspberry Pi, OpenCV elsewhere, in a separate process of the system's Python.

The process is separate because the system's camera libraries are built for the system's NumPy, which may differ from
the one installed beside the runtime.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator

import numpy as np

from .failures import CameraError

WIDTH, HEIGHT = 640, 480

CAPTURE = """
import sys
out = sys.stdout.buffer
width, height = int(sys.argv[1]), int(sys.argv[2])
def send(frame):
    out.write(b"frame %d %d\\n" % (frame.shape[1], frame.shape[0]))
    out.write(frame.tobytes())
    out.flush()
try:
    from picamera2 import Picamera2
except ImportError:
    try:
        import cv2
    except ImportError:
        sys.exit(90)
    camera = cv2.VideoCapture(0)
    camera.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    camera.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    while True:
        good, frame = camera.read()
        if not good:
            sys.exit(91)
        send(frame[:, :, ::-1].copy())
camera = Picamera2()
# libcamera's name: BGR888 is stored as red, green, blue in memory.
camera.configure(camera.create_video_configuration(main={"size": (width, height), "format": "BGR888"}))
camera.start()
while True:
    send(camera.capture_array())
"""

REASONS = {
    90: "neither picamera2 nor OpenCV is installed: sudo apt install python3-picamera2 (or python3-opencv)",
    91: "the camera returns no images: check its cable, and that no other program is using it",
}


def frames() -> Generator[np.ndarray, None, None]:
    """Frames uint8 (height, width, 3), RGB, until the caller stops. Raises :class:`CameraError` if there are none."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", CAPTURE, str(WIDTH), str(HEIGHT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        try:
            while True:
                word, _, size = process.stdout.readline().decode("ascii", "replace").strip().partition(" ")
                if word != "frame":
                    break
                width, height = (int(number) for number in size.split())
                content = process.stdout.read(3 * width * height)
                if len(content) < 3 * width * height:
                    break
                yield np.frombuffer(content, np.uint8).reshape(height, width, 3)
        finally:
            process.terminate()
        code = process.wait()
    raise CameraError(REASONS.get(code, "the camera program ended; see its message above"))
