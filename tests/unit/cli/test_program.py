"""Verbs, exit statuses, and what is printed where."""

import argparse
import subprocess
import sys
from types import SimpleNamespace

import pytest

from panollava import __version__
from panollava.cli import main, program
from panollava.errors import DataError


@pytest.fixture
def verb(monkeypatch):
    """Install a verb 'probe' whose work is a given function."""

    def install(work, add_arguments=lambda parser: None):
        monkeypatch.setitem(program.VERBS, "probe", program.Verb("probe", "a verb of the tests"))
        module = SimpleNamespace(add_arguments=add_arguments, run=work)
        monkeypatch.setitem(sys.modules, "panollava.cli.probe", module)

    return install


def raiser(error):
    def work(args):
        raise error

    return work


def test_help_lists_every_verb(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, row in program.VERBS.items():
        assert f"  {name} " in out
        assert row.help in out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"panollava {__version__}\n"


def test_without_a_verb_the_help_goes_to_stderr(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "verbs:" in captured.err


def test_an_unknown_verb_has_a_nearest(capsys):
    assert main(["trian"]) == 2
    assert "unknown verb 'trian'. Did you mean 'train'?" in capsys.readouterr().err


def test_a_group_lists_its_members(capsys):
    assert main(["config"]) == 2
    err = capsys.readouterr().err
    assert "config show" in err
    assert "config check" in err
    assert main(["config", "sow"]) == 2


def test_an_unknown_option_is_wrong_usage(capsys):
    assert main(["models", "--nope"]) == 2
    assert "usage: panollava models" in capsys.readouterr().err
    assert main(["--nope"]) == 2


def test_the_status_of_a_verb_is_the_status(verb):
    verb(lambda args: 7)
    assert main(["probe"]) == 7


def test_an_expected_error_is_one_message(verb, capsys):
    verb(raiser(DataError("table.csv, row 3, column url: empty.")))
    assert main(["probe"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "error: table.csv, row 3, column url: empty.\n"
    assert captured.out == ""


def test_an_error_of_the_system_is_one_message(verb, capsys):
    verb(raiser(PermissionError(13, "Permission denied", "runs")))
    assert main(["probe"]) == 1
    assert capsys.readouterr().err == "error: [Errno 13] Permission denied: 'runs'\n"


@pytest.mark.parametrize("words", [["--debug", "probe"], ["probe", "--debug"]])
def test_debug_shows_the_traceback(verb, words):
    verb(raiser(DataError("x")))
    with pytest.raises(DataError):
        main(words)


def test_a_defect_of_the_program_is_not_hidden(verb):
    verb(raiser(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_ctrl_c_is_130(verb, capsys):
    verb(raiser(KeyboardInterrupt()))
    assert main(["probe"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


def test_ctrl_c_that_lightning_turned_into_exit_is_130(verb, capsys):
    def work(args):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    verb(work)
    assert main(["probe"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_another_exit_keeps_its_status(verb):
    verb(raiser(SystemExit(3)))
    assert main(["probe"]) == 3


def test_options_and_words_may_alternate(verb):
    seen = {}

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("words", nargs="*")
        parser.add_argument("--flag")

    verb(lambda args: seen.update(vars(args)) or 0, add_arguments)
    assert main(["probe", "a=1", "--flag", "x", "b=2"]) == 0
    assert seen["words"] == ["a=1", "b=2"]


def test_a_reader_that_leaves_is_no_traceback():
    """As in ``panollava config show --fields | head -1``, with more output than a pipe holds."""
    code = (
        "import sys; from types import SimpleNamespace; from panollava.cli import program\n"
        "program.VERBS['probe'] = program.Verb('probe', 'probe')\n"
        "def work(args):\n    [print('x' * 1000) for _ in range(1000)]\n    return 0\n"
        "sys.modules['panollava.cli.probe'] = SimpleNamespace(add_arguments=lambda p: None, run=work)\n"
        "sys.exit(program.main(['probe']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait() == 1
    assert err == b""


def test_python_dash_m_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "panollava", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"panollava {__version__}\n"
