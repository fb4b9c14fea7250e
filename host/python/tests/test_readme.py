"""The code of the documentation runs as it is printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Place

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CHANGEOVER.md"])
def test_the_code_of_a_page_runs(page: str, mongodb: Place, tmp_path: Path) -> None:
    found = blocks(page)
    assert found
    for code in found:
        code = code.replace("mongodb://localhost:27017/", mongodb.url).replace("chat_db", mongodb.options["database"])
        ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, f"{code}\n{ran.stderr}"
        expected = re.findall(r"^print\(.*#\s*(.*)$", code, re.MULTILINE)
        assert [line for line in ran.stdout.splitlines() if line] == expected, code
