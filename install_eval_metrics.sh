#!/bin/sh
# Install the packages behind the caption metrics, and those of the extras named, in the versions of constraints.txt.
#
#   ./install_eval_metrics.sh              sacrebleu, nltk, rouge-score (they come with panollava)
#   ./install_eval_metrics.sh ko ja        also the tokenizers of Korean and Japanese
#   ./install_eval_metrics.sh spice        any extra of pyproject.toml
#
# PYTHON chooses the interpreter (default: that of .venv, else python3).
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-$here/.venv/bin/python}
[ -x "$python" ] || python=$(command -v "${PYTHON:-python3}") || { echo "error: no Python '${PYTHON:-python3}'" >&2; exit 1; }

requirements=$("$python" - "$here/pyproject.toml" "$@" <<'END'
import sys, tomllib

with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
base = ("sacrebleu", "nltk", "rouge-score")
wanted = [line for line in project["dependencies"] if line.startswith(base)]
for name in sys.argv[2:]:
    if name not in extras:
        sys.exit(f"error: no extra '{name}'. Extras: {', '.join(sorted(extras))}.")
    wanted += extras[name]
print("\n".join(wanted))
END
)
# One requirement a line; none holds a space.
# shellcheck disable=SC2086
"$python" -m pip install -c "$here/constraints.txt" $requirements
echo "Installed. Score with: panollava score predictions.csv"
for name in "$@"; do
    [ "$name" = spice ] && echo "SPICE also needs Stanford CoreNLP: panollava metrics install spice"
done
exit 0
