"""The programs in the READMEs run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("readme", ["README.md", "python/README.md"])
def test_a_program_of_a_readme_runs(readme, tmp_path):
    programs = re.findall(r"```python\n(.*?)```", (_ROOT / readme).read_text(), re.DOTALL)
    assert programs
    # As on a machine where no server is known: they start one.
    environment = {name: value for name, value in os.environ.items() if name != "LIBCHAT_URL"}
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "prices first" in done.stdout
