"Packaging: everything it says is read from settings.ini."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
cfg = ConfigParser(delimiters=["="])
cfg.read(here / "settings.ini", encoding="utf-8")
cfg = cfg["DEFAULT"]
readme = here / "README.md"
extras = {key.removeprefix("extra_"): value.split() for key, value in cfg.items() if key.startswith("extra_")}
extras["dev"] = cfg["dev_requirements"].split()


def expanded(words):
    "Requirements, where `[data]` stands for those of the extra `data`."
    parts = [expanded(extras[word[1:-1]]) if word[0] == "[" else [word] for word in words]
    return list(dict.fromkeys(sum(parts, [])))


BESIDE = {"data/published.csv": "data/published.csv", "params.yaml": "pipeline/small.yaml"}  # -> name in the package


class WithWhatLiesBeside(build_py):
    """Puts what lies beside the package in a checkout into what is installed: published numbers (`gwi.report.beside`) and
    the settings of the default profile (`gwi.trying`)."""

    def run(self):
        super().run()
        if self.editable_mode: return
        for file, name in BESIDE.items(): self.copy_file(str(here / file), str(Path(self.build_lib) / "gwi" / name))


setup(
    cmdclass={"build_py": WithWhatLiesBeside},
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    license="Apache-2.0",
    keywords=cfg["keywords"],
    packages=find_packages(include=["gwi", "gwi.*"]),
    package_data={"gwi": ["*/*.yaml", "*/*.css", "*/*.js", "tools/static/*"]},  # wordings, and what a page needs
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg["requirements"].split(),
    entry_points={"console_scripts": cfg["console_scripts"].split()},
    extras_require={name: expanded(words) for name, words in extras.items()},
    zip_safe=False,
)
