#!/bin/sh
# Install the packages behind the caption metrics. PYTHON chooses the interpreter (default: python).
set -eu
"${PYTHON:-python}" -m pip install "sacrebleu>=2.5,<3" "nltk>=3.9" "rouge-score>=0.1.2"
echo "Done: BLEU-4, METEOR, ROUGE-L and CIDEr run now. METEOR's WordNet is part of panollava."
