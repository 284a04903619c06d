"""What must run where the core alone is installed: `bare.py` gives this file to that Python, with the README.

Prints what was seen, one line each, and ends with 1 if anything was not as it should be."""
import re
import sys
import time
from collections import OrderedDict
from pathlib import Path

EXTRAS = {  # what a user would try -> the extra that its error must name
    "import gwi.train": "data", "import gwi.evaluate": "data", "import gwi.params": "data",
    "import gwi.data.datasets": "data", "import gwi.data.readers": "data", "import gwi.transforms": "data",
    "import gwi.checkpoint": "data", "import gwi.report": "report", "from gwi.report.figures import save": "report",
    "import gwi.pipeline.__main__": "pipeline",
    "gwi.create('torchvision:resnet18')": "data",
    "from gwi.models import save_weights; save_weights(net, 'x.safetensors')": "data",
    "gwi.corrupt(pictures, 'elastic_transform', 3)": "data", "gwi.corrupt(pictures, 'frost', 3)": "data",
    "gwi.corrupt(pictures, 'jpeg_compression', 3)": "data",
    "from gwi.corruption import overlay_folder; overlay_folder()": "frost",
    "from gwi.augment import autoaugment; autoaugment(images, 1, indices)": "data",
    "from gwi.augment import mixup; mixup(images, torch.eye(8), 1, indices, 0.2)": "data",
    "gwi.autoattack(net.eval(), floats, labels, 8 / 255)": "autoattack",
    "from gwi.adapters.lightning import InhibitionCallback as C; C(gwi.GroupWiseInhibition(net, 'layer3'))": "adapters",
    "from gwi.adapters.timm import TimmStep as T; T(g, g_optimiser, clip_grad=1.0).clipped()": "adapters",
}
NEED_MORE = "robustness", "compare", "load_report", "fine_tune" # names at the root that need an extra
MODULES = ("inhibition", "choosing", "stepping", "adapters.accelerate", "dropping", "views", "augment", "corruption",
           "attack", "models", "methods", "measures", "weights", "objective")  # what imports with the core alone


def root_of_package():
    "Names at the root of the package, imported when they are asked for."
    begin = time.perf_counter()
    import gwi
    seconds = time.perf_counter() - begin
    loaded = sorted({"torch", "numpy", "fastcore"} & sys.modules.keys())
    print(f"import gwi: {1000 * seconds:.0f} ms, loads {', '.join(loaded) or 'none of torch, numpy, fastcore'}")
    assert not loaded and set(gwi.__all__) <= set(dir(gwi))
    for name in gwi.__all__:
        assert name in gwi.__doc__, name
        if name in NEED_MORE: assert "pip install 'gwi[" in error_of(f"gwi.{name}", dict(gwi=gwi)), name
        else: assert callable(getattr(gwi, name)), name
    from gwi import GroupWiseInhibition, corrupt, fgsm, layers, pgd, step
    print("from gwi import", *gwi.__all__)
    return GroupWiseInhibition, layers, corrupt, pgd, fgsm, step


def network(torch):
    "A tiny network whose third stage is called as the front page's."
    nn = torch.nn
    torch.manual_seed(0)
    def stage(a, b): return nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU())
    parts = dict(layer1=stage(3, 8), layer2=stage(8, 8), layer3=stage(8, 12), layer4=stage(12, 12))
    head = dict(pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(12, 8))
    return nn.Sequential(OrderedDict(parts | head))


def front_page(readme, torch):
    "The lines of the front page that put the regulariser into a training loop, as they stand there."
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.S)
    lines, = [block for block in blocks if "GroupWiseInhibition(net" in block]
    net = network(torch)
    images = torch.rand(16, 3, 32, 32)
    loader = [(images, net(images).argmax(1))] * 4
    names = dict(net=net, optimiser=torch.optim.SGD(net.parameters(), 0.01), loader=loader)
    exec(compile(lines, "README.md", "exec"), names)
    print("the front page's lines ran:", {k: round(float(v), 3) for k, v in names["stats"].items()})
    assert names["stats"]["n_selected"] > 0 and names["loss"].isfinite()


def samples(torch):
    "What the lines of EXTRAS speak of."
    import gwi
    net, pictures = network(torch), torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8)
    images, labels = pictures.permute(0, 3, 1, 2).contiguous(), torch.arange(8)
    regulariser = gwi.GroupWiseInhibition(net, "layer3")
    return dict(gwi=gwi, torch=torch, net=net, pictures=pictures, images=images, floats=images / 255, labels=labels,
                indices=torch.arange(8), g=regulariser, g_optimiser=torch.optim.SGD(net.parameters(), 0.1))


def each_part_once(layers, corrupt, pgd, fgsm, step, of):
    "One pass of everything that the core is for."
    from gwi import augment, corruption
    net, images, floats, labels, indices = (of[name] for name in ("net", "images", "floats", "labels", "indices"))
    print("suggested:", layers(net, floats).suggestion)
    logits = net(floats)
    print("a step on", int(step(of["g"], of["g_optimiser"], floats, logits.argmax(1), logits)["n_selected"]), "images")
    net.eval()
    for attack in (fgsm, pgd):
        assert 0 < (attack(net, floats, labels, 8 / 255) - floats).abs().max() <= 8 / 255 + 1e-6
    plain = [name for name in corruption.FUNCTIONS if name not in corruption.NEEDED]
    for name in plain: assert (corrupt(of["pictures"], name, 5) != of["pictures"]).any(), name
    for mixed in (augment.augmix(images, 1, indices), augment.crop_flip(images, 1, indices, 4)):
        assert mixed.shape == images.shape
    for function in (augment.cutout, augment.random_erasing): assert (function(images, 1, indices) != images).any()
    print("fgsm, pgd, AugMix, crop and flip, cutout, erasing;", len(plain), "corruptions:", *plain)
    errors = {name: error_of(f"gwi.corrupt(pictures, {name!r}, 1)", of) for name in corruption.NEEDED}
    for name, error in errors.items(): assert f"{name} needs" in error and "'gwi[data]'" in error, error


def command_line():
    "Every help; what is here; what a command says that needs more."
    from click.testing import CliRunner

    from gwi.__main__ import COMMANDS, commands
    for name in COMMANDS: assert CliRunner().invoke(commands, [name, "--help"]).exit_code == 0, name
    done = CliRunner().invoke(commands, ["doctor"], prog_name="gwi")
    print(done.stdout)
    assert done.exit_code == 0 and "pip install 'gwi[report]'" in done.stdout, done.output
    words = ["robustness", "--model", "our:resnet8", "--data", "."]
    done = CliRunner().invoke(commands, words, prog_name="gwi")
    print(done.stderr)
    assert done.exit_code == 2 and "pip install 'gwi[data,report]'" in done.stderr, done.output


def error_of(line, names):
    "What a line says that cannot be run."
    try: exec(line, dict(names))
    except (ModuleNotFoundError, FileNotFoundError) as error: return str(error)
    return "ran"


def main(readme):
    "Everything; an assertion that fails ends it."
    GroupWiseInhibition, *parts = root_of_package()
    import torch
    front_page(readme, torch)
    of = samples(torch)
    for module in MODULES: __import__(f"gwi.{module}")
    each_part_once(*parts, of)
    said = {line: error_of(line, of) for line in EXTRAS}
    for line, error in said.items(): print(f"{line}: {error}")
    wrong = [line for line, extra in EXTRAS.items() if f"pip install 'gwi[{extra}]'" not in said[line]]
    assert not wrong, f"no error that names the extra: {wrong}"
    command_line()


if __name__ == "__main__": main(Path(sys.argv[1]))
