"""Group-wise inhibition (ICCV 2021): a regulariser for robust classification, and what measures robustness.

- `GroupWiseInhibition(network, layer).loss(images, labels)` is a loss to step on besides the ordinary one.
- `layers(network, images)` lists the layers to choose from, and suggests one.
- `step(regulariser, optimiser, images, labels, logits)` makes that step; `RegularisedStep` on a schedule.
- `corrupt(images, name, severity)` gives images as in CIFAR-10-C and ImageNet-C.
- `fgsm`, `pgd` and `autoattack` give adversarial images.
- `robustness(network, (images, labels))` says how robust a network is; `compare(before, after)` two of its reports.
- `load_network(source)` takes a network from a name, a file or an archive; `load_report(folder)` a saved report.
- `fine_tune(network, images, method="augmix")` trains a copy a few epochs more, with any method of the table.
- `create(name)` makes the paper's networks for images of 32 pixels, and torchvision's.

`pip install gwi` brings what these need but for `autoattack`, torchvision's networks and some corruptions: their
errors name the extra, as `pip install 'gwi[data]'`. Each name is imported when it is asked for."""
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
_HOMES = dict(  # name -> module
    GroupWiseInhibition="inhibition", layers="choosing", step="stepping", RegularisedStep="stepping",
    corrupt="corruption", fgsm="attack", pgd="attack", autoattack="attack", create="models",
    robustness="examine", compare="report.paired", load_network="networks", load_report="report.robust",
    fine_tune="tuning")
__all__ = list(_HOMES)

if TYPE_CHECKING:
    from .attack import autoattack, fgsm, pgd
    from .choosing import layers
    from .corruption import corrupt
    from .inhibition import GroupWiseInhibition
    from .examine import robustness
    from .models import create
    from .networks import load_network
    from .report.paired import compare
    from .report.robust import load_report
    from .stepping import RegularisedStep, step
    from .tuning import fine_tune


def __getattr__(name):  # so that `import gwi` takes no time and loads no torch
    if name not in _HOMES: raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return found


def __dir__(): return sorted([*globals(), *_HOMES])
