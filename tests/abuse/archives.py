"""Archives that somebody might give: bombs, damaged ones, names that lead elsewhere, links, and sound ones.

`python tests/abuse/archives.py` tries all, as a data set to read and as one to unpack."""
import bz2
import gzip
import io
import lzma
import os
import random
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from gwi.data import given
from gwi.data.download import unpack
from tests.abuse.trying import counted, outcome

PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lambda data: lzma.compress(data, preset=0)}
MEGA = 10**6


def picture(seed, size=8):
    "A PNG."
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


PICTURES = [picture(seed) for seed in range(4)]
SOUND = {f"{kind}/{k}.png": PICTURES[2 * (kind == "dog") + k] for kind in ("cat", "dog") for k in range(2)}


def tar_of(files):
    "A tar of {name: bytes, None for a folder, or TarInfo}."
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name, data in files.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if data is None: info.type = tarfile.DIRTYPE
            if isinstance(data, bytes): info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return out.getvalue()


def zip_of(files, compression=zipfile.ZIP_DEFLATED):
    "A zip of {name or ZipInfo: bytes}."
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items(): archive.writestr(name, data or b"", compression)
    return out.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_special(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (mode | 0o644) << 16
    return info


def header(name, size, kind=tarfile.REGTYPE, by_256=False):
    "A header of 512 bytes that states any size."
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    binary = struct.pack(">i", -1 if size < 0 else -2**31) + struct.pack(">q", size)
    block[124:136] = binary if by_256 else b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def bombs():
    "A few kilobytes that stand for gigabytes."
    zeros = bytes(10 * MEGA)
    for end, pack in PACKERS.items():
        if not end: continue
        many = pack(zeros) * 300  # streams one after the other: 3 GB
        yield f"member{end}", pack(tar_of({"cat/1.png": b"x"})[:1024] + header("dog/1.png", 3000 * MEGA)) + many
        yield f"no tar{end}", many
        yield f"behind the end{end}", pack(tar_of(SOUND)) + many
        yield f"a name{end}", pack(header("././@LongLink", 3000 * MEGA, tarfile.GNUTYPE_LONGNAME)) + many
        yield f"attributes{end}", pack(header("./pax", 3000 * MEGA, tarfile.XHDTYPE)) + many
        yield f"twice packed{end}", pack(pack(zeros) * 300)
    for n in (1, 3): yield f"zip of {n}", zip_of({f"cat/{k}.png": bytes(300 * MEGA // n) for k in range(n)})
    yield "zip of many", zip_of({f"{kind}/{k}.png": zeros for kind in ("cat", "dog") for k in range(15)})
    yield "zip by bzip2", zip_of({f"cat/{k}.png": zeros for k in range(30)}, zipfile.ZIP_BZIP2)
    yield "zip by lzma", zip_of({f"cat/{k}.png": zeros for k in range(30)}, zipfile.ZIP_LZMA)


def lies():
    "Sizes that are not so."
    kinds = tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.GNUTYPE_SPARSE
    for size in (10**12, 2**62):
        for kind in (*kinds, tarfile.XGLTYPE):
            yield f"tar {kind} {size}", header("cat/1.png", size, kind, by_256=True) + bytes(1024)
    for size in (-512, -1024, -2**40):
        for kind in (*kinds, tarfile.CHRTYPE):
            first, second = header("dog/0.png", 0), header("cat/1.png", size, kind, by_256=True)
            yield f"tar {kind} {size}", first + second + bytes(1024)
    whole = zip_of(SOUND)
    first = whole.index(b"PK\1\2")
    for field, place in (("packed", 20), ("size", 24), ("name", 28), ("extra", 30), ("offset", 42)):
        for value in (0, 1, 2**16 - 1) if field in ("name", "extra") else (0, 1, 2**31, 2**32 - 2):
            changed = bytearray(whole)
            pattern = "<H" if field in ("name", "extra") else "<I"
            struct.pack_into(pattern, changed, first + place, value)
            yield f"zip {field} {value}", bytes(changed), "EITHER"  # some are so
    yield "members on one another", overlapping()


def overlapping():
    "A zip whose list names the same bytes many times."
    data = zip_of({"cat/1.png": bytes(MEGA)})
    first, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry, tail = data[first:end], bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 200, 200, 200 * len(entry))
    return data[:first] + entry * 200 + bytes(tail)


def names():
    "Names that lead elsewhere, or that no file can have."
    wrong = ("../evil.png", "/evil.png", "train/../../evil.png", "a\\..\\..\\evil.png", "\\evil.png",
             "cat/" + "a" * 300 + ".png", "猫" * 100 + "/1.png", "d/" * 200 + "1.png", "x" * 5000, "..", "cat/../..")
    for name in wrong:
        yield f"tar {name[:20]}", tar_of(SOUND | {name: PICTURES[0]})
        yield f"tar.gz {name[:20]}", gzip.compress(tar_of(SOUND | {name: PICTURES[0]}))
        yield f"zip {name[:20]}", zip_of(SOUND | {name: PICTURES[0]})
    yield "zip NUL", zip_of(SOUND | {"cat/aXb.png": PICTURES[0]}).replace(b"cat/aXb.png", b"cat/a\0b.png")
    yield "zip no UTF-8", zip_of(SOUND | {"é/1.png": PICTURES[0]}).replace("é".encode(), b"\xff\xfe")
    yield "tar no UTF-8", tar_of(SOUND | {"\udcff/1.png": PICTURES[0]})
    for nfc, nfd in (("caf\u00e9", "cafe\u0301"), ("\u00c5", "A\u030a")):
        both = SOUND | {f"{nfc}/1.png": PICTURES[0], f"{nfd}/2.png": PICTURES[1]}
        yield f"tar NFC beside NFD {nfc}", tar_of(both)
        yield f"zip NFC beside NFD {nfc}", zip_of(both)


def links():
    "What is no file."
    kinds = {"link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE,
             "disk": tarfile.BLKTYPE, "unknown": b"Z"}
    for what, kind in kinds.items():
        for target in ("/etc/passwd", "../../x", "cat/0.png", "cat/odd.png"):
            yield f"tar {what} {target}", tar_of(SOUND | {"odd": special("cat/odd.png", kind, target)})
    modes = {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO, "device": stat.S_IFCHR, "socket": stat.S_IFSOCK}
    for what, mode in modes.items():
        yield f"zip {what}", zip_of(SOUND | {zip_special("cat/odd.png", mode): b"/etc/passwd"})


def damaged():
    "Cut off, and with a byte changed."
    chance = random.Random(0)
    wholes = {f"tar{end}": pack(tar_of(SOUND)) for end, pack in PACKERS.items()} | {"zip": zip_of(SOUND)}
    for name, whole in wholes.items():
        useful = len(tar_of(SOUND)) - 8192 if name == "tar" else len(whole)
        for _ in range(6):
            yield f"{name} cut", whole[:chance.randrange(useful)], "REFUSED"
        for _ in range(10):
            k = chance.randrange(useful)
            changed = bytes([whole[k] ^ (1 << chance.randrange(8))])
            yield f"{name} changed at {k}", whole[:k] + changed + whole[k + 1:], "EITHER"


def contents():
    "Whole archives of something else than images of classes."
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + huge
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    empties = {"nothing": {}, "folders alone": {"cat": None, "dog": None},
               "litter": {"__MACOSX/cat/1.png": b"x", ".x/1.png": b"x"},
               "texts": {"readme.txt": b"x", "cat/a.txt": b"x"}, "one class": {"cat/1.png": PICTURES[0]},
               "one class, deep": {"all/cat/1.png": PICTURES[0]}, "no images": {"cat/1.png": b"x", "dog/1.png": b"y"},
               "pixels without end": {"cat/1.png": bomb, "dog/1.png": bomb},
               "no pixels": {"cat/1.png": b"", "dog/1.png": b""},
               "a file and a folder": SOUND | {"bird": PICTURES[0], "bird/1.png": PICTURES[0]},
               "no classes": {"1.png": PICTURES[0], "2.png": PICTURES[1]},
               "parts without classes": {"train/1.png": PICTURES[0], "test/2.png": PICTURES[1]},
               "other classes": dict.fromkeys(("train/a/1.png", "train/b/1.png", "test/c/1.png"), PICTURES[0])}
    for name, files in empties.items():
        expected = "EITHER" if name == "a file and a folder" else "REFUSED"
        yield f"tar {name}", tar_of(files), expected
        yield f"zip {name}", zip_of({file + "/" * (data is None): data for file, data in files.items()}), expected
    locked = bytearray(zip_of(SOUND))
    for k in range(len(locked) - 8):
        if locked[k:k + 4] == b"PK\3\4": locked[k + 6] |= 1
        if locked[k:k + 4] == b"PK\1\2": locked[k + 8] |= 1
    yield "zip with a password", bytes(locked), "REFUSED"
    yield "no archive", b"<html>not found</html>", "REFUSED"
    yield "nothing at all", b"", "REFUSED"


def sound():
    for end, pack in PACKERS.items(): yield f"tar{end}", pack(tar_of(SOUND)), "FINE"
    yield "zip", zip_of(SOUND), "FINE"
    yield "zip, stored", zip_of(SOUND, zipfile.ZIP_STORED), "FINE"
    parts = {f"{split}/{name}": data for split in ("train", "test") for name, data in SOUND.items()}
    yield "zip, split", zip_of(parts), "FINE"
    yield "tar, dotted", tar_of({f"./{name}": data for name, data in SOUND.items()}), "FINE"
    other = {name.replace("cat", "猫").replace("dog", "é"): data for name, data in SOUND.items()}
    yield "tar, other letters", tar_of(other), "FINE"


def cases():
    "(kind, name, content, expected) of every archive."
    for kind in (sound, bombs, lies, names, links, damaged, contents):
        for name, content, *expected in kind(): yield kind.__name__, name, content, (expected or ["REFUSED"])[0]


WHOLE = "class images pixels NFC UTF-8 texts nothing alone litter parts".split()


def try_one(name, content, expected):
    "Read the archive as anybody's images, and unpack it."
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"pets{'.zip' if content[:2] == b'PK' else '.tar'}"
        file.write_bytes(content)
        is_refused, wrong = outcome(lambda: given.read(file), expected)
        is_whole = any(word in name for word in WHOLE)  # what it holds is wrong, not the archive
        unpacked = outcome(lambda: unpack(file, Path(folder) / "out"), "EITHER" if is_whole else expected)
        outside = [f for f in os.listdir(folder) if f not in (file.name, "out")]
        if unpacked[1]: wrong = wrong or f"unpacked: {unpacked[1]}"
        return is_refused, wrong or (f"left {outside}" if outside else None)


def run(share=1.0): return counted(cases(), try_one, share)
