"""WebDataset shards: tar files of crops, from this disk, an object store, or whatever a command writes."""

from __future__ import annotations

import io
import logging
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import IO, Final

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from webdataset.gopen import Pipe, gopen
from webdataset.shardlists import expand_urls
from webdataset.tariterators import group_by_keys, tar_file_expander

from firmware_config.errors import BadInput, LostLink
from firmware_config.face import ImageArray
from trainer.data import SHARD_SIZE, Faces

log = logging.getLogger(__name__)

UNNAMED_PREFIX: Final = "ff-"
"""Keys of FairFace, which has no identities: each image counts as a person of its own."""

IMAGES: Final = ("webp", "jpg", "jpeg", "png")
"""Endings of a sample's image; the first that it has."""

TAR_END: Final = bytes(1024)
"""Two empty blocks close a tar; POSIX's pax(1)."""

CURL_SAYS: Final = {
    5: "the proxy's name is not known",
    6: "its host's name is not known",
    7: "nobody answers there",
    18: "the connection was cut",
    22: "the server refuses it; is the address right, and may everybody read it?",
    28: "the server has not answered in time",
    35: "the server speaks no TLS that is known here",
    52: "the connection was cut",
    56: "the connection was cut",
    60: "the server's certificate is of no authority that is trusted here; for one of your own set CURL_CA_BUNDLE to "
    "the file of its certificate",
    77: "the file of CURL_CA_BUNDLE cannot be read",
}
"""Exit codes of curl, by which webdataset fetches what is on the web: curl's man page."""


def find_shards(folder: Path, prefix: str) -> list[str]:
    """The tar files `prefix-*.tar`, by name. Raises BadInput, naming the option, when there are none."""
    found = sorted(folder.glob(f"{prefix}-*.tar"))
    if not found:
        raise BadInput(f"There are no {prefix}-*.tar shards in {folder}. Say where the crops lie with --data DIR.")
    return [str(path) for path in found]


def read_shards(addresses: Sequence[str], limit: int | None = None) -> Faces:
    """Crops of WebDataset shards, decoded once: 128x128 RGB, 49 kB each in memory.

    addresses: paths, `https://...`, or `pipe:COMMAND` that writes a tar, as webdataset opens them; `{00..07}` counts.
    An authority of one's own is trusted by curl's variable CURL_CA_BUNDLE.
    Keys are `ca-IDENTITY-NUMBER` or `ff-GROUP-SEX-NUMBER`. Rows come sorted by key, so that a seed means the
    same split however the shards were shuffled. `limit` stops after so many images. An image that cannot be read is
    left out and counted in the log. Raises BadInput for a shard that is cut short and for a key that is there twice,
    LostLink for a shard that does not come.
    """
    encoded = sorted(_samples([each for address in addresses for each in expand_urls(address)], limit))
    for (key, _), (following, _) in pairwise(encoded):
        if key == following:
            raise BadInput(
                f"The key {key} is twice in the shards {', '.join(addresses)}: they may be of two makings, where it is "
                "two people. Leave the older ones out, or write all anew with `latchkey-trainer align --shards`."
            )
    crops = np.empty((len(encoded), SHARD_SIZE, SHARD_SIZE, 3), dtype=np.uint8)
    keys: list[str] = []
    for key, data in encoded:
        crop = _decoded(data)
        if crop is None:
            continue
        if crop.shape[:2] != (SHARD_SIZE, SHARD_SIZE):
            size = f"{crop.shape[1]}x{crop.shape[0]}"
            raise BadInput(f"{key} is {size}; crops in shards are {SHARD_SIZE}x{SHARD_SIZE}.")
        crops[len(keys)] = crop
        keys.append(key)
    if not keys:
        raise BadInput(f"The shards {', '.join(addresses)} hold no images that can be read.")
    if len(keys) < len(encoded):
        log.warning(
            "%d of %d images in shards cannot be read and were left out.", len(encoded) - len(keys), len(encoded)
        )
    _, identities = np.unique([_person(key) for key in keys], return_inverse=True)
    return Faces(crops[: len(keys)], identities.astype(np.int64), tuple(keys))


def _decoded(data: bytes) -> ImageArray | None:
    """uint8[H, W, 3] RGB; None for what is no whole image."""
    if data[8:12] == b"WEBP":  # the same pixels as Pillow's, in half the time
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    try:  # OpenCV fills what is torn off a JPEG with grey
        with Image.open(io.BytesIO(data)) as opened:
            return np.asarray(opened.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError):
        return None


class _Watched(io.RawIOBase):
    """A stream that remembers the last bytes that went through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self.tail = b""

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if not data and isinstance(self._stream, Pipe):
            # Whether the command has failed is known when it is over, which may be a moment after its last byte.
            self._stream.wait_for_child()
        self.tail = (self.tail + data)[-len(TAR_END) :]
        return data

    def drain(self) -> None:
        while self.read(1 << 16):
            pass


def read_keys(addresses: Sequence[str], limit: int | None = None) -> tuple[str, ...]:
    """The keys of what `read_shards` would give, whose pixels nobody keeps. Errors as there."""
    encoded = _samples([each for address in addresses for each in expand_urls(address)], limit)
    return tuple(sorted(key for key, data in encoded if _decoded(data) is not None))


def _samples(addresses: Sequence[str], limit: int | None) -> Iterator[tuple[str, bytes]]:
    left = limit
    for address in addresses:
        for key, data in _shard(address):
            if left == 0:
                return
            yield key, data
            left = None if left is None else left - 1


def _shard(address: str) -> Iterator[tuple[str, bytes]]:
    # The stages of webdataset's pipeline, without its opener, which leaves the files open.
    opened = None
    try:
        opened = gopen(address)
        with closing(opened):
            stream = _Watched(opened)
            for sample in group_by_keys(tar_file_expander([{"url": address, "stream": stream}])):
                image = next((sample[ending] for ending in IMAGES if ending in sample), None)
                if not isinstance(image, bytes):
                    raise BadInput(f"Sample {sample['__key__']} in {address} has no image ({', '.join(IMAGES)}).")
                yield str(sample["__key__"]), image
            stream.drain()
            if stream.tail != TAR_END:
                raise BadInput(f"The shard {address} is cut short. Fetch it again.")
    except tarfile.TarError as error:
        raise BadInput(f"The shard {address} is cut short or no tar file ({error.args[0]}). Fetch it again.") from error
    except ValueError as error:  # how webdataset refuses a name that comes twice in a row, naming it first
        name = str(error.args[0]).split(": ")[0]
        raise BadInput(f"{name} is twice in the shard {address}. Write it anew.") from error
    except OSError as error:
        raise LostLink(f"The shard {address} did not come: {_why(address, opened, error)}.") from error


def _why(address: str, opened: IO[bytes] | Pipe | None, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and error.filename == "curl":
        return "curl is not there, which fetches it; install curl"
    if not isinstance(opened, Pipe):
        return error.strerror or str(error.args[0])
    code = opened.proc.returncode
    if address.startswith("pipe:"):
        return f"the command ended with code {code}"
    return CURL_SAYS.get(code, f"curl ended with code {code}")


def _person(key: str) -> str:
    return key if key.startswith(UNNAMED_PREFIX) else key.rsplit("-", 1)[0]
