"""The command `cite`: the papers that a run is based on, as BibTeX."""

from pathlib import Path

import tyro

from beliefmatch.cli.printing import print_text


def cite(run: tyro.conf.Positional[Path], /) -> None:
    """Print BibTeX of all that a run used: its source, its objective, how its student began, and beliefmatch.

    Args:
        run: Run folder. Code that it names is not imported.
    """
    from beliefmatch.recipes.citations import cite_software, papers_of
    from beliefmatch.recipes.stored import read_transfer
    from beliefmatch.runs.folder import RunFolder

    folder = RunFolder(run)
    # Settings alone are read. No network is made of them, so what Python code they name is never imported.
    papers = papers_of(read_transfer(folder, trust_code=True))
    version = folder.read_run().versions.get("beliefmatch", "")
    print_text("\n".join([*(paper.to_bibtex() for paper in papers), cite_software(version)]).rstrip())
