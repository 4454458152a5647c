"""Execute notebooks, written as Python text with cells (`# %%`), into pages of the site.

    python website/execute.py docs/notebooks/audit.py [...]

Each becomes build/notebooks/NAME.md with its pictures in NAME_files/, and NAME.ipynb to download. It runs in
an empty folder and on one thread. One that fails is named, with the cell and the error; exit code 1.
"""

import os
import re
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
from nbclient.exceptions import CellControlSignal, CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor
from traitlets.config import Config

OUT = Path(__file__).parent.parent / "build" / "notebooks"
FAILURES = (CellExecutionError, CellTimeoutError, CellControlSignal, DeadKernelError, RuntimeError)
NO_WIDGETS = "IProgress not found"  # tqdm, without the widgets of Jupyter
TIMEOUT = 300  # seconds for a cell
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def execute(source: Path, out: Path) -> Path:
    """Execute one notebook and write its page; return the page's path."""
    name = source.stem
    work = out / "work" / name
    for folder in (work, out / f"{name}_files"):
        shutil.rmtree(folder, ignore_errors=True)
    work.mkdir(parents=True)
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with TemporaryDirectory() as sockets:  # files, and not ports, which anybody could listen to
        manager = {"transport": "ipc", "ip": f"{sockets}/kernel"}
        runner = ExecutePreprocessor(
            timeout=TIMEOUT, kernel_name="python3", config=Config({"KernelManager": manager})
        )
        runner.preprocess(notebook, {"metadata": {"path": str(work)}})
    for cell in notebook.cells:
        cell["outputs"] = [each for each in cell.get("outputs", ()) if NO_WIDGETS not in each.get("text", "")]
        if cell.cell_type != "code":
            del cell["outputs"]
    jupytext.write(notebook, out / f"{name}.ipynb")
    text, resources = MarkdownExporter().from_notebook_node(
        notebook, {"output_files_dir": f"{name}_files", "unique_key": name}
    )
    for path, data in resources["outputs"].items():
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_bytes(data)
    page = out / f"{name}.md"
    page.write_text(_described(_tidy(text, name), notebook), encoding="utf-8")
    return page


def _described(text: str, notebook: Any) -> str:
    """Give each picture the description that its cell has: `# %% alt="Box plots of ..."`."""

    def described(match: re.Match[str]) -> str:
        alt = notebook.cells[int(match[2])].metadata.get("alt")
        if not alt:
            raise RuntimeError(f"{match[1]} has no description: start its cell with # %% alt=...")
        return f"![{alt}]({match[1]})"

    return re.sub(r"!\[(?:png|svg)\]\(([\w/]+_(\d+)_\d+\.\w+)\)", described, text)


def _tidy(text: str, name: str) -> str:
    """Say where the notebook comes from, below its title, and let the site style its tables."""
    text = re.sub(r"<style scoped>.*?</style>\n", "", text, flags=re.DOTALL)
    text = re.sub(r'<table border="1" class="dataframe">', "<table>", text)
    text = text.replace('<tr style="text-align: right;">', "<tr>")
    title, rest = text.lstrip().split("\n", 1)
    files = f"[notebook]({name}.ipynb), [script]({name}.py)"
    return f"{title}\n\n*Executed as it stands when this page was built. Take it with you: {files}.*\n{rest}"


def main(sources: list[Path], out: Path = OUT) -> int:
    """Execute the notebooks one after another; return the exit code."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    for source in sources:
        start = time.monotonic()
        try:
            execute(source, out)
        except FAILURES as error:
            text = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # colours of a terminal
            print(f"{text}\n\nthe notebook {source} failed: {type(error).__name__}", file=sys.stderr)
            return 1
        print(f"{source}: {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
