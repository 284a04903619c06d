"""Folders that somebody might give as images of classes, to `make report-folder` and to the library.

`python tests/abuse/folders.py` tries all: pipes, devices, circles, names of all kinds, too few classes or rights."""
import os
import socket
import tempfile
from pathlib import Path


from gwi.data import given
from gwi.pipeline import folder as reports
from tests.abuse.archives import PICTURES, picture
from tests.abuse.trying import counted, outcome

KINDS = ("cat", "dog")


def sound(place, n=8, kinds=KINDS):
    "Folders of pictures."
    for k, kind in enumerate(kinds):
        (place / kind).mkdir(parents=True)
        for i in range(n): (place / kind / f"{i}.png").write_bytes(picture(100 * k + i))


def in_cat(make, name="odd.png"):
    "A sound folder with something odd among the cats."
    def prepare(place):
        sound(place)
        make(place / "cat" / name)
    return prepare


def bound(path):
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as s: s.bind(path.name)


def hollow(path):
    path.touch()
    os.truncate(path, 2**40)


def linked(target): return lambda path: path.symlink_to(target)


def specials():
    "What is no file."
    odd = {"pipe": os.mkfifo, "socket": bound, "device": lambda path: os.mknod(path, 0o20600, os.makedev(1, 5)),
           "link to /dev/zero": linked("/dev/zero"), "link to /dev/urandom": linked("/dev/urandom"),
           "link to nothing": linked("nowhere"), "link to itself": linked("odd.png"), "link back": linked(".."),
           "link to the root": linked("/"), "link to where it is": linked("."), "hollow": hollow,
           "link to a pipe": lambda path: (os.mkfifo(path.with_name(".pipe")), path.symlink_to(".pipe")),
           "link to /proc/self/mem": linked("/proc/self/mem"), "link to a terminal": linked("/dev/tty")}
    for name, make in odd.items(): yield name, in_cat(make)
    for name in ("pipe", "link to /dev/zero", "device"):
        yield f"{name} as a class", lambda place, make=odd[name]: (sound(place), make(place / "bird"))
        yield f"{name} as the folder", lambda place, make=odd[name]: make(place)
        yield f"{name} in a split", lambda place, make=odd[name]: (
            [sound(place / split) for split in ("train", "test")], make(place / "test" / "cat" / "odd.png"))


def circles():
    "Links to each other."
    def two(place):
        sound(place)
        (place / "bird").symlink_to("fish")
        (place / "fish").symlink_to("bird")
    def below(place):
        sound(place)
        (place / "cat" / "deep").mkdir()
        (place / "cat" / "deep" / "up").symlink_to("../..")
    yield "two links", two
    yield "a link up", below


def classes():
    "Too few, too small, or called what cannot be."
    yield "nothing", lambda place: place.mkdir()
    yield "one class", lambda place: sound(place, kinds=["cat"])
    yield "one class, deep", lambda place: sound(place / "all", kinds=["cat"])
    yield "one class in each split", lambda place: [sound(place / split, kinds=["cat"]) for split in ("train", "test")]
    yield "another class in each split", lambda place: (sound(place / "train", kinds=["cat", "dog"]),
                                                       sound(place / "test", kinds=["cat", "cow"]))
    yield "an empty class", lambda place: (sound(place), (place / "bird").mkdir()), "EITHER"
    yield "one picture a class", lambda place: sound(place, n=1), "EITHER"
    yield "no folders", lambda place: (place.mkdir(), (place / "1.png").write_bytes(PICTURES[0]))
    yield "a file", lambda place: place.write_bytes(PICTURES[0])
    def as_texts(place): sound(place), [file.rename(file.with_suffix(".txt")) for file in place.glob("*/*")]
    yield "texts alone", as_texts
    yield "hidden alone", lambda place: sound(place, kinds=[".cat", ".dog"])
    yield "nowhere", lambda place: None
    yield "a link to nowhere", lambda place: place.symlink_to("nowhere")
    yield "a link to itself", lambda place: place.symlink_to(place.name)


def names():
    "Names of classes and files."
    for nfc, nfd in (("caf\u00e9", "cafe\u0301"), ("\u00c5", "A\u030a"), ("\u1ec7", "e\u0323\u0302")):
        yield f"NFC beside NFD {nfc}", lambda place, kinds=(nfc, nfd): sound(place, kinds=kinds)
    yield "NFC alone", lambda place: sound(place, kinds=["caf\u00e9", "dog"]), "FINE"
    yield "NFD alone", lambda place: sound(place, kinds=["cafe\u0301", "dog"]), "FINE"
    yield "a class that is no UTF-8", lambda place: sound(place, kinds=[os.fsdecode(b"caf\xe9"), "dog"])
    def paint(path): path.write_bytes(PICTURES[0])
    yield "a file that is no UTF-8", in_cat(paint, os.fsdecode(b"\xff\xfe.png")), "EITHER"
    yield "a file of 255 bytes", in_cat(paint, "a" * 251 + ".png"), "FINE"
    yield "a class of 255 bytes", lambda place: sound(place, kinds=["a" * 255, "dog"]), "FINE"
    yield "a file with a line break", in_cat(paint, "a\nb.png"), "EITHER"
    yield "blanks alone", lambda place: sound(place, kinds=["cat", " "]), "EITHER"


def contents():
    "Files that are no pictures, whatever they are called."
    odd = {"empty": b"", "text": b"hello", "cut off": PICTURES[0][:40], "a page": b"<html></html>",
           "zeros": bytes(10_000), "half a picture": picture(9, 64)[:2000]}
    for name, content in odd.items(): yield name, in_cat(lambda path, content=content: path.write_bytes(content))
    yield "a text beside", in_cat(lambda path: path.write_bytes(b"x"), "notes.txt"), "FINE"
    yield "a folder called .png", in_cat(lambda path: path.mkdir()), "FINE"
    yield "pipes that are hidden", in_cat(os.mkfifo, ".pipe"), "FINE"


def rights():
    "Folders and files that may not be read; root may, so the process is nobody for a while."
    def shut(name):
        def prepare(place):
            sound(place)
            (place / name).chmod(0)
        return prepare
    for name in ("", "cat", "cat/0.png"): yield f"no right to {name or 'the folder'}", shut(name)


def good():
    yield "classes", sound, "FINE"
    yield "splits", lambda place: [sound(place / split) for split in ("train", "test")], "FINE"
    yield "links to files", in_cat(lambda path: path.symlink_to("0.png")), "FINE"
    yield "links to folders", lambda place: (sound(place.with_name("there")), place.mkdir(), [
        (place / kind).symlink_to(f"../there/{kind}") for kind in KINDS]), "FINE"


def cases():
    "(kind, name, what makes the folder, expected) of every folder."
    for kind in (good, specials, circles, classes, names, contents, rights):
        for name, make, *expected in kind(): yield kind.__name__, name, make, (expected or ["REFUSED"])[0]


def as_nobody(work, there):
    "Without root's rights, if there are any."
    if os.geteuid(): return work()
    there.chmod(0o755)
    os.seteuid(65534)
    try: return work()
    finally: os.seteuid(0)


def try_one(name, make, expected):
    "As `report-folder` looks at it, and as `gwi.data.given` does."
    here, errors = os.getcwd(), (ValueError, FileNotFoundError, PermissionError)
    with tempfile.TemporaryDirectory() as home:
        place = Path(home) / "pets"
        make(place)
        os.chdir(here)
        work = (lambda: reports.look(place)), (lambda: given.read(place))
        if "no right" in name: work = [lambda one=one: as_nobody(one, Path(home)) for one in work]
        looked = outcome(work[0], expected, errors)
        read = outcome(work[1], "EITHER" if name in ("hollow", "half a picture") else expected, errors)
        for path in [place, *place.rglob("*")] if "no right" in name else []: path.chmod(0o755)
        return looked[0], looked[1] or read[1] and f"given: {read[1]}"


def run(share=1.0): return counted(cases(), try_one, share)
