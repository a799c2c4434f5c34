"""A stand-in for a Raspberry Pi: the arm64 userland of its system under qemu, with an SSH server on loopback.

Debian 12 is the base of Raspberry Pi OS Bookworm (the same Python, C library and OpenSSH). Nothing but the processor
is emulated, so wheels, the device program and its answers are the real ones; its times are not a Raspberry Pi's.

    sudo python tests/targets/emulated_pi.py FOLDER     builds what is missing, serves until Ctrl-C

Needs Linux, root, and: apt install mmdebstrap qemu-user-static binfmt-support arch-test openssh-client
(on Ubuntu also debian-archive-keyring). The packages come from $EDGEKIT_TEST_MIRROR, or from deb.debian.org.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    "base-files base-passwd bash ca-certificates coreutils dash debianutils findutils grep gzip hostname libc-bin "
    "libgcc-s1 libstdc++6 login mawk ncurses-base openssh-server passwd procps python3 sed tar util-linux"
)  # fmt: skip


@dataclass(frozen=True)
class Board:
    """What a board says about itself, and the qemu processor that computes as its own does.

    The processor has to be named: qemu's default one is a mixture that no board has, and libraries that choose
    their kernels by its features have been seen to answer wrongly on it.
    """

    title: str
    architecture: str
    qemu_cpu: str
    part: str
    features: str


BOARDS = {
    "pi4": Board("Raspberry Pi 4 Model B Rev 1.5", "arm64", "cortex-a72", "0xd08", "fp asimd evtstrm crc32 cpuid"),
    "pi5": Board(
        "Raspberry Pi 5 Model B Rev 1.0",
        "arm64",
        "cortex-a76",
        "0xd0b",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
    ),
    "pi3-32bit": Board(
        "Raspberry Pi 3 Model B Rev 1.2",
        "armhf",
        "cortex-a7",
        "0xd03",
        "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32",
    ),
}

# Runs inside new namespaces: whatever is mounted vanishes with them.
INSIDE = """
set -e
cd "$1"
hostname raspberrypi
mount -t proc proc proc
mount --bind "$2" proc/cpuinfo
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin QEMU_CPU="$3" chroot . /usr/sbin/sshd -D -e
"""


def missing(board: Board) -> str | None:
    """Why there can be no emulated board on this machine, or None."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "an emulated Raspberry Pi needs root on Linux"
    for program in ("mmdebstrap", "ssh", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not installed (see tests/targets/emulated_pi.py)"
    name = {"arm64": "qemu-aarch64", "armhf": "qemu-arm"}[board.architecture]
    if not Path("/proc/sys/fs/binfmt_misc", name).exists():
        return f"{name} is not registered: apt install qemu-user-static binfmt-support"
    return None


class EmulatedPi:
    """One board below ``folder``: ``build`` once, then ``up`` and ``down``."""

    def __init__(self, folder: Path, board: str = "pi4") -> None:
        self.folder = folder
        self.board = BOARDS[board]
        self.root = folder / "root"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def build(self, *extra: str) -> None:
        """Unpack the packages and do by hand what their scripts would: nothing runs under emulation here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        packages = ",".join([*PACKAGES.split(), *extra])
        command = ["mmdebstrap", "--quiet", f"--arch={self.board.architecture}", "--variant=extract"]
        mirror = os.environ.get("EDGEKIT_TEST_MIRROR", MIRROR)
        subprocess.run([*command, f"--include={packages}", SUITE, str(self.root), mirror], check=True)
        self._accounts()
        self._small_files()
        self._compile()
        self._keys()
        (self.folder / "built").touch()

    def up(self) -> None:
        """Start the server; returns when it listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._write_settings()
        inside = ["sh", "-c", INSIDE, "sh", str(self.root), str(self.folder / "cpuinfo"), self.board.qemu_cpu]
        with (self.folder / "sshd.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--uts", "--pid", "--ipc", "--fork", "--kill-child", *inside],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(200):
            if b"Server listening" in (self.folder / "sshd.log").read_bytes():
                return
            time.sleep(0.05)
        raise RuntimeError(f"the server does not start: {(self.folder / 'sshd.log').read_text()}")

    def down(self) -> None:
        """End every process of it (unshare passes on nothing but the kill)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def ssh_config(self) -> Path:
        """A configuration with the alias ``emulated``."""
        path = self.folder / "ssh_config"
        path.write_text(
            f"Host emulated\n  HostName 127.0.0.1\n  Port {self.port}\n  User pi\n  IdentitiesOnly yes\n"
            f"  IdentityAgent none\n  IdentityFile {self.folder}/key\n  UserKnownHostsFile {self.folder}/known_hosts\n"
        )
        return path

    def _accounts(self) -> None:
        for name in ("passwd", "group"):
            shutil.copy(self.root / f"usr/share/base-passwd/{name}.master", self.root / f"etc/{name}")
        with (self.root / "etc/passwd").open("a") as stream:
            stream.write("sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\npi:x:1000:1000::/home/pi:/bin/bash\n")
        with (self.root / "etc/group").open("a") as stream:
            stream.write("pi:x:1000:\n")
        users = ("root", "sshd", "pi")
        (self.root / "etc/shadow").write_text("".join(f"{user}:*:20000:0:99999:7:::\n" for user in users))

    def _small_files(self) -> None:
        for link, to in (("usr/bin/awk", "mawk"), ("usr/bin/which", "which.debianutils")):
            (self.root / link).unlink(missing_ok=True)
            (self.root / link).symlink_to(to)
        for library in ("blas", "lapack"):  # NumPy of the system finds these through the alternatives
            for folder in self.root.glob(f"usr/lib/*/{library}"):
                (folder.parent / f"lib{library}.so.3").symlink_to(f"{library}/lib{library}.so.3")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost raspberrypi\n")
        for folder in ("run/sshd", "sys/devices/system/cpu", "sys/firmware/devicetree/base", "home/pi/.ssh"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for name in ("possible", "present", "online"):  # plain files, so that nothing of this machine is seen
            (self.root / "sys/devices/system/cpu" / name).write_text("0-3\n")
        self._topology()
        (self.root / "sys/firmware/devicetree/base/model").write_text(f"{self.board.title}\0")
        (self.root / "tmp").chmod(0o1777)

    def _topology(self) -> None:
        """Four cores of one package, each with one thread: libraries that look for their topology crash without it."""
        for core in range(4):
            folder = self.root / f"sys/devices/system/cpu/cpu{core}"
            own, all_four = {"": f"{1 << core:x}", "_list": f"{core}"}, {"": "f", "_list": "0-3"}
            facts = {"core_id": f"{core}", "physical_package_id": "0"}
            for suffix in ("", "_list"):
                facts |= {f"{name}{suffix}": own[suffix] for name in ("core_cpus", "thread_siblings")}
                facts |= {f"{name}{suffix}": all_four[suffix] for name in ("package_cpus", "core_siblings")}
            (folder / "topology").mkdir(parents=True)
            for name, text in facts.items():
                (folder / "topology" / name).write_text(f"{text}\n")
            (folder / "regs/identification").mkdir(parents=True)
            (folder / "regs/identification/midr_el1").write_text(f"0x00000000410f{self.board.part[2:]}0\n")

    def _compile(self) -> None:
        """Python's bytecode, which its package makes when it is installed: without it every start takes seconds."""
        (library,) = self.root.glob("usr/lib/python3.[0-9]*")
        folders = [library, *self.root.glob("usr/lib/python3/dist-packages")]
        here = shutil.which(library.name)
        if here is not None:  # the same version on this machine writes the same bytecode, and is not emulated
            command = [here, "-m", "compileall", "-q", "-s", str(self.root), *map(str, folders)]
        else:
            inside = [f"/{folder.relative_to(self.root)}" for folder in folders]
            command = ["chroot", str(self.root), "/usr/bin/python3", "-m", "compileall", "-q", *inside]
        environment = {**os.environ, "QEMU_CPU": self.board.qemu_cpu}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)

    def _keys(self) -> None:
        for path in (self.folder / "key", self.root / "etc/ssh/ssh_host_ed25519_key"):
            path.unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        home = self.root / "home/pi"
        shutil.copy(self.folder / "key.pub", home / ".ssh/authorized_keys")
        for path in (home, *home.rglob("*")):
            os.chown(path, 1000, 1000)
        (home / ".ssh").chmod(0o700)

    def _write_settings(self) -> None:
        cores = "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.board.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {self.board.part}\nCPU revision\t: 3\n\n"
            for core in range(4)
        )
        (self.folder / "cpuinfo").write_text(f"{cores}Model\t\t: {self.board.title}\n")
        (self.root / "etc/ssh/sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nUseDNS no\n"
            f"SetEnv QEMU_CPU={self.board.qemu_cpu}\n"
        )
        key = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(key)}\n")


def main() -> None:
    pi = EmulatedPi(Path(sys.argv[1]).absolute(), *sys.argv[2:3])
    reason = missing(pi.board)
    if reason is not None:
        sys.exit(reason)
    if not (pi.folder / "built").exists():
        pi.build()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does
    pi.up()
    print(f"edgekit target add emulated emulated --ssh-config {pi.ssh_config()}", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pi.down()


if __name__ == "__main__":
    main()
