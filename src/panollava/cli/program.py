"""From the command line to one verb, and from its outcome to an exit status.

Exit status: 0 done; 1 an error, told in one message; 2 wrong usage; 130 interrupted;
143 and 75: stopped by SIGTERM or SIGUSR1, with a checkpoint.
"""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

from panollava.errors import Interrupted, PanollavaError, unknown_name


class Verb(NamedTuple):
    """A row of the command table."""

    module: str
    """The file in this folder that has ``add_arguments`` and ``run``."""
    help: str


class VerbModule(Protocol):
    """What the file of a verb offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work and return the exit status."""


VERBS: dict[str, Verb] = {
    "run": Verb("run", "train all stages, evaluate, and write the report"),
    "train": Verb("train", "train all stages, or the named ones"),
    "eval": Verb("eval", "answer a test set with a checkpoint, and score the answers"),
    "score": Verb("score", "score a CSV of predictions and references"),
    "metrics install": Verb("metrics_install", "fetch what SPICE needs and no package index carries"),
    "ask": Verb("ask", "answer questions about one panorama"),
    "predict": Verb("predict", "answer questions about many panoramas, in parts and resumed"),
    "views": Verb("views", "write the views of one panorama as a contact sheet"),
    "models": Verb("models", "list the model presets, or pick some for a study"),
    "lora": Verb("lora", "fine-tune one model with LoRA"),
    "ablate": Verb("ablate", "run a study: every arm with every seed, and whether they differ"),
    "adapter export": Verb("adapter_export", "write the adapter of a checkpoint as PEFT reads it"),
    "adapter merge": Verb("adapter_merge", "write the language model with its adapter added to the weights"),
    "checkpoints list": Verb("checkpoints_list", "list checkpoints, and how they are"),
    "checkpoints verify": Verb("checkpoints_verify", "read every byte of checkpoints, and name what is damaged"),
    "checkpoints prune": Verb("checkpoints_prune", "remove old checkpoints from inside stages"),
    "checkpoints diff": Verb("checkpoints_diff", "compare two checkpoints: settings and weights"),
    "bench attention": Verb("bench_attention", "measure the attention kernels of this machine"),
    "check-env": Verb("check_env", "check machine, Python, torch and packages, with what to do"),
    "config show": Verb("config_show", "print a configuration whole, or describe every key"),
    "config check": Verb("config_check", "check a configuration file"),
    "data synth": Verb("data_synth", "write generated panoramas with questions and answers"),
    "data pretrain-embedded": Verb("data_pretrain", "pretrain the embedded encoder and language model"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: the words after the program's name; None: those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        before, verb, after = _split(words)
        options = _program_parser().parse_args(before)
        if verb not in VERBS:
            return _no_such_verb(verb)
        module = cast(VerbModule, importlib.import_module(f"panollava.cli.{VERBS[verb].module}"))
        parser = _verb_parser(verb, module)
        args = parser.parse_intermixed_args(after)
    except SystemExit as stop:  # argparse: --help, --version or wrong usage
        return _status(stop)
    return _guarded(module, args, debug=options.debug or args.debug)


def _split(words: list[str]) -> tuple[list[str], str, list[str]]:
    """Split the words into options of the program, the verb, and what belongs to the verb."""
    start = next((i for i, word in enumerate(words) if not word.startswith("-")), len(words))
    two = " ".join(words[start : start + 2])
    length = 2 if two in VERBS else 1
    return words[:start], " ".join(words[start : start + length]), words[start + length :]


def _program_parser() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    table = "\n".join(f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="panollava",
        usage="panollava [-h] [--version] [--debug] VERB ...",
        description="Vision-language models that understand 360-degree panoramas.",
        epilog=f"verbs:\n{table}\n\nHelp on one verb: panollava VERB --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version and exit")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _verb_parser(verb: str, module: VerbModule) -> argparse.ArgumentParser:
    text = VERBS[verb].help
    parser = argparse.ArgumentParser(
        prog=f"panollava {verb}",
        description=f"{text[0].upper()}{text[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


class _PrintVersion(argparse.Action):
    """``--version``."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from panollava import __version__

        print(f"panollava {__version__}")
        parser.exit()


def _no_such_verb(verb: str) -> int:
    """Tell what verbs there are; a group such as ``config`` lists its members."""
    members = {name: row for name, row in VERBS.items() if name.startswith(f"{verb} ")}
    if members:
        print(f"usage: panollava {verb} VERB ...\n\nverbs:", file=sys.stderr)
        for name, row in members.items():
            print(f"  {name}  {row.help}", file=sys.stderr)
    elif verb:
        print(f"panollava: {unknown_name('verb', verb, VERBS)}", file=sys.stderr)
    else:
        _program_parser().print_help(sys.stderr)
    return 2


def _guarded(module: VerbModule, args: argparse.Namespace, *, debug: bool) -> int:
    """Run the verb; turn an expected failure into one message and a status."""
    _log_to_stderr(debug=debug)
    try:
        status = module.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of our output went away. Keep Python from complaining once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.status
    except (PanollavaError, OSError) as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as stop:
        # Lightning answers Ctrl-C with exit(1) while it handles the KeyboardInterrupt.
        return _interrupted() if isinstance(stop.__context__, KeyboardInterrupt) else _status(stop)


def _interrupted() -> int:
    print("\ninterrupted", file=sys.stderr)
    return 130


def _status(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    return stop.code if isinstance(stop.code, int) else 1


def _log_to_stderr(*, debug: bool) -> None:
    """Show what the library logs, as plain lines."""
    logger = logging.getLogger("panollava")
    first = os.environ.get("RANK", "0") == "0"  # of several processes the first one tells what all do
    logger.setLevel(logging.DEBUG if debug else logging.INFO if first else logging.WARNING)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
