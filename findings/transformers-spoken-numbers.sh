#!/usr/bin/env bash
# Counting aloud, clock times and names, as the normaliser of Whisper's word error rates writes them.
#
# transformers 5.24.0 (models/whisper/english_normalizer.py), jiwer 4.0.0.
# Guess, written down before the first run: numbers with commas between them stay apart whether they
#   are words or digits; "one o'clock" becomes "1 o clock"; a capital O with an apostrophe, and the
#   cry "oh", stay letters.
# Seen: "one, two, three" becomes the one number 123, while "1, 2, 3" becomes "one 2 3", so that a
#   transcript that is right has every word wrong. Each "o" and "oh" is a zero: "one o'clock" is ten,
#   O'Brien is "0 brien", and "oh no" is "0 no". "A hundred dollars" keeps its article and is "a $100".
# So word error rates of models that write digits and of those that write words cannot be compared
#   where people count, tell the time or give telephone numbers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet transformers==5.24.0 jiwer==4.0.0
cat > count.py <<'PYTHON'
import jiwer
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

normalize = EnglishTextNormalizer({})
pairs = [
    ("One, two, three.", "1, 2, 3."),
    ("At one o'clock.", "At 1 o'clock."),
    ("Oh no, Mr O'Brien!", "Oh no, Mister O'Brien!"),
    ("A hundred dollars.", "$100."),
    ("Two and a half.", "2.5."),
]
for words, digits in pairs:
    rate = jiwer.wer(normalize(digits), normalize(words))
    print(f"{normalize(words)} | {normalize(digits)} | {rate:.2f}")
PYTHON
venv/bin/python count.py 2> log.txt | tee seen.txt
diff seen.txt - <<'SEEN'
123 | one 2 3 | 1.00
at 10 clock | at 10 clock | 0.00
0 no mister 0 brien | 0 no mister 0 brien | 0.00
a $100 | $100 | 1.00
2.5 | 2.5 | 0.00
SEEN
