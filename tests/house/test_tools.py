"""The house's own checks see what they are there to see."""

from pathlib import Path

from tools import check_links, check_sizes


def test_a_long_function_is_an_offence(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("def long() -> None:\n" + "    print()\n" * 50)
    summary, offences = check_sizes.report(tmp_path)
    assert summary == "sizes: 1 files, longest 51 lines; 1 functions, median 51 lines, longest 51"
    assert [offence.partition("long.py")[2] for offence in offences if "long.py" in offence] == [
        ":1: long has 51 lines, at most 50"
    ]
    assert offences[-1].endswith("half the functions have over 51 lines, at most 12")


def test_a_long_file_is_an_offence(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * 401)
    assert check_sizes.report(tmp_path)[1] == [f"{tmp_path / 'long.py'}: 401 lines, at most 400"]


def test_short_code_is_no_offence(tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text("async def short() -> None:\n    pass\n")
    assert check_sizes.report(tmp_path)[1] == []
    assert check_sizes.main([str(tmp_path)]) == 0


def test_a_broken_link_is_an_offence(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("[a](docs/gone.md) [b](docs/page.md#no-such) ![c](gone.svg)\n")
    (tmp_path / "docs/page.md").write_text("# Page\n[up](../README.md) [away](https://example.com/x)\n")
    offences = [line for page in check_links.pages(tmp_path) for line in check_links.broken(page, tmp_path)]
    assert [line.split(": ", 1)[1] for line in offences] == [
        "docs/gone.md: no such file",
        "docs/page.md#no-such: no such heading",
        "gone.svg: no such file",
    ]
    assert check_links.main([str(tmp_path)]) == 1


def test_links_in_code_are_no_links() -> None:
    assert list(check_links.links("`[a](b)`\n```\n[c](d)\n```\n[e](f.md)\n")) == ["f.md"]


def test_headings_have_the_anchors_github_gives_them() -> None:
    page = "# What it is\n## `relay serve`, and more\n## Words\n## Words\n"
    assert check_links.anchors(page) == {"what-it-is", "relay-serve-and-more", "words", "words-1"}
