"""Which files a rule set opens, on a real tree."""

from collections.abc import Iterator
from pathlib import Path

from benchside_kernels.landlock import LIST, READ, readable_rules
from benchside_kernels.sandbox import packaged_files, scrubbed_environment


def test_siblings_of_a_hidden_path_stay_readable(tmp_path: Path) -> None:
    for name in ("a/x.py", "a/secret/gold.txt", "b/y.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    secret = tmp_path / "a" / "secret"
    assert readable_rules(tmp_path, frozenset([secret])) == [
        (str(tmp_path), LIST),
        (str(tmp_path / "a"), LIST),
        (str(tmp_path / "a" / "x.py"), READ),
        (str(tmp_path / "b"), READ),
    ]
    assert readable_rules(secret, frozenset([secret])) == []
    assert readable_rules(tmp_path, frozenset()) == [(str(tmp_path), READ)]


def test_a_link_to_a_hidden_path_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "open").mkdir()
    rules = readable_rules(tmp_path, frozenset([tmp_path / "secret"]))
    assert rules == [(str(tmp_path), LIST), (str(tmp_path / "open"), READ)]


class Counted(frozenset[Path]):
    """Hidden paths that count how often all of them are gone through."""

    gone_through = 0

    def __iter__(self) -> Iterator[Path]:
        """Count."""
        self.gone_through += 1
        return super().__iter__()


def test_hidden_paths_are_not_gone_through_for_each_folder(tmp_path: Path) -> None:
    """With a thousand hidden paths a zygote would be seconds late, and all others with it."""
    for number in range(20):
        (tmp_path / str(number) / "open").mkdir(parents=True)
    hidden = Counted(tmp_path / str(number) / "secret" for number in range(20))
    rules = readable_rules(tmp_path, hidden)
    assert rules.count((str(tmp_path / "7" / "open"), READ)) == 1
    assert len(rules) == 41
    assert hidden.gone_through == 1


def test_packaged_files_are_found_by_pattern() -> None:
    found = packaged_files(["lifelines/datasets/*.csv"])
    assert {"lung.csv", "gbsg2.csv"} <= {path.name for path in found}
    assert packaged_files(["no_such_package/*"]) == []


def test_only_named_variables_get_in(tmp_path: Path) -> None:
    environment = scrubbed_environment(tmp_path, tmp_path, {"EXTRA": "1"})
    assert environment["EXTRA"] == "1"
    assert environment["HOME"] == str(tmp_path)
    assert not any("KEY" in name or "TOKEN" in name for name in environment)
