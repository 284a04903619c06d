"README.md from nbs/index.ipynb: hidden cells and tagged inputs left out, links made relative to the repository's root."
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from traitlets.config import Config


MOST = 900  # words: what is longer than that belongs on a page of its own


def link(match):
    "A link of the notebook, which lies in nbs/, as a link of a file in the root."
    before, target, behind = match.groups()
    if re.match(r"[a-z]+:|#", target): return match[0]
    return f"{before}{target[3:] if target.startswith('../') else 'nbs/' + target}{behind}"


def render(root):
    "The text of README.md."
    config = Config()
    config.RegexRemovePreprocessor.patterns = [r"^\s*#\|\s*hide\b"]
    config.TagRemovePreprocessor.remove_input_tags = {"remove-input"}
    removers = [f"nbconvert.preprocessors.{name}RemovePreprocessor" for name in ("Regex", "Tag")]
    config.MarkdownExporter.preprocessors = removers
    notebook = nbformat.read(root / "nbs" / "index.ipynb", 4)
    notebook.metadata["language_info"] = {"name": "python"}
    text, resources = MarkdownExporter(config=config).from_notebook_node(notebook)
    if resources["outputs"]: sys.exit("index.ipynb has a picture as output; link to a file in results/ instead")
    text = re.sub(r"(\]\()([^)\s]+)(\))", link, text)
    text = re.sub(r'((?:src|srcset)=")([^"]+)(")', link, text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    (root / "README.md").write_text(render(root), encoding="utf-8")
