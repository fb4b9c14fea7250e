"""The code of the documentation runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Place

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CHANGEOVER.md"])
def test_the_code_of_a_page_prints_what_it_says(
    page: str, mongodb: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    assert found
    for code in found:
        code = code.replace("mongodb://localhost:27017/", mongodb.url).replace("chat_db", mongodb.options["database"])
        exec(compile(code, page, "exec"), {})
        expected = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
        printed = capsys.readouterr().out
        lines = iter(printed.splitlines())
        assert expected and all(line in lines for line in expected), f"{code}\n{printed}"
