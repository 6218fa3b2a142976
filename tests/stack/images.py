# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images, made from Debian's packages and Python's alone, under the names that users have.

Each is made by recipes/NAME/build.sh in a container, and holds a hash of what it was made from: with the
same hash it is there already. Where packages come from is read from this machine's apt and pip.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping

from engine import Engine, StackError, say

__all__ = ["COMPRESSOR", "IMAGES", "MACHINE", "POSTGRES", "SYNAPSE", "Image", "build_all", "present"]

RECIPES = pathlib.Path(__file__).with_name("recipes")
SUITE = "bookworm"
LABEL = "synapse.tuning.recipe"

_BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_APT = "apt.conf"
_BUNDLE = "certificates.pem"
_HOST = "/mnt/host"


@dataclasses.dataclass(frozen=True)
class Image:
    """One image: what it is called and how it is made.

    Attributes:
        name: The directory of its recipe.
        tags: Its names, the first one the name by which it is known here.
        parent: What it stands on; None for the base, which debootstrap makes.
        seconds: What making it takes on two cores, about.
        arguments: Variables of its build.sh.
        configuration: As instructions of a Dockerfile.
        stop_signal: What `docker stop` sends; it cannot be given as an instruction here.
    """

    name: str
    tags: tuple[str, ...]
    parent: Image | None
    seconds: int
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    configuration: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"

    @property
    def tag(self) -> str:
        """The name by which it is known here."""
        return self.tags[0]

    def recipe(self) -> str:
        """Return the hash of all that decides what is in the image."""
        digest = hashlib.sha256(
            json.dumps(
                [
                    *(SUITE, self.name, dict(self.arguments), self.configuration, self.stop_signal),
                    self.parent and self.parent.recipe(),
                ]
            ).encode()
        )
        # How it is made is part of it: this file.
        for path in (pathlib.Path(__file__), *sorted((RECIPES / self.name).glob("*"))):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()


BASE = Image("base", (f"synapse-tuning/base:{SUITE}",), None, 40, configuration=(f"ENV PATH={_BASE_PATH}",))
PYTHON = Image("python", (f"synapse-tuning/python:{SUITE}",), BASE, 15)
SYNAPSE = Image(
    "synapse",
    ("matrixdotorg/synapse:v1.163.2", "ghcr.io/element-hq/synapse:v1.163.2"),
    PYTHON,
    40,
    arguments={"SYNAPSE_VERSION": "1.163.2"},
    configuration=(
        f"ENV PATH=/opt/synapse/bin:{_BASE_PATH}",
        'ENTRYPOINT ["/start.py"]',
        "CMD []",
        "EXPOSE 8008/tcp 8009/tcp 8448/tcp",
        "HEALTHCHECK --start-period=5s --interval=15s --timeout=5s CMD curl -fSs http://localhost:8008/health || exit 1",
    ),
)
POSTGRES = Image(
    "postgres",
    ("postgres:15", f"postgres:15-{SUITE}"),
    BASE,
    45,
    arguments={"PG_MAJOR": "15"},
    configuration=(
        f"ENV PATH={_BASE_PATH}:/usr/lib/postgresql/15/bin",
        "ENV PGDATA=/var/lib/postgresql/data",
        "ENV PG_MAJOR=15",
        "ENV LANG=en_US.utf8",
        'VOLUME ["/var/lib/postgresql/data"]',
        'ENTRYPOINT ["docker-entrypoint.sh"]',
        'CMD ["postgres"]',
        "EXPOSE 5432/tcp",
    ),
    stop_signal="SIGINT",
)
COMPRESSOR = Image(
    "compressor",
    ("ghcr.io/matrix-org/rust-synapse-compress-state:latest",),
    PYTHON,
    10,
    # 0.1.4, the newest, is an empty build.
    arguments={"COMPRESSOR_VERSION": "0.1.2"},
    configuration=('CMD ["/bin/sh"]',),
)
# A host, for what is started by a host's cron or systemd.
MACHINE = Image(
    "machine",
    (f"synapse-tuning/machine:{SUITE}",),
    PYTHON,
    15,
    arguments={"COMPRESSOR_VERSION": "0.1.2"},
    configuration=("ENV container=docker", 'CMD ["/lib/systemd/systemd"]'),
    stop_signal="SIGRTMIN+3",
)
IMAGES = (BASE, PYTHON, SYNAPSE, POSTGRES, COMPRESSOR, MACHINE)


def present(engine: Engine, image: Image) -> bool:
    """Tell whether the engine has the image as its recipe is now, under each of its names."""
    template = f'{{{{index .Config.Labels "{LABEL}"}}}}'
    for tag in image.tags:
        run = engine.docker("image", "inspect", "--format", template, tag, check=False)
        if run.returncode != 0 or run.stdout.strip() != image.recipe():
            return False
    return True


def build_all(engine: Engine) -> None:
    """Make the images that the engine, which must run, does not have yet."""
    with engine.exclusive():
        missing = [image for image in IMAGES if not present(engine, image)]
        if not missing:
            return
        say(f"making {len(missing)} images (about {sum(image.seconds for image in missing)} s on two cores)")
        directory = engine.directory / "build"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        try:
            for image in missing:
                began = time.monotonic()
                say(f"making {image.tag} (about {image.seconds} s)")
                if image.parent is None:
                    _bootstrap(engine, image, directory)
                else:
                    _build(engine, image, image.parent, directory)
                say(f"made {image.tag} in {time.monotonic() - began:.0f} s")
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        # What had these names before: nothing else could find it.
        engine.docker("image", "prune", "--force")


def _changes(image: Image) -> Iterator[str]:
    for change in (*image.configuration, f"LABEL {LABEL}={image.recipe()}"):
        yield from ("--change", change)


def _tag(engine: Engine, image: Image) -> None:
    for tag in image.tags[1:]:
        engine.docker("tag", image.tag, tag)


# --- the base ----------------------------------------------------------------------------------

_BASE_FILES = {
    "dpkg.cfg": "etc/dpkg/dpkg.cfg.d/slim",
    "apt.conf": "etc/apt/apt.conf.d/slim",
    "policy-rc.d": "usr/sbin/policy-rc.d",
}


def _bootstrap(engine: Engine, image: Image, directory: pathlib.Path) -> None:
    """Make the base image: Debian's smallest system."""
    root = directory / "root"
    # Before anything is installed, so that it holds from the start on.
    for name, place in _BASE_FILES.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(RECIPES / image.name / name, root / place)
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    _logged(["debootstrap", "--variant=minbase", SUITE, str(root), _mirror()], directory / "base.log", environment)
    left_out = ["./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/man/*", "./usr/share/locale/*/*", "./dev/*"]
    tar = subprocess.Popen(
        ["tar", "-C", str(root), *(f"--exclude={each}" for each in left_out), "--numeric-owner", "-c", "."],
        stdout=subprocess.PIPE,
    )
    imported = subprocess.run(
        ["docker", "import", *_changes(image), "--change", 'CMD ["/bin/sh"]', "-", image.tag],
        stdin=tar.stdout,
        env=engine.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if tar.wait() != 0 or imported.returncode != 0:
        raise StackError(f"the base image could not be imported: {imported.stderr.strip()}")
    _tag(engine, image)
    shutil.rmtree(root)


def _mirror() -> str:
    """Return the Debian mirror that this machine's apt uses."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    entries = [line.split(maxsplit=2) for line in listed.splitlines()]
    mains = [(release, uri) for release, component, uri in entries if component == "main" and "-" not in release]
    # The machine's own release may be another one: its mirror has this one as well.
    for _release, uri in sorted(mains, key=lambda each: each[0] != SUITE):
        if re.match(r"(https?|file):", uri):
            return str(uri)
    raise StackError("apt names no mirror of Debian (main); the images are made from one, so add it to apt's sources")


# --- the others --------------------------------------------------------------------------------


def _build(engine: Engine, image: Image, parent: Image, directory: pathlib.Path) -> None:
    """Run the recipe in a container of the parent image, and make what is there then the image."""
    container = f"synapse-tuning-build-{image.name}"
    host = directory / f"{image.name}-host"
    host.mkdir()
    options = _pip_options()
    (host / _APT).write_text(_apt_configuration(), encoding="utf-8")
    # By another path than here: the container's own certificates are a package's, which would not find its files.
    bundle = pathlib.Path(options.get("cert", [_CERTIFICATES])[-1])
    if bundle.is_file():
        shutil.copyfile(bundle, host / _BUNDLE)
    # In a file and not as the container's environment, which the image would keep.
    environment = _build_environment(image, certificates=bundle.is_file())
    (host / "environment").write_text(environment, encoding="utf-8")
    (host / "environment").chmod(0o600)
    script = (
        f"set -eu; umask 022; . {_HOST}/environment; . /mnt/recipe/build.sh; "
        "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /root/.cache /tmp/*"
    )
    mounts = [(host, _HOST), (RECIPES / image.name, "/mnt/recipe"), *_pip_mounts(options)]
    engine.docker("rm", "--force", container, check=False)
    try:
        _logged(
            [
                *("docker", "run", "--name", container, "--network", "host"),
                f"--stop-signal={image.stop_signal}",
                *(part for source, target in mounts for part in ("--volume", f"{source}:{target}:ro")),
                *(parent.tag, "/bin/sh", "-c", script),
            ],
            directory / f"{image.name}.log",
            engine.environment(),
        )
        engine.docker("commit", *_changes(image), container, image.tag)
    finally:
        engine.docker("rm", "--force", container, check=False)
    _tag(engine, image)


def _apt_configuration() -> str:
    """Return how this machine's apt reaches its mirror: proxies, certificates, what it does not check."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    wanted = re.compile(r"Acquire::(https?::|Check-|Retries|ForceIPv)")
    own = f'Acquire::https::CAInfo "{_HOST}/{_BUNDLE}";\n'
    return own + "".join(f"{line}\n" for line in dump.splitlines() if wanted.match(line))


def _build_environment(image: Image, *, certificates: bool) -> str:
    """Return the environment of a build.sh, as commands of a shell."""
    wanted = re.compile(r"PIP_.*|(https?|no|all)_proxy", re.IGNORECASE)
    variables = {name: value for name, value in os.environ.items() if wanted.fullmatch(name)}
    if certificates:
        variables.update(dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), f"{_HOST}/{_BUNDLE}"))
    variables.update(
        APT_CONFIG=f"{_HOST}/{_APT}",
        DEBIAN_FRONTEND="noninteractive",
        HOME="/root",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_CACHE_DIR="1",
        PIP_ROOT_USER_ACTION="ignore",
        **image.arguments,
    )
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _pip_options() -> dict[str, list[str]]:
    """Return what pip is told on this machine, by its files and the environment: option to words."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    options: dict[str, list[str]] = {}
    # Such as global.find-links='/a /b', or :env:.cert='/c'; a line end within a value is written \\n.
    for name, value in re.findall(r"^\S*\.([\w-]+)=(['\"].*['\"])$", listed, re.MULTILINE):
        options.setdefault(name, []).extend(str(ast.literal_eval(value)).split())
    return options


def _pip_mounts(options: Mapping[str, list[str]]) -> Iterator[tuple[pathlib.Path, str]]:
    """Yield what pip must find in the container where it finds it here: its files, and directories of packages."""
    home = pathlib.Path.home()
    settings = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = {
        "/etc/pip.conf": pathlib.Path("/etc/pip.conf"),
        "/root/.config/pip/pip.conf": settings / "pip" / "pip.conf",
        "/root/.pip/pip.conf": home / ".pip" / "pip.conf",
    }
    if named := os.environ.get("PIP_CONFIG_FILE"):
        files[named] = pathlib.Path(named)
    for target, source in files.items():
        if source.is_file():
            yield source, target
    directories = set()
    for option in ("find-links", "index-url", "extra-index-url"):
        for word in options.get(option, []):
            url = urllib.parse.urlsplit(word)
            path = pathlib.Path(urllib.parse.unquote(url.path))
            # An index's pages link to files that lie beside it.
            path = path if option == "find-links" else path.parent
            # Not a directory so near the root that the image's own files lie in it, too.
            if url.scheme in ("", "file") and path.is_dir() and len(path.parts) > 2:
                directories.add(path)
    for path in sorted(directories):
        yield path, str(path)


def _logged(command: list[str], log: pathlib.Path, environment: Mapping[str, str]) -> None:
    """Run a command; raises StackError with the last that it said where it fails."""
    with log.open("w") as stream:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=dict(environment), check=False
        )
    if run.returncode != 0:
        tail = "\n    ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise StackError(f"{command[0]} failed with exit status {run.returncode}, its last lines:\n    {tail}")
